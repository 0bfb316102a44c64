"""Apply a patch to a document: all of it, or none of it.

One function per event kind (bokeh 3.9 ``document/events.py``); each returns how to take its change back, and a patch
that fails half way is taken back whole. What comes out is the *normal* patch: what the log keeps and the others get.
Nearly always that is the patch as it came, byte for byte; it is written anew only where the others would otherwise
end up with something else than the document: an event that belongs to one viewer's window, a model that they have
forgotten, or a column that BokehJS would cut to another type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bokeh_server.core import Buffers
from bokeh_server.core.column import Column, Columns
from bokeh_server.core.document import Document, Flattener, Model, Writer
from bokeh_server.core.values import load_json, pairs, unchanged
from bokeh_server.errors import BadMessage, ClientError, RefusedPatch, TooLarge

Origin = Literal["viewer", "program"]

VIEW_STATE = {
    "Range1d": {"start", "end"},
    "DataRange1d": {"start", "end"},
    "FactorRange": {"start", "end"},
}
"""What a browser reports of its own window and pan: never stored, never relayed (design: view state)."""
SIZES = frozenset({"inner_width", "inner_height", "outer_width", "outer_height"})


@dataclass(frozen=True, slots=True)
class Applied:
    """What a patch came to.

    ``content`` and ``buffers`` are the normal patch, None and empty where nothing changed. ``messages`` is the content
    of a patch of its events that are not kept (``MessageSent``), to go with the message's own buffers, or None.
    """

    content: bytes | None
    buffers: Buffers
    messages: bytes | None


class _Patch:
    """One patch on its way into a document."""

    __slots__ = ("carried", "document", "dropped", "flattener", "origin", "touched", "undo")

    def __init__(self, document: Document, buffers: Buffers, origin: Origin) -> None:
        self.document = document
        self.origin = origin
        self.flattener = Flattener(document, dict(buffers), keep=origin == "viewer")
        self.undo = self.flattener.undo
        self.touched: list[Column] = []
        self.dropped = False
        """Whether something was let go of that named other models."""
        self.carried: set[int] = set()
        """The events (by their identity in Python) that define models, but are not kept."""


def apply(
    document: Document, content: bytes, buffers: Buffers = (), *, origin: Origin = "program", now: float = 0.0
) -> Applied:
    """Apply the content of a PATCH-DOC (``{"events": […]}``) to ``document``.

    ``origin`` says whose rules hold: a viewer's window is its own, and what it says of models that it did not make is
    not news. ``now`` (seconds) dates what is buried. Raises ``BadMessage`` where the patch is malformed and
    ``RefusedPatch`` where this document can't take it; the document is then as before.
    """
    value = load_json(content)
    events = value.get("events") if type(value) is dict else None
    if type(events) is not list:
        raise BadMessage('A patch is a JSON object with "events": a list.')
    if len(events) > document.limits.events:
        raise TooLarge(f"A patch may have at most {document.limits.events} events.")
    patch = _Patch(document, buffers, origin)
    try:
        outcomes = [_step(patch, event) for event in events]
    except (ClientError, RecursionError) as error:
        for undo in reversed(patch.undo):
            undo()
        raise error if isinstance(error, ClientError) else TooLarge("The content is nested too deep.") from None
    normal = _normal(patch, content, buffers, events, outcomes)
    for column in patch.touched:
        column.settle()
    if patch.dropped or patch.flattener.defined:
        document.sweep(now)
    return normal


Outcome = Literal["kept", "nothing", "message"] | dict[str, Any]
"""What became of an event: kept as it is, of no effect, a message, or another event in its place."""

CARRIER = "bokeh_server_definitions"
"""Type of the message that keeps definitions which no event of the normal patch holds; it does nothing else."""


def _step(patch: _Patch, event: Any) -> Outcome:
    before = patch.flattener.defined
    patch.flattener.made.clear()
    outcome = _event(patch, event)
    if patch.flattener.defined > before and outcome != "kept":
        patch.carried.add(id(event))
    return outcome


def _event(patch: _Patch, event: Any) -> Outcome:
    if type(event) is not dict:
        raise BadMessage("An event of a patch is a JSON object.")
    kind = event.get("kind")
    handler = KINDS.get(kind) if type(kind) is str else None
    if handler is None:
        raise BadMessage(f"There is no event of kind {str(kind)[:40]!r}.")
    return handler(patch, event)


def _model(patch: _Patch, event: dict[str, Any]) -> tuple[str, Model, str]:
    key = patch.flattener.reference(event.get("model"))
    attribute = event.get("attr")
    if type(attribute) is not str:
        raise BadMessage("The attribute of an event is a string.")
    if event["kind"] != "ModelChanged" and attribute != "data":
        raise BadMessage('Columns are in the attribute "data": browsers look nowhere else.')
    return key, patch.document.models[key], attribute


def _set(patch: _Patch, model: Model, attribute: str, value: Any, refs: set[str]) -> None:
    old = model.refs.get(attribute)
    if old and not old <= refs:
        patch.dropped = True
    patch.undo.append(model.set(attribute, value, refs))


def _model_changed(patch: _Patch, event: dict[str, Any]) -> Outcome:
    _, model, attribute = _model(patch, event)
    if "new" not in event:
        raise BadMessage("A ModelChanged event has the new value.")
    if patch.origin == "viewer" and is_view_state(patch.document, model.name, attribute):
        return "nothing"
    take_apart = patch.flattener.data if attribute == "data" else patch.flattener.value
    before = len(patch.undo)
    value, refs = take_apart(event["new"])
    same = attribute in model.attributes and len(patch.undo) == before
    if same and unchanged(model.attributes[attribute], value):
        return "nothing"
    _set(patch, model, attribute, value, refs)
    return "kept"


def is_view_state(document: Document, name: str, attribute: str) -> bool:
    """Whether a browser's change of this attribute is about its own window only."""
    if attribute not in SIZES and attribute not in VIEW_STATE.get(name, ()):
        return False
    roots = (document.models[root].attributes.get("tags") for root in document.roots)
    return not any(type(tags) is list and "share_view" in tags for tags in roots)


