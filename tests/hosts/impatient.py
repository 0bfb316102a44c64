"""The server with less patience than it has, for tests that would otherwise wait for minutes. ``DATA`` is its folder.

By itself: ``python -m tests.hosts.impatient [flags]``; ``wsgi`` and ``asgi`` are for hosts, with nothing around them.
"""

from __future__ import annotations

import os

from flask import Flask

from bokeh_server import blueprint, create_app
from bokeh_server.adapters import requests, websocket
from bokeh_server.cli import main
from bokeh_server.limits import Limits

requests.LIMITS = websocket.LIMITS = Limits(ping=1.0, request=1.0)  # type: ignore[attr-defined]
websocket.FramesProtocol.farewell = 1.0

if __name__ == "__main__":
    main()
else:
    wsgi = Flask(__name__, static_folder=None)
    wsgi.register_blueprint(blueprint(os.environ["DATA"]))
    asgi = create_app(os.environ["DATA"])
