"""The bounds of what waits: from the program, from the environment, or the usual ones; else one line says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bokeh_server.client.asyncsession import AsyncSession
from bokeh_server.client.bounds import Bounds, bounds_of
from bokeh_server.client.session import Session
from bokeh_server.errors import BadSetting


def test_what_the_program_says_comes_before_the_environment_and_that_before_the_usual(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BOKEH_SERVER_MEMORY", "70000")
    monkeypatch.setenv("BOKEH_SERVER_SPOOL", "0")
    monkeypatch.setenv("BOKEH_SERVER_SPOOL_DIR", str(tmp_path))
    monkeypatch.setenv("BOKEH_SERVER_WHEN_FULL", "newest")
    monkeypatch.setenv("BOKEH_SERVER_AT_EXIT", "0.5")
    expected = Bounds(memory=70_000, spool=2_000_000, spool_dir=str(tmp_path), when_full="block", at_exit=0.5)
    assert Session(spool=2_000_000, when_full="block").bounds == expected
    assert AsyncSession(spool=2_000_000, when_full="block").session.bounds == expected
    assert bounds_of({"memory": None}, {}) == Bounds()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"memory": 0}, "needs 65,536 bytes"),
        ({"spool": 5}, "1,048,576 bytes or more, or 0"),
        ({"spool": -1}, "1,048,576 bytes or more, or 0"),
        ({"spool_dir": "/nowhere/at/all"}, "no folder '/nowhere/at/all'"),
        ({"when_full": "latest"}, "'oldest' or 'newest' rows give way, or 'block', not 'latest'"),
        ({"at_exit": -1}, "number of seconds"),
        ({"at_exit": float("nan")}, "number of seconds"),
    ],
)
def test_what_can_be_no_bound_is_said(given: dict[str, object], why: str) -> None:
    with pytest.raises(BadSetting, match=why):
        Session(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["MEMORY", "AT_EXIT"])
def test_a_variable_that_is_no_number_is_named(name: str) -> None:
    with pytest.raises(BadSetting, match=f"BOKEH_SERVER_{name} is a number, not 'much'"):
        bounds_of({}, {f"BOKEH_SERVER_{name}": "much"})
