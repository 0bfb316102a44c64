"""Run the benchmark: python -m bench [--rounds 5] [--cells core,fanout,…] [--viewers 1,10,50] [--keep].

Each round measures every cell once, on both servers in turn, so that whatever else the machine does meets both. The
rounds go to bench/results/rounds.jsonl, the medians to bench/results/medians.json, and the table into
docs/performance.md, beside a picture; with ``--keep`` (smoke runs) nothing is written. Exit 1: a target is missed.
"""

from __future__ import annotations

import argparse
import fcntl
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from bench.core import Core
from bench.fanout import Fanout, InFlask, build
from bench.floor import BesideFloor
from bench.opening import Opening
from bench.picture import picture
from bench.program import BesideVisdom, Program
from bench.servers import PINNED, pin_this_process
from bench.starting import Starting
from bench.table import Rounds, lines, markdown, put
from bench.variants import installed

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
CELLS = ("core", "fanout", "program", "floor", "visdom", "hosted", "open", "start")
VERSIONS = ("bokeh", "uvicorn", "uvloop", "websockets", "orjson", "msgspec", "numpy", "SQLAlchemy")


class Cell(Protocol):
    """One part of the benchmark."""

    def round(self) -> Iterator[dict[str, object]]:
        """Measure everything once; one row for each figure or set of figures."""


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--rounds", type=int, default=5, help="below 5 the medians mean little (default 5)")
    parser.add_argument("--seconds", type=float, default=1.5, help="of one run of the load client (default 1.5)")
    parser.add_argument("--cells", default=",".join(CELLS), help=f"default: {','.join(CELLS)}")
    parser.add_argument("--viewers", default="1,10,50", help="numbers of viewers (default 1,10,50)")
    parser.add_argument("--keep", action="store_true", help="keep the results and docs as they are")
    return parser.parse_args()


def loads(seconds: float, viewers: tuple[int, ...]) -> dict[str, Cell]:
    """The cells whose viewers are those of the load client."""
    return {
        "fanout": Fanout(seconds, viewers),
        "program": Program(seconds, viewers),
        "floor": BesideFloor(seconds),
        "visdom": BesideVisdom(seconds, (1,)),
        "hosted": InFlask(seconds, viewers[-1:]),
    }


def cells(wanted: argparse.Namespace) -> dict[str, Cell]:
    """The cells by name."""
    names = wanted.cells.split(",")
    chosen: dict[str, Cell] = {}
    if "core" in names:
        chosen["core"] = Core(wanted.seconds / 5)
    loaded = loads(wanted.seconds, tuple(map(int, wanted.viewers.split(","))))
    if not loaded.keys().isdisjoint(names):
        if build():
            chosen |= {name: cell for name, cell in loaded.items() if name in names}
        else:
            print("No fan-out figures: the load client needs Linux and a C compiler (apt-get install gcc libc6-dev).")
    if "open" in names:
        chosen["open"] = Opening()
    if "start" in names:
        chosen["start"] = Starting()
    return chosen


def measure(chosen: dict[str, Cell], rounds: int) -> Rounds:
    """All rounds, each row with its cell, round and the load average of its time."""
    rows: Rounds = []
    for number in range(rounds):
        for name, cell in chosen.items():
            begin = time.monotonic()
            for row in cell.round():
                rows.append({"cell": name, "round": number, "load": os.getloadavg()[0]} | row)
            print(f"round {number + 1} of {rounds}: {name}, {time.monotonic() - begin:.0f} s", file=sys.stderr)
    return rows


def write(rows: Rounds, table: str, conditions: dict[str, object]) -> None:
    """Keep the results, and show them in the docs."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "rounds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    medians = [asdict(line) | {"ratio": line.ratio, "kept": line.kept} for line in lines(rows)]
    text = json.dumps({"conditions": conditions, "medians": medians}, indent=1)
    (RESULTS / "medians.json").write_text(text + "\n", encoding="utf-8")
    shown = ", ".join(f"{name} {value}" for name, value in conditions.items())
    put(ROOT / "docs" / "performance.md", f"{table}\n\nConditions: {shown}.")
    (ROOT / "docs" / "pictures" / "performance.svg").write_text(picture(list(lines(rows))), encoding="utf-8")


def main() -> int:
    """Measure, print, write; 1 when a target is missed."""
    wanted = arguments()
    with (Path(tempfile.gettempdir()) / "bokeh-server-bench.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another benchmark is running; two at a time measure each other.", file=sys.stderr)
            return 1
        chosen = cells(wanted)
        pin_this_process()
        conditions: dict[str, object] = {"rounds": wanted.rounds, "cores": os.cpu_count(), "pinned": PINNED}
        conditions |= {"Python": platform.python_version()}
        conditions |= {name: importlib.metadata.version(name) for name in VERSIONS} | installed()
        rows = measure(chosen, wanted.rounds)
    found = list(lines(rows))
    table = markdown(found)
    print(table)
    if not wanted.keep:
        write(rows, table, conditions)
    return not all(line.kept for line in found)


if __name__ == "__main__":
    sys.exit(main())
