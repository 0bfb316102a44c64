"""Everything of ``bokeh.plotting``, and what puts it on a bokeh-server: a script of 2015 changes only its import line.

from bokeh_server.plotting import figure, output_server, show
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # mypy takes the first of two
    from bokeh_server.client.output import output_notebook, show

import bokeh.plotting
from bokeh.plotting import *  # type: ignore[assignment]  # noqa: F403 - the point of this module

from bokeh_server.client.output import (  # type: ignore[assignment]
    cursession,
    output_notebook,
    output_server,
    push,
    reset_output,
    show,
)
from bokeh_server.client.session import Session

__all__ = [
    *bokeh.plotting.__all__,
    "Session",
    "cursession",
    "output_notebook",
    "output_server",
    "push",
    "reset_output",
    "show",
]


def __getattr__(name: str) -> Any:
    return getattr(bokeh.plotting, name)
