"""One bokeh document of this program, kept equal to the server's: what changes here goes out, what comes is applied.

A ``Replica`` sees each change of its document in the thread that makes it, before any callback runs, and turns it into
the JSON of a patch at once, as the value is then (plain rows into a copy of them); nothing from the server comes in
between (``steps``). What comes is applied with the replica as setter, so that it does not go back. User callbacks never
run while the document is being changed: they are handed back to the caller, who runs them when the whole patch is in.

Two rules keep all replicas equal (one order, at the server): a remote change of an attribute is skipped while a change
of ours to the same is on its way or held back, since ours comes later; and where order can't be told here (columns,
roots), the document is pulled again once ours has arrived (``on_doubt``).
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol, TypeGuard

import numpy as np
import orjson
from bokeh.core.has_props import is_DataModel
from bokeh.core.serialization import UnknownReferenceError
from bokeh.document import Document
from bokeh.document.callbacks import invoke_with_curdoc
from bokeh.document.events import (
    ColumnDataChangedEvent,
    ColumnsPatchedEvent,
    ColumnsStreamedEvent,
    DocumentChangedEvent,
    DocumentPatchedEvent,
    MessageSentEvent,
    ModelChangedEvent,
    RootAddedEvent,
    RootRemovedEvent,
    TitleChangedEvent,
)
from bokeh.events import ModelEvent
from bokeh.model import Model
from bokeh.models import ColumnDataSource

from bokeh_server.client.changes import ROOTS, TITLE, WHOLE, Entry, EnvelopeType, Key, Reach
from bokeh_server.client.encode import Reader, Writer, data_models, dumps, set_attribute
from bokeh_server.client.rows import Rows, rows_of, rows_of_lists
from bokeh_server.client.steps import MARK, Step, afterwards
from bokeh_server.core import Buffers
from bokeh_server.core.wire import Message
from bokeh_server.errors import BokehServerError, Conflict

log = logging.getLogger("bokeh_server.client")

Callback = Callable[[], object]


class Put(Protocol):
    """Takes a change, and gives it a number; see ``Outbox.put``."""

    def __call__(
        self,
        msgtype: EnvelopeType,
        content: bytes = ...,
        buffers: Buffers = ...,
        *,
        keys: frozenset[Key] = ...,
        models: frozenset[str] = ...,
        rows: Rows | None = ...,
        reach: Reach = ...,
    ) -> int: ...


LIVED: weakref.WeakSet[Document] = weakref.WeakSet()
"""The documents that are, or were, live."""


class Replica:
    """``document``, kept equal to the server's.

    ``put`` takes each change of ours. ``on_doubt`` is called with a number of ours, when the document must be pulled
    again after that has arrived.
    """

    def __init__(self, document: Document, put: Put, on_doubt: Callable[[int], None]) -> None:
        self.document = document
        self.lock = threading.RLock()
        """Held while the document is changed: from outside, or here and until that is written down."""
        self.known: set[str] = set()
        """Ids of the models of this document that the server has as well."""
        self.own: dict[Key, int] = {}
        """The number of our last change of each thing."""
        self.defs: set[type] | None = None
        """The ``DataModel`` classes that the server's document defines; None where that was neither sent nor come."""
        self._put = put
        self._pushed = 0
        self._attached = False
        self.on_doubt = on_doubt
        self._seen: weakref.WeakValueDictionary[str, Model] = weakref.WeakValueDictionary()
        self._step = Step(self.lock)
        self._released: list[DocumentPatchedEvent] = []
        self._deferred: list[Callback] | None = None
        self._applying: int | None = None

    # What changes here

    def attach(self) -> None:
        """Watch the document from now on; ``Conflict`` where another session does."""
        callbacks, models = self.document.callbacks, self.document.models
        if is_live(self.document):
            raise Conflict("This document is live in another session already; close that session first.")
        vars(callbacks).pop("trigger_on_change", None)  # of a session that a fork has left
        trigger, recompute, unhold = callbacks.trigger_on_change, models.recompute, callbacks.unhold
        self._attached = True
        LIVED.add(self.document)

        def trigger_on_change(event: DocumentChangedEvent) -> None:
            self._triggered(event, trigger)

        def remember() -> None:
            self._seen.update({model.id: model for model in models})

        def recompute_under_lock() -> None:
            with self.lock:
                recompute()
                self.known &= models._models.keys()
                remember()

        def unhold_in_one_step() -> None:
            with self._step:
                self._released = self._held
                try:
                    unhold()
                finally:
                    self._released = []

        remember()
        vars(callbacks).update(trigger_on_change=trigger_on_change, unhold=unhold_in_one_step)
        vars(models)["recompute"] = recompute_under_lock
        vars(self.document)[MARK] = self._step

    def detach(self) -> None:
        """Let go of the document, where it is ours."""
        if not self._attached:
            return
        self._attached = False
        for name in ("trigger_on_change", "unhold"):
            vars(self.document.callbacks).pop(name, None)
        vars(self.document.models).pop("recompute", None)
        vars(self.document).pop(MARK, None)

    def abandon(self, why: BokehServerError) -> None:
        """Let go in a forked process, and say ``why`` once, when the document is changed in it."""
        self.detach()
        callbacks = self.document.callbacks

        def trigger_on_change(event: DocumentChangedEvent) -> None:
            del vars(callbacks)["trigger_on_change"]
            log.warning("A change was not sent: %s", why)
            callbacks.trigger_on_change(event)

        vars(callbacks)["trigger_on_change"] = trigger_on_change

    def _triggered(self, event: DocumentChangedEvent, trigger: Callable[[DocumentChangedEvent], None]) -> None:
        if self._applying == threading.get_ident() and self._deferred is not None:
            self._deferred.append(partial(trigger, event))
            return
        with self._step:
            if self.document.callbacks.hold_value:
                trigger(event)  # which only keeps it
                return
            if self._is_ours(event):
                try:
                    self._changed(event)
                except Exception:  # it can't be sent: the program is told, and what is here becomes the server's again
                    self.on_doubt(0)
                    raise
            afterwards(partial(trigger, event))

    def _is_ours(self, event: DocumentChangedEvent) -> TypeGuard[DocumentPatchedEvent]:
        """Whether the server must hear of it."""
        setter: object = event.setter
        return isinstance(event, DocumentPatchedEvent) and setter is not self

    def _changed(self, event: DocumentPatchedEvent) -> None:
        if isinstance(event, ColumnsStreamedEvent) and self._streamed(event):
            return
        written = self._write(event)
        if written is None:
            return
        rep, key, writer = written
        number = self._send([rep], writer, {key} if key else set(), reach_of(event, rep, writer))
        if is_odd(event):
            self.on_doubt(number)

    def _streamed(self, event: ColumnsStreamedEvent) -> bool:
        """Send rows that are lists of plain values, which is most of what programs do; whether these were."""
        key = (event.model.id, event.attr)
        rows = rows_of_lists(key[0], event.data, event.rollover) if key[1] == "data" and key[0] in self.known else None
        if rows is None:
            return False
        self.own[key] = number = self._put("PATCH-DOC", keys=frozenset((key,)), rows=rows, reach="part")
        if is_odd(event):
            self.on_doubt(number)
        return True

    def _send(self, events: list[Any], writer: Writer, keys: set[Key], reach: Reach = "any") -> int:
        if self._lacks(writer):
            number = self.push()
            if keys:  # or else it is a message, which no document holds
                return number
        rows = rows_of(events[0]) if reach == "part" and events[0]["kind"] == "ColumnsStreamed" else None
        content = dumps({"events": events}) if rows is None else b""
        buffers = writer.payloads() if rows is None else ()
        about, models = frozenset(keys), frozenset(writer.written)
        number = self._put("PATCH-DOC", content, buffers, keys=about, models=models, rows=rows, reach=reach)
        self.known.update(writer.written)
        self.own.update(dict.fromkeys(keys, number))
        self.own.update(((name, WHOLE), number) for name in writer.written)
        self._told(lambda key: key[0] in writer.written)
        return number

    def _lacks(self, writer: Writer) -> bool:
        """Whether what was written has classes that only a whole document can bring."""
        if self.defs is None:  # what is here is not the document yet
            return False
        new = writer.kinds - self.defs
        return any(map(is_DataModel, new)) and not new.isdisjoint(data_models().values())

    @property
    def _held(self) -> list[DocumentPatchedEvent]:
        """Our changes that ``document.hold()`` keeps back, or that ``unhold()`` is about to let go."""
        return [event for event in (*self.document.callbacks._held_events, *self._released) if self._is_ours(event)]

    def held(self) -> list[Entry]:
        """Our changes that ``document.hold()`` keeps back, as they would be sent now, without numbers."""
        entries = []
        for event in self._held:
            try:
                written = self._write(event)
                if written is not None and written[1] is not None:
                    content, buffers = dumps({"events": [written[0]]}), written[2].payloads()
                    entries.append(Entry(0, "PATCH-DOC", content, buffers, frozenset({written[1]})))
            except Exception as error:  # noqa: BLE001 - bokeh raises anything; unhold() does, where the program sees it
                log.debug("What is held back can't be written: %s", error)
        return entries

    def _told(self, what: Callable[[Key], bool]) -> None:
        """The server has been told of ``what`` as it is now: what is held back of it need not be sent any more."""
        for event in self._held:
            key = about(event)
            if key is not None and what(key):
                event.setter = self  # type: ignore[assignment]

    def _write(self, event: DocumentPatchedEvent) -> tuple[Any, Key | None, Writer] | None:
        """The JSON of an event and what it is about; None where the server need not hear of it."""
        writer = Writer(self.known)
        match event:
            case RootAddedEvent() | RootRemovedEvent() | TitleChangedEvent() | MessageSentEvent():
                return event.to_serializable(writer), about(event), writer
            case ModelChangedEvent() | ColumnDataChangedEvent() | ColumnsStreamedEvent() | ColumnsPatchedEvent():
                if event.model.id not in self.known:
                    return self._write_owner(event.model, writer)
                if isinstance(event, ModelChangedEvent):
                    return self._write_attribute(event.model, event.attr, writer), about(event), writer
                return event.to_serializable(writer), about(event), writer
        return None

    def _write_attribute(self, model: Model, name: str, writer: Writer) -> Any:
        """A ModelChanged event with what the attribute is now: two threads that set it agree on the last one."""
        value = model.lookup(name).get_value(model)
        return {"kind": "ModelChanged", "model": model.ref, "attr": name, "new": writer.encode(value)}

    def _write_owner(self, model: Model, writer: Writer) -> tuple[Any, Key, Writer] | None:
        """Bring a model that the server does not have because it is only the default of an attribute.

        Any other model that the server lacks comes with the event that put it into the document.
        """
        for owner in list(self.document.models):
            for name, value in owner._unstable_default_values.items():
                if value is model or (isinstance(value, list) and any(item is model for item in value)):
                    if owner.id in self.known:
                        return self._write_attribute(owner, name, writer), (owner.id, name), writer
                    return self._write_owner(owner, writer)
        return None

    def push(self) -> int:
        """Send the whole document as it is now; its number."""
        with self.lock:
            defs = set(data_models().values())
            serialized = self.document.to_json()
            buffers = tuple((buffer.id, buffer.to_bytes()) for buffer in serialized.buffers)
            known = frozenset(model.id for model in self.document.models)
            content = dumps({"doc": serialized.content})
            self._pushed = self._put("PUSH-DOC", content, buffers, models=known)
            self.known, self.defs = set(known), defs
            self._told(lambda key: True)
            return self._pushed

    def store(self, models: Iterable[Model]) -> None:
        """Send the whole data of the sources among ``models``, as one patch, though nothing was assigned."""
        with self.lock:
            writer = Writer(self.known)
            sources = [m for m in models if isinstance(m, ColumnDataSource) and m.id in self.known]
            events = [ColumnDataChangedEvent(self.document, s, "data").to_serializable(writer) for s in sources]
            keys: set[Key] = {(source.id, "data") for source in sources}
            if events:
                self._send(events, writer, keys)
                self._told(keys.__contains__)

    # What comes from the server

    def find(self, name: str) -> Model | None:
        """The model of this document with the id ``name``."""
        return self.document.models.get_by_id(name)  # type: ignore[arg-type]

    def reuse(self, name: str) -> Model | None:
        """A model of this id that is, or was, in this document."""
        return self.find(name) or self._seen.get(name)

    def settle(self, reader: Reader, acknowledged: int) -> None:
        """The server has the models that were read. What we change in one that had left and comes back is in doubt."""
        self.known.update(model.id for model in reader.defined if model.document is self.document)
        if reader.renewed:
            ours = (number for (name, _), number in self.own.items() if name in reader.renewed)
            if (last := max(ours, default=0)) > acknowledged:
                self.on_doubt(last)

    def forget(self, acknowledged: int) -> None:
        """Forget which changes of ours the server had up to a number: every patch from before it has been applied."""
        with self.lock:
            self.own = {key: number for key, number in self.own.items() if number > acknowledged}

    def apply(self, message: Message, acknowledged: int) -> list[Callback]:
        """Apply a patch of another client; what to run afterwards (callbacks of the user).

        ``acknowledged`` is the last of our numbers that the server had before this patch. Raises nothing that a patch
        can cause: what can't be applied is logged, or pulled again.
        """
        with self.applying() as deferred:
            reader = Reader(self.find, self.reuse, message.buffers, setter=self)
            held = {about(event) for event in self._held}
            replaced = self._pushed > acknowledged  # by a whole document of ours, which comes later in the one order
            for event in orjson.loads(message.content)["events"]:
                if not replaced or event["kind"] == "MessageSent":
                    self._apply(reader, event, acknowledged, held)
            self.settle(reader, acknowledged)
        return deferred

    @property
    def answers(self) -> bool:
        """Whether the document has callbacks of this program."""
        callbacks = self.document.callbacks
        handlers = (handler for handlers in callbacks._message_callbacks.values() for handler in handlers)
        return (
            any(model._callbacks or any(model._event_callbacks.values()) for model in list(self.document.models))
            or any(callbacks._event_callbacks.values())
            or any(handler != callbacks.trigger_event for handler in handlers)
        )

    def applying(self) -> _Applying:
        """Hold the lock and keep callbacks back: ``with replica.applying() as callbacks``."""
        return _Applying(self)

    def _apply(self, reader: Reader, event: dict[str, Any], acknowledged: int, held: set[Key | None]) -> None:
        try:
            self._apply_event(reader, event, acknowledged, held)
        except UnknownReferenceError as error:
            log.debug("A patch names model %s, which is not here", error.id)
            self.on_doubt(0)
        except Exception as error:  # noqa: BLE001 - bokeh raises anything on values that it does not like
            log.debug("A patch does not fit what is here (%s): %s", event.get("kind"), error)
            self.on_doubt(0)

    def _apply_event(self, reader: Reader, event: dict[str, Any], acknowledged: int, held: set[Key | None]) -> None:
        kind = event["kind"]
        key = key_of(event)
        if key is not None and (defined := self.own.get((key[0], WHOLE), 0)) > acknowledged:
            self.on_doubt(defined)
            return
        if key is not None and (key in held or self.own.get(key, 0) > acknowledged):
            if key == TITLE or (kind == "ModelChanged" and key[1] != "data"):
                return
            self.on_doubt(self.own.get(key, 0))
        decoded = reader.read(event)
        if kind == "MessageSent":
            assert self._deferred is not None
            self._deferred.append(partial(self._receive, decoded["msg_type"], decoded.get("msg_data")))
        elif kind == "RootAdded":
            self.document.add_root(decoded["model"], setter=self)  # type: ignore[arg-type]
        elif kind == "RootRemoved":
            self.document.remove_root(decoded["model"], setter=self)  # type: ignore[arg-type]
        elif kind == "TitleChanged":
            self.document.set_title(decoded["title"], setter=self)  # type: ignore[arg-type]
        else:
            assert key is not None
            change(decoded["model"], decoded, self)

    def _receive(self, msg_type: str, data: Any) -> None:
        """Run the callbacks of a message: of a model event also those that were registered late."""
        callbacks = self.document.callbacks
        if isinstance(data, ModelEvent) and data.model is not None:
            callbacks.subscribe(data.event_name, data.model)
        for callback in list(callbacks._message_callbacks.get(msg_type, ())):
            invoke_with_curdoc(self.document, partial(callback, data))


