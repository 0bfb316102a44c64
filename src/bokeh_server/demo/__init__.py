"""``bokeh-server demo``: three live documents made from real data, by a program that is an ordinary client.

The program runs in a process of its own, so that the server beside it stays what it is without a demo. It ends when
its standard input does: with Ctrl-C, and also when the server is killed. What it needs beyond the server (pandas, the
sample data, psutil) is the extra ``demo``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

from bokeh_server.errors import BadSetting

NEEDED = ("bokeh_sampledata", "pandas", "psutil")


def check() -> None:
    """Raise ``BadSetting`` where a package of the extra ``demo`` is missing."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise BadSetting(f"The demo needs {', '.join(missing)} as well: pip install '.[demo]' in the clone")


def start(url: str, token: str | None = None) -> subprocess.Popen[bytes]:
    """Start the program, as a client of the server at ``url``; it prints the links of its documents."""
    check()
    environment = os.environ | ({} if token is None else {"BOKEH_SERVER_TOKEN": token})
    command = [sys.executable, "-m", "bokeh_server.demo", url]
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)  # noqa: S603


def end(program: subprocess.Popen[bytes], timeout: float = 3.0) -> None:
    """End the program that ``start`` started, in at most ``timeout`` seconds."""
    if program.stdin is not None:
        program.stdin.close()
    try:
        program.wait(timeout)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()
