"""Clients of a room for the model tests: each has a copy of the document and behaves as the real one does.

``Page`` is the frame's script (``web/static/link.js`` with ``pending.js`` and ``reconcile.js``) over a ``Browser``
document: pending patches, the rule that a pending value stays, doubts that are looked up, RESUME, RESYNC, pulls.
``StockPage`` is BokehJS without it. ``Program`` is our client library itself (``client.connection``) without its
threads and its socket. Nothing here waits: a ``World`` carries the messages and says when timers fire.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Literal
from unittest import mock

import orjson
from bokeh.document import Document as BokehDocument

from bokeh_server.client.connection import Connection
from bokeh_server.core.wire import Assembler, Header, Message, Outgoing
from tests.model.browser import Browser, Thrown
from tests.model.canonical import Flat, compare, differences

Event = dict[str, Any]
Key = tuple[str, ...]
Kind = Literal["viewer", "program"]


class Replica:
    """What a ``World`` needs of a client."""

    kind: Kind = "viewer"
    name = "stock"
    """Its own id over its connections."""
    seq: int | None = None
    """The seq up to which its copy goes, as it would say in RESUME."""
    acknowledged: AbstractSet[int] = frozenset()
    """The rows that it streamed, as far as the server has acknowledged them."""

    def opened(self) -> None:
        """A new socket is open."""

    def lost(self) -> None:
        """The socket is gone."""

    def received(self, message: Message) -> bool:
        """A message came; False where the client closes the socket for it."""
        raise NotImplementedError

    def outgoing(self) -> list[Message]:
        """What it sends now."""
        raise NotImplementedError

    def timers(self) -> None:
        """Everything it waits for by the clock happens."""

    @property
    def busy(self) -> bool:
        """Whether it waits for an answer or a timer."""
        raise NotImplementedError

    @property
    def settled(self) -> bool:
        """Whether it has a document, and nothing of its own that the log may not have."""
        return not self.busy

    def forgive(self) -> None:
        """A backup was restored: what was acknowledged may be gone."""

    def against(self, truth: Flat) -> list[str]:
        """What differs between its copy and the document."""
        raise NotImplementedError


def message_of(outgoing: Outgoing) -> Message:
    """A message as the other side assembles it."""
    assembler = Assembler()
    for part in outgoing.parts:
        message = assembler.receive(part if isinstance(part, str) else bytes(part))
    assert message is not None
    return message


def touched(event: Event) -> list[Key]:
    """What an event changes (``pending.js``)."""
    match event["kind"]:
        case "ModelChanged":
            model, attr = event["model"]["id"], event["attr"]
            return [(model, "data"), ("columns", model)] if attr == "data" else [(model, attr)]
        case "ColumnDataChanged" | "ColumnsStreamed" | "ColumnsPatched":
            return [("columns", event["model"]["id"])]
        case "RootAdded" | "RootRemoved":
            return [("roots",)]
        case "TitleChanged":
            return [("title",)]
    return []


@dataclass
class Pending:
    """One own patch that is not acknowledged."""

    events: list[Event]
    number: int | None = None
    sent: bool = False
    token: int | None = None

    @property
    def content(self) -> bytes:
        """Its JSON."""
        return orjson.dumps({"events": self.events})

    @property
    def plain(self) -> bool:
        """Whether it may be merged with the next."""
        simple = b'"type":"object"' not in self.content
        return simple and self.token is None and all(event["kind"] == "ModelChanged" for event in self.events)

    @property
    def touches(self) -> set[Key]:
        """What it changes."""
        return {key for event in self.events for key in touched(event)}


@dataclass(eq=False)
class Page(Replica):
    """The frame's script."""

    name: str = "page"
    pending_rule: bool = True
    """Off in a mutant: remote changes overwrite what is pending."""
    frames: bool = False
    """Whether it asks for one message a frame, as a page does."""
    browser: Browser | None = None
    epoch: int | None = None
    seq: int | None = None
    stale: bool = True
    live: bool = False
    pending: list[Pending] = field(default_factory=list)
    acknowledged: set[int] = field(default_factory=set)
    _last: int = 0
    _requests: dict[str, set[Key] | None] = field(default_factory=dict)
    _queue: list[Message] | None = None
    _doubts: set[Key] = field(default_factory=set)
    _repull: bool = False
    _settle: bool = False
    _out: list[Message] = field(default_factory=list)
    _msgid: int = 0

    # What happens

    def opened(self) -> None:
        self._out.clear()

    def lost(self) -> None:
        self.live = False
        for keys in self._requests.values():
            self._doubts |= keys or set()
        self._requests.clear()
        self._out.clear()
        for patch in self.pending:
            patch.sent = False

    def received(self, message: Message) -> bool:
        content = message.content
        match message.header.msgtype:
            case "ACK":
                epoch, seq = (None, None) if self.stale else (self.epoch, self.seq)
                resume = {"client": self.name, "epoch": epoch, "seq": seq, "answers": False, "frames": self.frames}
                self._send("RESUME", resume)
            case "RESUMED":
                self._resumed(orjson.loads(content))
            case "PULL-DOC-REPLY":
                self._pulled(message)
            case "PATCH-DOC":
                self._patched(message)
            case "OK":
                self._ok(message)
            case "ERROR":
                return self._refused(message.header)
            case "RESYNC":
                self._pull()
        return True

    def outgoing(self) -> list[Message]:
        out, self._out = self._out, []
        return out

    def timers(self) -> None:
        if self._queue is not None:
            self._shown()
        if self._repull:
            self._repull = False
            if self.stale:
                self._pull()
        if self._settle:
            self._settle = False
            self._look()

    @property
    def busy(self) -> bool:
        return bool(self.pending or self._requests or self._queue is not None or self._repull or self._settle)

    @property
    def settled(self) -> bool:
        return not (self.busy or self.stale or self._doubts)

    def against(self, truth: Flat) -> list[str]:
        return ["it has no document"] if self.browser is None else compare(truth, self.browser.flat())

    def forgive(self) -> None:
        self.acknowledged.clear()

    # What a person does

    def change(self, events: list[Event], token: int | None = None) -> None:
        """Change the document here, and tell the server."""
        content = orjson.dumps({"events": events})
        if self.browser is not None:
            self.browser.apply(content, ())
            self._add(Pending(events, token=token))

    def mistake(self, events: list[Event]) -> None:
        """Tell the server something that it can't take."""
        self._add(Pending(events))

    def _add(self, patch: Pending) -> None:
        last = self.pending[-1] if self.pending else None
        if last is not None and last.number is None and last.plain and patch.plain:
            merged = {touched(event)[0]: event for event in last.events}
            for event in patch.events:
                merged.pop(touched(event)[0], None)
                merged[touched(event)[0]] = event
            last.events = list(merged.values())
        else:
            self.pending.append(patch)
        self._flush()

    # As in link.js

    def _send(self, msgtype: str, content: Any) -> str:
        self._msgid += 1
        self._out.append(Message(Header(str(self._msgid), msgtype), orjson.dumps(content)))
        return str(self._msgid)

    def _settled(self, number: int) -> int:
        gone = [patch for patch in self.pending if patch.number is not None and patch.number <= number]
        self.pending = [patch for patch in self.pending if patch not in gone]
        self.acknowledged |= {patch.token for patch in gone if patch.token is not None}
        return len(gone)

    def _resumed(self, content: dict[str, Any]) -> None:
        unheard = self._settled(content["number"])
        missed = content["seq"] != self.seq
        self.live, self.epoch = True, content["epoch"]
        if content["fresh"] or (unheard and (missed or self._queue is not None)):
            self._pull()
        else:
            self._flush()
        self._check()

    def _pull(self) -> None:
        self.stale = True
        if self.live and self._queue is None and None not in self._requests.values():
            self._requests[self._send("PULL-DOC-REQ", {})] = None

    def _pulled(self, message: Message) -> None:
        keys = self._requests.pop(str(message.header.reqid), set())
        if keys is None:
            self._replace(message)
        elif keys and not self.stale:
            self._look_up(keys, message)

    def _replace(self, message: Message) -> None:
        self.browser = Browser(message.content, message.buffers)
        self.epoch, self.seq, self.stale = message.header.epoch, message.header.seq, False
        self._doubts.clear()
        for patch in list(self.pending):
            events = [event for event in patch.events if event["kind"] != "MessageSent"]
            try:
                self.browser.apply(orjson.dumps({"events": events}), ())
            except (Thrown, KeyError, IndexError):
                self.pending.remove(patch)
        self._queue = []
        self._flush()

    def _shown(self) -> None:
        queue, self._queue = self._queue or [], None
        for message in queue:
            if message.header.msgtype == "OK":
                self._acknowledged(message.header.number or 0)
            else:
                self._apply(message)
        if self.stale:
            self._pull()

    def _patched(self, message: Message) -> None:
        if self.stale:
            return
        if message.header.seq is not None:
            self.seq = message.header.seq
        if self._queue is not None:
            self._queue.append(message)
        else:
            self._apply(message)

    def _apply(self, message: Message) -> None:
        assert self.browser is not None
        content = orjson.loads(message.content)
        touches = set().union(*(patch.touches for patch in self.pending)) if self.pending_rule else set()
        doubts: set[Key] = set()
        for at, event in enumerate(content["events"]):
            overruled = event["kind"] == "ModelChanged" and (event["model"]["id"], event["attr"]) in touches
            if overruled or (event["kind"] == "TitleChanged" and ("title",) in touches):
                content["events"][at] = {"kind": "MessageSent", "msg_type": "overruled", "msg_data": event.get("new")}
            else:
                doubts.update(key for key in touched(event) if key in touches)
        try:
            self.browser.apply(orjson.dumps(content), message.buffers)
            self._doubts |= doubts
        except (Thrown, KeyError, IndexError):
            self.stale = self._repull = True

    def _ok(self, message: Message) -> None:
        number, seq = message.header.number, message.header.seq
        if number is None:
            return
        if seq is not None and not self.stale:
            self.seq = seq
        if self._queue is not None:
            self._queue.append(message)
        else:
            self._acknowledged(number)

    def _acknowledged(self, number: int) -> None:
        self._settled(number)
        self._flush()
        self._check()

    def _refused(self, header: Header) -> bool:
        if header.reqid in self._requests:
            del self._requests[header.reqid]
            return False
        self.pending = [patch for patch in self.pending if patch.number is None or patch.number != header.number]
        self.stale = True
        return True

    def _flush(self) -> None:
        if not self.live or self.stale:
            return
        for patch in self.pending:
            if not patch.sent:
                if patch.number is None:
                    self._last += 1
                    patch.number = self._last
                patch.sent = True
                self._msgid += 1
                header = Header(str(self._msgid), "PATCH-DOC", number=patch.number)
                self._out.append(Message(header, patch.content))

    def _check(self) -> None:
        if self._doubts and not self.pending:
            self._settle = True

    def _look(self) -> None:
        touches: set[Key] = set().union(*(patch.touches for patch in self.pending))
        keys = {key for key in self._doubts if key not in touches}
        if not keys or not self.live or self.stale:
            return
        self._doubts -= keys
        if ("roots",) in keys:
            self._pull()
        else:
            self._requests[self._send("PULL-DOC-REQ", {})] = keys

    def _look_up(self, keys: set[Key], message: Message) -> None:
        assert self.browser is not None
        copy = Browser(message.content, message.buffers)
        for key, (_, attributes) in copy.models.items():
            if ("columns", key) in keys and key in self.browser.models:
                self.browser.models[key][1]["data"] = attributes.get("data", {})
        for patch in self.pending:
            events = [event for event in patch.events if keys & set(touched(event))]
            self.browser.apply(orjson.dumps({"events": events}), ())


