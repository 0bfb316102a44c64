"""A server's event loop in a thread of its own, for hosts that have none.

The loop begins with the first request, so that whoever only imports the application, or forks after that, opens
nothing. It ends with the process: sockets are told to come back, what came is kept.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import queue
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import structlog
import uvicorn
from uvicorn.server import ServerState

from bokeh_server.adapters.asgi import Receive, Scope, Send, begin, drive
from bokeh_server.adapters.websocket import FAREWELL, FramesProtocol
from bokeh_server.errors import Unavailable
from bokeh_server.limits import LIMITS
from bokeh_server.web.http import Endpoint
from bokeh_server.web.site import Site

T = TypeVar("T")
log = structlog.get_logger("bokeh_server.web")
STOPPED = "The server is stopping."
PATCHED = (
    "The sockets of this process are gevent's or eventlet's; run the application with threads (gunicorn --threads)."
)
FORKED = "This process was forked from one that had begun to serve; let the host application fork first."


class Background:
    """The loop of one site's hub, and the websockets that were handed to it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._settings = uvicorn.Config(
            nothing, log_config=None, ws_max_size=LIMITS.message, ws_per_message_deflate=False
        )
        self._state = ServerState()

    def start(self) -> asyncio.AbstractEventLoop:
        """The loop, which runs when this returns; raises what the store says where it can't be opened."""
        with self._lock:
            if self._stopped:
                raise Unavailable(STOPPED)
            if self._loop is None:
                self._begin()
            if self._process != os.getpid():
                raise Unavailable(FORKED)
            assert self._loop is not None
            return self._loop

    def _begin(self) -> None:
        if socket.socket.__module__ != "socket":
            raise Unavailable(PATCHED)
        factory = self._settings.get_loop_factory()
        loop = factory() if factory is not None else asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="bokeh-server", daemon=True)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(begin(self._site), loop).result()
        except BaseException:
            end(loop, thread)
            raise
        self._loop, self._thread, self._process = loop, thread, os.getpid()
        atexit.register(self.stop)

    def call(self, make: Callable[[Turn], Coroutine[Any, Any, T]]) -> T:
        """What the coroutine returns, which may meanwhile have things done in this thread, by its ``Turn``."""
        turn = Turn(self.start())
        return turn.take(make(turn))

    def take_over(self, taken: socket.socket, handshake: bytes, endpoint: Endpoint) -> None:
        """Answer the handshake, which is parsed already, and drive the socket from now on."""
        asyncio.run_coroutine_threadsafe(self._drive(taken, handshake, endpoint), self.start())

    async def _drive(self, taken: socket.socket, handshake: bytes, endpoint: Endpoint) -> None:
        loop = asyncio.get_running_loop()
        protocol = FramesProtocol(self._settings, self._state, {}, loop)
        protocol.app = partial(drive, endpoint)
        taken.setblocking(False)
        try:
            await loop.connect_accepted_socket(lambda: protocol, taken)
        except OSError as error:  # the peer has gone
            log.debug("a socket ended", error=repr(error)[:200])
            taken.close()
            return
        protocol.data_received(handshake)

    def stop(self) -> None:
        """Close all sockets so that their clients come back, keep all that came, end the loop."""
        with self._lock:
            self._stopped = True
            loop, thread, self._loop = self._loop, self._thread, None
        if loop is None or thread is None or self._process != os.getpid():
            return
        asyncio.run_coroutine_threadsafe(self._stop(), loop).result()
        end(loop, thread)

    async def _stop(self) -> None:
        for protocol in list(self._state.connections):
            protocol.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * FAREWELL):
                await asyncio.gather(*self._state.tasks, return_exceptions=True)
        await self._site.hub.stop()


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """The application of no server: each socket has its own."""


def end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    """Stop a loop that runs in a thread, and let both go."""
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class Turn:
    """One request of a thread: the loop answers it, and asks the thread meanwhile for what only that can do."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    async def ask(self, act: Callable[[], T]) -> T:
        """What ``act`` returns or raises in the thread."""
        future: Future[T] = Future()

        def job() -> None:
            try:
                future.set_result(act())
            except Exception as error:  # noqa: BLE001 - whatever it is belongs to the one who asked
                future.set_exception(error)

        self._jobs.put(job)
        return await asyncio.wrap_future(future)

    def take(self, work: Coroutine[Any, Any, T]) -> T:
        """Do what is asked for until the answer is there."""
        answer = asyncio.run_coroutine_threadsafe(work, self._loop)
        answer.add_done_callback(lambda _: self._jobs.put(None))
        while (job := self._jobs.get()) is not None:
            job()
        try:
            return answer.result()
        except CancelledError:
            raise Unavailable(STOPPED) from None
