"""Apply a patch to a document: all of it, or none of it.

One function per event kind (bokeh 3.9 ``document/events.py``); each returns how to take its change back, and a patch
that fails half way is taken back whole. What comes out is the *normal* patch: what the log keeps and the others get.
Nearly always that is the patch as it came, byte for byte; it is written anew only where the others would otherwise
end up with something else than the document: an event that belongs to one viewer's window, a model that they have
forgotten, or a column that BokehJS would cut to another type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import msgspec
import numpy as np

from bokeh_server.core import Buffers
from bokeh_server.core.column import SCALARS, Column, Columns
from bokeh_server.core.document import Document, Flattener, Model, Writer, as_map
from bokeh_server.core.plain import apply_plain
from bokeh_server.core.values import load_json, pairs, unchanged
from bokeh_server.errors import BadMessage, RefusedPatch, TooLarge

Origin = Literal["viewer", "program"]
Event = dict[str, Any]

VIEW_STATE = {
    "Range1d": {"start", "end"},
    "DataRange1d": {"start", "end"},
    "FactorRange": {"start", "end"},
}
"""What a browser reports of its own window and pan: never stored, never relayed (design: view state)."""
ON_DATA = frozenset({"ModelChanged", "ColumnDataChanged", "ColumnsStreamed", "ColumnsPatched"})
VALUES = frozenset({"model", "new", "data", "patches"})
"""The parts of an event that may define models."""
SIZES = frozenset({"inner_width", "inner_height", "outer_width", "outer_height"})


class Applied(msgspec.Struct, frozen=True, gc=False):
    """What a patch came to.

    ``content`` is the normal patch, or None where nothing changed; ``messages`` the content of a patch of its events
    that are not kept (``MessageSent``), or None; ``buffers`` go with both.
    """

    content: bytes | None
    buffers: Buffers
    messages: bytes | None
    corrected: bool = False
    """Whether browsers would have got the patch wrong as it came: so has the browser that made it."""
    changed: tuple[tuple[str, str], ...] | None = None
    """The attributes (by model and name) that it has changed, where it has done nothing else and they name no model."""
    plain: bool = False
    """Whether it is of the plain form (``core.plain``), which is the same to everybody."""


class _Patch:
    """One patch on its way into a document."""

    __slots__ = ("document", "dropped", "flattener", "origin", "room", "strange", "touched", "undo")

    def __init__(self, document: Document, buffers: Buffers, origin: Origin) -> None:
        self.document = document
        self.origin = origin
        self.flattener = Flattener(document, dict(buffers), keep=origin == "viewer")
        self.undo = self.flattener.undo
        self.touched: list[Column] = []
        self.room = document.limits.message
        """Bytes of columns that may still be written anew."""
        self.dropped = False
        """Whether something was let go of that named other models."""
        self.strange = False
        """Whether an event has parts that no event of its kind has."""


def apply(
    document: Document, content: bytes, buffers: Buffers = (), *, origin: Origin = "program", now: float = 0.0
) -> Applied:
    """Apply the content of a PATCH-DOC (``{"events": […]}``) to ``document``.

    ``origin`` says whose rules hold: a viewer's window is its own, and what it says of models that it did not make is
    not news. ``now`` (seconds) dates what is buried. Raises ``BadMessage`` where the patch is malformed and
    ``RefusedPatch`` where this document can't take it; the document is then as before.
    """
    plain = apply_plain(document, content, buffers, origin == "program")
    if plain is not None:
        return Applied(content, buffers, None, changed=(plain,), plain=True)
    value = load_json(content)
    events = value.get("events") if type(value) is dict else None
    if type(events) is not list:
        raise BadMessage('A patch is a JSON object with "events": a list.')
    if len(events) > document.limits.events:
        raise TooLarge(f"A patch may have at most {document.limits.events} events.")
    patch = _Patch(document, buffers, origin)
    try:
        outcomes = [_event(patch, event) for event in events]
        normal = _normal(patch, content, buffers, events, outcomes)
    except Exception:  # a fault of ours, too, must not leave half a patch
        for undo in reversed(patch.undo):
            undo()
        raise
    for column in patch.touched:
        column.settle()
    if patch.dropped or patch.flattener.definitions or patch.flattener.redefined:
        document.sweep(now)
    return normal


Outcome = Literal["kept", "nothing", "message"] | dict[str, Any]
"""What became of an event: kept as it is, of no effect, a message, or another event in its place."""


def _event(patch: _Patch, event: Any) -> Outcome:
    if type(event) is not dict:
        raise BadMessage("An event of a patch is a JSON object.")
    kind = event.get("kind")
    if type(kind) is not str or kind not in KINDS:
        raise BadMessage(f"There is no event of kind {str(kind)[:40]!r}.")
    handler, fields = KINDS[kind]
    for name in event:
        if name not in fields:
            patch.flattener.value(event[name])  # browsers read all there is, and throw the patch away where they can't
            patch.strange = True
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
    return not any(type(tags) is list and any(unchanged(tag, "share_view") for tag in tags) for tags in roots)


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
    cols = event.get("cols")
    if cols is not None:
        if type(cols) is not list or not all(type(name) is str for name in cols):
            raise BadMessage("The cols of the event are names of columns.")
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
        values, refs = patch.flattener.value(item, 2)
        if not isinstance(values, list | np.ndarray):
            raise BadMessage("The data of a stream is a map of lists or arrays.")
        undo, same = column.stream(values, rollover)
        patch.undo.append(undo)
        patch.touched.append(column)
        faithful = faithful and same
        if refs or attribute in model.refs:
            _set(patch, model, attribute, columns, columns.refs())
    return "kept" if faithful else _rewritten(patch, key, attribute, {name: columns[name] for name, _ in entries})


def _first_columns(patch: _Patch, model: Model, attribute: str, entries: list[Any]) -> Columns:
    columns = Columns({name: Column([]) for name, _ in entries})
    _set(patch, model, attribute, columns, set())
    return columns


def _rewritten(patch: _Patch, key: str, attribute: str, columns: dict[str, Column]) -> dict[str, Any]:
    """``_replacement``, of so many bytes in one patch as a message may have, and one more."""
    if patch.room < 0:
        most = patch.document.limits.message
        raise TooLarge(f"Browsers need more than {most} bytes of columns anew for this patch; send smaller ones.")
    patch.room -= sum(column.nbytes for column in columns.values())
    return _replacement(key, attribute, columns)


def _replacement(key: str, attribute: str, columns: dict[str, Column]) -> dict[str, Any]:
    """The event that sets ``columns`` to what they are now."""
    return _set_to(key, attribute, Columns({name: _frozen(column) for name, column in columns.items()}))


def _set_to(key: str, attribute: str, columns: Columns) -> dict[str, Any]:
    data, names = as_map(columns), list(columns)
    return {"kind": "ColumnDataChanged", "model": {"id": key}, "attr": attribute, "data": data, "cols": names}


def _frozen(column: Column) -> Column:
    live = column.live
    column.own.clear()
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
            value, refs = patch.flattener.value(change[1], 3)
            undo, same = column.patch(_index(change[0]), value)
            patch.undo.append(undo)
            patch.touched.append(column)
            faithful = faithful and same
            if refs or attribute in model.refs:
                _set(patch, model, attribute, columns, columns.refs())
    return "kept" if faithful else _rewritten(patch, key, attribute, {name: columns[name] for name, _ in entries})


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


KINDS: dict[str, tuple[Callable[[_Patch, dict[str, Any]], Outcome], frozenset[str]]] = {
    "ModelChanged": (_model_changed, frozenset({"kind", "model", "attr", "new"})),
    "ColumnDataChanged": (_column_data_changed, frozenset({"kind", "model", "attr", "data", "cols"})),
    "ColumnsStreamed": (_columns_streamed, frozenset({"kind", "model", "attr", "data", "rollover"})),
    "ColumnsPatched": (_columns_patched, frozenset({"kind", "model", "attr", "patches"})),
    "RootAdded": (_root_added, frozenset({"kind", "model"})),
    "RootRemoved": (_root_removed, frozenset({"kind", "model"})),
    "TitleChanged": (_title_changed, frozenset({"kind", "title"})),
    "MessageSent": (_message_sent, frozenset({"kind", "msg_type", "msg_data"})),
}


def _normal(patch: _Patch, content: bytes, buffers: Buffers, events: list[Any], outcomes: list[Outcome]) -> Applied:
    """The patch as it came, or written anew; raises ``TooLarge`` where it would not be read again."""
    flattener = patch.flattener
    as_it_came = not (flattener.kept or flattener.redefined or flattener.revived or patch.strange)
    if flattener.definitions:
        as_it_came = as_it_came and all(map(model_first, events))
    if as_it_came and all(outcome == "kept" for outcome in outcomes):
        if not events:
            return Applied(None, (), None)
        return Applied(content, buffers, None, changed=_changed(patch, events))
    rewriter = _Rewriter(flattener, patch.document.limits.depth)
    kept: list[Event] = []
    for event, outcome in zip(events, outcomes, strict=True):
        for _, part in as_read(event):
            kept += rewriter.redefinitions(part, 1)
        if outcome == "kept":
            kept.append(rewriter.event(event))
        elif isinstance(outcome, dict):
            kept.append(rewriter.event(outcome))
    most = patch.document.limits.events
    if len(kept) > most:
        raise TooLarge(f"This patch defines so many models anew that it stands for more than {most} events.")
    messages = [rewriter.event(event) for event, outcome in zip(events, outcomes, strict=True) if outcome == "message"]
    writer = Writer({}, taken=(name for name, _ in (*buffers, *flattener.buffers)))
    texts = [writer.write({"events": some}) if some else None for some in (kept, messages)]
    corrected = any(isinstance(outcome, dict) for outcome in outcomes)
    parts = (*buffers, *flattener.buffers, *writer.buffers) if any(texts) else ()
    return Applied(texts[0], parts, texts[1], corrected)


def _changed(patch: _Patch, events: list[Any]) -> tuple[tuple[str, str], ...] | None:
    """The attributes that a patch has changed; None where it may have done more."""
    if patch.dropped or patch.flattener.definitions or not all(event["kind"] in ON_DATA for event in events):
        return None
    attributes = tuple((event["model"]["id"], event["attr"]) for event in events)
    return None if any(name in patch.document.models[key].refs for key, name in attributes) else attributes


def model_first(event: Event) -> bool:
    """Whether the model comes before the values: we read it first, browsers read in the order of the text."""
    return "model" not in event or next(name for name in event if name in VALUES) == "model"


def as_read(event: Event) -> list[tuple[str, Any]]:
    """The parts of an event in the order in which they are read: those that are none of its kind's, then the model."""
    _, fields = KINDS[event["kind"]]
    first = {"kind": 1, "model": 2}
    return sorted(event.items(), key=lambda part: first.get(part[0], 3) if part[0] in fields else 0)