@dataclass(eq=False)
class StockPage(Replica):
    """BokehJS alone: it pulls once, applies what comes, and pulls again on a new socket."""

    kind: Kind = "viewer"
    browser: Browser | None = None
    _out: list[Message] = field(default_factory=list)
    _waiting: bool = False

    def opened(self) -> None:
        self.browser = None
        self._out.clear()

    def lost(self) -> None:
        self._waiting = False

    def received(self, message: Message) -> bool:
        match message.header.msgtype:
            case "ACK":
                self._out.append(Message(Header("1", "PULL-DOC-REQ"), b"{}"))
                self._waiting = True
            case "PULL-DOC-REPLY":
                self.browser = Browser(message.content, message.buffers)
                self._waiting = False
            case "PATCH-DOC" if self.browser is not None:
                self.browser.apply(self.understood(message.content), message.buffers)
        return True

    def understood(self, content: bytes) -> bytes:
        """A patch as this kind of client understands it."""
        if self.kind == "viewer":
            return content
        events = orjson.loads(content)["events"]
        return orjson.dumps({"events": [{**event, "cols": None} for event in events]})  # bokeh.client's fault

    def outgoing(self) -> list[Message]:
        out, self._out = self._out, []
        return out

    @property
    def busy(self) -> bool:
        return self._waiting

    @property
    def settled(self) -> bool:
        return self.browser is not None

    def against(self, truth: Flat) -> list[str]:
        return ["it has no document"] if self.browser is None else compare(truth, self.browser.flat())