def _columns(model: Model, attribute: str) -> Columns:
    columns = model.attributes.get(attribute)
    if columns is None:
        columns = Columns()
    if type(columns) is not Columns:
        raise RefusedPatch(f"The attribute {attribute[:40]!r} of this {model.name[:40]} holds no columns.")
    return columns


def _entries(event: dict[str, Any], key: str) -> list[Any]:
    entries = pairs(event.get(key))
    if entries is None or not all(type(name) is str for name, _ in entries):
        raise BadMessage(f"The {key} of the event is a map of columns by name.")
    if len({name for name, _ in entries}) < len(entries):
        raise BadMessage(f"The {key} of the event names a column twice; what that means differs from reader to reader.")
    return entries


def _column_data_changed(patch: _Patch, event: dict[str, Any]) -> Outcome:
    _, model, attribute = _model(patch, event)
    _entries(event, "data")
    value, refs = patch.flattener.data(event["data"])
    if type(value) is not Columns:
        raise BadMessage("The data of a source is a map of columns: lists or arrays.")
    if event.get("cols") is not None:
        kept = _columns(model, attribute)
        value = Columns({**kept, **value})
        refs = value.refs() if refs or attribute in model.refs else refs
    _set(patch, model, attribute, value, refs)
    return "kept"


def _columns_streamed(patch: _Patch, event: dict[str, Any]) -> Outcome:
    key, model, attribute = _model(patch, event)
    columns = _columns(model, attribute)
    rollover = event.get("rollover")
    if rollover is not None and (type(rollover) is not int or rollover < 0):
        raise BadMessage("A rollover is a whole number of 0 or more, or null.")
    entries = _entries(event, "data")
    if not columns:
        columns = _first_columns(patch, model, attribute, entries)
    faithful = True
    for name, item in entries:
        column = columns.get(name)
        if column is None:
            raise RefusedPatch(f"The source has no column {name[:40]!r}; it has {', '.join(columns)[:200]}.")
        values, refs = patch.flattener.value(item)
        if not isinstance(values, list | np.ndarray):
            raise BadMessage("The data of a stream is a map of lists or arrays.")
        undo, same = column.stream(values, rollover)
        patch.undo.append(undo)
        patch.touched.append(column)
        faithful = faithful and same
        if refs or attribute in model.refs:
            _set(patch, model, attribute, columns, columns.refs())
    return "kept" if faithful else _replacement(key, attribute, {name: columns[name] for name, _ in entries})


def _first_columns(patch: _Patch, model: Model, attribute: str, entries: list[Any]) -> Columns:
    columns = Columns({name: Column([]) for name, _ in entries})
    _set(patch, model, attribute, columns, set())
    return columns


def _replacement(key: str, attribute: str, columns: dict[str, Column]) -> dict[str, Any]:
    """The event that sets ``columns`` to what they are now."""
    data = Columns({name: _frozen(column) for name, column in columns.items()})
    return {"kind": "ColumnDataChanged", "model": {"id": key}, "attr": attribute, "data": data, "cols": list(columns)}


def _frozen(column: Column) -> Column:
    live = column.live
    return Column(list(live) if isinstance(live, list) else live.copy())


def _columns_patched(patch: _Patch, event: dict[str, Any]) -> Outcome:
    key, model, attribute = _model(patch, event)
    columns = _columns(model, attribute)
    entries, faithful = _entries(event, "patches"), True
    for name, changes in entries:
        column = columns.get(name)
        if column is None:
            raise RefusedPatch(f"The source has no column {name[:40]!r}; it has {', '.join(columns)[:200]}.")
        if type(changes) is not list:
            raise BadMessage("The patches of a column are a list of index and value.")
        for change in changes:
            if type(change) is not list or len(change) != 2:
                raise BadMessage("The patches of a column are a list of index and value.")
            value, refs = patch.flattener.value(change[1])
            undo, same = column.patch(_index(change[0]), value)
            patch.undo.append(undo)
            faithful = faithful and same
            if refs or attribute in model.refs:
                _set(patch, model, attribute, columns, columns.refs())
    return "kept" if faithful else _replacement(key, attribute, {name: columns[name] for name, _ in entries})


