"""A user's mistake, or a server that is away, is one line and no traceback: the remedy is in the line."""

from __future__ import annotations

import sys
from types import TracebackType

from bokeh_server.errors import OneLine


def say_plainly() -> None:
    """From now on an uncaught ``OneLine`` is printed as one line."""
    if getattr(sys.excepthook, "says_plainly", False):
        return
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if isinstance(error, OneLine):
            print(f"{error}\n", end="", file=sys.stderr)  # in one write: another thread may log a line just now
        else:
            before(kind, error, traceback)

    hook.says_plainly = True  # type: ignore[attr-defined]
    sys.excepthook = hook
