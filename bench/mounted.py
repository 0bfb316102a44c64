"""The server as an ASGI application, for whatever serves it: ``DATA`` is its folder."""

from __future__ import annotations

import os

from bokeh_server import create_app

app = create_app(os.environ["DATA"])
