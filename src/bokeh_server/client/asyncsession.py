"""The twin of ``Session`` for programs on asyncio: what may wait for the server is a coroutine there.

Each is the method of ``Session`` of the same name in a thread, so that the loop goes on while the server is slow or
away. The threads are none of the loop's own (``asyncio.to_thread``): ``asyncio.run`` waits for those at its end, and a
program that waits for a server that is away must end with Ctrl-C.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from bokeh.document import Document
from bokeh.model import Model

from bokeh_server.client.bounds import WhenFull
from bokeh_server.client.session import Session

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(call: Callable[[], T]) -> T:
    """What ``call`` gives or raises, in a thread that keeps no program from ending."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # who is cancelled waits no longer; the thread goes on

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the call is awaited
            future.set_exception(error)

    threading.Thread(target=run, name="bokeh-server call", daemon=True).start()
    return await asyncio.wrap_future(future)


def awaited(
    method: Callable[Concatenate[Session, P], T],
) -> Callable[Concatenate[AsyncSession, P], Coroutine[Any, Any, T]]:
    """The coroutine that is this method of the session beneath."""

    @wraps(method)
    async def twin(self: AsyncSession, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await in_thread(partial(method, self.session, *args, **kwargs))

    return twin


class AsyncSession:
    """A session for programs on asyncio: ``async with AsyncSession() as session: await session.use_doc("title")``.

    Parameters, methods and errors are those of ``Session``; the methods that may wait for the server are awaited, and
    the loop goes on meanwhile. Changes of the live document (``source.stream(…)``) never wait, here as there.
    Callbacks of the document run in a thread of the session, not in the loop: hand over what belongs there with
    ``loop.call_soon_threadsafe``. A call that is cancelled is no longer waited for, but goes on in its thread.

    ``session`` is the ``Session`` beneath, with all that is not here (``docid``, ``title``, ``username``, …).
    """

    def __init__(
        self,
        root_url: str = "default",
        username: str = "defaultuser",
        userapikey: str = "nokey",
        *,
        load_from_config: bool = True,
        configdir: str | os.PathLike[str] | None = None,
        memory: int | None = None,
        spool: int | None = None,
        spool_dir: str | os.PathLike[str] | None = None,
        when_full: WhenFull | None = None,
        at_exit: float | None = None,
    ) -> None:
        self.session = Session(
            root_url,
            username,
            userapikey,
            load_from_config=load_from_config,
            configdir=configdir,
            memory=memory,
            spool=spool,
            spool_dir=spool_dir,
            when_full=when_full,
            at_exit=at_exit,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Async{repr(self.session)[1:]}"

    # What may wait for the server

    register = awaited(Session.register)
    login = awaited(Session.login)
    logout = awaited(Session.logout)
    use_doc = awaited(Session.use_doc)
    store_document = awaited(Session.store_document)
    store_objects = awaited(Session.store_objects)
    load_document = awaited(Session.load_document)
    push = awaited(Session.push)
    flush = awaited(Session.flush)
    pull = awaited(Session.pull)
    poll_document = awaited(Session.poll_document)
    retain = awaited(Session.retain)
    publish = awaited(Session.publish)
    unpublish = awaited(Session.unpublish)
    share = awaited(Session.share)
    unshare = awaited(Session.unshare)
    close = awaited(Session.close)

    # What does not

    @property
    def document(self) -> Document | None:
        """The bokeh document that is live in this session."""
        return self.session.document

    @property
    def link(self) -> str:
        """The address of the whole document."""
        return self.session.link

    @property
    def connected(self) -> bool:
        """Whether there is touch with the server just now."""
        return self.session.connected

    @property
    def waiting(self) -> int:
        """Bytes of changes that wait for the server, in memory and on disk."""
        return self.session.waiting

    @property
    def dropped(self) -> int:
        """Rows of the live document that gave way, because there was no room for what waits for the server."""
        return self.session.dropped

    @property
    def autopush(self) -> bool:
        """Whether changes are sent as they are made (True), or when ``push()`` is called."""
        return self.session.autopush

    @autopush.setter
    def autopush(self, autopush: bool) -> None:
        self.session.autopush = autopush

    def object_link(self, obj: Model | Document | None = None) -> str:
        """The address of one plot or widget of the document, or of the whole document."""
        return self.session.object_link(obj)

    def on_disconnect(self, callback: Callable[[str], object]) -> None:
        """Call ``callback(reason)``, in the session's thread, whenever touch with the server is lost."""
        self.session.on_disconnect(callback)
