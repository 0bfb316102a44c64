"""bokeh's own ``Document`` as the oracle of the differential test, and what is written down where bokeh is wrong.

The oracle applies a patch as ``Document.apply_json_patch`` does, with these corrections (``reference`` facts of the
project; each has a test of its own in ``test_differential.py``):

1. a ``ColumnDataChanged`` with ``cols`` changes these columns and keeps the others: bokeh's Python replaces all of
   them, BokehJS and we don't;
2. a model that is defined although the document has it gets these attributes: bokeh's Python ignores them, BokehJS and
   we don't;
3. a patch that names a model which was let go of a moment ago brings it back: bokeh's Python drops the whole patch
   silently, although a browser may still show the model;
4. streamed numbers that fit into the type of a column leave it as it is: NumPy's promotion (``float32`` and a list of
   floats give ``float64``) is an accident of ``np.append``, BokehJS and we don't do it. A column without rows keeps
   its type as well, and there are no 64-bit integers;
5. a root that is added although it is one changes nothing, whatever its definition says: reconnecting browsers do so;
6. a new value that is equal in Python but another one in JSON is set (``True`` and 1, a list and an array of the same
   numbers, ``int32`` and ``float64``): bokeh's Python keeps the old one;
7. a ``typed_array`` of a browser is an array like an ``ndarray``: bokeh's Python makes an ``array.array`` of it, which
   it then treats like a list when it streams;
8. numbers and other things in one column (words streamed into an array, an array into a list of words) make a list of
   all as they are: ``np.append`` flattens, stringifies or raises;
9. numbers that are patched into whole numbers wrap around, and NaN becomes 0, as JavaScript has it, which keeps truth
   values as bytes: NumPy raises, and takes every number but 0 for true;
10. events are read one after the other: bokeh reads the definitions of all of them before it does the first;
11. text that is patched into truth values is refused: to NumPy any word is true, to JavaScript none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import orjson
from bokeh.core.property.bases import Property
from bokeh.core.serialization import Buffer, Deserializer
from bokeh.document import Document
from bokeh.document.events import DocumentPatchedEvent
from bokeh.model import Model

from bokeh_server.core import Buffers


class Reader(Deserializer):
    """Reads one patch for a document: correction 2 and 3."""

    def __init__(self, document: Document, grave: dict[str, Model], setter: Any) -> None:
        super().__init__([*document.models, *document.config.references()], setter=setter)
        self._grave = grave

    def _decode_ref(self, obj: Any) -> Model:
        if obj["id"] not in self._references and obj["id"] in self._grave:
            for model in self._grave[obj["id"]].references():
                self._references.setdefault(model.id, model)
        return super()._decode_ref(obj)

    def _decode_typed_array(self, obj: Any) -> Any:
        array = np.frombuffer(self._decode(obj["array"]), obj["dtype"])
        return array.copy() if obj["order"] == "little" else array.byteswap()

    def _decode_object_ref(self, obj: Any) -> Model:
        known = self._references.get(obj["id"])
        if known is None:
            return super()._decode_object_ref(obj)
        for key, value in obj.get("attributes", {}).items():
            known.set_from_json(key, self._decode(value), setter=self._setter)
        return known


class Oracle:
    """A bokeh document that only ever changes by patches."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.grave: dict[str, Model] = {}

    @classmethod
    def decode(cls, content: bytes, buffers: Buffers) -> Oracle:
        """The oracle of a document as it goes over the wire."""
        doc = orjson.loads(content)
        doc = doc.get("doc", doc)
        reader = Deserializer()
        document = Document()
        parts = {key: doc[key] for key in ("config", "roots", "title")}
        read = reader.decode(parts, [Buffer(name, payload) for name, payload in buffers])  # type: ignore[arg-type]
        document._config = read["config"]
        for root in read["roots"]:
            document.add_root(root)
        document.title = read["title"]
        return cls(document)

    def apply(self, content: bytes, buffers: Buffers, setter: Any = None) -> None:
        """Apply a patch; raises whatever bokeh raises, and may then be half changed."""
        document = self.document
        before = {model.id: model for model in document.models}
        patch = orjson.loads(content)
        patch["events"] = list(without_known_roots(patch["events"], {root.id for root in document.roots}))
        reader = Reader(document, self.grave, setter)
        parts: list[Any] = [Buffer(name, payload) for name, payload in buffers]  # type: ignore[arg-type]
        with nothing_is_equal():
            for event in patch["events"]:
                self._event(reader.decode(event, parts), setter)
        document.models.flush_synced(lambda model: not reader.has_ref(model))
        after = {model.id for model in document.models}
        self.grave.update((key, model) for key, model in before.items() if key not in after)
        for key in after:
            self.grave.pop(key, None)

    def _event(self, event: dict[str, Any], setter: Any) -> None:
        kind: str = event["kind"]
        model: Any = event.get("model")
        if kind == "ColumnDataChanged" and event.get("cols") is not None:
            event["data"] = {**model.data, **event["data"]}
        if kind == "ColumnsPatched":
            changes = event["patches"].items()
            event["patches"] = {name: list(map(wrapped(model.data.get(name)), change)) for name, change in changes}
        types = {}
        if kind == "ColumnsStreamed":
            types = {name: column.dtype for name, column in model.data.items() if numbers(column) is column}
        for name, column in model.data.items() if kind == "ColumnsStreamed" else ():
            apart(model, name, column, event["data"])
        streamed = {name: numbers((event.get("data") or {}).get(name)) for name in types}
        DocumentPatchedEvent.handle_event(self.document, event, setter)  # type: ignore[arg-type]
        for name, dtype in types.items():
            if streamed[name] is not None:
                dict.__setitem__(model.data, name, retyped(np.asarray(model.data[name]), streamed[name], dtype))
        for name, column in model.data.items() if kind == "ColumnsStreamed" else ():
            if isinstance(column, np.ndarray) and column.dtype == np.int64:
                small = not column.size or survives(column, np.dtype(np.int32))
                dict.__setitem__(model.data, name, column.astype(np.int32 if small else np.float64))


