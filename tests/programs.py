"""Programs as users write them, each in a process of its own that has imported bokeh before: a start takes no second.

How a program ends is Python's own way: hooks for errors, what is registered for the exit, the status.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.running import environment

LAUNCHER = """
import gc, json, os, sys
import bokeh_server.plotting

gc.freeze()

for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if child == 0:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
os.environ.update(job["variables"])
os.chdir(job["folder"])
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
for number, name in ((1, "stdout"), (2, "stderr")):
    os.dup2(os.open(os.path.join(job["folder"], name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
exec(compile(job["code"], "program.py", "exec"), {"__name__": "__main__"})
"""


@dataclass(frozen=True)
class Done:
    """A program that has ended."""

    status: int
    stdout: str
    stderr: str


class Programs:
    """Runs programs, one after another."""

    def __init__(self) -> None:
        command = [sys.executable, "-W", "ignore::DeprecationWarning:__main__", "-c", LAUNCHER]
        self._process = subprocess.Popen(
            command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()

    def run(self, code: str, home: Path, **variables: str) -> Done:
        """Run a program of the user with this home, and these variables in its environment."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {"code": code, "folder": str(home), "variables": {"HOME": str(home), **variables}}
        self._process.stdin.write(json.dumps(job) + "\n")
        status = int(self._process.stdout.readline())
        return Done(status, *((home / name).read_text() for name in ("stdout", "stderr")))


def line_of(done: Done) -> str:
    """The one line on standard error with which a program was refused."""
    assert done.status == 1, done
    line, end, more = done.stderr.partition("\n")
    assert (end, more) == ("\n", ""), done.stderr
    return line