def is_live(document: Document) -> bool:
    """Whether a session has this document now."""
    return MARK in vars(document)


class _Applying:
    """The time in which a replica's document is changed from outside."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def __enter__(self) -> list[Callback]:
        self._replica.lock.acquire()
        self._replica._applying = threading.get_ident()
        deferred: list[Callback] = []
        self._replica._deferred = deferred
        return deferred

    def __exit__(self, *error: object) -> None:
        self._replica._deferred = None
        self._replica._applying = None
        self._replica.lock.release()


def about(event: DocumentPatchedEvent) -> Key | None:
    """What an event is about."""
    match event:
        case RootAddedEvent() | RootRemovedEvent():
            return ROOTS
        case TitleChangedEvent():
            return TITLE
        case ModelChangedEvent() | ColumnDataChangedEvent() | ColumnsStreamedEvent() | ColumnsPatchedEvent():
            return (event.model.id, event.attr)
    return None


def reach_of(event: DocumentPatchedEvent, rep: Any, writer: Writer) -> Reach:
    """How much a change of ours says about what it is about."""
    key = about(event)
    if key in (None, ROOTS) or key != key_of(rep) or writer.written or writer.refers:
        return "any"
    parts = isinstance(event, ColumnsStreamedEvent | ColumnsPatchedEvent) or rep.get("cols") is not None
    return "part" if parts else "whole"


def key_of(event: dict[str, Any]) -> Key | None:
    """What an event (its JSON) is about."""
    match event["kind"]:
        case "RootAdded" | "RootRemoved":
            return ROOTS
        case "TitleChanged":
            return TITLE
        case "MessageSent":
            return None
        case _:
            return (event["model"]["id"], event.get("attr", "data"))


def fitting(data: Any, name: str, new: Any) -> Any:
    """What to append to a column. NumPy would make text of numbers that follow text: such a column becomes a list."""
    old = data[name]
    if isinstance(old, np.ndarray) == isinstance(new, np.ndarray) or not len(old) or not len(new):
        return new
    if are_numbers(old) and are_numbers(new):
        return new
    dict.__setitem__(data, name, list(old))
    return list(new)


def is_odd(event: DocumentPatchedEvent) -> bool:
    """Whether a stream of ours has mixed numbers and others: what NumPy makes of that nobody else does."""
    if not isinstance(event, ColumnsStreamedEvent):
        return False
    columns = event.model.data  # type: ignore[attr-defined]
    arrays = ((columns[name], new) for name, new in event.data.items() if isinstance(columns.get(name), np.ndarray))
    return any(
        array.dtype.kind not in "fiubM" or (isinstance(new, list) and not are_numbers(new)) for array, new in arrays
    )


def are_numbers(values: Any) -> bool:
    """Whether a column is made of plain numbers only."""
    try:
        array = np.asarray(values)
        return array.dtype.kind in "fiub" and array.ndim == 1
    except ValueError:  # rows of different lengths
        return False


def change(model: Any, event: dict[str, Any], setter: Any) -> None:
    """Carry out a decoded event about one model. A part of the columns leaves the other columns as they are."""
    match event["kind"]:
        case "ModelChanged":
            set_attribute(model, event["attr"], event["new"], setter)
        case "ColumnDataChanged":
            data = event["data"] if event.get("cols") is None else {**model.data, **event["data"]}
            set_attribute(model, event.get("attr", "data"), data, setter)
        case "ColumnsStreamed" if model.data:  # a part of the columns may grow, unlike in source.stream
            new = {name: fitting(model.data, name, values) for name, values in event["data"].items()}
            model.data._stream(model.document, model, new, event.get("rollover"), setter)
        case "ColumnsStreamed":
            model._stream(event["data"], event.get("rollover"), setter)
        case "ColumnsPatched":
            model.patch(event["patches"], setter=setter)
        case kind:
            log.debug("There is no event of kind %r", kind)
