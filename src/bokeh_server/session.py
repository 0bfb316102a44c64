"""``from bokeh_server.session import Session``, as scripts of 2015 have it of ``bokeh.session``."""

from __future__ import annotations

from bokeh_server.client.session import Session

__all__ = ["Session"]
