"""From the rounds to medians, from medians to ratios, from ratios to targets kept or missed, and to a table."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.targets import TARGETS, Target

OURS, BOKEH, FLOOR, ALONE = "bokeh-server", "bokeh serve", "C floor", "by itself"
PEERS = {"hosted": ALONE, "floor": FLOOR, "visdom": "visdom"}
"""What a cell compares with, where that is not bokeh's server."""
MARKS = ("<!-- made by `make bench`: begin -->", "<!-- made by `make bench`: end -->")

Rounds = list[dict[str, Any]]


FIGURES = {
    "us": "µs per patch",
    "apply_us": "µs, parse + apply",
    "deliv_s": "deliveries/s",
    "us_per_deliv": "server CPU, µs per delivery",
    "p50_ms": "p50, ms",
    "p99_ms": "p99, ms",
    "p999_ms": "p99.9, ms",
    "kib": "memory, KiB per viewer",
    "updates_s": "updates/s",
    "ms": "ms",
    "s": "ready after, s",
    "mb": "idle memory, MB",
}
"""The figures that are shown, in this order; the load client reports more."""

LATE = {"p50_ms", "p99_ms", "p999_ms", "kib"}
"""What is told of a run at the load client's own pace; of one at the server's, these say nothing."""
LOADED = ("fanout", "hosted", "floor")
MORE_IS_BETTER = {"deliv_s", "updates_s"}


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
    beside: str = BOKEH

    @property
    def ratio(self) -> float | None:
        """How many times better than the peer's."""
        if self.peer is None or not self.ours or not self.peer:
            return None
        return self.ours / self.peer if self.figure in MORE_IS_BETTER else self.peer / self.ours

    @property
    def kept(self) -> bool:
        """Whether the target is reached, or there is none."""
        return self.target is None or self.target.kept(self.ours, self.peer, self.ratio)


def lines(rounds: Rounds) -> Iterator[Line]:
    """One line for each figure of each work, in the order of the rounds."""
    works = dict.fromkeys((row["cell"], row["work"]) for row in rounds)
    targets = {(target.cell, target.work, target.figure): target for target in TARGETS}
    for cell, work in works:
        peer = PEERS.get(cell, BOKEH)
        for figure in FIGURES:
            if cell in LOADED and (figure in LATE) != work.partition(";")[0].endswith("/s"):
                continue
            ours, theirs, floor = (median(rounds, cell, work, server, figure) for server in (OURS, peer, FLOOR))
            if ours is not None:
                target = targets.get((cell, work, figure))
                yield Line(cell, work, figure, ours, theirs, floor, target, peer)


def median(rounds: Rounds, cell: str, work: str, server: str, figure: str) -> float | None:
    """The median of a server's figure; of the work as such, where it did not do it in the way behind the semicolon."""
    for name in (work, work.partition(";")[0]):
        rows = [row for row in rounds if (row["cell"], row["work"], row["server"]) == (cell, name, server)]
        if values := [row[figure] for row in rows if figure in row]:
            return float(statistics.median(values))
    return None


def markdown(lines: Iterable[Line]) -> str:
    """The table of docs/performance.md."""
    rows = [
        "| work | figure | bokeh-server | its peer | times better | target |",
        "|---|---|---|---|---|---|",
    ]
    for line in lines:
        goal = f"{line.target}{'' if line.kept else ' **missed**'}" if line.target else ""
        with_floor = line.floor is not None and line.figure == "us_per_deliv" and line.beside != FLOOR
        floor = f" (C floor: {number(line.floor)})" if with_floor else ""
        beside = f" ({line.beside})" if line.peer is not None and line.beside != BOKEH else ""
        ratio = f"{number(line.ratio)} x" if line.ratio is not None else ""
        peer = number(line.peer) + beside
        cells = (line.work, FIGURES[line.figure], number(line.ours) + floor, peer, ratio, goal)
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
