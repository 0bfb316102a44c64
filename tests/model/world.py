"""A whole little world around ``core.room``: clients, sockets, a store, crashes; and the promises, always checked.

The room is the real one; what the hub does with its effects is done here, one step at a time, in any order that can
happen: messages wait in both directions of each socket, records wait for the store, sockets fill up and drain, break
at one end only, the server dies before or after the store has a batch. Checked at every step: nothing leaves the room
that the log does not hold yet, every client gets its patches in the log's order without a gap or a repeat, a copy of
the document is the document of its seq, and what a client has after each message, with nothing of its own under way,
is the replay of the log up to its seq. Checked ``at rest``: every copy everywhere equals the replay of the whole log,
and what was acknowledged is in the log exactly once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson
from msgspec import structs

from bokeh_server.core.apply import apply
from bokeh_server.core.authorise import Access, Actor
from bokeh_server.core.column import Array
from bokeh_server.core.document import Document
from bokeh_server.core.events import (
    Answer,
    Append,
    Appended,
    Beside,
    Close,
    Done,
    Drained,
    Effect,
    Event,
    Failed,
    Frame,
    Joined,
    Left,
    NextFrame,
    Paused,
    Reading,
    Received,
    Send,
    Submitted,
    TakeSnapshot,
    Tick,
    Work,
)
from bokeh_server.core.log import Record, Stored
from bokeh_server.core.retention import columns_of
from bokeh_server.core.room import Room
from bokeh_server.core.snapshot import at_once
from bokeh_server.core.thinning import Choice, replay
from bokeh_server.core.wire import Message
from bokeh_server.errors import StoreFailed
from bokeh_server.limits import LIMITS
from tests.model.canonical import Flat, server_flat, wire_flat
from tests.model.replica import Replica, message_of

OWNER = Actor("user", "owner")
SMALL = replace(LIMITS, ring=1500, unacknowledged=1200, snapshot_records=6, snapshot_bytes=100_000)
"""Small enough that a ring overflows, a sender is held back and a snapshot is taken in a short run."""
READ = 5
"""Messages that may come in one read."""


class Broken(AssertionError):
    """A promise does not hold."""


@dataclass
class Socket:
    """One connection of a client: what is on its way, and what the server thinks of it."""

    key: int
    client: Replica
    up: deque[Message] = field(default_factory=deque)
    down: deque[Message | int] = field(default_factory=deque)
    """Messages, or the code with which the server closes."""
    alive: bool = True
    """Whether the client's end is open."""
    there: bool = True
    """Whether the room has not been told that it is gone."""
    paused: bool = False
    resumed: int = 0
    """When it was told what it had missed (``World.turn``)."""
    reading: bool = True
    seen: int | None = None
    """The seq up to which the client has the document by this socket."""


class AllButOne(Choice):
    """A choice by which all rows stay but the second, however few there are."""

    def run(self, pause: Callable[[], None] = at_once) -> tuple[int, Array]:
        pinned, self._pinned = self._pinned, None
        assert pinned is not None
        return pinned.rows, np.delete(np.arange(pinned.rows), 1)


