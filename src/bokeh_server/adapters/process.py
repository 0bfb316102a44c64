"""One server in one process: bind, open the store, serve with uvicorn and our protocol, stop cleanly on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn

from bokeh_server.adapters.asgi import Application, make_site
from bokeh_server.adapters.websocket import FramesProtocol
from bokeh_server.config import Config
from bokeh_server.errors import BadSetting
from bokeh_server.limits import LIMITS

BACKLOG = 4096
GRACE = 3
"""Seconds for requests under way when the server stops."""


def run(config: Config, ready: Callable[[str], object]) -> None:
    """Serve until SIGINT or SIGTERM; ``ready`` is called with the URL when requests are taken.

    Raises ``BadSetting`` where the port is taken, and what the store says where it can't be opened.
    """
    sockets = bind(config.address, config.port)
    port: int = sockets[0].getsockname()[1]
    application = Application(make_site(config, port))
    settings = uvicorn.Config(
        application,
        ws=FramesProtocol,
        http="httptools",
        loop="auto",
        lifespan="off",
        log_config=None,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        ws_max_size=LIMITS.message,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        timeout_graceful_shutdown=GRACE,
        backlog=BACKLOG,
        ssl_certfile=config.ssl_certfile,
        ssl_keyfile=config.ssl_keyfile,
    )
    factory = settings.get_loop_factory()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(Server(settings), application, sockets, ready))


async def serve(
    server: Server, application: Application, sockets: list[socket.socket], ready: Callable[[str], object]
) -> None:
    """Open the hub, serve, close the hub."""
    hub = application.site.hub
    await hub.start()
    try:
        server.on_started = lambda: ready(application.site.url)
        await server.serve(sockets)
    finally:
        await hub.stop()


class Server(uvicorn.Server):
    """uvicorn's server; a signal ends it, and is not raised again when it has."""

    on_started: Callable[[], object] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        if self.on_started is not None:
            self.on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The first signal asks the server to end, a second one does not wait for requests under way."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield
        for number in signals:
            loop.remove_signal_handler(number)


def bind(address: str, port: int) -> list[socket.socket]:
    """Listening sockets; for "localhost" on 127.0.0.1 and, where there is one, on ::1."""
    if address != "localhost":
        return [listen(address.strip("[]"), port)]
    first = listen("127.0.0.1", port)
    with contextlib.suppress(OSError, BadSetting):
        return [first, listen("::1", first.getsockname()[1])]
    return [first]


def listen(address: str, port: int) -> socket.socket:
    """One listening socket."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((address, port))
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            raise BadSetting(
                f"Port {port} is in use: another bokeh-server runs already, or another program has it; "
                "choose one with --port."
            ) from None
        raise BadSetting(f"Can't listen on {address}, port {port}: {error.strerror}.") from None
    found.listen(BACKLOG)
    found.setblocking(False)
    return found
