"""A document as BokehJS holds it: what a page shows after the patches that the server relays.

``Browser`` reads the whole document, then patches, with the semantics of BokehJS 3.9.2 (``document/document.ts``,
``core/serialization/deserializer.ts``, ``core/patching.ts``), its faults included: all definitions of a patch are read
before its first event is carried out, an unknown reference throws away the whole patch, a rollover of 0 keeps a list
as it is, a typed array never changes its type, and nothing is collected until ``collect`` is called.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from bokeh_server.core import Buffers
from tests.model.canonical import Canon, Flat, closure, packed

Columns = dict[str, Any]
"""Columns by name: a list of canonical values or an array of numbers."""


class Thrown(Exception):
    """BokehJS throws an error: the patch has no effect, or only a part of it."""


class Browser:
    """The document of one page."""

    def __init__(self, content: bytes, buffers: Buffers) -> None:
        doc = orjson.loads(content)
        doc = doc.get("doc", doc)
        self.models: dict[str, tuple[str, dict[str, Any]]] = {}
        self.roots: list[str] = []
        reader = Reader(self.models, buffers)
        self.parts = tuple(reader.value(doc.get(part)) for part in ("config", "defs"))
        self.roots = list(dict.fromkeys(reader.reference(root) for root in doc["roots"]))
        self.callbacks = reader.value(doc.get("callbacks"))
        self.title: str = doc["title"]

    def apply(self, content: bytes, buffers: Buffers) -> None:
        """Apply a PATCH-DOC; raises ``Thrown`` where BokehJS would."""
        reader = Reader(self.models, buffers)
        events = [reader.event(event) for event in orjson.loads(content)["events"]]
        for event in events:
            self._event(event)

    def _event(self, event: dict[str, Any]) -> None:
        match event["kind"]:
            case "ModelChanged":
                self.models[event["model"]][1][event["attr"]] = event["new"]
            case "ColumnDataChanged":
                attributes = self.models[event["model"]][1]
                kept = attributes.get("data", {}) if event.get("cols") is not None else {}
                attributes["data"] = {**event["data"], **{k: v for k, v in kept.items() if k not in event["data"]}}
            case "ColumnsStreamed":
                columns = self._columns(event["model"])
                for name, new in event["data"].items():
                    columns[name] = streamed(columns.get(name, []), new, event.get("rollover"))
            case "ColumnsPatched":
                columns = self._columns(event["model"])
                for name, changes in event["patches"]:
                    for index, value in changes:
                        patch_column(columns[name], index, value)
            case "RootAdded" if event["model"] not in self.roots:
                self.roots.append(event["model"])
            case "RootRemoved" if event["model"] in self.roots:
                self.roots.remove(event["model"])
            case "TitleChanged":
                self.title = event["title"]

    def _columns(self, key: str) -> Columns:
        columns: Columns = self.models[key][1].setdefault("data", {})
        return columns

    def flat(self) -> Flat:
        """The canonical form of what the roots, the config and the callbacks lead to."""
        models = {
            key: (name, {attribute: canonical(value) for attribute, value in attributes.items()})
            for key, (name, attributes) in self.models.items()
        }
        flat = Flat(models, self.roots, self.title, (self.parts[0], self.callbacks, self.parts[1]))
        kept = closure(flat, (flat.callbacks, *(("ref", root) for root in self.roots)))
        flat.models = {key: model for key, model in models.items() if key in kept}
        return flat

    def collect(self) -> None:
        """Forget what nothing leads to, as BokehJS does after half a minute."""
        kept = self.flat().models
        for key in self.models.keys() - kept.keys():
            del self.models[key]


class Reader(Canon):
    """Reads values of one message into a browser's models: BokehJS' deserializer."""

    def __init__(self, models: dict[str, tuple[str, dict[str, Any]]], buffers: Buffers) -> None:
        super().__init__({name: bytes(payload) for name, payload in buffers})
        self._models = models

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """An event with its values read."""
        read = dict(event)
        if "model" in event:
            read["model"] = self.reference(event["model"])
        if event["kind"] == "ModelChanged":
            read["new"] = self.attribute(event["attr"], event["new"])
        elif event["kind"] in ("ColumnDataChanged", "ColumnsStreamed"):
            read["data"] = self.columns(event["data"])
        elif event["kind"] == "ColumnsPatched":
            read["patches"] = [(name, list(map(self.change, changes))) for name, changes in entries(event["patches"])]
        elif event["kind"] == "MessageSent":
            self.value(event["msg_data"])
        return read

    def change(self, change: Any) -> tuple[Any, Any]:
        """Index and value of a patch."""
        index, value = change
        return index_of(index), self.value(value) if isinstance(index, int) else self.cells(value)

    def reference(self, value: Any) -> str:
        """The id of a model."""
        key: str = self.value(value)[1]
        return key

    def attribute(self, name: str, value: Any) -> Any:
        """A value of an attribute; ``data`` that holds columns becomes columns that can grow."""
        plain = isinstance(value, dict) and value.get("type", "map") == "map" and not isinstance(value.get("id"), str)
        if name == "data" and plain:
            if all(isinstance(name, str) and is_column(item) for name, item in entries(value)):
                return self.columns(value)
        return self.value(value)

    def columns(self, value: Any) -> Columns:
        """Columns by name."""
        return {name: self.cells(item) for name, item in entries(value)}

    def cells(self, value: Any) -> Any:
        """The values of a column: a list of canonical values, or an array."""
        read = self.value(value)
        if isinstance(read, tuple) and read[0] == "list":
            return list(read[1:])
        return unpacked(read) if isinstance(read, tuple) and read[0] == "array" else read

    def _object(self, value: dict[str, Any]) -> Any:
        kind, key = value.get("type"), value.get("id")
        if kind == "object" and key is not None:
            known = self._models.get(key)
            if known is not None and known[0] != value["name"]:
                raise Thrown(f"type mismatch for {key}")
            _, attributes = self._models.setdefault(key, (value["name"], {}))
            attributes.update({name: self.attribute(name, item) for name, item in value.get("attributes", {}).items()})
            return ("ref", key)
        read = super()._object(value)
        if isinstance(read, tuple) and len(read) == 2 and read[0] == "ref" and read[1] not in self._models:
            raise Thrown(f"reference {read[1]} isn't known")
        return read


def entries(value: Any) -> list[Any]:
    """The entries of a map or of a plain object."""
    if value.get("type") == "map":
        found: list[Any] = value.get("entries", [])
        return found
    return list(value.items())


def is_column(value: Any) -> bool:
    """Whether an encoded value is a list or an array."""
    return isinstance(value, list) or (isinstance(value, dict) and value.get("type") in ("ndarray", "typed_array"))


def index_of(value: Any) -> Any:
    """An index of a patch."""
    if isinstance(value, list):
        return [index_of(item) for item in value]
    return slice(value["start"], value["stop"], value["step"]) if isinstance(value, dict) else value


def unpacked(value: Any) -> Any:
    """The array of a canonical array."""
    _, dtype, shape, data = value
    return np.frombuffer(data, dtype).reshape(shape).copy()


def canonical(value: Any) -> Any:
    """The canonical form of an attribute."""
    if not isinstance(value, dict):
        return value
    return ("map", *sorted(((name, column(cells)) for name, cells in value.items()), key=repr))


def column(cells: Any) -> Any:
    """The canonical form of a column: of an array, of a list, or of what never grows (objects in two dimensions)."""
    if isinstance(cells, np.ndarray):
        return packed(cells)
    return ("list", *cells) if isinstance(cells, list) else cells


def typed(values: Any, dtype: Any) -> Any:
    """``values`` set into a typed array of ``dtype``: ECMAScript's conversions."""
    if isinstance(values, np.ndarray):
        return np.array([convert(item, dtype) for item in values.ravel().tolist()], dtype)
    return np.array([convert(to_number(item), dtype) for item in values], dtype)


