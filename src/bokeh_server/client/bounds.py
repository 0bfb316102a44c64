"""How much of a program's changes may wait for a server that is slow or away, and what gives way where that is full."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from bokeh_server.errors import BadSetting
from bokeh_server.limits import KIB, MIB

WhenFull = Literal["oldest", "newest", "block"]
VARIABLE = "BOKEH_SERVER_"
"""What the variables of the environment begin with: ``BOKEH_SERVER_MEMORY``, ``BOKEH_SERVER_WHEN_FULL``, …"""
LEAST = 64 * KIB
"""Bytes of memory below which nothing can be put together."""
LEAST_ON_DISK = MIB
"""Bytes on disk below which there is no room for a batch or two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The bounds of one session; ``BadSetting`` where they can be none."""

    memory: int = 64 * MIB
    """Bytes that wait in memory; what is more goes to disk."""
    spool: int = 1024 * MIB
    """Bytes that wait on disk; 0 uses no disk."""
    spool_dir: str | os.PathLike[str] | None = None
    """The folder for that; None: where the system has its temporary files (``TMPDIR``)."""
    when_full: WhenFull = "oldest"
    """Where both are full: the oldest rows give way, the newest do, or the program waits in ``source.stream``."""
    at_exit: float = 5.0
    """Seconds that the end of the program waits for the server."""

    def __post_init__(self) -> None:
        if self.memory < LEAST:
            raise BadSetting(f"What waits needs {LEAST:,} bytes of memory or more, not {self.memory:,}.")
        if self.spool and self.spool < LEAST_ON_DISK:
            raise BadSetting(f"A spool has {LEAST_ON_DISK:,} bytes or more, or 0 for none, not {self.spool:,}.")
        if self.when_full not in get_args(WhenFull):
            raise BadSetting(
                f"When all is full 'oldest' or 'newest' rows give way, or 'block', not {self.when_full!r}."
            )
        if not 0 <= self.at_exit < float("inf"):
            raise BadSetting(f"The end of a program waits a number of seconds, not {self.at_exit}.")
        if self.spool and self.spool_dir is not None and not Path(self.spool_dir).is_dir():
            raise BadSetting(f"There is no folder {os.fspath(self.spool_dir)!r} for what waits: make it first.")


def bounds_of(given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Bounds:
    """The bounds that a session is given (None: not), else those of the environment, else the usual ones."""
    chosen = {name: value for name, value in given.items() if value is not None}
    kinds = {"memory": int, "spool": int, "spool_dir": str, "when_full": str, "at_exit": float}
    for name, kind in kinds.items():
        variable = VARIABLE + name.upper()
        if name not in chosen and environment.get(variable):
            try:
                chosen[name] = kind(environment[variable])
            except ValueError:
                raise BadSetting(f"{variable} is a number, not {environment[variable]!r}.") from None
    return Bounds(**chosen)