def parts(value: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """The parts of an object that are read. What stands beside them is written to nobody, so that a model is never
    defined where its reader does not look."""
    kind = kind_of(value)
    known: tuple[str, ...]
    if type(value.get("id")) is str and kind in (None, "object"):  # a column may be called "id", too
        known = ("id",) if kind is None else ("type", "name", "id", "attributes")
    elif kind in READ:
        known = READ[kind]
    else:
        return value.items()
    return [(name, value[name]) for name in known if name in value]


def kind_of(value: dict[str, Any]) -> str | None:
    """The type of an object, None where it has none; "" for one that is no word: it may be an array."""
    kind = value.get("type")
    return kind if kind is None or type(kind) is str else ""


READ: dict[str | None, tuple[str, ...]] = {
    **dict.fromkeys(("map", "set", "array"), ("type", "entries")),
    **dict.fromkeys(("ndarray", "typed_array"), ("type", "array", "shape", "dtype", "order")),
    **{"bytes": ("type",), "ref": ("type", "id")},
}
"""Of objects that are no models, by their type; bytes have no part in which a model could be."""


def with_whole_data(document: Document, content: bytes, buffers: Buffers) -> tuple[bytes, Buffers]:
    """A patch that was applied just now, with the whole ``data`` of a source where it has single columns of it.

    A model that it defines is defined where it is met first, as it is now: that may be in the whole data.
    """
    events, whole, defined = [], set(), dict[str, Model]()
    for event in load_json(content)["events"]:
        event = {name: _by_ids(document, part, defined) for name, part in event.items()}
        source = (event["model"]["id"], event.get("attr", "data")) if event["kind"] in ON_DATA else ("", "")
        if source in whole:
            continue
        model = document.models.get(source[0])
        if event["kind"] == "ColumnDataChanged" and event.get("cols") is not None:
            gone = document.grave.get(source[0], (0.0, None))[1]
            if model is None and gone is not None and type(gone.attributes.get(source[1])) is not Columns:
                continue  # its definition, as it is now, takes no columns
            if model is not None:
                whole.add(source)
                event = _as_now(document, *source)
        events.append(event)
    writer = Writer(defined, taken=(name for name, _ in buffers))
    return writer.write({"events": events}), (*buffers, *writer.buffers)


def _by_ids(document: Document, value: Any, defined: dict[str, Model]) -> Any:
    """A part of an event with models by their ids; those that it defines go into ``defined``, as they are now."""
    if type(value) is list:
        return value if set(map(type, value)) <= SCALARS else [_by_ids(document, item, defined) for item in value]
    if type(value) is not dict or kind_of(value) == "bytes":
        return value
    by_ids = {name: _by_ids(document, item, defined) for name, item in parts(value)}
    key = value.get("id")
    if kind_of(value) != "object" or type(key) is not str:
        return by_ids
    model = document.models.get(key) or document.grave.get(key, (0.0, None))[1]
    if model is None:
        return by_ids
    defined[key] = model
    return {"id": key}


def _as_now(document: Document, key: str, name: str) -> Event:
    value, event = document.models[key].attributes[name], {"model": {"id": key}, "attr": name}
    if type(value) is Columns:  # of no "cols", so that those which are not in it are gone
        return {"kind": "ColumnDataChanged", **event, "data": as_map(value), "cols": None}
    return {"kind": "ModelChanged", **event, "new": value}


class _Rewriter:
    """Writes events anew, so that each model which the others lack is defined where they first meet it."""

    __slots__ = ("_lacking", "_limit", "_redefined")

    def __init__(self, flattener: Flattener, limit: int) -> None:
        self._lacking = dict(flattener.definitions)
        self._redefined = flattener.redefined
        self._limit = limit

    def event(self, event: Event) -> Event:
        """The event, with all other models by their ids."""
        _, fields = KINDS[event["kind"]]
        return {name: self._value(item, 1) for name, item in as_read(event) if name in fields}

    def redefinitions(self, value: Any, depth: int) -> Iterator[Event]:
        """The definitions in ``value`` that set a model anew, as events of their own.

        Browsers read the definitions of all events before they carry out the first one, and programs ignore them.
        """
        if not self._redefined or type(value) not in (dict, list):
            return
        if depth > self._limit:
            raise TooLarge(f"The content is nested deeper than {self._limit} levels.")
        if type(value) is list:
            for item in value:
                yield from self.redefinitions(item, depth + 1)
        elif id(value) in self._redefined:
            for name, item in value.get("attributes", {}).items():
                yield from self.redefinitions(item, depth + 2)
                yield self.event({"kind": "ModelChanged", "model": {"id": value["id"]}, "attr": name, "new": item})
        else:
            for _, item in parts(value):
                yield from self.redefinitions(item, depth + 1)

    def _value(self, value: Any, depth: int) -> Any:
        if depth > self._limit:
            raise TooLarge(f"The content is nested deeper than {self._limit} levels.")
        if type(value) is list:
            return value if set(map(type, value)) <= SCALARS else [self._value(item, depth + 1) for item in value]
        if type(value) is not dict:
            return value
        key, kind = value.get("id"), kind_of(value)
        if kind == "bytes":
            data = value["data"]
            return {"type": "bytes", "data": data if type(data) is str else {"id": data["id"]}}
        if type(key) is str and kind in ("object", "ref", None):
            definition = self._lacking.pop(key, None)
            return {"id": key} if definition is None else self._model(definition, depth)
        named = kind == "model"  # what a class extends is no model
        return {
            name: item if named and name == "extends" else self._value(item, depth + 1) for name, item in parts(value)
        }

    def _model(self, definition: dict[str, Any], depth: int) -> dict[str, Any]:
        """A definition. An attribute of the name "id" does not make a reference of its attributes."""
        attributes = {name: self._value(item, depth + 2) for name, item in definition.get("attributes", {}).items()}
        return {"type": "object", "name": definition["name"], "id": definition["id"], "attributes": attributes}