def has_text(value: Any) -> bool:
    """Whether what is patched is text, or a list with text in it."""
    return any(isinstance(item, str) for item in (value if isinstance(value, list) else [value]))


def wrapped(column: Any) -> Callable[[list[Any]], list[Any]]:
    """What a patch of ``column`` writes (corrections 9 and 11)."""

    def change(patch: list[Any]) -> list[Any]:
        index, value = patch
        if isinstance(index, int) and isinstance(column, np.ndarray) and isinstance(value, list):
            raise ValueError("a list is no number")
        target = column[index[0]] if isinstance(index, list) else column
        if isinstance(target, np.ndarray) and target.dtype.kind == "b" and has_text(value):
            raise ValueError("text is no truth value")
        if not isinstance(target, np.ndarray) or target.dtype.kind not in "iub":
            return patch
        bits = target.dtype.itemsize * 8
        low = -(2 ** (bits - 1)) if target.dtype.kind == "i" else 0

        def wrap(number: Any) -> Any:
            whole = int(number) if math.isfinite(number) else 0
            cut = (whole - low) % 2**bits + low
            return cut != 0 if target.dtype.kind == "b" else cut

        return [index, list(map(wrap, value)) if isinstance(value, list) else wrap(value)]

    return change


def apart(source: Any, name: str, column: Any, new: dict[str, Any]) -> None:
    """Make lists of a column and of what is streamed into it where only one of them is numbers (correction 8)."""
    if not isinstance(column, np.ndarray) and not isinstance(new.get(name), np.ndarray):
        return
    if len(column) and len(new.get(name, ())) and (numbers(column) is None or numbers(new[name]) is None):
        dict.__setitem__(source.data, name, list(column.tolist() if isinstance(column, np.ndarray) else column))
        new[name] = new[name].tolist() if isinstance(new[name], np.ndarray) else new[name]


def without_known_roots(events: list[dict[str, Any]], roots: set[str]) -> Iterator[dict[str, Any]]:
    """The events without the roots that are announced again (correction 5)."""
    for event in events:
        if event["kind"] == "RootAdded":
            if event["model"].get("id") in roots:
                continue
            roots.add(event["model"]["id"])
        if event["kind"] == "RootRemoved":
            roots.discard(event["model"]["id"])
        yield event


def survives(values: Any, dtype: np.dtype[Any]) -> bool:
    """Whether numbers are the same as ``dtype``. Floats may lose digits, fractions and truth values stay."""
    if dtype.kind == "f" or values.dtype == dtype:
        return True
    whole = values.dtype.kind in "iu" and dtype.kind in "iu"
    return bool(whole and values.astype(dtype).tolist() == values.tolist())


def retyped(column: Any, new: Any, dtype: Any) -> Any:
    """A column that was of ``dtype`` before ``new`` was streamed (correction 4)."""
    if not new.size or survives(new, np.dtype(dtype)):
        return column.astype(dtype)
    column = column.astype(new.dtype) if not column.size else column
    column = column.astype(np.result_type(column.dtype, dtype))
    if column.dtype == np.int64 and column.size and not survives(column, np.dtype(np.int32)):
        return column.astype(np.float64)
    return column


@contextmanager
def nothing_is_equal() -> Iterator[None]:
    """Every value that is set is taken for a new one (correction 6)."""
    matches = Property.matches
    Property.matches = lambda self, new, old: False  # type: ignore[method-assign]
    try:
        yield
    finally:
        Property.matches = matches  # type: ignore[method-assign]


def numbers(values: Any) -> Any:
    """Streamed values as an array of numbers, or None where they are none."""
    if isinstance(values, np.ndarray):
        return values if values.dtype.kind in "fiub" else None
    kinds = {type(item) for item in values or []}
    return np.array(values, np.float64 if not kinds else None) if kinds <= {int, float} or kinds == {bool} else None
