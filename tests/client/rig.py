"""Programs and one room without sockets, threads or time: each message moves when the test says so.

The room is the real one and acknowledges at once; the programs are real connections whose socket and callback thread
are lists that the test works off, so that any interleaving can be played, and played again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
from bokeh.core.serialization import Buffer, Serialized
from bokeh.core.types import ID
from bokeh.document import Document

from bokeh_server.client.connection import Connection
from bokeh_server.client.encode import canonical
from bokeh_server.client.outbox import Outbox
from bokeh_server.core.authorise import Access, Actor
from bokeh_server.core.events import Append, Appended, Close, Joined, Kind, Left, Received, Send, Tick
from bokeh_server.core.log import Record, Stored
from bokeh_server.core.room import Room
from bokeh_server.core.wire import Assembler, Message, Outgoing, outgoing

ACTOR = Actor("user", "defaultuser")


class Wire:
    """Stands for a transport: nothing to wake, nothing to stop."""

    def start(self) -> None: ...
    def wake(self) -> None: ...
    def hurry(self) -> None: ...
    def stop(self, timeout: float) -> None: ...


class Shifts:
    """Stands for the thread that looks after what waits: it does so where it is called."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def call(self) -> None:
        while self._outbox.shift():
            pass

    def start(self) -> None: ...
    def stop(self) -> None: ...


class Jobs:
    """Stands for the callback thread: jobs wait until ``work``."""

    def __init__(self) -> None:
        self.jobs: deque[Callable[[], object]] = deque()

    def put(self, job: Callable[[], object], size: int = 0) -> None:
        self.jobs.append(job)

    def work(self, count: int | None = None) -> None:
        """Do the first ``count`` jobs (None: all, also those that come meanwhile)."""
        while self.jobs and (count is None or count > 0):
            self.jobs.popleft()()
            count = None if count is None else count - 1

    def notify(self) -> None: ...
    def stop(self) -> None: ...


class Program:
    """A connection of a program to the room of a rig."""

    def __init__(self, rig: Rig, document: Document) -> None:
        self.rig = rig
        self.document = document
        self.connection = Connection("ws://localhost/", {}, document, "test")
        self.jobs = Jobs()
        self.connection.transport = Wire()  # type: ignore[assignment]
        self.connection.porter = Shifts(self.connection.outbox)  # type: ignore[assignment]
        self.connection.outbox.frame = 0.0
        self.connection.callbacks = self.jobs  # type: ignore[assignment]
        self.key: int | None = None
        self.inbox: deque[Outgoing] = deque()
        self.sent: list[dict[str, Any]] = []

    def open(self) -> None:
        """Connect."""
        self.key = self.rig.join(self, "program")
        self.connection.opened()

    def cut(self) -> None:
        """Lose the connection: what is on the way in is gone."""
        if self.key is not None:
            self.rig.leave(self.key)
            self.key = None
            self.inbox.clear()
            self.connection.lost("cut", None)

    def send(self, count: int | None = None) -> None:
        """Let the room have the next ``count`` messages (None: all)."""
        while self.key is not None and count != 0 and (message := self.connection.next()) is not None:
            self.sent.append(head(message))
            self.rig.receive(self.key, parsed(message))
            count = None if count is None else count - 1

    def read(self, count: int | None = None) -> None:
        """Take the next ``count`` messages of the room (None: all)."""
        while self.inbox and count != 0:
            self.connection.received(parsed(self.inbox.popleft()))
            count = None if count is None else count - 1


