"""The benchmark at its smallest: every cell gives its rows, every message arrives, and no fast path is broken.

What is fast enough, ``make bench`` says, over minutes. Here the floors are so low that a busy machine does not reach
them, only a server that does its work anew for each viewer or each point.
"""

from __future__ import annotations

import json
import sys
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as bench
from bench import opening, starting
from bench.core import KINDS, Core
from bench.fanout import Fanout, build
from bench.opening import Opening
from bench.starting import Starting

FLOORS = (("1 point into lists", "apply_us", 5), ("50 viewers, 100 points", "deliv_s", 8), ("open 8 MB", "ms", 5))
"""How many times better than bokeh's server the best of ours is at least."""


WORKS = {
    "core": set(KINDS),
    "fanout": {"50 viewers, 100 points"},
    "open": {"push 8 MB", "open 8 MB", "open 8 MB, unchanged", "open 8 MB, cold"},
    "start": {"first start", "start"},
}


def best(rows: list[Any], server: str, work: str, figure: str) -> float:
    """The best figure of a server."""
    figures: list[float] = [row[figure] for row in rows if (row["server"], row["work"]) == (server, work)]
    return max(figures) if figure == "deliv_s" else 1 / min(figures)


@pytest.mark.timeout(300)
def test_a_short_run_of_every_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fan-out, as ever, only where its load client can be built."""
    monkeypatch.setattr(starting, "SETTLE", 0.2)
    monkeypatch.setattr(opening, "PULLS", 2)
    chosen: dict[str, bench.Cell] = {"core": Core(0.03), "open": Opening(), "start": Starting()}
    if build():
        chosen["fanout"] = Fanout(0.3, (50,), (100,))
    monkeypatch.setattr(bench, "cells", lambda wanted: chosen)
    monkeypatch.setattr(bench, "pin_this_process", lambda: None)
    (tmp_path / "docs").mkdir()
    table = tmp_path / "docs" / "performance.md"
    table.write_text((bench.ROOT / "docs" / "performance.md").read_text())
    for name, place in (("ROOT", tmp_path), ("RESULTS", tmp_path / "results")):
        monkeypatch.setattr(bench, name, place)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["bench", "--rounds", "1"])
    bench.main()
    rows = list(map(json.loads, (tmp_path / "results" / "rounds.jsonl").read_text().splitlines()))
    works = {cell: {row["work"] for row in rows if row["cell"] == cell} for cell in chosen}
    assert works == {cell: WORKS[cell] for cell in chosen}
    assert all(f"\n| {work} | " in table.read_text() for found in works.values() for work in found)
    assert {(row["n"], row["lost"], row["bad"]) for row in rows if row["cell"] == "fanout"} <= {(50, 0, 0)}
    for work, figure, times in [floor for floor in FLOORS if any(floor[0] in found for found in works.values())]:
        assert best(rows, "bokeh-server", work, figure) > times * best(rows, "bokeh serve", work, figure)
    ours = [row for row in rows if row["cell"] == "start" and row["server"] == "bokeh-server"]
    assert all(row["cpu_s"] < 1.5 and row["mb"] < 80 for row in ours)


def test_without_a_c_compiler_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "build", lambda: False)
    assert bench.cells(Namespace(cells="fanout", seconds=1.0, viewers="1")) == {}
    assert "needs Linux and a C compiler" in capsys.readouterr().out
