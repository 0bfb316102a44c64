"""The endless fuzz can be started: each of its targets, for a moment."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from fuzz.__main__ import TARGETS, main


@pytest.fixture(autouse=True)
def log_again() -> Iterator[None]:
    """The fuzz turns logging off."""
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("target", TARGETS)
def test_each_target_runs(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(target, "0.2", "1")
    words = capsys.readouterr().out.split()
    assert words[0] == f"{target}:"
    assert int(words[1]) >= 1


def test_a_failure_names_its_seed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(TARGETS, "room", lambda seed: 1 // (seed - 7))
    with pytest.raises(ZeroDivisionError):
        main("room", "10", "5")
    assert capsys.readouterr().err == "room: failed at seed 7\n"
