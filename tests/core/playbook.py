"""A room as a transcript: what happens goes in, what the room wants done comes out as short lines.

    book = Playbook()
    book.joins(1, "program", resume="prog-one")
    assert book.patches(1, change("w", value=5), number=1) == ["append 1"]
    assert book.appended() == ["1 <- OK seq=1 number=1"]

Whatever leaves the room is also kept by receiver, opened (``book.got(2)``); and no line can pass that tells of a
patch which the store does not have: the book fails at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from bokeh_server.core import Buffers
from bokeh_server.core.apply import Applied, Origin, apply
from bokeh_server.core.authorise import DEFAULT_USER, Access, Actor, Role
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
    Kind,
    Left,
    NextFrame,
    Noticed,
    Paused,
    Reading,
    Received,
    Revoked,
    Rights,
    Send,
    Submitted,
    TakeSnapshot,
    Tick,
    Wake,
    Work,
)
from bokeh_server.core.log import Record, Stored
from bokeh_server.core.room import Room
from bokeh_server.core.thinning import Choice
from bokeh_server.core.wire import Assembler, Header, Message, Outgoing
from bokeh_server.errors import BokehServerError, ServerFault
from bokeh_server.limits import LIMITS, Limits

Json = dict[str, Any]


# Documents and patches


def model(name: str, key: str, /, **attributes: Any) -> Json:
    """The definition of a model."""
    return {"type": "object", "name": name, "id": key, "attributes": attributes}


def ref(key: str) -> Json:
    return {"id": key}


def data(**columns: Any) -> Json:
    """Columns as Bokeh writes them."""
    return {"type": "map", "entries": [list(entry) for entry in columns.items()]}


def doc(*roots: Json, **more: Any) -> bytes:
    """A document's JSON."""
    return orjson.dumps({"version": "3.9.2", "title": "t", "roots": roots, **more})


SOURCE = model("ColumnDataSource", "s", data=data(x=[1, 2], y=[3, 4]))
DOCUMENT = doc(model("Column", "c", children=[model("Slider", "w", value=1), SOURCE]))
"""A column ``c`` with a slider ``w`` and a source ``s`` that has the columns x and y."""


def patch(*events: Json) -> bytes:
    """The content of a PATCH-DOC."""
    return orjson.dumps({"events": events})


def changed(key: str, attribute: str, new: Any) -> Json:
    return {"kind": "ModelChanged", "model": ref(key), "attr": attribute, "new": new}


def streamed(key: str, rollover: int | None = None, **columns: Any) -> Json:
    return {"kind": "ColumnsStreamed", "model": ref(key), "attr": "data", "data": data(**columns), "rollover": rollover}


def data_changed(key: str, *, cols: list[str] | None = None, **columns: Any) -> Json:
    return {"kind": "ColumnDataChanged", "model": ref(key), "attr": "data", "data": data(**columns), "cols": cols}


def patched(key: str, **changes: Any) -> Json:
    return {"kind": "ColumnsPatched", "model": ref(key), "attr": "data", "patches": data(**changes)}


def added(root: Json) -> Json:
    return {"kind": "RootAdded", "model": root}


def removed(key: str) -> Json:
    return {"kind": "RootRemoved", "model": ref(key)}


def titled(title: str) -> Json:
    return {"kind": "TitleChanged", "title": title}


def clicked(key: str) -> Json:
    values = {"type": "map", "entries": [["model", ref(key)]]}
    event = {"type": "event", "name": "button_click", "values": values}
    return {"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": event}


# A patch on a document


class Case:
    """A document, and the same document at somebody who gets the normal patches."""

    def __init__(self, content: bytes = DOCUMENT, *, limits: Limits = LIMITS) -> None:
        self.document = Document.decode(content, limits=limits)
        self.other = Document.decode(content, limits=limits)

    def apply(self, *events: Json, origin: Origin = "program", buffers: Buffers = (), now: float = 0.0) -> Applied:
        applied = apply(self.document, patch(*events), buffers, origin=origin, now=now)
        if applied.content is not None:
            apply(self.other, applied.content, applied.buffers)
        self.other.grave.clear()
        assert self.other.encode() == self.document.encode()
        return applied

    def value(self, key: str, attribute: str) -> Any:
        return self.document.models[key].attributes[attribute]

    def column(self, name: str, key: str = "s") -> tuple[str, list[Any]]:
        live = self.value(key, "data")[name].live
        return ("list", live) if isinstance(live, list) else (live.dtype.name, live.tolist())


def events(applied: Applied) -> list[Json]:
    """The events of the normal patch."""
    assert applied.content is not None
    found: list[Json] = orjson.loads(applied.content)["events"]
    return found


