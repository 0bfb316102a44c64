"""Cells ``program`` and ``visdom``: a program updates a line as fast as its client can, N viewers get it.

``program``: our ``Session`` beside bokeh's ``push_session`` (``bench.producer``), until the server has had everything;
ours is flushed to disk by then. ``visdom``: ``vis.line(update="append")``, which waits for the server's answer to each,
beside one POST of a row each, which waits as well, and beside our client, which need not.

Viewers are those of the load client, which counts what they get: more than nothing, and nobody is cut off.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bokeh.core.types import ID
from bokeh.util.token import generate_jwt_token

from bench.client import Address
from bench.material import pull
from bench.servers import CORES, PINNED, ROOT, WSLOAD, Bokeh, Ours, Server
from bench.variants import Visdom, read_line, told

VIEWERS = ["-V", "-d", "600", "-W", "0", "-L", "0"]


class Program:
    """The cell, for numbers of viewers."""

    def __init__(self, seconds: float, viewers: tuple[int, ...]) -> None:
        self.seconds = seconds
        self.viewers = viewers
        self.count = 0

    def round(self) -> Iterator[dict[str, object]]:
        """Measure each number of viewers once on each server."""
        for count in self.viewers:
            for server, kind in ((Ours, "ours"), (Bokeh, "bokeh")):
                yield self.measure(server, kind, count)

    def measure(self, server: type[Server], kind: str, viewers: int, how: str = "") -> dict[str, object]:
        """One run of a program."""
        self.count += 1
        work = f"{viewers} viewer{'s' * (viewers > 1)}, 1 point, from a program{how}"
        with server() as running:
            figures = updates(running, kind, f"program {self.count}", viewers, self.seconds)
        return {"work": work, "server": running.name, "updates_s": figures["updates"] / figures["s"]}


class BesideVisdom(Program):
    """The same beside visdom, with one viewer."""

    def round(self) -> Iterator[dict[str, object]]:
        """Measure each once."""
        yield self.measure(Ours, "rows", 1, "; by POST of rows")
        yield self.measure(Ours, "ours", 1, "; by our client")
        if Visdom.python.exists():
            yield self.measure(Visdom, "visdom", 1)


def updates(server: Server, kind: str, title: str, viewers: int, seconds: float) -> dict[str, float]:
    """What a program says of its updates, while ``viewers`` look."""
    python = Visdom.python if isinstance(server, Visdom) else sys.executable
    command = [str(python), "-m", "bench.producer", kind, str(server.port), title, str(seconds)]
    log = server.folder / "program"
    with started(command, log) as program:
        key = read_line(program, log).strip()
        with started(looking(server, key, viewers), log) as load:
            read_line(load, log)
            assert program.stdin is not None
            program.stdin.write("go\n")
            program.stdin.flush()
            figures = told(program, log)
            load.send_signal(signal.SIGTERM)
            seen = json.loads(read_line(load, log))
    if seen["closed"] or not seen["deliv"]:
        raise RuntimeError(f"the viewers of {server.name} saw {seen}")
    return figures


def looking(server: Server, key: str, viewers: int) -> list[str]:
    """The command line of the load client for the viewers of a document."""
    load = [str(WSLOAD / "load"), *VIEWERS, "-p", str(server.port), "-n", str(viewers)]
    if isinstance(server, Visdom):
        return [*load, "-v", "/socket"]
    path = "/ws" if isinstance(server, Bokeh) else f"/bokeh/doc/{key}/ws"
    address = Address(server.port, path, generate_jwt_token(ID(key)))
    hello = "|".join(str(part) for part in pull())
    return [*load, "-v", address.path, "-e", address.headers.replace("\r\n", "\\n"), "-A", "-h", hello]


@contextmanager
def started(command: list[str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """A process on the client's core that says what it has to say line by line; it has ended afterwards."""
    pinned = ["taskset", "-c", str(CORES[1])] if PINNED else []
    pipe = subprocess.PIPE
    with (
        log.open("ab") as errors,
        subprocess.Popen([*pinned, *command], cwd=ROOT, stdin=pipe, stdout=pipe, stderr=errors, text=True) as process,
    ):
        try:
            yield process
        finally:
            process.kill()