class Inline:
    """The callback thread of ``Connection``, without a thread: jobs run when their turn comes."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], object]] = []

    def put(self, job: Callable[[], object], size: int = 0) -> None:
        """Take a job."""
        self.jobs.append(job)

    def run(self) -> None:
        """Do all that waits."""
        while self.jobs:
            self.jobs.pop(0)()

    def notify(self) -> None:
        """Nobody waits."""

    def stop(self) -> None:
        """Nothing runs."""


class Silent:
    """The transport of ``Connection``, without a socket."""

    def __init__(self, *ignored: object) -> None:
        pass

    def wake(self) -> None:
        """The world asks by itself."""

    def hurry(self) -> None:
        """There is no time here."""


class Program(Replica):
    """Our client library, over a real bokeh document."""

    kind = "program"

    def __init__(self, name: str) -> None:
        self.name = name
        self.document = BokehDocument()
        with mock.patch("bokeh_server.client.connection.Transport", Silent):
            self.connection = Connection("ws://nowhere", {}, self.document, "test")
        self.inline = Inline()
        self.connection.callbacks = self.inline  # type: ignore[assignment]
        self.connection.outbox.frame = 0.0  # there is no time here
        self.connection.dialogue.client = name
        self.connection.replica.attach()
        self.tokens: dict[int, int] = {}
        """The number of the patch that carries each token."""

    def opened(self) -> None:
        self.connection.opened()

    def lost(self) -> None:
        self.connection.lost("cut")

    def received(self, message: Message) -> bool:
        if message.header.msgtype == "ERROR":
            flying = [entry for entry in self.connection.outbox._flying if entry.number == message.header.number]
            refused = {number for entry in flying for number in range(entry.since, entry.number + 1)}
            self.tokens = {token: number for token, number in self.tokens.items() if number not in refused}
        self.connection.received(message)
        return True

    def outgoing(self) -> list[Message]:
        out = []
        self.connection._pulls = (0.0, 0.0)  # pauses are the clock's, and there is none
        while (message := self.connection.next()) is not None:
            out.append(message_of(message))
        return out

    def timers(self) -> None:
        self.inline.run()

    def push(self) -> None:
        """Send the whole document in the place of all that has not left: rows that rolled over here go with it."""
        outbox = self.connection.outbox
        waiting = {
            number for each in (*outbox._again, *outbox.backlog) for number in range(each.since, each.number + 1)
        }
        self.tokens = {token: number for token, number in self.tokens.items() if number not in waiting}
        self.connection.replica.push()

    def streamed(self, token: int) -> None:
        """Rows were streamed, ``token`` the last of them. Those that rolled over here need not have been sent."""
        here = {*self.document.get_model_by_id("s").data["x"]}  # type: ignore[arg-type, union-attr]
        self.tokens = {token: number for token, number in self.tokens.items() if token in here}
        self.tokens[token] = self.connection.outbox.last

    @property
    def busy(self) -> bool:
        outbox, dialogue = self.connection.outbox, self.connection.dialogue
        waits = self.inline.jobs or dialogue.pulling or self.connection._doubt is not None
        return bool(waits or outbox.acknowledged < outbox.last)

    @property
    def seq(self) -> int | None:  # type: ignore[override]
        """The seq of the document here."""
        return self.connection.dialogue.seq

    def forgive(self) -> None:
        self.tokens.clear()

    @property
    def acknowledged(self) -> set[int]:  # type: ignore[override]
        """The rows that the server has acknowledged."""
        return {token for token, number in self.tokens.items() if number <= self.connection.outbox.settled}

    def against(self, truth: Flat) -> list[str]:
        return differences(truth, self.document)