def _index(value: Any) -> Any:
    if type(value) is dict and value.get("type") == "slice":
        return slice(value.get("start"), value.get("stop"), value.get("step"))
    if type(value) is list:
        return [item if type(item) is list else _index(item) for item in value]
    return value


def _root_added(patch: _Patch, event: dict[str, Any]) -> Outcome:
    roots, root = patch.document.roots, event.get("model")
    if type(root) is dict and type(root.get("id")) is str and root["id"] in roots:
        return "nothing"  # a browser that comes back announces all it has; what it says of it is old
    key = patch.flattener.reference(root)
    roots.append(key)
    patch.undo.append(lambda: roots.remove(key))
    return "kept"


def _root_removed(patch: _Patch, event: dict[str, Any]) -> Outcome:
    roots = patch.document.roots
    key = patch.flattener.reference(event.get("model"))
    if key not in roots:
        return "nothing"
    at = roots.index(key)
    del roots[at]
    patch.undo.append(lambda: roots.insert(at, key))
    patch.dropped = True
    return "kept"


def _title_changed(patch: _Patch, event: dict[str, Any]) -> Outcome:
    document, title = patch.document, event.get("title")
    if type(title) is not str:
        raise BadMessage("A title is a string.")
    if title == document.title:
        return "nothing"
    old, document.title = document.title, title

    def undo() -> None:
        document.title = old

    patch.undo.append(undo)
    return "kept"


def _message_sent(patch: _Patch, event: dict[str, Any]) -> Outcome:
    if type(event.get("msg_type")) is not str:
        raise BadMessage("A message has a type, which is a string.")
    patch.flattener.value(event.get("msg_data"))
    return "message"


KINDS: dict[str, Callable[[_Patch, dict[str, Any]], Outcome]] = {
    "ModelChanged": _model_changed,
    "ColumnDataChanged": _column_data_changed,
    "ColumnsStreamed": _columns_streamed,
    "ColumnsPatched": _columns_patched,
    "RootAdded": _root_added,
    "RootRemoved": _root_removed,
    "TitleChanged": _title_changed,
    "MessageSent": _message_sent,
}


def _normal(patch: _Patch, content: bytes, buffers: Buffers, events: list[Any], outcomes: list[Outcome]) -> Applied:
    flattener = patch.flattener
    as_it_came = not flattener.kept and not flattener.definitions and (len(events) == 1 or not flattener.redefined)
    if as_it_came and all(outcome == "kept" for outcome in outcomes):
        return Applied(content if events else None, buffers if events else (), None)
    kept: list[Any] = []
    messages: list[Any] = []
    for event, outcome in zip(events, outcomes, strict=True):
        carried = id(event) in patch.carried
        if outcome == "message":
            messages.append(_by_id(event) if carried else _rewritten(flattener, event, kept))
        if carried:
            definitions = _rewritten(flattener, list(event.values()), kept)
            kept.append({"kind": "MessageSent", "msg_type": CARRIER, "msg_data": definitions})
        if outcome == "kept":
            rewritten = _rewritten(flattener, event, kept)
            kept.append(rewritten)
        elif isinstance(outcome, dict):
            kept.append(outcome)
    writer = Writer({}, prefix="normal-")
    return Applied(
        writer.write({"events": kept}) if kept else None,
        (*buffers, *flattener.buffers, *writer.buffers) if kept else (),
        writer.write({"events": messages}) if messages else None,
    )


def _rewritten(flattener: Flattener, value: Any, before: list[Any]) -> Any:
    """``value`` with models that the others have by id only.

    What must happen first goes into ``before``: those that the others have forgotten, in full (once); and a definition
    that sets a model anew, as events of its own, since browsers read the definitions of all events before they carry
    out the first one.
    """
    if type(value) is list:
        return [_rewritten(flattener, item, before) for item in value]
    if type(value) is not dict:
        return value
    key = value.get("id")
    if type(key) is str:
        if value.get("type") == "object" and id(value) in flattener.redefined:
            for name, item in value.get("attributes", {}).items():
                new = _rewritten(flattener, item, before)
                before.append({"kind": "ModelChanged", "model": {"id": key}, "attr": name, "new": new})
            return {"id": key}
        if id(value) in flattener.kept:
            return {"id": key}
        if value.get("type") in (None, "ref") and key in flattener.definitions:
            before.append({"kind": "MessageSent", "msg_type": CARRIER, "msg_data": flattener.definitions.pop(key)})
            return {"id": key}
    return {name: _rewritten(flattener, item, before) for name, item in value.items()}


def _by_id(value: Any) -> Any:
    """``value`` with every model by its id only."""
    if type(value) is list:
        return [_by_id(item) for item in value]
    if type(value) is not dict:
        return value
    if value.get("type") == "object" and type(value.get("id")) is str:
        return {"id": value["id"]}
    return {name: _by_id(item) for name, item in value.items()}
