"""A Bokeh document as plain JSON: models by id, columns by reference, nothing of Python's models.

``flatten`` takes a value apart as it comes over the wire: a model that is defined inside it goes into ``models`` and
leaves ``{"id"}`` behind; an array becomes a NumPy array over the bytes that came; a source's data becomes ``Columns``.
``encode`` is the way back: every model is written in full where it is first met, later by its id (the order that
bokeh 3.9 ``document/document.py`` uses). What nothing refers to any more rests in the ``grave`` for a while, because
a browser may still name it (BokehJS collects its garbage only after 30 s).

A document never checks names of properties or their types: it is a relay, and newer versions of Bokeh have others.
"""

from __future__ import annotations

import base64
import gzip
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import orjson

from bokeh_server.core import Buffers, Payload
from bokeh_server.core.census import census
from bokeh_server.core.column import SCALARS, Column, Columns, Undo, is_a
from bokeh_server.core.history import told
from bokeh_server.core.values import DTYPES, from_bytes, from_list, inflate, is_shape, load_json, pairs, unchanged
from bokeh_server.errors import BadMessage, TooLarge, TypeClash, UnknownModel
from bokeh_server.limits import LIMITS, Limits

Template = list[bytes | str]
"""JSON text (bytes), and the ids of models where these stand (str)."""
CONTAINERS = {"map", "set", "array"}
UNWRITABLE = ("nan", "+inf", "-inf")


class Model:
    """One model: its type's name, its attributes, and for the attributes that name other models, which ones."""

    __slots__ = ("attributes", "name", "refs", "template")

    def __init__(self, name: str) -> None:
        self.name = name
        self.attributes: dict[str, Any] = {}
        self.refs: dict[str, frozenset[str]] = {}
        self.template: Template | None = None
        """How it was written last, while that holds (see ``Writer``)."""

    def put(self, attribute: str, value: Any) -> None:
        """Give an attribute another value, where neither names a model."""
        self.attributes[attribute] = value
        self.template = None

    def set(self, attribute: str, value: Any, refs: Iterable[str]) -> Undo:
        """Set an attribute whose value names the models ``refs``; return how to take it back."""
        attributes, all_refs = self.attributes, self.refs
        missing = attribute not in attributes
        old = attributes.get(attribute)
        self.put(attribute, value)
        found = frozenset(refs)
        if found:
            self.refs = {**all_refs, attribute: found}
        elif attribute in all_refs:
            self.refs = {name: named for name, named in all_refs.items() if name != attribute}

        def undo() -> None:
            self.put(attribute, old)
            if missing:
                del attributes[attribute]
            self.refs = all_refs  # as it was, in the same order: it is the order in which models are written

        return undo


