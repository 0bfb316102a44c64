"""A Quart site for the tests, with the server beside it at ``/plots``."""

from __future__ import annotations

import os
from typing import Any

from hypercorn.middleware import DispatcherMiddleware
from quart import Quart

from bokeh_server import create_app

site = Quart(__name__, static_folder=None)


@site.get("/")
async def home() -> str:
    """A page of the site's own."""
    return "the site's own page"


mounts: dict[str, Any] = {"/plots": create_app(os.environ["DATA"]), "": site}
app = DispatcherMiddleware(mounts)
