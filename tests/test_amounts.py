"""Bytes and times as people write them; what is neither is told in a line that says what to write."""

from __future__ import annotations

import pytest

from bokeh_server.amounts import bytes_of, seconds_of
from bokeh_server.errors import BadSetting


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("65536", 65_536),
        ("64K", 65_536),
        ("64M", 2**26),
        ("1.5G", 3 * 2**29),
        ("2TiB", 2**41),
        ("64mb", 2**26),
    ],
)
def test_a_size(text: str, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize(
    ("text", "time"), [("90s", 90), ("1.5m", 90), ("2h", 7_200), ("1d", 86_400), (" 2w ", 1_209_600)]
)
def test_a_time(text: str, time: float) -> None:
    assert seconds_of(text) == time


@pytest.mark.parametrize("text", ["", "-1M", "1.5", "M", "1X", "1e9", "64 M", "1M1", "٣M", "nan", "inf"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(BadSetting, match="like 64M"):
        bytes_of(text)


@pytest.mark.parametrize("text", ["", "60", "-1d", "d", "1y", "1d2h", "1 d", "٣d", "nan"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(BadSetting, match="like 1d"):
        seconds_of(text)
