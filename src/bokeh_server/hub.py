"""The hub: rooms by id, and the only interpreter of what they want done.

It loads a room when somebody comes, gives its records to the store (all that wait, of all rooms, in one append: group
commit), tells the room when they are durable, carries messages to connections, wakes rooms when time has passed, and
lets rooms go when everybody has left. A room whose append failed is dropped; the next visitor loads it from the log.

Everything runs on one event loop and no method blocks it. A ``Connection`` is given by the adapter; the hub never
sees a socket.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Sequence
from importlib.metadata import version
from typing import Any, Literal

import structlog

from bokeh_server.boards import Boards
from bokeh_server.core import Buffers
from bokeh_server.core.authorise import Access, Action, Actor, Allowed, may
from bokeh_server.core.document import Document
from bokeh_server.core.events import (
    Answer,
    Append,
    Appended,
    Beside,
    Close,
    Effect,
    Event,
    Failed,
    Frame,
    Joined,
    Kind,
    NextFrame,
    Noticed,
    Paused,
    Reading,
    Retained,
    Revoked,
    Rights,
    Send,
    Submitted,
    TakeSnapshot,
    Tick,
    Wake,
    gathered,
)
from bokeh_server.core.retention import ALL, Retention
from bokeh_server.core.room import Room
from bokeh_server.drafts import beside, keep
from bokeh_server.errors import AccessRevoked, BokehServerError, NotFound, ServerFault, StoreFailed
from bokeh_server.ids import new_id
from bokeh_server.limits import LIMITS, Limits
from bokeh_server.live import Listing, Live, settle
from bokeh_server.meters import Figures, Meters
from bokeh_server.seat import Connection, Seat
from bokeh_server.store import Info, Store, kept_title

log = structlog.get_logger("bokeh_server.hub")
GONE, RESTART = 1001, 1012
MOMENT = 1.0
"""Seconds between two looks at what has ended."""
SOON, TOLD = 0.2, 5_000
"""Seconds until a room's clients are told who came and went, and how many are told of it in a second at most: where
thousands come at a time, the news of each must not hold up the others."""
REMEMBERED = 120.0
"""Seconds for which somebody may be on his way in who has lost his right: longer than a ticket lives."""


Counted = tuple[str, int | None]
"""A client and the number that it counts a patch by."""


class OpenRoom:
    """A room in memory, ready to be joined."""

    __slots__ = ("_hub", "_live")

    def __init__(self, hub: Hub, live: Live) -> None:
        self._hub = hub
        self._live = live

    @property
    def document(self) -> Document:
        """The document as it is now; only to be read, and before the next ``await``."""
        return self._live.room.document

    def last_number(self, client: str) -> int:
        """The number of the last patch that the document holds of those that a client counts."""
        return self._live.room.numbers.get(client, 0)

    def takes_from(self, actor: Actor) -> bool:
        """Whether the document takes anything from ``actor`` just now."""
        access = self._live.room.access
        return any(isinstance(may(actor, action, access), Allowed) for action in (Action.EDIT, Action.STREAM))

    async def durable(self, actor: Actor) -> int:
        """Wait until the store has all that the document holds now: before it is shown to ``actor``."""
        return await self._hub.submit(self._live, "nothing", b"", (), actor)

    def join(self, connection: Connection, actor: Actor, kind: Kind) -> Seat:
        """Take a seat; the first message (ACK) leaves at once."""
        live = self._live
        key = live.key()
        seat = Seat(self._hub, live, key)
        if live.dead:  # it failed between open and join: the client comes back by itself
            connection.close(StoreFailed.close, StoreFailed.code)
        elif self._hub.lately_revoked(actor):
            connection.close(AccessRevoked.close, AccessRevoked.code)
        else:
            live.connections[key] = connection
            self._hub.tell(live, Joined(key, kind, actor))
        return seat


class Hub:
    """All documents of one store.

    Parameters
    ----------
    store
        Opened by ``start`` and closed by ``stop``.
    access_of
        Who is what to a document; by default only its owner is anything.
    limits
        Bounds of every room.
    retention
        What documents keep of that which is streamed to them, where their owners say nothing else.
    """

    def __init__(
        self,
        store: Store,
        *,
        access_of: Callable[[Info], Awaitable[Access]] | None = None,
        limits: Limits = LIMITS,
        bokeh_version: str = "",
        retention: Retention = ALL,
    ) -> None:
        self._store = store
        self.access_of = access_of or owned
        self._limits = limits
        self._retention = retention
        self._versions = (bokeh_version, version("bokeh-server"))
        self._rooms: dict[str, Live] = {}
        self._loading: dict[str, asyncio.Future[Live]] = {}
        self._deleting: set[str] = set()
        self._batch: list[tuple[Live, Append]] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._boards = Boards()
        self._revocations: deque[tuple[float, Callable[[Actor], bool]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self.meters = Meters()
        self.ready = False
        """Whether requests are taken."""
        self.failure: str | None = None
        """Why the store can't keep anything just now, or None."""
        self._failed = ""
        """The document whose records it did not keep."""

    async def start(self) -> None:
        """Open the store and begin."""
        await self._store.__aenter__()
        self.ready = True
        self._spawn(self._keep_time())
        self._spawn(self.meters.keep_time())

    def refuse(self) -> None:
        """Take no more: bodies without end are answered now."""
        self.ready = False

    async def stop(self) -> None:
        """Close every socket so that its client comes back (1012), keep all that came, close the store."""
        self.refuse()
        in_rooms = (connection for live in self._rooms.values() for connection in live.connections.values())
        for connection in [*self._boards.actors, *in_rooms]:
            connection.close(RESTART, "restart")
        await self._idle.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._rooms.clear()
        await self._store.__aexit__(None, None, None)

    # Documents

    async def create(self, owner: str, title: str) -> Info:
        """A new, empty document; ``Conflict`` where the owner has one of that title."""
        title = kept_title(title, self._limits.title)
        now = time.time()
        info = Info(new_id(), owner, title, created=now, changed=now)
        await self._store.create(info)
        self._boards.changed(Access(info.id, owner))
        return info

    async def look(self, owner: str, name: str) -> tuple[Info | None, Info | None]:
        """The document with this id, and that of this owner and title. It takes as long whether they are there."""
        return await self._store.info(name), await self._store.find(owner, name.strip())

    async def find(self, owner: str, name: str) -> Info:
        """The document with this id, or of this owner and title; ``NotFound`` otherwise."""
        by_id, by_title = await self.look(owner, name)
        info = by_id or by_title
        if info is None:
            raise NotFound(f"There is no document {name[: self._limits.title]!r}.")
        return info

    async def documents(self, owner: str, also: Collection[str] = ()) -> list[Info]:
        """The owner's documents and those with one of the ids ``also``, the last changed first."""
        return await self._store.documents(owner, also)

    def listing(self, info: Info) -> Listing:
        """The document with how many are there just now."""
        live = self._rooms.get(info.id)
        programs, _, viewers = live.room.presence if live else (0, 0, 0)
        return Listing(info, programs, viewers)

    async def stored(self) -> tuple[int, int]:
        """How many documents the store has, and their bytes."""
        return await self._store.extent()

    def figures(self) -> Figures:
        """What is measured of the server, as it is now."""
        boards, failing = len(self._boards.actors), self.failure is not None
        return self.meters.figures(self._rooms.values(), boards=boards, batch=self._batch, failing=failing)

    def viewers(self, document: str) -> list[Actor]:
        """Who looks at a document just now: an actor for each page."""
        live = self._rooms.get(document)
        clients = live.room.clients.values() if live else ()
        return [client.actor for client in clients if client.kind == "viewer"]

    async def rename(self, document: str, title: str) -> None:
        """Give a document another title; ``Conflict`` where its owner has one of that title."""
        title = kept_title(title, self._limits.title)
        access = await self._access(document)
        await self._store.rename(document, title)
        self._boards.changed(access)

    async def retain(self, document: str, retention: Retention) -> None:
        """Have a document keep this of what is streamed to it, from now on."""
        await self._store.retain(document, retention)
        live = self._rooms.get(document)
        if live is not None:
            self.tell(live, Retained(retention.within(self._retention)))

    async def retention(self, document: str) -> tuple[Retention, Retention]:
        """What its owner has chosen to keep of what is streamed to a document, and what holds."""
        own = await self._store.retention(document)
        return own, own.within(self._retention)

    async def delete(self, document: str) -> None:
        """Delete a document for good; who looks at it is shown the door."""
        access = await self._access(document)
        self._deleting.add(document)  # its pages come back at once: they must not find it half deleted
        try:
            self._forget(document)
            await self._store.delete(document)
            self._forget(document)
        finally:
            self._deleting.discard(document)
        self._boards.changed(access)

    async def _access(self, document: str) -> Access:
        info = await self._store.info(document)
        if info is None:
            raise NotFound
        return await self.access_of(info)

    def _forget(self, document: str) -> None:
        live = self._rooms.pop(document, None)
        if live is not None:
            self._end(live, NotFound("The document was deleted."), "deleted")

    # Rooms

    async def open(self, document: str) -> OpenRoom:
        """The room of a document, loaded where it is not in memory; ``NotFound`` without such a document."""
        if document in self._deleting:
            raise NotFound("There is no such document.")
        loading, live = self._loading.get(document), self._rooms.get(document)
        if live is None or loading is not None:  # before it is loaded, the room does not know who is what
            if loading is None:
                loading = self._loading[document] = asyncio.ensure_future(self._load(document))
                loading.add_done_callback(lambda _: self._loading.pop(document, None))
            live = await asyncio.shield(loading)
        live.empty_since = time.monotonic()
        return OpenRoom(self, live)

    async def _load(self, document: str) -> Live:
        info = await self._store.info(document)
        stored = await self._store.load(document)
        if info is None or stored is None:
            raise NotFound("There is no such document.")
        access = Access(document, info.owner)
        room = await asyncio.to_thread(
            Room.restore, access, stored, epoch=info.epoch, limits=self._limits, versions=self._versions
        )
        room.receive(Retained((await self.retention(document))[1]))
        if await self._store.info(document) is None:  # deleted meanwhile
            raise NotFound("There is no such document.")
        live = self._rooms[document] = Live(room, kind=info.kind)
        try:
            await self._look_up_rights(live, info)
        except BokehServerError:
            self._rooms.pop(document, None)
            raise
        return live

    async def _look_up_rights(self, live: Live, info: Info) -> None:
        """Tell a room who is what to its document, unless it hears of something newer meanwhile."""
        told = live.told_rights
        access = await self.access_of(info)
        if live.told_rights == told:
            self.rights(access, live.room.access)

    async def replace(self, document: str, content: bytes, buffers: Buffers, actor: Actor) -> int:
        """Put another document in its place; returns the seq under which it is durable."""
        return await self._submit(document, "replace", content, buffers, actor)

    async def patch(
        self, document: str, content: bytes, buffers: Buffers, actor: Actor, counted: Counted = ("", None)
    ) -> int:
        """Apply the content of a PATCH-DOC; returns the seq under which it is durable. It is applied once where a
        client has ``counted`` it: its name (as in RESUME) and the number."""
        return await self._submit(document, "patch", content, buffers, actor, counted)

    async def _submit(self, document: str, what: Literal["patch", "replace"], *given: Any) -> int:
        return await self.submit((await self.open(document))._live, what, *given)

    async def submit(
        self,
        live: Live,
        what: Literal["patch", "replace", "nothing"],
        content: bytes,
        buffers: Buffers,
        actor: Actor,
        counted: Counted = ("", None),
    ) -> int:
        """Ask a room for something, and wait until it is durable; returns the seq."""
        if live.dead:
            raise StoreFailed
        if self.lately_revoked(actor):
            raise AccessRevoked
        token = live.key()
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        live.waiting[token] = future
        try:
            self.tell(live, Submitted(token, what, content, buffers, actor, time.time(), *counted))
            return await future
        finally:
            live.waiting.pop(token, None)

    def tell(self, live: Live, event: Event) -> None:
        """Let a room know what happened, and do what it wants done."""
        if live.dead:
            return
        first = not self._batch
        if first:
            self.meters.arrived = time.monotonic()
        try:
            effects = live.room.receive(event)
        except Exception as error:  # our fault in one room must not be the others': its log makes it anew
            log.error("a room failed", document=live.room.name, error=repr(error), exc_info=error)
            live.dead = True
            self._end(live, ServerFault(), ServerFault.code)
            return
        for effect in gathered(effects) if len(effects) > 1 else effects:
            if type(effect) is Append:
                self._batch.append((live, effect))
            else:
                self._perform(live, effect)
        if first and self._batch:
            self.meters.begins()
            if self._idle.is_set():
                self._idle.clear()
                asyncio.get_running_loop().call_soon(lambda: self._spawn(self._commit()))

    def _perform(self, live: Live, effect: Effect) -> None:
        match effect:
            case Send(clients, message):
                connections = live.connections
                for client in clients:
                    connections[client].send(message)
                live.room.tally.messages += len(clients)
                live.room.tally.sent += len(clients) * message.size
            case Close(client, code, reason):
                live.connections[client].close(code, reason)
            case Answer(token, outcome):
                settle(live.waiting.pop(token, None), outcome)
            case Reading(client, on):
                connection = live.connections[client]
                (connection.resume_reading if on else connection.pause_reading)()
            case TakeSnapshot():
                self._spawn(self._snapshot(live, effect))
            case Beside():
                self._spawn(self._beside(live, effect))
            case Wake():
                pause = SOON + len(live.connections) / TOLD
                asyncio.get_running_loop().call_later(pause, self._tick, live)
            case NextFrame(after):
                asyncio.get_running_loop().call_later(after, self._frame, live)
            case Noticed():
                self._boards.changed(live.room.access)

    def _frame(self, live: Live) -> None:
        self.tell(live, Frame(time.monotonic()))

    def _tick(self, live: Live) -> None:
        now = time.monotonic()
        for client in live.slow():  # but they read: a large document may take as long as it takes
            self.tell(live, Paused(client, now))
        self.tell(live, Tick(now))

    # The log

    async def _commit(self) -> None:
        """Append what waits, in one batch after the other, until nothing waits."""
        try:
            while self._batch:
                batch, self._batch = self._batch, []
                self.meters.taken()
                await self._append([(live, append) for live, append in batch if not live.dead])
        finally:
            self._idle.set()

    async def _append(self, batch: Sequence[tuple[Live, Append]]) -> None:
        last = {id(live): (live, append.record.seq) for live, append in batch}
        try:
            if batch:
                self.meters.writes(records := [append.record for _, append in batch])
                await self._store.append(records, now=time.time())
        except ServerFault as error:
            self.meters.failed()
            if len(last) > 1:  # one room's fault must not be the others': each on its own
                for live, _ in last.values():
                    await self._append([entry for entry in batch if entry[0] is live])
                return
            self.failure = str(error)
            log.error("the store failed", error=str(error))
            for live, _ in last.values():
                self._failed = live.room.name
                self._end(live, error, error.code)
        else:
            self.failure = None
            self.meters.kept(batch)
            for live, seq in last.values():
                live.changed = time.monotonic()
                self.tell(live, Appended(seq, live.changed))
            self.meters.told()
            for live, _ in last.values():
                await self._describe(live)

    async def _describe(self, live: Live) -> None:
        """Have lists say what a document shows, where models have come or gone."""
        document = live.room.document
        shows = len(document.models), len(document.roots)
        if shows == live.shows or live.dead:
            return
        kind = document.census()
        try:
            if kind != live.kind:
                await self._store.describe(live.room.name, kind)
                self._boards.changed(live.room.access)
            live.kind, live.shows = kind, shows
        except BokehServerError as error:  # it is tried again after the next append
            log.warning("what a document shows was not noted", document=live.room.name, error=str(error))

    async def _try_store(self) -> None:
        """See whether the store keeps something again: where nobody is sent here before that, no patch will tell."""
        try:
            info = await self._store.info(self._failed)
            if info is not None:
                await self._store.describe(info.id, info.kind)
            self.failure = None
        except BokehServerError as error:  # also where it is deleted just now: it is looked at again in a moment
            self.failure = str(error)

    async def _beside(self, live: Live, effect: Beside) -> None:
        """Have another thread do what is long, and tell the room, if that was not let go of meanwhile."""
        done = await beside(effect.work)
        if self._rooms.get(live.room.name) is live:
            self.tell(live, done)

    async def _snapshot(self, live: Live, effect: TakeSnapshot) -> None:
        try:
            await keep(self._store, effect)
        except BokehServerError as error:
            if not live.dead:
                log.warning("no snapshot was taken", document=live.room.name, error=str(error))
        else:
            self._boards.changed(live.room.access)

    def _end(self, live: Live, error: BokehServerError, reason: str) -> None:
        """Drop a room that is no longer the truth: its clients come back and find what the log has."""
        if self._rooms.get(live.room.name) is live:
            del self._rooms[live.room.name]
        if isinstance(error, ServerFault):
            self.tell(live, Failed(error))
        live.dead = True
        for connection in list(live.connections.values()):
            connection.close(error.close, reason)
        for future in live.waiting.values():
            settle(future, error)
        live.waiting.clear()
        self.meters.past.take(live.room.tally)

    # Rights that end

    def rights(self, access: Access, before: Access | None = None) -> None:
        """Who is what to a document has changed: who may no longer see it is shown the door, at once."""
        live = self._rooms.get(access.document)
        if live is not None:
            live.told_rights += 1
            self.tell(live, Rights(access))
        self._boards.changed(access, before or access)

    def revoke(self, lost: Callable[[Actor], bool]) -> None:
        """Show the door to actors of whom ``lost`` is true, also to those who are just coming in."""
        self._revocations.append((time.time(), lost))
        for live in list(self._rooms.values()):
            self.tell(live, Revoked(lost))
        for connection in [connection for connection, actor in self._boards.actors.items() if lost(actor)]:
            connection.close(AccessRevoked.close, AccessRevoked.code)

    def lately_revoked(self, actor: Actor) -> bool:
        """Whether the actor has lost what he came with since it was looked up."""
        return any(actor.since <= at and lost(actor) for at, lost in self._revocations)

    async def _end_rights(self, now: float) -> None:
        """End what was limited in time; ``now`` in seconds since 1970."""
        while self._revocations and self._revocations[0][0] < now - REMEMBERED:
            self._revocations.popleft()
        ended = {actor for actor in self._actors() if actor.until is not None and actor.until < now}
        if ended:
            self.revoke(ended.__contains__)
        for live in list(self._rooms.values()):
            until = live.room.access.until
            if until is None or until >= now:
                continue
            try:
                info = await self._store.info(live.room.name)
                if info is not None:
                    await self._look_up_rights(live, info)
            except BokehServerError as error:  # it is tried again in a moment
                log.warning("rights were not looked up", document=live.room.name, error=str(error))

    def _actors(self) -> Iterator[Actor]:
        for live in self._rooms.values():
            yield from (client.actor for client in live.room.clients.values())
        yield from self._boards.actors.values()

    # The boards

    def watch(self, connection: Connection, actor: Actor) -> None:
        """Tell this connection whenever the list of the actor's documents must be fetched again."""
        self._boards.actors[connection] = actor
        if self.lately_revoked(actor):
            connection.close(AccessRevoked.close, AccessRevoked.code)

    def unwatch(self, connection: Connection) -> None:
        """Tell it no more."""
        self._boards.actors.pop(connection, None)

    # Time

    async def _keep_time(self) -> None:
        """Let slow viewers and empty rooms go."""
        while True:
            await asyncio.sleep(min(MOMENT, self._limits.idle_room / 2))
            await self._end_rights(time.time())
            if self.failure is not None:
                await self._try_store()
            now = time.monotonic()
            for name, live in list(self._rooms.items()):
                room = live.room
                if live.connections or live.waiting or room.durable < room.seq:
                    self._tick(live)
                elif name not in self._loading and now - live.empty_since > self._limits.idle_room:
                    self.meters.past.take(self._rooms.pop(name).room.tally)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a task failed", error=repr(task.exception()), exc_info=task.exception())


async def owned(info: Info) -> Access:
    """Only its owner is anything to a document."""
    return Access(info.id, info.owner)