class Document:
    """One document. Only ``core.apply`` changes it; everyone else reads."""

    __slots__ = ("grave", "limits", "models", "parts", "roots", "title", "version")

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.limits = limits
        self.models: dict[str, Model] = {}
        self.roots: list[str] = []
        self.title = ""
        self.version: str | None = None
        self.parts = Model("")
        """Config, definitions of data models and document callbacks, held like the attributes of a model."""
        self.grave: dict[str, tuple[float, Model]] = {}

    @classmethod
    def empty(cls, limits: Limits = LIMITS) -> Document:
        """A new document: no roots, and the config that Python's bokeh can't load one without."""
        return cls.from_json({"roots": []}, {}, limits=limits)

    @classmethod
    def decode(cls, content: bytes, buffers: Buffers = (), *, limits: Limits = LIMITS) -> Document:
        """The document of a PUSH-DOC's content (``{"doc": …}``) or of a document's JSON itself, with its buffers."""
        value = load_json(content)
        if isinstance(value, dict) and isinstance(value.get("doc"), dict):
            value = value["doc"]
        return cls.from_json(value, dict(buffers), limits=limits)

    @classmethod
    def from_json(cls, doc: Any, buffers: Mapping[str, Payload], *, limits: Limits = LIMITS) -> Document:
        """The document of a parsed JSON (bokeh's ``DocJson``); raises ``BadMessage`` where it is none."""
        if not isinstance(doc, dict) or not isinstance(doc.get("roots"), list):
            raise BadMessage('A document is a JSON object with "roots": a list of models.')
        document = cls(limits)
        flattener = Flattener(document, buffers)
        models = doc.get("models", [])
        for model in models if isinstance(models, list) else ():
            flattener.definition(model)
        for part in PARTS:
            if part == "roots":
                roots = map(flattener.reference, doc["roots"])
                document.roots = list(dict.fromkeys(roots))
            elif (value := doc.get(part) or (CONFIG if part == "config" else None)) is not None:
                document.parts.set(part, *flattener.value(value))
        document.title = doc.get("title", "")
        if type(document.title) is not str:
            raise BadMessage("A title is a string.")
        version = doc.get("version")
        document.version = version if isinstance(version, str) else None
        document.sweep(0.0)
        document.grave.clear()
        for key, history in told(doc.get("histories")).items():
            if key in document.models and type(data := document.models[key].attributes.get("data")) is Columns:
                data.history = history
        return document

    def model(self, name: str) -> tuple[str, Model]:
        """The model of this id, or the only one whose ``name`` property is this; ``UnknownModel`` otherwise."""
        found = self.models.get(name)
        if found is not None:
            return name, found
        named = [(key, model) for key, model in self.models.items() if unchanged(model.attributes.get("name"), name)]
        if len(named) != 1:
            count = f"{len(named)} models are" if named else "no model is"
            raise UnknownModel(f"In this document {count} named {name!r}; name it by its id.")
        return named[0]

    def reachable(self) -> set[str]:
        """Ids of the models that the roots, the config or the callbacks lead to."""
        seen: set[str] = set()
        todo = [*self.roots, *(key for refs in self.parts.refs.values() for key in refs)]
        while todo:
            key = todo.pop()
            if key in seen:
                continue
            seen.add(key)
            for refs in self.models[key].refs.values():
                todo.extend(refs - seen)
        return seen

    def sweep(self, now: float) -> None:
        """Move what nothing refers to into the grave, and empty old graves; ``now`` in seconds."""
        kept = self.reachable()
        for key in [key for key in self.models if key not in kept]:
            self.grave[key] = (now, self.models.pop(key))
        excess = len(self.grave) - self.limits.grave_models
        for at, (key, (buried, _)) in enumerate(list(self.grave.items())):
            if at >= excess and buried >= now - self.limits.grave:
                break
            del self.grave[key]

    def encode(self, *, inline: bool = False, flat: bool = False) -> tuple[bytes, Buffers]:
        """The JSON of the document, and its binary buffers (``inline``: base64 of gzip in the JSON, no buffers).

        ``flat`` is for our own snapshots: the models stand side by side instead of one in the other, so that a chain
        of any length is read again without a limit to its depth.
        """
        writer = Writer(self.models, inline=inline)
        return b"".join(self.written(writer, flat=flat)), tuple(writer.buffers)

    def written(self, writer: Writer, *, flat: bool) -> list[bytes]:
        """The JSON of the document in pieces, by a writer of its models."""
        out = [b'{"version":', orjson.dumps(self.version), b',"title":', orjson.dumps(self.title)]
        if flat:
            names = [{"type": "object", "name": model.name, "id": key} for key, model in self.models.items()]
            out += (b',"models":', orjson.dumps(names)[:-1], *writer.definitions(), b"]")
            writer = Writer({}, buffers=writer.buffers)
        values = {**self.parts.attributes, "roots": [{"id": root} for root in self.roots]}
        for part in PARTS:
            if part in values:
                out += (b',"', part.encode(), b'":', writer.write(values[part]))
        return [*out, b"}"]

    def census(self) -> str:
        """What the document shows, in words (see ``core.census``)."""
        return census((model.name for model in self.models.values()), empty=not self.roots)


OBJECTS = {"type": "ndarray", "dtype": "object", "order": "little"}
NO_MODEL = "A model is defined by an id, a name and its attributes."
CONFIG = {"type": "object", "name": "DocumentConfig", "id": "config"}
"""What a document pushed by bokeh <= 3.7 lacks, and the Python of 3.9 can't load one without."""
PARTS = ("defs", "config", "roots", "callbacks")
"""In the order in which bokeh writes and BokehJS reads them: what comes later names models of what came before."""


