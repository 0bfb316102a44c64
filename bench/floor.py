"""Cell ``floor``: ours beside the least that a broadcast server in C can do, 100 viewers, patches of 300 bytes.

One patch at a time is what a message costs by itself (the floor: one ``send`` per viewer); with 16 on their way a
server may put several into one write (the floor: all of one read). *Plain ASGI* is our application on uvicorn with its
own websocket protocol. At 60 patches a second the figure is how long the deliveries take; above the floor's it is ours.
A crowd of 5,000 hears of two patches a second: how long it takes until the last of them has it, and what each costs.
"""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Iterator

from bench.fanout import run, written
from bench.material import Fragments, plot, pull, push, stream
from bench.servers import WSLOAD, Floor, Ours, Server
from bench.variants import AsWritten, FloorSingly, PlainASGI

VIEWERS, CROWD = 100, 5_000
SIZE = 300  # bytes of a patch
PACE, SELDOM = 60, 2  # patches a second
WARM_UP, SETTLED = 0.4, 2.0  # seconds

ONE, MANY, PACED = f"{VIEWERS} viewers, {SIZE} bytes, one at a time", "16 on their way", f"{PACE}/s"
Work = tuple[str, int, tuple[str, ...], tuple[type[Server], ...]]
"""What it is called, how many viewers, what the load client is told, and the servers."""


def works(crowd: int) -> tuple[Work, ...]:
    """All works of the cell."""
    return (
        (ONE, VIEWERS, ("-w", "1"), (Ours, FloorSingly, AsWritten, PlainASGI)),
        (f"{VIEWERS} viewers, {SIZE} bytes, {MANY}", VIEWERS, ("-w", "16"), (Ours, Floor)),
        (f"{VIEWERS} viewers, {SIZE} bytes, {PACED}", VIEWERS, ("-r", str(PACE)), (Ours, FloorSingly)),
        (
            f"{crowd:,} viewers, {SIZE} bytes, {SELDOM}/s",
            crowd,
            ("-r", str(SELDOM), "-W", str(SETTLED)),
            (Ours, FloorSingly),
        ),
    )


class BesideFloor:
    """The cell."""

    def __init__(self, seconds: float, crowd: int = CROWD) -> None:
        self.seconds = seconds
        self.works = works(crowd)
        self.crowd = crowd
        shown = plot(rollover=1000)
        self.push = push(shown.document)
        self.patch = padded(stream(shown, 2, rollover=1000))

    def round(self) -> Iterator[dict[str, object]]:
        """Measure each work once on each of its servers."""
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # of the servers and the load client, too
        for work, viewers, how, kinds in self.works:
            for kind in kinds:
                with kind() as server:
                    yield {"work": work + server.suffix, "server": server.name} | self.measure(server, viewers, how)

    def measure(self, server: Server, viewers: int, how: tuple[str, ...]) -> dict[str, object]:
        """One run of the load client."""
        load = [str(WSLOAD / "load"), "-p", str(server.port), "-c", str(server.pid), "-n", str(viewers)]
        load += ["-W", str(WARM_UP), "-d", str(max(self.seconds, 3.0 if "-r" in how else 0.0)), *how]
        if isinstance(server, Floor):
            return run([*load, "-s", str(SIZE)])
        address = server.put("floor", self.push)
        path = server.folder / "patch"
        written(path, self.patch)
        load += ["-v", address.path, "-P", address.path, "-e", address.headers.replace("\r\n", "\\n")]
        load += ["-A", "-h", "|".join(str(part) for part in pull()), "-B", str(path), "-m", "ColumnsStreamed"]
        figures = run(load)
        return figures | ({"kib": (figures["rss1_kb"] - figures["rss0_kb"]) / viewers} if viewers == self.crowd else {})


def padded(fragments: Fragments) -> Fragments:
    """A patch of ``SIZE`` bytes in all: its numbers cut to three digits, and spaces at its end, which JSON allows."""
    header, metadata, content = (re.sub(r"(0\.\d{3})\d+", r"\1", str(part)) for part in fragments)
    rest = SIZE - len(header) - len(metadata)
    assert len(content) <= rest
    assert json.loads(content)
    return header, metadata, content.ljust(rest)
