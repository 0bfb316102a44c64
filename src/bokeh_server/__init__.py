"""bokeh-server: the persistent, multi-viewer home of live Bokeh plots.

The public names are loaded when they are first used, so that a program does not load the server, and the server does
not load bokeh.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "AsyncSession": "bokeh_server.client.asyncsession",
    "Session": "bokeh_server.client.session",
    "autoload_server": "bokeh_server.client.embed",
    "cursession": "bokeh_server.client.output",
    "output_notebook": "bokeh_server.client.output",
    "output_server": "bokeh_server.client.output",
    "push": "bokeh_server.client.output",
    "show": "bokeh_server.client.output",
    "blueprint": "bokeh_server.adapters.flask",
    "create_app": "bokeh_server.adapters.asgi",
}
__all__ = [
    "AsyncSession",
    "Session",
    "autoload_server",
    "create_app",
    "cursession",
    "output_notebook",
    "output_server",
    "push",
    "show",
]
# Not "blueprint": `from bokeh_server import *` works where Flask is not installed.


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bokeh_server' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