class Flattener:
    """Takes the values of one message apart; collects how to take back what it defined.

    ``keep`` is the rule for a model that is defined although it exists: browsers write models in full that they got
    from others a moment ago, so what they say of it is old (True); a program knows better (False).
    """

    __slots__ = (
        "_buffers",
        "_document",
        "_found",
        "_limits",
        "_room",
        "buffers",
        "definitions",
        "keep",
        "kept",
        "open",
        "redefined",
        "revived",
        "undo",
    )

    def __init__(self, document: Document, buffers: Mapping[str, Payload], *, keep: bool = False) -> None:
        self._document = document
        self._buffers = buffers
        self._limits = document.limits
        self._room = document.limits.message
        self._found: set[str] = set()
        self.keep = keep
        self.undo: list[Undo] = []
        self.open: set[str] = set()  # the models whose definitions are being read
        self.revived = False
        """Whether any model was brought back from the grave."""
        self.redefined: set[int] = set()
        """The definitions (by their identity in Python) that set a model anew that was there already."""
        self.kept: set[int] = set()
        """The definitions (by their identity in Python) that were ignored by this rule."""
        self.definitions: dict[str, Any] = {}
        """The models that were made or brought back, each defined as it was then, the latter with the others by id."""
        self.buffers: list[tuple[str, Payload]] = []
        """The binary buffers of ``definitions``."""

    def value(self, value: Any, depth: int = 1) -> tuple[Any, set[str]]:
        """A value of an attribute, taken apart, and the ids of the models that it names.

        ``depth`` is how deep in an attribute it stands: what is accepted here must be so in a snapshot.
        """
        if type(value) is not dict and type(value) is not list:
            return value, set()
        outer, self._found = self._found, set()
        try:
            return self._flatten(value, depth), self._found
        finally:
            self._found = outer

    def reference(self, value: Any) -> str:
        """The id of a model that is defined or named by ``value``."""
        flat, _ = self.value(value)
        if type(flat) is not dict or flat.keys() != {"id"}:
            raise BadMessage("A model was expected, by its definition or its id.")
        key: str = flat["id"]  # `_flatten` lets no other pass
        return key

    def definition(self, value: Any) -> None:
        """A model of a flat document (``Document.encode``)."""
        if type(value) is not dict:
            raise BadMessage(NO_MODEL)
        self._definition(value, -1)

    def data(self, value: Any, depth: int = 1) -> tuple[Any, set[str]]:
        """The ``data`` of a source: ``Columns`` where it is a map of columns, otherwise as any value."""
        entries = pairs(value)
        if entries is None:
            return self.value(value, depth)
        outer, self._found = self._found, set()
        try:
            columns = Columns()
            for name, values in entries:
                flat = self._flatten(values, depth + 1)
                if not isinstance(name, str) or not isinstance(flat, list | np.ndarray):
                    return self._flatten(value, depth), self._found
                own = flat[:] if flat is values else flat  # what came may have to be written again as it is
                columns[name] = Column(own)
            return columns, self._found
        finally:
            self._found = outer

    def _flatten(self, value: Any, depth: int) -> Any:
        if depth > self._limits.depth:
            raise TooLarge(f"The content is nested deeper than {self._limits.depth} levels.")
        kind = type(value)
        if kind is list:
            if set(map(type, value)) <= SCALARS:
                return value
            return [self._flatten(item, depth + 1) for item in value]
        if kind is not dict:
            return value
        match value.get("type"):
            case "object" if "id" in value:
                return self._definition(value, depth)
            case "model":
                return self._class(value, depth)
            case "bytes":
                return self._bytes(value)
            case "number" if value.get("value") not in UNWRITABLE and type(value.get("value")) not in (int, float):
                raise BadMessage("A number that JSON can't write is nan, +inf or -inf.")
            case "ndarray" | "typed_array":
                return self._array(value, depth)
            case str() as container if container in CONTAINERS:
                return self._container(value, depth)
            case "ref":
                return self._named(value.get("id"))
            case None if "id" in value:
                return self._named(value["id"])
        return {key: self._flatten(item, depth + 1) for key, item in value.items()}

    def _class(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        """The definition of a data model's class; it names the class that it extends like a model, but it is none."""
        base = value.get("extends")
        if base is not None and not (type(base) is dict and base.keys() == {"id"} and type(base["id"]) is str):
            raise BadMessage("A class extends another one, which is named by its id.")
        return {key: item if key == "extends" else self._flatten(item, depth + 1) for key, item in value.items()}

    def _container(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        entries = value.get("entries", [])
        if not isinstance(entries, list):
            raise BadMessage("The entries of a map, set or array are a list.")
        if value["type"] == "map" and pairs(value) is None:
            raise BadMessage("The entries of a map are pairs.")
        flat = {"type": value["type"]}
        return {**flat, "entries": self._flatten(entries, depth + 1)} if "entries" in value else flat

    def _named(self, key: Any) -> dict[str, str]:
        if not isinstance(key, str):
            raise BadMessage("The id of a model is a string.")
        if key not in self._document.models:
            self._revive(key)
        self._found.add(key)
        return {"id": key}

    def _revive(self, key: str) -> None:
        self.revived = True
        document, todo = self._document, [key]
        while todo:
            name = todo.pop()
            if name in document.models:
                continue
            if name not in document.grave:
                raise UnknownModel(f"The document has no model {name[:40]!r}; pull it again.")
            model = document.models[name] = self._unbury(name)
            todo.extend(other for refs in model.refs.values() for other in refs)
            writer = Writer({name: model}, taken=(*self._buffers, *(buffer for buffer, _ in self.buffers)))
            self.definitions[name] = orjson.loads(writer.write({"id": name}))
            self.buffers += writer.buffers

    def _unbury(self, key: str) -> Model:
        models, grave = self._document.models, self._document.grave
        buried = grave.pop(key)

        def undo() -> None:
            del models[key]
            grave[key] = buried

        self.undo.append(undo)
        return buried[1]

    def _definition(self, value: dict[str, Any], depth: int) -> dict[str, str]:
        key, name, attributes = value.get("id"), value.get("name"), value.get("attributes", {})
        if not isinstance(key, str) or not isinstance(name, str) or not isinstance(attributes, dict):
            raise BadMessage(NO_MODEL)
        document = self._document
        model = document.models.get(key)
        if model is not None and model.name != name:
            raise TypeClash(f"Model {key[:40]!r} exists as {model.name[:40]}, not {name[:40]}.")
        if model is not None and self.keep:
            self.kept.add(id(value))
        else:
            if model is None:
                model = self._new(key, name)
                self.definitions[key] = value
            else:
                self.redefined.add(id(value))
            if key in self.open:
                raise BadMessage("A model can't be defined within itself.")
            self.open.add(key)
            outer = self._found
            for attribute, item in attributes.items():
                self._found = set()
                flat = self._attribute(attribute, item, depth + 2)
                self.undo.append(model.set(attribute, flat, self._found))
            self._found = outer
            self.open.discard(key)
        self._found.add(key)
        return {"id": key}

    def _attribute(self, attribute: str, item: Any, depth: int) -> Any:
        if attribute == "data":
            flat, refs = self.data(item, depth)
            self._found |= refs
            return flat
        return self._flatten(item, depth)

    def _new(self, key: str, name: str) -> Model:
        document = self._document
        if len(document.models) >= self._limits.models:
            raise TooLarge(f"A document may have at most {self._limits.models} models.")
        model = document.models[key] = Model(name)
        buried = document.grave.pop(key, None)

        def undo() -> None:
            del document.models[key]
            if buried is not None:
                document.grave[key] = buried

        self.undo.append(undo)
        return model

    def _bytes(self, value: dict[str, Any]) -> bytes:
        data = value.get("data")
        if isinstance(data, str):
            payload = inflate(data, self._room)
            self._room -= len(payload)
            return payload
        if isinstance(data, dict) and isinstance(data.get("id"), str) and data["id"] in self._buffers:
            return bytes(self._buffers[data["id"]])
        raise BadMessage("A binary value names a buffer that the message does not have.")

    def _array(self, value: dict[str, Any], depth: int) -> Any:
        dtype, source, order, shape = (value.get(key) for key in ("dtype", "array", "order", "shape"))
        data = self._flatten(source, depth + 1) if isinstance(source, dict | list) else None
        if shape is not None and not is_shape(shape):
            raise BadMessage("The shape of an array is a list of at most 8 whole numbers.")
        if dtype == "object" and isinstance(data, list):
            return data if shape is None or len(shape) == 1 else {**OBJECTS, "array": data, "shape": shape}
        if not isinstance(dtype, str) or dtype not in DTYPES or order not in ("little", "big", None):
            raise BadMessage("An array needs a dtype and an order that Bokeh has on its wire.")
        if isinstance(data, bytes):
            array = from_bytes(data, np.dtype(dtype), order or "little")
        elif isinstance(data, list):
            array = from_list(data, np.dtype(dtype))
        else:
            raise BadMessage("An array needs its values.")
        if shape and math.prod(shape) != array.size:
            raise BadMessage(f"An array of {array.size} values can't have the shape {shape}.")
        return array.reshape(shape) if shape else array


class Writer:
    """Writes values as Bokeh's JSON; a model is written in full the first time it is met.

    What it writes of a model is a *template*: JSON text, with the ids of other models between. A model keeps its own
    until it changes, so that a copy of a document costs what changed, not what is there.
    """

    __slots__ = ("_binary", "_inline", "_models", "_number", "_seen", "_taken", "buffers")

    def __init__(
        self,
        models: dict[str, Model],
        *,
        inline: bool = False,
        taken: Iterable[str] = (),
        buffers: list[tuple[str, Payload]] | None = None,
    ) -> None:
        """``models`` are those that may be written in full; the reader is taken to have all others.

        ``taken`` are the names of buffers that go with the same message.
        """
        self._models = models
        self._inline = inline
        self._taken = frozenset(taken)
        self._seen: set[str] = set()
        self._binary = False
        self.buffers = [] if buffers is None else buffers
        self._number = len(self.buffers)

    def write(self, value: Any) -> bytes:
        """The JSON of ``value``. Works from a stack of its own: a long chain of models is no recursion."""
        models, seen = self._models, self._seen
        out: list[bytes] = []
        todo = [iter(self._template(value))]
        while todo:
            for piece in todo[-1]:
                if isinstance(piece, bytes):
                    out.append(piece)
                elif piece in seen or piece not in models:
                    out.append(reference(piece))
                else:
                    seen.add(piece)
                    todo.append(iter(self._model(piece)))
                    break
            else:
                todo.pop()
        return b"".join(out)

    def definitions(self) -> Iterator[bytes]:
        """Each model by itself, all others in it by their ids; a comma in front."""
        for key in self._models:
            yield b","
            yield from (piece if isinstance(piece, bytes) else reference(piece) for piece in self._model(key))

    def _model(self, key: str) -> Template:
        model = self._models[key]
        if model.template is not None:
            return model.template
        self._binary = any(type(item) is Columns for item in model.attributes.values())
        head = orjson.dumps({"type": "object", "name": model.name, "id": key})
        plain = {name: item for name, item in model.attributes.items() if name not in model.refs}
        pieces: list[bytes | str] = [head[:-1] + b',"attributes":' + self._plain(plain)[:-1]]
        comma = b"," if plain else b""
        for name in model.refs:
            item = model.attributes[name]
            pieces.append(comma + orjson.dumps(name) + b":")
            pieces += self._template(as_map(item) if isinstance(item, Columns) else item)
            comma = b","
        template = compact([*pieces, b"}}"])
        if not self._binary:
            model.template = template
        return template

    def _template(self, value: Any) -> Template:
        """``value`` as JSON text with ids between; recursive, as a value of an attribute has a limited depth."""
        kind = type(value)
        if (kind is not dict and kind is not list) or not value or (kind is list and set(map(type, value)) <= SCALARS):
            return [self._plain(value)]
        if kind is list:
            pieces = [piece for item in value for piece in (b",", *self._template(item))]
            return [b"[", *pieces[1:], b"]"]
        if value.keys() == {"id"} and type(value["id"]) is str:
            return [value["id"]]
        if is_a(value, "bytes"):
            return [self._plain(value)]  # of a patch as it came: its id is a buffer's
        pieces = []
        for name, item in value.items():
            plain = name == "extends" and is_a(value, "model")  # the class that it extends is no model
            pieces += (b",", orjson.dumps(name) + b":", *([self._plain(item)] if plain else self._template(item)))
        return [b"{", *pieces[1:], b"}"]

    def _plain(self, value: Any) -> bytes:
        return orjson.dumps(value, self._default, orjson.OPT_PASSTHROUGH_SUBCLASS)

    def _default(self, value: Any) -> Any:
        self._binary = True
        if isinstance(value, Columns):
            return as_map(value)
        if isinstance(value, np.ndarray):
            payload = np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
            return {
                "type": "ndarray",
                "array": {"type": "bytes", "data": self._payload(payload)},
                "shape": list(value.shape),
                "dtype": value.dtype.name,
                "order": "little",
            }
        if isinstance(value, bytes):
            return {"type": "bytes", "data": self._payload(value)}
        raise TypeError(f"{type(value)} is no value of a document")

    def _payload(self, payload: Payload) -> Any:
        if self._inline:
            return base64.b64encode(gzip.compress(payload, 1, mtime=0)).decode()
        while (name := str(self._number)) in self._taken:
            self._number += 1
        self._number += 1
        self.buffers.append((name, payload))
        return {"id": name}


def reference(key: str) -> bytes:
    """A model by its id."""
    return orjson.dumps({"id": key})


def compact(pieces: Template) -> Template:
    """The same template, with text that stands side by side put together."""
    out: Template = []
    text: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            text.append(piece)
        else:
            out += (b"".join(text), piece)
            text.clear()
    return [*out, b"".join(text)]


def as_map(columns: Columns) -> dict[str, Any]:
    """Columns as Bokeh writes a dict (``{"type": "map"}``)."""
    return {"type": "map", "entries": [[name, column.lend()] for name, column in columns.items()]}
