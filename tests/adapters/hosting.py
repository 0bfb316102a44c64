"""The application in a thread of the test's own process, on uvicorn with any of its websocket protocols.

For what can't be waited for in a server as users start it: other limits, an application that takes its time.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from bokeh_server.accounts.accounts import Accounts
from bokeh_server.accounts.tickets import Tickets
from bokeh_server.adapters.asgi import Application
from bokeh_server.adapters.requests import RequestProtocol
from bokeh_server.adapters.websocket import FramesProtocol
from bokeh_server.config import Config
from bokeh_server.hub import Hub
from bokeh_server.limits import LIMITS, Limits
from bokeh_server.store.ledger import MemoryLedger
from bokeh_server.store.memory import MemoryStore
from bokeh_server.web.site import Site


@contextmanager
def hosted(
    application: Callable[[Site], Application] = Application, *, ws: Any = FramesProtocol, limits: Limits = LIMITS
) -> Iterator[int]:
    """A server in memory while the block runs; gives its port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        port: int = listener.getsockname()[1]
        accounts, hub = Accounts(MemoryLedger()), Hub(MemoryStore(), limits=limits)
        site = Site(Config(port=port), hub, accounts, Tickets(), port, limits)
        settings = uvicorn.Config(
            application(site), ws=ws, http=RequestProtocol, log_config=None, access_log=False, ws_ping_interval=None
        )
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield port
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()
