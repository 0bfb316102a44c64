"""Cell ``floor``: ours beside the least that a broadcast server in C can do, 100 viewers, patches of 300 bytes.

One patch at a time is what a message costs by itself (the floor: one ``send`` per viewer); with 16 on their way a
server may put several into one write (the floor: all of one read). *Plain ASGI* is our application on uvicorn with its
own websocket protocol. At 60 patches a second the figure is how long the deliveries take; above the floor's it is ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from bench.fanout import run, written
from bench.material import Fragments, plot, pull, push, stream
from bench.servers import WSLOAD, Floor, Ours, Server
from bench.variants import AsWritten, FloorSingly, PlainASGI

VIEWERS = 100
SIZE = 300  # bytes of a patch
PACE = 60  # patches a second
WARM_UP = 0.4  # seconds

ONE, MANY, PACED = f"{VIEWERS} viewers, {SIZE} bytes, one at a time", "16 on their way", "60/s"
WORKS: tuple[tuple[str, tuple[str, ...], tuple[type[Server], ...]], ...] = (
    (ONE, ("-w", "1"), (Ours, FloorSingly, AsWritten, PlainASGI)),
    (f"{VIEWERS} viewers, {SIZE} bytes, {MANY}", ("-w", "16"), (Ours, Floor)),
    (f"{VIEWERS} viewers, {SIZE} bytes, {PACED}", ("-r", str(PACE)), (Ours, FloorSingly)),
)


class BesideFloor:
    """The cell."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        shown = plot(rollover=1000)
        self.push = push(shown.document)
        self.patch = padded(stream(shown, 2, rollover=1000))

    def round(self) -> Iterator[dict[str, object]]:
        """Measure each work once on each of its servers."""
        for work, how, kinds in WORKS:
            for kind in kinds:
                with kind() as server:
                    yield {"work": work + server.suffix, "server": server.name} | self.measure(server, how)

    def measure(self, server: Server, how: tuple[str, ...]) -> dict[str, object]:
        """One run of the load client."""
        load = [str(WSLOAD / "load"), "-p", str(server.port), "-c", str(server.pid), "-n", str(VIEWERS)]
        load += ["-W", str(WARM_UP), "-d", str(max(self.seconds, 3.0 if "-r" in how else 0.0)), *how]
        if isinstance(server, Floor):
            return run([*load, "-s", str(SIZE)])
        address = server.put("floor", self.push)
        path = server.folder / "patch"
        written(path, self.patch)
        load += ["-v", address.path, "-P", address.path, "-e", address.headers.replace("\r\n", "\\n")]
        load += ["-A", "-h", "|".join(str(part) for part in pull()), "-B", str(path), "-m", "ColumnsStreamed"]
        return run(load)


def padded(fragments: Fragments) -> Fragments:
    """A patch of ``SIZE`` bytes in all: its numbers cut to three digits, and spaces at its end, which JSON allows."""
    header, metadata, content = (re.sub(r"(0\.\d{3})\d+", r"\1", str(part)) for part in fragments)
    rest = SIZE - len(header) - len(metadata)
    assert len(content) <= rest
    assert json.loads(content)
    return header, metadata, content.ljust(rest)
