"""Random changes of a Bokeh document by bokeh's own machinery, as patches on the wire.

``Author`` owns a document, changes it through bokeh's public calls (property assignment, containers changed in place,
``stream``, ``patch``, ``add_root`` …) and serialises what bokeh reports, buffers included, exactly as a program would.
Values of properties come from bokeh's own property types, so that nearly every kind of model and attribute is met.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import orjson
from bokeh.core.property import bases, wrappers
from bokeh.core.property.any import Any as AnyProperty
from bokeh.core.property.color import Color
from bokeh.core.property.container import ColumnData, Dict, List, Set, Tuple
from bokeh.core.property.dataspec import DataSpec
from bokeh.core.property.either import Either
from bokeh.core.property.enum import Enum
from bokeh.core.property.instance import Instance
from bokeh.core.property.nullable import Nullable
from bokeh.core.property.numeric import Percent
from bokeh.core.property.primitive import Bool, Float, Int, String
from bokeh.core.property.readonly import Readonly
from bokeh.core.serialization import Serializer
from bokeh.document import Document
from bokeh.document.events import DocumentPatchedEvent, MessageSentEvent
from bokeh.model import Model
from bokeh.models import ColumnDataSource, LayoutDOM
from bokeh.protocol.messages.patch_doc import patch_doc

from bokeh_server.core import Buffers
from tests.model import documents

Patch = tuple[bytes, Buffers]
SKIPPED = {"data", "name", "document", "geojson"}
FAILURES = (ValueError, TypeError, RuntimeError, AttributeError, KeyError, IndexError, OverflowError, OSError)
"""What bokeh raises when a value does not suit a property; nothing has changed then."""


@cache
def ready_made(wanted: type[Any]) -> list[type[Any]]:
    """The kinds of models that can stand for ``wanted`` and be written without any argument."""
    kinds = []
    for name, kind in sorted(Model.model_class_reverse_map.items()):
        if issubclass(kind, wanted) and (name.startswith("bokeh.models") or "." not in name):
            try:
                Serializer().encode(kind())
            except FAILURES:
                continue
            kinds.append(kind)
    return kinds


class Author:
    """A document that a program changes, and the patches that bokeh makes of it."""

    def __init__(self, rng: random.Random, document: Document) -> None:
        self.rng = rng
        self.document = document
        self.removed: list[Model] = []
        self.names: frozenset[str] = frozenset()
        """The kinds of models that may be made (empty: all)."""
        self._made: list[Patch] = []
        self._recording = True
        document.on_change(self._record)

    def _record(self, event: Any) -> None:
        """Write an event down at once, as ``bokeh.client`` does: what it names may change a moment later."""
        if self._recording and isinstance(event, DocumentPatchedEvent):
            message = patch_doc.create([event])
            buffers = tuple((buffer.id, buffer.to_bytes()) for buffer in message.buffers)
            self._made.append((message.content_json.encode(), buffers))

    @property
    def models(self) -> list[Model]:
        """The models of the document, in an order that depends on the seed only."""
        return sorted(self.document.models, key=lambda model: (len(model.id), model.id))

    @property
    def sources(self) -> list[ColumnDataSource]:
        """Its data sources."""
        return [model for model in self.models if isinstance(model, ColumnDataSource)]

    def silently(self, change: Any) -> None:
        """Run ``change`` without recording what it does to the document."""
        self._recording = False
        try:
            change()
        finally:
            self._recording = True

    def edit(self) -> Patch | None:
        """One random edit; None where it changed nothing, or bokeh would not have it."""
        moves = [
            self.set_property, self.set_property, self.set_property, self.set_tags, self.mutate, self.stream,
            self.stream, self.stream, self.patch_columns, self.patch_columns, self.set_columns, self.replace_data,
            self.children, self.children, self.root, self.title, self.message,
        ]  # fmt: skip
        self._made.clear()
        try:
            self.rng.choice(moves)()
        except FAILURES:
            pass  # bokeh would not have this value
        return merged(self._made) if self._made else None

    def set_property(self) -> None:
        """Assign a fitting value to a random property of a random model."""
        model = self.rng.choice(self.models)
        names = sorted(name for name in set(model.properties()) - SKIPPED if not name.endswith("_units"))
        name = self.rng.choice(names)
        if isinstance(model.lookup(name).property, Readonly):
            return
        setattr(model, name, self.fitting(model.lookup(name).property))

    def fitting(self, kind: bases.Property[Any], depth: int = 0) -> Any:
        """A value that suits a property type; now and then one that does not, which bokeh then refuses."""
        rng = self.rng
        match kind:
            case DataSpec():
                return self._spec()
            case Enum():
                return rng.choice(list(kind._enum))
            case Color():
                return rng.choice(["red", "#12345678", (1, 2, 3), (1, 2, 3, 0.5)])
            case Either() | bases.ParameterizedProperty() if isinstance(kind, Either):
                return self.fitting(rng.choice(kind.type_params), depth)
            case Nullable():
                return None if rng.random() < 0.2 else self.fitting(kind.type_param, depth)
            case ColumnData():
                return documents.source(rng).data
            case List() | Set():
                made = [
                    self.fitting(kind.type_params[0], depth + 1) for _ in range(rng.randrange(3) if depth < 3 else 0)
                ]
                return made if isinstance(kind, List) else set(made)
            case Tuple():
                return tuple(self.fitting(part, depth + 1) for part in kind.type_params)
            case Dict():
                keys, values = kind.type_params
                return {self.fitting(keys, depth + 1): self.fitting(values, depth + 1) for _ in range(rng.randrange(3))}
            case Instance():
                return self._instance(kind.instance_type)
            case bases.SingleParameterizedProperty():
                return self.fitting(kind.type_param, depth)
            case Bool():
                return rng.random() < 0.5
            case Percent():
                return rng.random()
            case Int():
                return rng.randint(0, 100)
            case Float():
                return documents.finite(rng)
            case String():
                return rng.choice(documents.WORDS)
            case AnyProperty():
                return documents.json_value(rng, self.models)
        return rng.choice([None, 1, "auto"])

    def _spec(self) -> Any:
        field = self.rng.choice(["x", "y", "nowhere"])
        return self.rng.choice([field, 1, 0.5, "red", {"value": 2}, {"field": field}, {"value": None}])

    def _instance(self, wanted: Any) -> Any:
        fitting = [model for model in self.models + self.removed if isinstance(model, wanted)]
        if fitting and self.rng.random() < 0.6:
            return self.rng.choice(fitting)
        kinds = [kind for kind in ready_made(wanted) if not self.names or kind.__qualified_model__ in self.names]
        return self.rng.choice(kinds)()

    def set_tags(self) -> None:
        """Any value Bokeh can carry, nested, with models in it."""
        model = self.rng.choice(self.models)
        model.tags = [
            documents.json_value(self.rng, self.models + self.removed[-3:]) for _ in range(self.rng.randrange(4))
        ]

    def mutate(self) -> None:
        """Change a list, set or dict in place."""
        rng = self.rng
        model = rng.choice(self.models)
        found = [(name, value) for name, value in sorted(model.properties_with_values(include_defaults=False).items())
                 if isinstance(value, wrappers.PropertyValueContainer) and name not in SKIPPED]  # fmt: skip
        if not found:
            return
        name, value = rng.choice(found)
        kind = model.lookup(name).property
        if isinstance(value, wrappers.PropertyValueList):
            made = self.fitting(kind)[0]
            rng.choice([value.append, value.remove, lambda item: value.insert(0, item)])(made)
        elif isinstance(value, wrappers.PropertyValueSet):
            rng.choice([value.add, value.discard])(rng.choice(documents.WORDS))
        elif isinstance(value, wrappers.PropertyValueDict):
            value.update(self.fitting(kind) or {})

    def stream(self) -> None:
        """Append to every column, with a rollover of none, 0, 1, small or large."""
        rng = self.rng
        source = rng.choice(self.sources)
        size = rng.choice([0, 1, 1, 1, 2, 3, 10])
        names = list(source.data) or rng.sample(["x", "y", "z"], 2)
        new = {name: self._like(source.data.get(name, []), size) for name in names}
        source.stream(new, rng.choice([None, None, None, 0, 1, 3, 5, 20, 10_000]))

    def _like(self, old: Any, size: int) -> Any:
        rng = self.rng
        kinds: Sequence[Callable[[random.Random, int], list[Any]]]
        if isinstance(old, np.ndarray) and old.ndim == 1:
            kind = rng.choice(["same", "same", "list", "other"])
            if kind == "other":
                return documents.array(rng, size)
            made = documents.array(rng, size, old.dtype.name if old.dtype.name in documents.DTYPES else "int32")
            return made if kind == "same" else made.tolist()
        if old and all(type(item) in (int, float) for item in old):
            kinds = [documents.numbers, documents.ints, documents.numbers, documents.array]
        elif old and all(isinstance(item, str) for item in old):
            kinds = [documents.words]
        elif old and isinstance(old[0], np.ndarray):
            return [documents.array(rng, old[0].size, "float64").reshape(old[0].shape) for _ in range(size)]
        elif old:
            kinds = [documents.mixed, documents.nested]
        else:
            kinds = documents.COLUMN_KINDS
        return rng.choice(kinds)(rng, size)

    def patch_columns(self) -> None:
        """Single values, slices and parts of images."""
        rng = self.rng
        source = rng.choice(self.sources)
        patches = {}
        for name in rng.sample(sorted(source.data), min(len(source.data), rng.choice([1, 1, 2]))):
            changes = [self._change(source.data[name]) for _ in range(rng.randint(1, 3))]
            patches[name] = [change for change in changes if change is not None]
        source.patch(patches)

    def _change(self, column: Any) -> Any:
        rng, size = self.rng, len(column)
        if not size:
            return (slice(0, 0), [])
        if not isinstance(column, np.ndarray) and isinstance(column[0], np.ndarray) and rng.random() < 0.7:
            return self._part(column)
        if isinstance(column, np.ndarray) and column.ndim > 1:
            return None
        if rng.random() < 0.5:
            return (rng.randrange(size), self._cells(column, 1)[0])
        start, stop = sorted((rng.randint(0, size), rng.randint(0, size)))
        step = rng.choice([1, 1, 2, 3])
        return (slice(start, stop, step), self._cells(column, len(range(start, stop, step))))

    def _cells(self, column: Any, size: int) -> list[Any]:
        made: Any = self._like(column, size)
        if isinstance(column, np.ndarray) and (not isinstance(made, np.ndarray) or made.dtype != column.dtype):
            made = documents.array(
                self.rng, size, column.dtype.name if column.dtype.name in documents.DTYPES else "uint8"
            )
        cells: list[Any] = made.tolist() if isinstance(made, np.ndarray) else made
        return cells

    def _part(self, column: Any) -> Any:
        rng = self.rng
        at = rng.randrange(len(column))
        item = column[at]
        index = [
            rng.choice([rng.randrange(n), slice(None), slice(0, n, 2), slice(rng.randrange(n), None)])
            for n in item.shape
        ]
        part = item[tuple(index)]
        return ([at, *index], documents.array(rng, int(np.size(part)), item.dtype.name).tolist())

    def set_columns(self) -> None:
        """``source.data["y"] = …`` and its like; also a column more or less."""
        rng = self.rng
        source = rng.choice(self.sources)
        size = max((len(column) for column in source.data.values()), default=3)
        names = rng.sample(["x", "y", "z", "new"], rng.choice([1, 1, 2]))
        if rng.random() < 0.15 and source.data:
            del source.data[rng.choice(sorted(source.data))]
        elif len(names) == 1:
            source.data[names[0]] = rng.choice(documents.COLUMN_KINDS)(rng, size)
        else:
            source.data.update({name: rng.choice(documents.COLUMN_KINDS)(rng, size) for name in names})

    def replace_data(self) -> None:
        """``source.data = {…}``."""
        self.rng.choice(self.sources).data = dict(documents.source(self.rng).data)

    def children(self) -> None:
        """Add, remove, move or bring back children of a layout."""
        rng = self.rng
        layouts = [model for model in self.models if type(model).__name__ in ("Row", "Column")]
        if not layouts:
            return
        layout: Any = rng.choice(layouts)
        children = layout.children
        roll = rng.random()
        if roll < 0.35 or not children:
            children.append(documents.piece(rng, self.models, small=True))
        elif roll < 0.65:
            self.removed.append(children.pop(rng.randrange(len(children))))
        elif roll < 0.8:
            children.reverse()
        else:
            back = [model for model in self.removed if isinstance(model, LayoutDOM) and model.document is None]
            children.append(rng.choice(back or [documents.widget(rng, self.models)]))

    def root(self) -> None:
        """Add, remove or bring back a root."""
        rng, roots = self.rng, self.document.roots
        roll = rng.random()
        if roll < 0.4 and len(roots) > 1:
            gone = rng.choice(roots)
            self.removed.append(gone)
            self.document.remove_root(gone)
        elif roll < 0.7 and self.removed:
            back = rng.choice(self.removed)
            if rng.random() < 0.5:
                back.tags = [documents.number(rng)]
            self.document.add_root(back)
        elif len(roots) < 5:
            self.document.add_root(documents.piece(rng, self.models, small=True))

    def title(self) -> None:
        """Set the title."""
        self.document.title = self.rng.choice(documents.WORDS) or "again"

    def message(self) -> None:
        """A message to the other side; no change of the document."""
        data = documents.json_value(self.rng, self.models)
        self._record(MessageSentEvent(self.document, "mine", data))


def merged(patches: list[Patch]) -> Patch:
    """Several patches as one of all their events (buffer ids are unique in bokeh's process)."""
    events = [event for content, _ in patches for event in orjson.loads(content)["events"]]
    return orjson.dumps({"events": events}), tuple(buffer for _, buffers in patches for buffer in buffers)