def to_number(value: Any) -> float:
    """ECMAScript's ToNumber of a canonical value, as far as columns need it."""
    if value is None:
        return 0.0
    if isinstance(value, tuple) and value[0] in ("number", "bool"):
        return float(value[1])
    return 0.0 if value == "" else float("nan")


def convert(value: float, dtype: Any) -> Any:
    """A number as an element of a typed array."""
    if dtype.kind == "f":
        return value
    bits = 8 if dtype.kind == "b" else dtype.itemsize * 8
    whole = int(value) % 2**bits if np.isfinite(value) else 0
    return whole - 2**bits if dtype.kind == "i" and whole >= 2 ** (bits - 1) else whole


def streamed(column: Any, new: Any, rollover: int | None) -> Any:
    """BokehJS' ``stream_to_column``."""
    if isinstance(column, list) and isinstance(new, list):
        joined = column + new
        return joined[-rollover:] if rollover is not None and len(joined) > rollover else joined
    if isinstance(column, np.ndarray):
        column = column.ravel()
    dtype = column.dtype if isinstance(column, np.ndarray) else new.dtype
    if rollover is None or len(column) + len(new) <= rollover:
        return np.concatenate([typed(column, dtype), typed(new, dtype)]).astype(dtype)
    start, end = len(column) + len(new) - rollover, len(column)
    if end < rollover:
        column = np.concatenate([typed(column, dtype), np.zeros(rollover - end, dtype)])
    moved = column[start:end].copy() if isinstance(column, np.ndarray) else column[start:end]
    column[: len(moved)] = moved
    for at, value in enumerate(typed(new, dtype).tolist()):
        if 0 <= at + end - start < len(column):
            column[at + end - start] = value if isinstance(column, np.ndarray) else ("number", float(value))
    return column


def patch_column(column: Any, index: Any, value: Any) -> None:
    """BokehJS' ``patch_to_column``."""
    if isinstance(index, list):
        item = unpacked(column[index[0]])
        inner = tuple(index[1:])
        item[inner] = typed(value, item.dtype).reshape(item[inner].shape)
        column[index[0]] = packed(item)
        return
    at = range(len(column))[index] if isinstance(index, slice) else range(index, index + 1)
    values = value if isinstance(index, slice) else [value]
    for place, item in zip(at, values, strict=False):
        if isinstance(column, np.ndarray):
            column[place] = typed([item] if not isinstance(item, np.generic) else np.array([item]), column.dtype)[0]
        else:
            column[place] = ("number", float(item)) if isinstance(item, np.generic) else item
