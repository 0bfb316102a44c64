"""What a process takes of the machine (Linux): memory, processor time, file descriptors; and how these grow."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Sequence
from pathlib import Path

import pytest

TICK = os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def processor_time(pid: int) -> float:
    """Seconds that a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def descriptors(pid: int) -> int:
    """File descriptors that a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def sockets(pid: int) -> int:
    """Sockets that a process has open."""
    there = Path(f"/proc/{pid}/fd")
    found = 0
    for name in os.listdir(there):
        with contextlib.suppress(OSError):  # closed just now
            found += os.readlink(there / name).startswith("socket:")
    return found


def size(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def slope(at: Sequence[float], values: Sequence[float]) -> float:
    """How much the values grow for each unit of ``at``: the line of least squares."""
    mean, middle = sum(at) / len(at), sum(values) / len(values)
    spread = sum((x - mean) ** 2 for x in at)
    return sum((x - mean) * (y - middle) for x, y in zip(at, values, strict=True)) / spread


def allow(sockets: int) -> None:
    """Let this process, and the servers that it starts, have so many sockets open; skip the test where it can't."""
    needed = sockets + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    elif hard < needed:
        pytest.skip(f"{sockets} sockets need `ulimit -n {needed}` or more; the hard limit here is {hard}")
