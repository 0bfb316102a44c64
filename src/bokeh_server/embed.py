"""``from bokeh_server.embed import autoload_server``, as scripts of 2015 have it of ``bokeh.embed``."""

from __future__ import annotations

from bokeh_server.client.embed import autoload_server

__all__ = ["autoload_server"]
