"""One canonical form of documents, to compare the server's with bokeh's and with a browser's.

What is normalised, and why:

- a model's place: bokeh writes a model in full where it is first met and by its id later, and where "first" is depends
  on the order of attributes. Here every model stands for itself, and values hold ids;
- the order of the entries of maps and sets, which has no meaning in Python's and JavaScript's equality;
- numbers: 1 and 1.0 are one number in JSON and in JavaScript (``True`` is not); NaN is one value whatever its bits;
- arrays: byte order, base64 or binary buffers, ``typed_array`` or ``ndarray``; an array of dtype "object" is a list,
  because that is what BokehJS makes of it; one of no dimensions, which Bokeh never writes, has one;
- an absent attribute is the default of its type: only bokeh knows it, so ``differences`` asks bokeh's own model.

Not compared, because bokeh's ``Document.from_json`` throws it away: ``defs`` and the document's callbacks. They have
tests of their own.
"""

from __future__ import annotations

import base64
import gzip
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from bokeh.core.serialization import Buffer, Serializer
from bokeh.document import Document as BokehDocument
from bokeh.model import Model as BokehModel

from bokeh_server.core import Buffers
from bokeh_server.core.document import Document


@dataclass
class Flat:
    """A document in canonical form: models by id as (type, attributes), roots by id, title."""

    models: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    roots: list[str] = field(default_factory=list)
    title: str = ""
    callbacks: Any = None


class Canon:
    """Brings values as they are on the wire into canonical form; model definitions met on the way go to ``models``."""

    def __init__(self, buffers: dict[str, bytes] | None = None) -> None:
        self.buffers = buffers or {}
        self.models: dict[str, tuple[str, dict[str, Any]]] = {}

    def value(self, value: Any) -> Any:
        """The canonical form of a value."""
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool):
            return ("bool", value)
        if isinstance(value, int | float):
            return number(float(value))
        if isinstance(value, list | tuple):
            return ("list", *map(self.value, value))
        if isinstance(value, dict):
            return self._object(value)
        raise TypeError(type(value))

    def _object(self, value: dict[str, Any]) -> Any:
        match value.get("type"):
            case "object" if "id" in value:
                attributes = {key: self.value(item) for key, item in value.get("attributes", {}).items()}
                self.models[value["id"]] = (value["name"], attributes)
                return ("ref", value["id"])
            case "number":
                return number(float(value["value"]))
            case "map":
                entries = [(self.value(key), self.value(item)) for key, item in value.get("entries", [])]
                return ("map", *sorted(entries, key=repr))
            case "set":
                return ("set", *sorted(map(self.value, value.get("entries", [])), key=repr))
            case "array":
                return ("list", *map(self.value, value.get("entries", [])))
            case "bytes":
                return ("bytes", self._bytes(value["data"]))
            case "ndarray" | "typed_array":
                return self._array(value)
            case "ref":
                return ("ref", value["id"])
            case None if isinstance(value.get("id"), str):
                return ("ref", value["id"])
            case "slice":
                return ("slice", *(self.value(value.get(part)) for part in ("start", "stop", "step")))
        return ("struct", *sorted(((key, self.value(item)) for key, item in value.items()), key=repr))

    def _bytes(self, data: Any) -> bytes:
        if isinstance(data, str):
            return gzip.decompress(base64.b64decode(data))
        if isinstance(data, Buffer):
            return data.to_bytes()
        return bytes(self.buffers[data["id"]])

    def _array(self, value: dict[str, Any]) -> Any:
        source, dtype = value["array"], value["dtype"]
        if dtype == "object":
            listed = self.value(source)
            return listed if len(value["shape"]) == 1 else ("objects", tuple(value["shape"]), listed)
        if isinstance(source, list):
            plain = [item["value"] if isinstance(item, dict) else item for item in source]
            floats = np.array(plain, np.float64)
            array = (floats if dtype.startswith("float") else np.nan_to_num(floats)).astype(dtype)
        else:
            raw = np.frombuffer(self._bytes(source["data"]), dtype)
            array = raw.byteswap() if value["order"] == "big" else raw
        return packed(array.reshape(value.get("shape") or [array.size]))


def number(value: float) -> Any:
    """The canonical form of a number."""
    return ("number", "nan" if math.isnan(value) else value)


