"""From the rounds to medians, from medians to ratios, from ratios to targets kept or missed, and to a table."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OURS, BOKEH, FLOOR, ALONE = "bokeh-server", "bokeh serve", "C floor", "by itself"
PEERS = {"hosted": ALONE}
"""What a cell compares with, where that is not bokeh's server."""
MARKS = ("<!-- made by `make bench`: begin -->", "<!-- made by `make bench`: end -->")

Rounds = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure has to be: so many times better than bokeh's, or below a bound."""

    cell: str
    work: str
    figure: str
    times: float | None = None
    below: float | None = None


TARGETS = (
    Target("core", "1 point into lists", "apply_us", times=20),
    Target("fanout", "50 viewers, 1 point", "deliv_s", times=40),
    Target("fanout", "50 viewers, 100 points", "deliv_s", times=40),
    Target("fanout", "50 viewers, 1 point, paced 5/s", "p99_ms", times=5),
    Target("hosted", "50 viewers, 1 point in Flask under gunicorn", "deliv_s", times=0.7),
    Target("hosted", "50 viewers, 100 points in Flask under gunicorn", "deliv_s", times=0.7),
    Target("open", "open 8 MB", "ms", times=20),
    Target("open", "push 8 MB", "ms", times=20),
    Target("start", "first start", "s", below=1.5),
    Target("start", "start", "s", below=1.5),
    Target("start", "start", "mb", below=80),
)

FIGURES = {
    "us": "µs per patch",
    "apply_us": "µs, parse + apply",
    "deliv_s": "deliveries/s",
    "us_per_deliv": "server CPU, µs per delivery",
    "p50_ms": "p50, ms",
    "p99_ms": "p99, ms",
    "ms": "ms",
    "s": "ready after, s",
    "mb": "idle memory, MB",
}
"""The figures that are shown, in this order; the load client reports more."""

PACED = {"p50_ms", "p99_ms"}
MORE_IS_BETTER = {"deliv_s"}


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of one work: the medians of each server, and what they come to."""

    cell: str
    work: str
    figure: str
    ours: float
    peer: float | None
    floor: float | None
    target: Target | None

    @property
    def ratio(self) -> float | None:
        """How many times better than the peer's."""
        if self.peer is None or not self.ours or not self.peer:
            return None
        return self.ours / self.peer if self.figure in MORE_IS_BETTER else self.peer / self.ours

    @property
    def kept(self) -> bool:
        """Whether the target is reached, or there is none."""
        match self.target:
            case Target(times=float() | int() as times):
                return self.ratio is not None and self.ratio >= times
            case Target(below=float() | int() as bound):
                return self.ours < bound
        return True


def lines(rounds: Rounds) -> Iterator[Line]:
    """One line for each figure of each work, in the order of the rounds."""
    works = dict.fromkeys((row["cell"], row["work"]) for row in rounds)
    targets = {(target.cell, target.work, target.figure): target for target in TARGETS}
    for cell, work in works:
        peer = PEERS.get(cell, BOKEH)
        for figure in FIGURES:
            if cell in ("fanout", "hosted") and (figure in PACED) != ("paced" in work):
                continue
            medians = {
                server: statistics.median(values)
                for server in (OURS, peer, FLOOR)
                if (values := list(_values(rounds, cell, work, server, figure)))
            }
            if OURS in medians:
                target = targets.get((cell, work, figure))
                yield Line(cell, work, figure, medians[OURS], medians.get(peer), medians.get(FLOOR), target)


def _values(rounds: Rounds, cell: str, work: str, server: str, figure: str) -> Iterator[float]:
    for row in rounds:
        if (row["cell"], row["work"], row["server"]) == (cell, work, server) and figure in row:
            yield row[figure]


def markdown(lines: Iterable[Line]) -> str:
    """The table of docs/performance.md."""
    rows = [
        "| work | figure | bokeh-server | its peer | times better | target |",
        "|---|---|---|---|---|---|",
    ]
    for line in lines:
        goal = ""
        if line.target:
            goal = f">= {line.target.times:g} x" if line.target.times else f"< {line.target.below:g}"
            goal += "" if line.kept else " **missed**"
        floor = f" (C floor: {number(line.floor)})" if line.floor is not None and line.figure == "us_per_deliv" else ""
        ratio = f"{number(line.ratio)} x" if line.ratio is not None else ""
        cells = (line.work, FIGURES[line.figure], number(line.ours) + floor, number(line.peer), ratio, goal)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def number(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def put(path: Path, text: str) -> None:
    """Replace what stands between the two marks of a document."""
    begin, end = MARKS
    document = path.read_text(encoding="utf-8")
    if begin not in document or end not in document:
        raise ValueError(f"{path} lacks the marks {begin} and {end}")
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    path.write_text(re.sub(pattern, lambda _: f"{begin}\n{text}\n{end}", document, flags=re.DOTALL), encoding="utf-8")
