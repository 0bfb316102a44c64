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
from bench import floor, opening, starting
from bench.core import KINDS, Core
from bench.fanout import Fanout, build
from bench.floor import BesideFloor
from bench.opening import Opening
from bench.picture import picture
from bench.program import BesideVisdom, Program
from bench.starting import Starting
from bench.table import Line, lines, markdown
from bench.targets import TARGETS, Target
from bench.variants import Visdom, installed

FLOORS = (("1 point into lists", "apply_us", 5), ("50 viewers, 100 points", "deliv_s", 8), ("open 8 MB", "ms", 5))
"""How many times better than bokeh's server the best of ours is at least."""
CROWD = 200

WORKS = {
    "core": set(KINDS),
    "fanout": {"50 viewers, 100 points", "50 viewers, 100 points; as written"},
    "program": {"2 viewers, 1 point, from a program"},
    "floor": {work + kind.suffix for work, _, _, kinds in floor.works(CROWD) for kind in kinds},
    "visdom": {f"1 viewer, 1 point, from a program; by {how}" for how in ("POST of rows", "our client")},
    "open": {"push 8 MB", "open 8 MB", "open 8 MB, unchanged", "open 8 MB, cold"},
    "start": {"first start", "start"},
}


def best(rows: list[Any], server: str, work: str, figure: str) -> float:
    """The best figure of a server."""
    figures: list[float] = [row[figure] for row in rows if (row["server"], row["work"]) == (server, work)]
    return max(figures) if figure == "deliv_s" else 1 / min(figures)


@pytest.mark.timeout(600)
def test_a_short_run_of_every_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fan-out, as ever, only where its load client can be built."""
    monkeypatch.setattr(starting, "SETTLE", 0.2)
    monkeypatch.setattr(opening, "PULLS", 2)
    chosen: dict[str, bench.Cell] = {"core": Core(0.03), "open": Opening(), "start": Starting()}
    if build():
        chosen |= {
            "fanout": Fanout(0.3, (50,), (100,)),
            "program": Program(0.3, (2,)),
            "floor": BesideFloor(0.3, CROWD),
        }
        chosen["visdom"] = BesideVisdom(0.3, (1,))
    monkeypatch.setattr(bench, "cells", lambda wanted: chosen)
    monkeypatch.setattr(Visdom, "python", tmp_path / "no visdom")
    monkeypatch.setattr(bench, "pin_this_process", lambda: None)
    (tmp_path / "docs" / "pictures").mkdir(parents=True)
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
    assert "50 viewers, 100 points: deliveries" in (tmp_path / "docs" / "pictures" / "performance.svg").read_text()
    assert f"visdom {installed()['visdom']}" in table.read_text()
    assert {(row["n"], row["lost"], row["bad"]) for row in rows if row["cell"] == "fanout"} <= {(50, 0, 0)}
    for work, figure, times in [each for each in FLOORS if any(each[0] in found for found in works.values())]:
        assert best(rows, "bokeh-server", work, figure) > times * best(rows, "bokeh serve", work, figure)
    ours = [row for row in rows if row["cell"] == "start" and row["server"] == "bokeh-server"]
    assert all(row["cpu_s"] < 1.5 and row["mb"] < 80 for row in ours)


def test_without_a_c_compiler_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "build", lambda: False)
    assert bench.cells(Namespace(cells="fanout", seconds=1.0, viewers="1")) == {}
    assert "needs Linux and a C compiler" in capsys.readouterr().out


def row(server: str, work: str, cell: str = "fanout", **figures: float) -> dict[str, Any]:
    """What one round gives."""
    return {"cell": cell, "work": work, "server": server} | figures


def test_the_same_work_done_in_another_way_is_compared_with_what_it_is_called() -> None:
    one = "50 viewers, 1 point"
    rounds = [
        row("bokeh-server", one, deliv_s=500.0),
        row("bokeh-server", f"{one}; as written", deliv_s=4100.0),
        row("bokeh serve", one, deliv_s=20.0),
        row("bokeh serve", f"{one}; beside bokeh 3.10", deliv_s=100.0),
    ]
    found = {line.work: (line.ratio, line.kept) for line in lines(rounds)}
    assert found == {
        one: (25.0, False),
        f"{one}; as written": (205.0, True),
        f"{one}; beside bokeh 3.10": (5.0, True),
    }
    assert "| 25 x | >= 100 x **missed** |" in markdown(lines(rounds))


@pytest.mark.parametrize(
    ("target", "ours", "peer", "kept"),
    [
        ({"times": 2}, 5.0, 10.0, True),
        ({"times": 2}, 6.0, 10.0, False),
        ({"times": 2}, 6.0, None, False),
        ({"within": 1.75}, 1.75, 1.0, True),
        ({"within": 1.75}, 1.76, 1.0, False),
        ({"above": 5}, 6.0, 1.0, True),
        ({"above": 5}, 6.1, 1.0, False),
        ({"below": 80}, 79.0, None, True),
        ({"below": 80}, 80.0, None, False),
    ],
)
def test_a_target_is_kept_or_missed(target: dict[str, float], ours: float, peer: float | None, kept: bool) -> None:
    wanted = Target("c", "w", "ms", **target)
    line = Line("c", "w", "ms", ours, peer, None, wanted)
    assert line.kept is kept
    assert f"{wanted}{'' if kept else ' **missed**'} |" in markdown([line])


def test_each_target_is_about_a_work_that_is_measured() -> None:
    viewers, points = (1, 10, 50), (1, 100)
    measured = {f"{n} viewer{'s' * (n > 1)}, {k} point{'s' * (k > 1)}" for n in viewers for k in points}
    measured |= {f"{work}; as written" for work in measured} | {"50 viewers, 1 point, paced 5/s"}
    measured |= {f"50 viewers, {k} point{'s' * (k > 1)} in Flask under gunicorn" for k in points}
    measured |= {f"{n} viewer{'s' * (n > 1)}, 1 point, from a program" for n in viewers}
    measured |= WORKS["core"] | WORKS["open"] | WORKS["start"]
    measured |= {work + kind.suffix for work, _, _, kinds in floor.works(floor.CROWD) for kind in kinds}
    assert {target.work for target in TARGETS} <= measured


def test_the_picture_marks_what_was_asked_for() -> None:
    drawn = picture([Line("core", "a < b", "us", 1.0, 30.0, None, Target("core", "a < b", "us", times=40))])
    assert "a &lt; b: µs per patch" in drawn
    assert ">30</text>" in drawn
    assert "#c2452d" in drawn
