"""Cell ``fanout``: one producer replays a PATCH-DOC, N viewers get it; the load client in C counts every delivery.

Closed loop with 16 patches in flight: the next leaves when every viewer has the one 16 before it. Ours waits for
fdatasync before a patch leaves (``durability=disk``, the default), *as written* for the ``write`` alone
(``durability=process``). With ``paced`` the producer sends 5 patches a second to the most viewers, whatever happens,
and the figure is how late the last of all deliveries come.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.material import Fragments, plot, pull, push, stream
from bench.servers import CORES, PINNED, WSLOAD, Alone, Bokeh, Floor, Hosted, Ours, Server
from bench.variants import AsWritten, NewerBokeh

WINDOW = 16
WARM_UP = 0.4  # seconds; enough for bokeh to fill its window at 50 viewers
PACE = 5  # patches a second
SEPARATOR = "\x1e"  # between fragments, in the files that the load client reads
CLIENT_LIMIT = 0.85  # core of the load client above which a rate says more about it than about the server


def build() -> bool:
    """Compile the load client and the floor where that has not been done; False without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    for name in ("load", "floor"):
        source, program = WSLOAD / f"{name}.c", WSLOAD / name
        if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
            continue
        if compiler is None or sys.platform != "linux":
            return False
        subprocess.run([compiler, "-O2", "-w", "-o", str(program), str(source)], check=True)
    return True


def written(path: Path, fragments: Fragments) -> str:
    """The fragments as one text, also in a file at ``path``."""
    text = SEPARATOR.join(part for part in fragments if isinstance(part, str))
    path.write_text(text, encoding="utf-8")
    return text


class Fanout:
    """The cell, for numbers of viewers x points of a patch."""

    kinds: tuple[type[Server], ...] = (Ours, AsWritten, Bokeh, Floor, NewerBokeh)
    where = ""

    def __init__(self, seconds: float, viewers: tuple[int, ...], points: tuple[int, ...] = (1, 100)) -> None:
        self.seconds = seconds
        self.works = [(count, size) for count in viewers for size in points]
        self.most = max(viewers)
        self.plot = plot(rollover=1000)
        self.push = push(self.plot.document)
        self.patches = {size: stream(self.plot, size, rollover=1000) for size in points}
        self.count = 0

    def round(self) -> Iterator[dict[str, object]]:
        """Measure each work once on each server; each work starts both anew."""
        for viewers, points in self.works:
            for kind in self.kinds:
                if kind is NewerBokeh and (points > 1 or not NewerBokeh.python.exists()):
                    continue
                with kind() as server:
                    yield self.measure(server, viewers, points, paced=False)
                    if points == 1 and viewers == self.most and server.name != Floor.name and not server.suffix:
                        yield self.measure(server, viewers, points, paced=True)

    def measure(self, server: Server, viewers: int, points: int, *, paced: bool) -> dict[str, object]:
        """One run of the load client."""
        work = f"{viewers} viewer{'s' * (viewers > 1)}, {points} point{'s' * (points > 1)}"
        work += self.where + f", paced {PACE}/s" * paced + server.suffix
        self.count += 1
        patch = server.folder / "patch"
        size = len(written(patch, self.patches[points]))
        load = [str(WSLOAD / "load"), "-p", str(server.port), "-c", str(server.pid), "-n", str(viewers)]
        load += ["-W", str(WARM_UP)] + (["-r", str(PACE), "-d", "3"] if paced else ["-d", str(self.seconds)])
        load += ["-w", str(WINDOW)]
        if server.name == Floor.name:
            return {"work": work, "server": server.name} | run([*load, "-s", str(size)])
        address = server.put(f"fanout {self.count}", self.push)
        load += ["-v", address.path, "-P", address.path, "-e", address.headers.replace("\r\n", "\\n")]
        load += ["-A", "-h", "|".join(str(part) for part in pull()), "-B", str(patch), "-m", "ColumnsStreamed"]
        return {"work": work, "server": server.name} | run(load)


class InFlask(Fanout):
    """The same within a Flask application, beside the server that runs by itself."""

    kinds = (Hosted, Alone)
    where = " in Flask under gunicorn"


def run(load: list[str]) -> dict[str, Any]:
    """The load client's figures; raises where a delivery was lost or came out of order."""
    pinned = ["taskset", "-c", str(CORES[1])] if PINNED else []
    done = subprocess.run([*pinned, *load], capture_output=True, text=True, timeout=120, check=False)
    try:
        figures: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(f"the load client gave up: {done.stdout} {done.stderr}") from None
    if wrong := {key: figures.get(key) for key in ("err", "bad", "lost", "closed", "hung") if figures.get(key)}:
        raise RuntimeError(f"deliveries went wrong: {wrong}")
    return figures
