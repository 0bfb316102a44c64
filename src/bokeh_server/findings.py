"""What an examination finds: for each thing it looked at a name, how it stands, a sentence, and what to change.

``bokeh-server check`` and ``bokeh-server doctor`` print it, one line each, or as JSON; the status of the process is 1
where something fails.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

import click
import orjson

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: State
    said: str
    """A sentence."""
    change: str = ""
    """The line to write, and where; "" where there is nothing to change."""

    @property
    def line(self) -> str:
        """How people read it."""
        words = f"{self.state.ljust(4)}  {self.name.ljust(12)}  {self.said}" + (
            f" → {self.change}" if self.change else ""
        )
        return "".join(sign if sign.isprintable() else "?" for sign in words)  # a proxy's words move no cursor


def report(found: Iterable[Finding], *, as_json: bool) -> None:
    """Print findings as they come, and end the process with status 1 where one of them fails."""
    all_found = []
    for finding in found:
        all_found.append(finding)
        if not as_json:
            click.echo(finding.line)
    if as_json:
        click.echo(orjson.dumps([asdict(finding) for finding in all_found], option=orjson.OPT_INDENT_2))
    if any(finding.state == "fail" for finding in all_found):
        sys.exit(1)
