"""What the figures have to be: so many times better than the peer's, so near to it, or below a bound.

Those of ``fanout``, ``program`` and ``floor`` are asked for by the issue of this benchmark; the others keep what was
reached. A target that a run misses is shown as missed, and the command ends with 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

FLUSHED = {(1, 1): 15, (10, 1): 30, (50, 1): 100, (50, 100): 120}
"""Times as many patches/s as bokeh's server, by viewers and points: each flushed to disk before anybody sees it."""
WRITTEN = {(1, 1): 30, (10, 1): 80, (50, 1): 200, (50, 100): 200}
"""The same, each written before anybody sees it."""
PROGRAM = {1: 20, 10: 30, 50: 90}
"""Times as many updates/s from a program as with bokeh's client, by viewers."""


@dataclass(frozen=True, slots=True)
class Target:
    """What one figure has to be; one of the four is given."""

    cell: str
    work: str
    figure: str
    times: float | None = None
    """Better than the peer's."""
    within: float | None = None
    """Times the peer's, at most."""
    above: float | None = None
    """More than the peer's, at most."""
    below: float | None = None

    def kept(self, ours: float, peer: float | None, ratio: float | None) -> bool:
        """Whether it is reached. Without a peer's figure, what is about it is not."""
        if self.below is not None:
            return ours < self.below
        if peer is None or ratio is None:
            return False
        if self.times is not None:
            return ratio >= self.times
        if self.within is not None:
            return ours <= self.within * peer
        return self.above is not None and ours - peer <= self.above

    def __str__(self) -> str:
        if self.times is not None:
            return f">= {self.times:g} x"
        if self.within is not None:
            return f"<= {self.within:g} of its"
        return f"<= {self.above:g} above" if self.above is not None else f"< {self.below:g}"


def named(viewers: int, points: int) -> str:
    """A work of the fan-out."""
    return f"{viewers} viewer{'s' * (viewers > 1)}, {points} point{'s' * (points > 1)}"


def all_targets() -> Iterator[Target]:
    """Every target."""
    yield Target("core", "1 point into lists", "apply_us", times=20)
    for works, way in ((FLUSHED, ""), (WRITTEN, "; as written")):
        for (viewers, points), times in works.items():
            yield Target("fanout", named(viewers, points) + way, "deliv_s", times=times)
    yield Target("fanout", "50 viewers, 1 point, paced 5/s", "p99_ms", times=5)
    for viewers, times in PROGRAM.items():
        yield Target("program", f"{named(viewers, 1)}, from a program", "updates_s", times=times)
    yield Target("floor", "100 viewers, 300 bytes, one at a time", "us_per_deliv", within=1.75)
    yield Target("floor", "100 viewers, 300 bytes, one at a time; plain ASGI", "us_per_deliv", within=3.5)
    yield Target("floor", "100 viewers, 300 bytes, 16 on their way", "us_per_deliv", within=4)
    yield Target("floor", "100 viewers, 300 bytes, 60/s", "p50_ms", above=5)
    yield Target("floor", "100 viewers, 300 bytes, 60/s", "p99_ms", above=25)
    yield Target("floor", "5,000 viewers, 300 bytes, 2/s", "p999_ms", below=250)
    yield Target("floor", "5,000 viewers, 300 bytes, 2/s", "kib", below=15)
    for points in (1, 100):
        yield Target("hosted", f"{named(50, points)} in Flask under gunicorn", "deliv_s", times=0.7)
    yield Target("open", "open 8 MB", "ms", times=20)
    yield Target("open", "push 8 MB", "ms", times=20)
    for start in ("first start", "start"):
        yield Target("start", start, "s", below=1.5)
    yield Target("start", "start", "mb", below=80)


TARGETS = tuple(all_targets())