def messages(applied: Applied) -> list[Json]:
    assert applied.messages is not None
    found: list[Json] = orjson.loads(applied.messages)["events"]
    return found


def array(name: str, dtype: str = "float64", size: int = 2) -> Json:
    """An array in the buffer ``name``."""
    rep = {"type": "bytes", "data": ref(name)}
    return {"type": "ndarray", "array": rep, "dtype": dtype, "shape": [size], "order": "little"}


def numbers(*values: float, dtype: str = "float64") -> bytes:
    return np.array(values, dtype).tobytes()


def forgotten(*models: Json, buffers: Buffers = ()) -> Case:
    """A case whose document had these models a moment ago, and whose viewers have forgotten them."""
    case = Case()
    case.apply(changed("w", "tags", list(models)), buffers=buffers)
    case.apply(changed("w", "tags", []))
    assert {each["id"] for each in models} <= set(case.document.grave)
    return case


# The room


@dataclass
class Letter:
    """One message as its receiver reads it."""

    header: Header
    content: Any
    buffers: Buffers
    raw: bytes
    outgoing: Outgoing

    @property
    def type(self) -> str:
        return self.header.msgtype


@dataclass
class Playbook:
    """A room, its log, and all that left it."""

    limits: Limits = LIMITS
    content: bytes | None = DOCUMENT
    room: Room = field(init=False)
    log: list[Record] = field(init=False, default_factory=list)
    snapshots: list[TakeSnapshot] = field(init=False, default_factory=list)
    letters: list[tuple[int, Letter]] = field(init=False, default_factory=list)
    waits: bool = False
    """Whether what another thread has to do takes until ``done``; or else it is done at once."""
    works: list[Work] = field(init=False, default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        first = [] if self.content is None else [Record.make("doc", 1, 1, "replace", self.content)]
        self.log += first
        access, stored = Access("doc", "defaultuser"), Stored(None, {}, first)
        self.room = Room.restore(access, stored, limits=self.limits, versions=("b", "s"))

    # What happens

    def joins(
        self,
        key: int,
        kind: Kind,
        *,
        resume: str | None = None,
        pull: bool = True,
        actor: Actor = DEFAULT_USER,
        **more: Any,
    ) -> list[str]:
        """A client comes; with ``resume`` it is one of ours. It pulls, unless told otherwise."""
        lines = self.receive(Joined(key, kind, actor))
        if resume is not None:
            lines += self.resumes(key, resume, **more)
        return lines + (self.sends(key, "PULL-DOC-REQ") if pull else [])

    def resumes(self, key: int, client: str, **more: Any) -> list[str]:
        return self.sends(key, "RESUME", orjson.dumps({"client": client, **more}))

    def sends(
        self, key: int, msgtype: str, content: bytes = b"{}", buffers: Buffers = (), *, number: int | None = None
    ) -> list[str]:
        message = Message(Header("m", msgtype, num_buffers=len(buffers), number=number), content, buffers)
        return self.receive(Received(key, [message], self.now))

    def patches(self, key: int, *events: Json, number: int | None = None, buffers: Buffers = ()) -> list[str]:
        return self.sends(key, "PATCH-DOC", patch(*events), buffers, number=number)

    def submits(self, token: int, what: Any, content: bytes, actor: Actor = DEFAULT_USER) -> list[str]:
        return self.receive(Submitted(token, what, content, (), actor, self.now))

    def appended(self, seq: int | None = None) -> list[str]:
        """The store has all up to ``seq``, or all that there is."""
        return self.receive(Appended(self.room.seq if seq is None else seq, self.now))

    def frame(self, now: float) -> list[str]:
        """A frame has ended."""
        self.now = now
        return self.receive(Frame(now))

    def shares(self, *, published: bool = False, **roles: Role) -> list[str]:
        """Who is what to the document has changed: the owner stays."""
        return self.receive(Rights(Access("doc", "defaultuser", published, roles)))

    def revokes(self, lost: Callable[[Actor], bool]) -> list[str]:
        """Actors of whom this is true have lost what they came with."""
        return self.receive(Revoked(lost))

    def fails(self, error: ServerFault) -> list[str]:
        return self.receive(Failed(error))

    def pauses(self, key: int) -> list[str]:
        return self.receive(Paused(key, self.now))

    def drains(self, key: int) -> list[str]:
        return self.receive(Drained(key))

    def leaves(self, key: int) -> list[str]:
        return self.receive(Left(key))

    def ticks(self, now: float | None = None) -> list[str]:
        self.now = self.now if now is None else now
        return self.receive(Tick(self.now))

    def done(self, at: int = 0) -> list[str]:
        """Another thread has done what was the first to do, or another one."""
        work = self.works.pop(at)
        return self.receive(Done(work, work.run))

    # What the room wants

    def receive(self, event: Event) -> list[str]:
        lines = [line for effect in self.room.receive(event) if (line := self._line(effect))]
        while self.works and not self.waits:
            lines += self.done()
        return lines

    def _line(self, effect: Effect) -> str:
        match effect:
            case Append(record):
                assert record.seq == self.log[-1].seq + 1 if self.log else True, "the log has a gap"
                self.log.append(record)
                return f"append {record.seq}"
            case Send(clients, outgoing):
                assert clients, "a message to nobody"
                return f"{','.join(map(str, clients))} <- {self._deliver(clients, outgoing)}"
            case Close(client, code, reason):
                return f"close {client} {code} {reason}"
            case Answer(token, outcome):
                assert isinstance(outcome, BokehServerError) or outcome <= self.room.durable, "too early"
                return f"answer {token}: {outcome.code if isinstance(outcome, BokehServerError) else outcome}"
            case TakeSnapshot(record):
                assert record.seq <= self.room.durable, "too early"
                self.snapshots.append(effect)
                return f"snapshot {record.seq}"
            case Beside(work):
                self.works.append(work)
                about = work.source if isinstance(work, Choice) else "{}-{}".format(*work.span)
                return f"beside: {type(work).__name__.lower()} {about}" if self.waits else ""
            case Reading(client, on):
                return f"{'read' if on else 'stop reading'} {client}"
            case Wake():
                return "wake"
            case NextFrame(after):
                return f"frame in {after * 1000:.0f} ms"
            case Noticed():
                return "noticed"

    def _deliver(self, clients: tuple[int, ...], outgoing: Outgoing) -> str:
        assembler, message = Assembler(), None
        for part in outgoing.parts:
            message = assembler.receive(part)
        assert message is not None
        header = message.header
        content = orjson.loads(message.content)
        seq = content["seq"] if header.msgtype == "RESUMED" else header.seq
        assert (seq or 0) <= self.room.durable, "it tells of a patch that the store does not have"
        letter = Letter(header, content, message.buffers, message.content, outgoing)
        self.letters += [(client, letter) for client in clients]
        about = {
            "since": header.since,
            "seq": seq,
            "number": content["number"] if header.msgtype == "RESUMED" else header.number,
        }
        if header.msgtype in ("ERROR", "RESYNC"):
            about["code"] = content.get("code") or content["reason"]
        return " ".join([header.msgtype, *(f"{key}={value}" for key, value in about.items() if value is not None)])

    # What came of it

    def got(self, key: int, msgtype: str = "PATCH-DOC") -> list[Letter]:
        """The messages of a type that a client got."""
        return [letter for receiver, letter in self.letters if receiver == key and letter.type == msgtype]

    def events(self, key: int) -> list[Json]:
        """The events of all patches that a client got."""
        return [event for letter in self.got(key) for event in letter.content["events"]]

    def value(self, key: str = "w", attribute: str = "value") -> Any:
        """An attribute as the room's document has it."""
        return self.room.document.models[key].attributes[attribute]

    def column(self, name: str, key: str = "s") -> list[Any]:
        return list(self.value(key, "data")[name].live)

    def restarted(self, *, snapshot: TakeSnapshot | None = None) -> Room:
        """The room that another server makes of the log, or of a snapshot and the log after it."""
        if snapshot is None:
            stored = Stored(None, {}, self.log)
        else:
            later = [record for record in self.log if record.seq > snapshot.record.seq]
            stored = Stored(snapshot.whole(), snapshot.clients, later)
        return Room.restore(Access("doc", "defaultuser"), stored, limits=self.limits)


# One room that many transcripts begin with

PROGRAM, VIEWER = "program-one", "viewer-two"
OTHER = orjson.dumps({"doc": {"roots": [model("Slider", "w", value=70)], "title": "other"}})


def live(**more: Any) -> Playbook:
    """A document with a program of ours (1), one of our viewers (2) and a stock viewer (3), all with a copy."""
    book = Playbook(**more)
    book.joins(1, "program", resume=PROGRAM)
    book.joins(2, "viewer", resume=VIEWER)
    book.joins(3, "viewer")
    book.ticks()
    return book


def set_to(value: Any) -> Json:
    return changed("w", "value", value)


def edits(book: Playbook) -> None:
    book.patches(1, streamed("s", 3, x=[5, 6], y=[7, 8]), number=1)
    book.patches(1, changed("c", "children", [ref("w"), model("Div", "d", text="new")]), number=2)
    book.patches(2, set_to(5), number=1)
    book.patches(1, added(ref("s")), titled("u"), removed("s"), number=3)
    book.patches(1, added(ref("s")), number=4)
    book.patches(1, streamed("s", x=[0.5], y=[None]), number=5)
