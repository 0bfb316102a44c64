"""An ASGI application served by uvicorn with our websocket protocol: ``python -m tests.hosts.fast PORT MODULE:APP``."""

from __future__ import annotations

import sys

import uvicorn

if __name__ == "__main__":
    port, app = sys.argv[1:]
    protocol = "bokeh_server.adapters.websocket:FramesProtocol"
    uvicorn.run(app, port=int(port), ws=protocol, ws_per_message_deflate=False)