def packed(array: Any) -> Any:
    """The canonical form of an array of numbers."""
    if array.dtype.kind == "b":
        array = array.view(np.uint8) != 0
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
    return ("array", array.dtype.name, array.shape, array.astype(array.dtype.newbyteorder("<")).tobytes())


def wire_flat(content: bytes, buffers: Buffers) -> Flat:
    """The canonical form of a document as it goes over the wire."""
    doc = orjson.loads(content)
    doc = doc.get("doc", doc)
    canon = Canon({name: bytes(payload) for name, payload in buffers})
    canon.value(doc.get("models"))  # only in snapshots, where models stand side by side
    config = canon.value(doc.get("config"))
    callbacks = (config, canon.value(doc.get("callbacks")), canon.value(doc.get("defs")))
    roots = [canon.value(root)[1] for root in doc["roots"]]
    return Flat(canon.models, roots, doc["title"], callbacks)


def closure(flat: Flat, value: Any) -> set[str]:
    """Ids of the models that a canonical value leads to."""
    seen: set[str] = set()
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, tuple):
            if len(item) == 2 and item[0] == "ref" and item[1] not in seen:
                seen.add(item[1])
                todo.append(flat.models[item[1]][1])
            todo.extend(item)
    return seen


def server_flat(document: Document) -> Flat:
    """The canonical form of the server's document, through its wire form."""
    return wire_flat(*document.encode(flat=True))


def compare(ours: Flat, browser: Flat) -> list[str]:
    """What differs between the server's document and a browser's."""
    found = [f"roots in a browser: {ours.roots} != {browser.roots}"] if ours.roots != browser.roots else []
    if ours.title != browser.title:
        found.append(f"title in a browser: {ours.title!r} != {browser.title!r}")
    if missing := sorted(ours.models.keys() ^ browser.models.keys()):
        found.append(f"models that only the server or a browser has: {missing}")
    for key in ours.models.keys() & browser.models.keys():
        (name, attributes), (_, theirs) = ours.models[key], browser.models[key]
        for attribute in attributes.keys() | theirs.keys():
            one, other = attributes.get(attribute, "absent"), theirs.get(attribute, "absent")
            if one != other:
                found.append(f"in a browser {name}({key}).{attribute}: {one!s:.600} != {other!s:.600}")
    return found


def bokeh_model(model: BokehModel, references: set[BokehModel], extra: set[str]) -> dict[str, Any]:
    """The attributes of bokeh's ``model`` in canonical form: those that are set, and the defaults of ``extra``."""
    properties = model.properties_with_values(include_defaults=False, include_undefined=False)
    names = model.properties(_with_props=True)
    properties.update({name: getattr(model, name) for name in extra - properties.keys() if name in names})
    canon = Canon()
    return {name: canon.value(Serializer(references=references).encode(item)) for name, item in properties.items()}


def differences(ours: Flat, bokeh: BokehDocument, only: set[str] | None = None) -> list[str]:
    """What differs between the server's document and bokeh's; ``only`` limits the look at attributes to these ids."""
    found = []
    if ours.roots != [root.id for root in bokeh.roots]:
        found.append(f"roots: {ours.roots} != {[root.id for root in bokeh.roots]}")
    if ours.title != bokeh.title:
        found.append(f"title: {ours.title!r} != {bokeh.title!r}")
    models = {model.id: model for model in [*bokeh.models, *bokeh.config.references()]}
    if missing := models.keys() - ours.models.keys():
        found.append(f"models that only bokeh has: {sorted(missing)}")
    if extra := ours.models.keys() - models.keys() - closure(ours, ours.callbacks):
        found.append(f"models that only the server has: {sorted(extra)}")
    references = set(models.values())
    for key in models.keys() & ours.models.keys() if only is None else only & models.keys() & ours.models.keys():
        name, attributes = ours.models[key]
        theirs = bokeh_model(models[key], references, set(attributes))
        if name.rsplit(".")[-1].lower() != type(models[key]).__name__.lower():
            found.append(f"{key}: type {name} != {type(models[key]).__name__}")
        for attribute in attributes.keys() | theirs.keys():
            one, other = attributes.get(attribute, "absent"), theirs.get(attribute, "absent")
            if one != other:
                found.append(f"{name}({key}).{attribute}: {one!s:.600} != {other!s:.600}")
    return found
