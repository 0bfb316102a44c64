"""The servers that are compared beside the first two: ours as it runs otherwise, other floors, and other peers.

Peers that would not agree with our own packages live in virtual environments of their own, which ``scripts/peers``
makes; where one could not be made, its figures are missing, and the conditions below the table say so.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.servers import ROOT, Bokeh, Floor, Ours, Server, listens

PEERS = ROOT / ".venv-peers"
MISSING = "not installed (scripts/peers)"


class AsWritten(Ours):
    """Ours with ``durability=process``: written before a patch is acknowledged or seen, flushed to disk soon after."""

    suffix = "; as written"

    def command(self) -> list[str]:
        return [*super().command(), "--durability", "process"]


class PlainASGI(Ours):
    """Ours as an ASGI application on uvicorn with its own websocket protocol: no frame of ours reaches the socket."""

    suffix = "; plain ASGI"

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "uvicorn", "bench.mounted:app", "--port", str(self.port)),
            *("--ws", "websockets-sansio", "--log-level", "warning", "--no-access-log"),
        ]


class FloorSingly(Floor):
    """The floor of a server that sends each patch by itself: one ``send`` per viewer and patch."""

    def command(self) -> list[str]:
        return [*super().command()[:2]]


class NewerBokeh(Bokeh):
    """bokeh 3.10's own server as an ASGI application under uvicorn, on the Python 3.12 that it needs."""

    suffix = "; beside bokeh 3.10"
    python = PEERS / "bokeh-3.10" / "bin" / "python"

    def command(self) -> list[str]:
        options = ["--port", str(self.port), "--log-level", "warning", "--no-access-log"]
        return [str(self.python), "-m", "uvicorn", "bench.newer:app", *options, "--ws-max-size", "100000000"]


class Visdom(Server):
    """visdom's server; its scripts, which it would download at its start, no viewer here asks for."""

    name = "visdom"
    path = "/"  # which it can't show without them
    python = PEERS / "visdom" / "bin" / "python"

    def command(self) -> list[str]:
        return [str(self.python), "-m", "bench.visdoms", str(self.port), str(self.folder)]

    def ready(self) -> bool:
        return listens(self.port)


def version_of(server: type[NewerBokeh | Visdom], package: str) -> str | None:
    """The version of a peer that is installed."""
    if not server.python.exists():
        return None
    script = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    done = subprocess.run([server.python, "-c", script, package], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def installed() -> dict[str, str]:
    """The peers by name, each with its version or what is missing."""
    return {
        "bokeh 3.10": version_of(NewerBokeh, "bokeh") or MISSING,
        "visdom": version_of(Visdom, "visdom") or MISSING,
    }


def read_line(process: subprocess.Popen[str], log: Path) -> str:
    """The next line that a process says; raises where it has ended instead."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r:.200} ended with {process.wait()}: {log.read_text()[-2000:]}")
    return line


def told(process: subprocess.Popen[str], log: Path) -> dict[str, float]:
    """The figures that a process says in one line of JSON."""
    figures: dict[str, float] = json.loads(read_line(process, log))
    return figures