class World:
    """One document, its log, and its clients."""

    room_type: type[Room] = Room

    def __init__(self, base: bytes) -> None:
        self.now = 0.0
        self.framing = False
        """Whether the room waits for the end of a frame."""
        self.turn = 0
        """How often something has happened to a room."""
        self.epoch = 1
        self.stored = Stored(None, {}, [])
        self.history: list[Record] = []
        """Every record of this epoch and before, never trimmed."""
        self.truth: list[Flat] = [server_flat(Document.empty())]
        """The document after each seq."""
        self.replayed = Document.empty()
        self.room: Room | None = None
        self.writing: deque[Record] = deque()
        self.sockets: dict[int, Socket] = {}
        self.clients: list[Replica] = []
        self.answers: dict[int, Any] = {}
        self.works: list[tuple[Room, Work]] = []
        """What another thread has to do, and the room that waits for it."""
        self.next_key = 0
        self.compared = 0
        """How often the copy of a client was compared with the log while others were at work."""
        self.submit("replace", base)
        self.commit(1)

    # The server

    def live(self) -> Room:
        """The room, loaded from the log where it is not in memory."""
        if self.room is None:
            stored = Stored(self.stored.snapshot, dict(self.stored.clients), list(self.stored.records))
            self.room = self.room_type.restore(Access("d", "owner"), stored, epoch=self.epoch, limits=SMALL)
            if server_flat(self.room.document) != self.truth[-1]:
                raise Broken("the snapshot and the records after it give another document than all records")
        return self.room

    def tell(self, event: Event) -> None:
        """Something happens to the room; do what it wants done."""
        self.turn += 1
        for effect in self.live().receive(event):
            self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Append(record):
                self.writing.append(record)
            case Send(clients, outgoing):
                message = message_of(outgoing)
                for key in clients:
                    self._send(self.sockets[key], message)
            case Close(key, code, _):
                self.sockets[key].down.append(code)
            case Answer(token, outcome):
                self.answers[token] = outcome
            case Reading(key, on):
                self.sockets[key].reading = on
            case NextFrame():
                self.framing = True
            case Beside(work):
                self.works.append((self.live(), work))
            case TakeSnapshot(_, clients):
                record = effect.whole()
                if record.seq > len(self.truth) - 1:
                    raise Broken("a snapshot is taken of what the log does not hold")
                later = [kept for kept in self.stored.records if kept.seq > record.seq]
                self.stored = Stored(record, dict(clients), later)
            case _:
                pass

    def _send(self, socket: Socket, message: Message) -> None:
        if not socket.there:
            raise Broken("a message for a client that has left")
        head, durable = message.header, len(self.truth) - 1
        if head.seq is not None and head.seq > durable:
            raise Broken(f"{head.msgtype} {head.seq} leaves before the log has it ({durable})")
        if head.msgtype == "RESUMED":
            socket.resumed = self.turn
        if head.msgtype == "PATCH-DOC" and socket.paused and socket.resumed != self.turn:
            raise Broken("a patch goes into a socket that is full")
        if head.msgtype == "PULL-DOC-REPLY":
            seq = durable if head.seq is None else head.seq
            if wire_flat(message.content, message.buffers) != self.truth[seq]:
                raise Broken(f"the copy of the document is not the document of seq {seq}")
        socket.down.append(message)

    def submit(self, what: Any, content: bytes) -> None:
        """A request without a socket."""
        self.next_key += 1
        self.tell(Submitted(self.next_key, what, content, (), OWNER, self.now))

    def thin(self) -> None:
        """Old rows of the source are due, as the room finds out when rows come."""
        room = self.live()
        columns = columns_of(room.document, "s")
        if columns is not None and columns.rows > 2 and "s" not in room.keeper.choices:
            room.keeper.choices["s"] = choice = AllButOne("s", columns, 0.0, 0.0)
            self._perform(Beside(choice))

    def done(self, at: int) -> None:
        """Another thread has done one of the things that it has to do; the room that asked may be gone."""
        if self.works:
            room, work = self.works.pop(at % len(self.works))
            if room is self.room:
                self.tell(Done(work, work.run))

    # The store

    def commit(self, count: int, *, told: bool = True) -> None:
        """The store keeps the next ``count`` records; with ``told`` the room gets to know."""
        batch = [self.writing.popleft() for _ in range(min(count, len(self.writing)))]
        for record in batch:
            self._keep(record)
        if batch and told:
            self.tell(Appended(batch[-1].seq, self.now))

    def _keep(self, record: Record) -> None:
        if record.seq != len(self.truth):
            raise Broken(f"record {record.seq} does not follow {len(self.truth) - 1}")
        self.stored.records.append(record)
        self.history.append(record)
        content, buffers = record.open()
        if record.kind == "replace":
            self.replayed = Document.decode(content, buffers)
        elif record.kind == "thin":
            replay(self.replayed, content, buffers)
        else:
            apply(self.replayed, content, buffers)
        self.truth.append(server_flat(self.replayed))

    def fail(self) -> None:
        """The store can't keep what waits: the room is thrown away, its sockets are closed."""
        if self.writing:
            self.writing.clear()
            self.tell(Failed(StoreFailed()))
            self._drop(gently=True)

    def crash(self, *, kept: int = 0) -> None:
        """The server is killed; the store had ``kept`` of the records that it was given, and told nobody."""
        self.commit(kept, told=False)
        self.writing.clear()
        self._drop(gently=False)

    def _drop(self, *, gently: bool) -> None:
        self.room = None
        self.framing = False
        for socket in self.sockets.values():
            socket.there = False
            socket.up.clear()
            if gently:
                socket.down.append(1013)
            else:
                self._cut(socket)

    def evict(self) -> None:
        """A room without clients leaves memory."""
        if self.room is not None and not self.writing and not any(socket.there for socket in self.sockets.values()):
            self.room = None
            self.framing = False

    def rewind(self, back: int) -> None:
        """A backup is restored: the last records are gone, and the epoch is another one."""
        self.crash()
        self.epoch += 1
        keep = max(1, len(self.history) - back)
        self.history = [structs.replace(record, epoch=self.epoch) for record in self.history[:keep]]
        self.stored = Stored(None, {}, list(self.history))
        self.truth = [server_flat(Document.empty())]
        self.replayed = Document.empty()
        records, self.history = self.history, []
        self.stored = Stored(None, {}, [])
        for record in records:
            self._keep(record)
        for client in self.clients:
            client.forgive()

    # The network

    def socket_of(self, client: Replica) -> Socket | None:
        """The open socket of a client, if it has one."""
        return next((s for s in self.sockets.values() if s.client is client and s.alive), None)

    def connect(self, client: Replica) -> None:
        """A client opens a socket, if it has none."""
        if self.socket_of(client) is not None:
            return
        self.next_key += 1
        socket = self.sockets[self.next_key] = Socket(self.next_key, client)
        client.opened()
        self.tell(Joined(socket.key, client.kind, OWNER))

    def _cut(self, socket: Socket) -> None:
        if socket.alive:
            socket.alive = False
            socket.up.clear()
            socket.down.clear()
            socket.client.lost()

    def cut(self, client: Replica, *, noticed: bool) -> None:
        """The network between client and server breaks; the server may notice it only later."""
        socket = self.socket_of(client)
        if socket is not None:
            self._cut(socket)
            if noticed:
                self.notice()

    def notice(self) -> None:
        """The server notices which sockets are gone."""
        for socket in list(self.sockets.values()):
            if not socket.alive:
                if socket.there:
                    socket.there = False
                    self.tell(Left(socket.key))
                del self.sockets[socket.key]

    def up(self, client: Replica, count: int) -> None:
        """The server receives the next messages of a client, some together."""
        socket = self.socket_of(client)
        if socket is None:
            return
        socket.up.extend(client.outgoing())
        while count > 0 and socket.up and socket.reading and socket.there:
            together = [socket.up.popleft() for _ in range(min(count, READ, len(socket.up)))]
            count -= len(together)
            self.tell(Received(socket.key, together, self.now))

    def down(self, client: Replica, count: int) -> None:
        """A client receives the next messages of the server, unless its socket is full."""
        socket = self.socket_of(client)
        while socket is not None and count and socket.down and not socket.paused and socket.alive:
            count -= 1
            message = socket.down.popleft()
            if isinstance(message, int):
                self._cut(socket)
                self.notice()
            else:
                self._check_order(socket, message)
                if not client.received(message):
                    self._cut(socket)
                    self.notice()
                if message.header.seq is not None:
                    self._check_copy(socket)

    def _check_order(self, socket: Socket, message: Message) -> None:
        """Every patch once, in order; what is missing in between are the client's own."""
        head = message.header
        match head.msgtype:
            case "PULL-DOC-REPLY":
                seq = len(self.truth) - 1 if head.seq is None else head.seq
                socket.seen = seq if socket.seen is None else max(seq, socket.seen)
            case "RESUMED":
                fresh = orjson.loads(message.content)["fresh"]
                socket.seen = None if fresh else socket.client.seq
            case "RESYNC":
                socket.seen = None
            case "PATCH-DOC" if head.seq is not None and socket.seen is not None:
                own = self.history[head.seq - 1].client == socket.client.name
                if (
                    own and head.since is None and b'"cols"' not in message.content
                ):  # only what the page itself got wrong comes back
                    raise Broken(f"{socket.client.name} gets its own patch {head.seq}")
                if head.seq <= socket.seen:
                    raise Broken(f"{socket.client.name} gets patch {head.seq} after {socket.seen}")
                for missing in self._unknown_to(socket, head.since or head.seq):
                    raise Broken(f"{socket.client.name} gets patch {head.seq}, but never {missing}")
                socket.seen = head.seq

    def _check_copy(self, socket: Socket) -> None:
        """What a client shows is the replay of the log up to where it is, unless something of its own is under way."""
        client = socket.client
        if socket.alive and socket.seen is not None and client.settled:
            self.compared += 1
            seq = socket.seen if client.seq is None else client.seq
            if differences := client.against(self.truth[seq]):
                raise Broken(f"{client.name} differs from the log at {seq}: {differences[0]}")

    def _unknown_to(self, socket: Socket, head: int) -> list[int]:
        """The patches before ``head`` that a client never got: its own it has, and what it replaced it need not."""
        unknown: list[int] = []
        for record in self.history[(socket.seen or 0) : head - 1]:
            if record.client != socket.client.name:
                unknown.append(record.seq)
            elif record.kind == "replace":
                unknown.clear()
        return unknown

    def pause(self, client: Replica) -> None:
        """A client's socket is full."""
        socket = self.socket_of(client)
        if socket is not None and socket.there and not socket.paused:
            socket.paused = True
            self.tell(Paused(socket.key, self.now))

    def drain(self, client: Replica) -> None:
        """A client's socket takes more: all that was in it has arrived."""
        socket = self.socket_of(client)
        if socket is not None and socket.paused:
            socket.paused = False
            self.down(client, 10**6)
            if socket.alive and socket.there:
                self.tell(Drained(socket.key))

    def frame(self) -> None:
        """A frame ends, if the room wants to know."""
        if self.room is not None and self.framing:
            self.framing = False
            self.now += SMALL.frame
            self.tell(Frame(self.now))

    def tick(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        if self.room is not None:
            self.tell(Tick(self.now))

    # The promises

    def rest(self) -> None:
        """Let everything arrive, then check that all copies equal the replay of the log."""
        for _ in range(60):
            self.commit(10**6)
            self.notice()
            self.frame()
            self.done(0)
            for client in self.clients:
                self.connect(client)
                self.drain(client)
                self.up(client, 10**6)
                self.commit(10**6)
                self.down(client, 10**6)
                client.timers()
            if not self._under_way():
                self.check()
                return
        raise Broken(f"the world does not come to rest: {self._under_way()}")

    def _under_way(self) -> list[str]:
        for client in self.clients:
            self.up(client, 0)
        waits = [f"{client.name} waits" for client in self.clients if client.busy]
        waits += [f"{client.name} has no socket" for client in self.clients if self.socket_of(client) is None]
        waits += [f"messages for {s.client.name}" for s in self.sockets.values() if s.down or s.up]
        waits += ["a frame"] if self.framing else []
        waits += ["another thread"] if self.works else []
        return waits + (["records"] if self.writing else [])

    def check(self) -> None:
        """What was acknowledged is in the log, all of it once; every copy equals the document of the log."""
        found = Counter(row for record in self.history for row in streamed(record))
        if twice := [row for row, count in found.items() if count > 1]:
            raise Broken(f"rows {twice} are in the log twice")
        there = {row for record in self.history for row in held(record)}
        for client in self.clients:
            if lost := client.acknowledged - there:
                raise Broken(f"rows {sorted(lost)} of {client.name} were acknowledged, but are not in the log")
        if server_flat(self.live().document) != self.truth[-1]:
            raise Broken("the document in memory is not the one of the log")
        for client in self.clients:
            if differences := client.against(self.truth[-1]):
                raise Broken(f"{client.name} differs from the log: {differences[0]}")


def streamed(record: Record) -> list[int]:
    """The rows that a patch streams (each row of the tests is a number that is used once)."""
    if record.kind != "patch":
        return []
    events = [event for event in orjson.loads(record.open()[0])["events"] if event["kind"] == "ColumnsStreamed"]
    return [row for event in events for row in dict(event["data"]["entries"])["x"]]


def held(record: Record) -> set[int]:
    """The rows that a record holds, streamed or as the whole of a column."""
    if record.kind == "replace":
        source = Document.decode(*record.open()).models["s"]
        return set(source.attributes["data"]["x"].live)
    if record.kind == "thin":
        return set()
    events = orjson.loads(record.open()[0])["events"]
    columns = [dict(event["data"]["entries"]) for event in events if "data" in event]
    return {row for column in columns for row in column.get("x", ())}