class Rig:
    """One room and those who are on it."""

    def __init__(self) -> None:
        self.room = Room(Access("doc", "defaultuser"), 1)
        self.there: dict[int, Any] = {}
        self.records: list[Record] = []
        self._keys = 0

    def program(self, document: Document, *, push: bool = False) -> Program:
        """A program with ``document``, which replaces the stored one (``push``) or is made from it."""
        program = Program(self, document)
        program.connection.start(push=push)
        program.open()
        self.settle()
        return program

    def viewer(self) -> list[dict[str, Any]]:
        """A page that only listens; the messages it gets, as JSON."""
        inbox: deque[Outgoing] = deque()
        page = _Page(inbox)
        key = self.join(page, "viewer")
        self.receive(key, parsed(outgoing("PULL-DOC-REQ", b"{}", msgid="1")))
        page.key = key
        return page.seen

    def say(self, events: list[Any], kind: Kind = "viewer") -> None:
        """A patch from a page (or a stock program) that leaves again."""
        key = self.join(_Page(deque()), kind)
        content = orjson.dumps({"events": events})
        self.receive(key, parsed(outgoing("PATCH-DOC", content, msgid="1")))
        self.leave(key)

    def join(self, who: Any, kind: Kind) -> int:
        """A new socket."""
        self._keys += 1
        self.there[self._keys] = who
        self._do(self.room.receive(Joined(self._keys, kind, ACTOR)))
        return self._keys

    def leave(self, key: int) -> None:
        """A socket is closed."""
        del self.there[key]
        self._do(self.room.receive(Left(key)))

    def receive(self, key: int, message: Message) -> None:
        """A message came to the room."""
        self._do(self.room.receive(Received(key, [message], 0.0)))

    def restart(self) -> None:
        """The server is killed and started again: all sockets are cut, the room comes from its log."""
        for who in list(self.there.values()):
            if isinstance(who, Program):
                who.cut()
        self.there.clear()
        self.room = Room.restore(Access("doc", "defaultuser"), Stored(None, {}, list(self.records)))

    def settle(self) -> None:
        """Let everything that is under way arrive, until nothing moves any more."""
        programs = [who for who in self.there.values() if isinstance(who, Program)]
        for _ in range(50):
            self._do(self.room.receive(Tick(0.0)))
            for program in programs:
                program.connection._pulls = (-100.0, 0.0)
                program.send()
                program.read()
                program.jobs.work()
        for program in programs:
            assert not program.inbox
            assert not program.jobs.jobs
            assert program.connection.outbox.acknowledged == program.connection.outbox.last

    @property
    def state(self) -> dict[str, Any]:
        """The room's document, as bokeh reads it."""
        content, buffers = self.room.document.encode()
        serialized = Serialized(orjson.loads(content), [Buffer(ID(name), payload) for name, payload in buffers])
        return state(Document.from_json(serialized))

    def _do(self, effects: list[Any]) -> None:
        todo = deque(effects)
        while todo:
            match todo.popleft():
                case Send(to, message):
                    for key in to:
                        if key in self.there:
                            self.there[key].inbox.append(message)
                case Append(record):
                    self.records.append(record)
                    todo.extend(self.room.receive(Appended(record.seq)))
                case Close(key):
                    if isinstance(who := self.there.get(key), Program):
                        who.cut()
                case _:
                    pass


class _Page:
    """Any other socket: keeps what it is sent."""

    def __init__(self, inbox: deque[Outgoing]) -> None:
        self.inbox = inbox
        self.key = 0

    @property
    def seen(self) -> list[dict[str, Any]]:
        return [head(message) for message in self.inbox]


def parsed(message: Outgoing) -> Message:
    """A message as its receiver gets it."""
    assembler = Assembler()
    for part in message.parts:
        found = assembler.receive(part if isinstance(part, str) else bytes(part))
    assert found is not None
    return found


def head(message: Outgoing) -> dict[str, Any]:
    """Type and content of a message."""
    header, _, content, *_ = message.parts
    return {"type": orjson.loads(header)["msgtype"], "number": orjson.loads(header).get("number"),
            "content": orjson.loads(content)}  # fmt: skip


def state(document: Document) -> dict[str, Any]:
    """All that a reader of a bokeh document sees: every attribute of every model, defaults included."""
    models = {
        model.id: {
            name: plain(canonical(model.lookup(name).get_value(model)))
            for name in model.properties()
            if model.lookup(name).serialized and name not in UNSET
        }
        for model in document.models
    }
    return {"roots": [root.id for root in document.roots], "title": document.title, "models": models}


UNSET = {"value_throttled"}


def plain(value: Any) -> Any:
    """A canonical value to compare with ``==``."""
    if isinstance(value, np.ndarray):
        return [repr(float(item)) for item in value.ravel()]
    if isinstance(value, dict) and value.get("type") == "number":
        return repr(float(value["value"]))
    if isinstance(value, dict):
        entries = value.get("entries")
        if value.get("type") == "set" and entries is not None:
            return {"set": sorted(map(str, entries))}
        if value.get("type") == "map" and entries is not None:
            return {"map": {str(plain(key)): plain(item) for key, item in entries}}
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return repr(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value
