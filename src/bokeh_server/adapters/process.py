"""One server in one process: bind, open the store, serve with uvicorn and our protocol, stop cleanly on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from bokeh_server.adapters.asgi import Application, make_site
from bokeh_server.adapters.notify import READY, STOPPING, notify
from bokeh_server.adapters.requests import RequestProtocol
from bokeh_server.adapters.unix import listening
from bokeh_server.adapters.websocket import FramesProtocol
from bokeh_server.config import DEFAULT_PORTS, Config
from bokeh_server.errors import BadSetting
from bokeh_server.limits import LIMITS

BACKLOG = 4096
ATTEMPTS = 20
NO_IPV6 = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
GRACE = 3
"""Seconds for requests under way when the server stops."""

Ready = Callable[[str, str | None], object]


def run(config: Config, ready: Ready) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP.

    ``ready`` is called when requests are taken, with the URL and, where nobody has an account yet, the link to make the
    administrator's.

    Raises ``BadSetting`` where the port or the unix socket is taken, and what the store says where it can't be opened.
    """
    if config.unix_socket is None:
        sockets = bind(config.address, config.port)
        serve_on(sockets, config, sockets[0].getsockname()[1], ready)
        return
    with listening(config.unix_socket, config.unix_socket_mode, BACKLOG) as found:
        serve_on([found], config, DEFAULT_PORTS[config.scheme], ready)


def serve_on(sockets: list[socket.socket], config: Config, port: int, ready: Ready) -> None:
    """Serve on these sockets; ``port`` is the one that URLs name."""
    application = Application(make_site(config, port))
    settings = uvicorn.Config(
        application,
        ws=FramesProtocol,
        http=RequestProtocol,
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
    if config.ssl_certfile is not None:
        check_certificate(config.ssl_certfile, config.ssl_keyfile)
    settings.load()
    gc.collect()
    gc.freeze()  # what is here now stays: nobody need look for cycles in it again
    factory = settings.get_loop_factory()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(Server(settings), application, sockets, ready))


def check_certificate(certificate: Path, key: Path | None) -> None:
    """``BadSetting`` where these can't be used. A server has nobody whom it could ask for a pass phrase."""

    def pass_phrase() -> str:
        raise BadSetting(f"The key in {key or certificate} has a pass phrase; give one without (openssl pkey -in …).")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, pass_phrase)
    except OSError as error:  # ssl.SSLError is one
        missing = "" if key else " Its key is in the same file, or in the one of --ssl-keyfile."
        raise BadSetting(f"The certificate or its key can't be used: {error.strerror or error}.{missing}") from None


async def serve(server: Server, application: Application, sockets: list[socket.socket], ready: Ready) -> None:
    """Open the hub, serve, close the hub."""
    site, hub = application.site, application.site.hub
    await hub.start()
    try:
        invitation = await site.accounts.users.first_invitation() if site.config.multi_user else None
        link = None if invitation is None else f"{site.url}bokeh/register#{invitation}"
        server.on_started = lambda: ready(site.url, link)
        server.on_stopping = hub.refuse
        await server.serve(sockets)
    finally:
        await hub.stop()


class Server(uvicorn.Server):
    """uvicorn's server; a signal ends it, and is not raised again when it has."""

    on_started: Callable[[], object] | None = None
    on_stopping: Callable[[], object] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        notify(READY)
        if self.on_started is not None:
            self.on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that it ends, and end."""
        notify(STOPPING)
        if self.on_stopping is not None:
            self.on_stopping()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The first signal asks the server to end, a second one does not wait for requests under way."""
        loop = asyncio.get_running_loop()
        signals = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # under nohup it is ignored
            signals.append(signal.SIGHUP)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield
        for number in signals:
            loop.remove_signal_handler(number)


def bind(address: str, port: int) -> list[socket.socket]:
    """Listening sockets; for "localhost" on 127.0.0.1 and, where there is one, on ::1.

    Both or none: a browser that is told "localhost" may take either, and must not find another program there. With
    port 0 another one is tried. Raises ``BadSetting`` where it can't listen.
    """
    for attempt in range(ATTEMPTS):
        first = None
        try:
            if address != "localhost":
                return [listen(address, port)]
            first = listen("127.0.0.1", port)
            return [first, listen("::1", first.getsockname()[1])]
        except OSError as error:
            if first is not None and error.errno in NO_IPV6:
                return [first]
            if first is not None:
                first.close()
            if port or first is None or attempt == ATTEMPTS - 1:
                raise BadSetting(refusal(address, port, error)) from None
    raise AssertionError("the last attempt returns or raises")


def listen(address: str, port: int) -> socket.socket:
    """One listening socket."""
    found = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would let two programs share a port
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((address, port))
        found.listen(BACKLOG)
    except OSError:
        found.close()
        raise
    found.setblocking(False)
    return found


def refusal(address: str, port: int, error: OSError) -> str:
    """What the user is told who can't have this port."""
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} is in use: another bokeh-server runs already, or another program has it; "
            "choose one with --port."
        )
    return f"Can't listen on {address}, port {port}: {error.strerror}."
