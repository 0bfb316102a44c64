"""Between the models of one bokeh document and the JSON of the wire, in both directions.

``Writer`` and ``Reader`` are bokeh's own serializer and deserializer with another idea of which models the other side
has: what the server is known to hold goes out as a reference, everything else in full; a definition of a model that is
here already sets its attributes instead of raising. A value that a model does not take is logged and left out, since
the rest of the document is not to blame for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container
from math import isfinite
from typing import Any

import numpy as np
import orjson
from bokeh.core.has_props import HasProps, is_DataModel
from bokeh.core.property.wrappers import PropertyValueContainer
from bokeh.core.serialization import (
    Buffer,
    DeserializationError,
    Deserializer,
    Serializer,
    UnknownReferenceError,
)
from bokeh.core.types import ID
from bokeh.document.events import ColumnDataChangedEvent
from bokeh.model import Model
from bokeh.models.sources import ColumnDataSource

from bokeh_server.core import Buffers
from bokeh_server.core.wire import exact
from bokeh_server.errors import BadMessage

log = logging.getLogger("bokeh_server.client")

PLAIN = frozenset({str, bool, type(None)})
NUMBERS = frozenset({int, float})
EXACT = 2**53 - 1


class Writer(Serializer):
    """Writes values; the models whose ids are in ``known`` as references, others in full (once)."""

    def __init__(self, known: Container[str]) -> None:
        super().__init__()
        self._known = known
        self.written: list[str] = []
        """Ids of the models that were written in full."""
        self.kinds: set[type] = set()
        """Their classes."""
        self.refers = False
        """Whether any of the others was named."""

    def get_ref(self, obj: Any) -> Any:
        """The reference that stands for ``obj``, or None where it must be written."""
        ref = super().get_ref(obj)
        if ref is None and isinstance(obj, Model) and obj.id in self._known:
            self.refers = True
            return obj.ref
        return ref

    def add_ref(self, obj: Any, ref: Any) -> None:
        """``obj`` is being written in full; from now on ``ref`` stands for it."""
        super().add_ref(obj, ref)
        self.written.append(ref["id"])
        self.kinds.add(type(obj))

    def _encode_list(self, obj: list[Any]) -> Any:
        return obj if is_plain(obj) else super()._encode_list(obj)

    def payloads(self) -> Buffers:
        """The buffers of all that was written."""
        return tuple((buffer.id, buffer.to_bytes()) for buffer in self.buffers)


def data_models() -> dict[str, type]:
    """The classes that a whole document defines, since BokehJS does not have them (``DataModel``), by name."""
    return {name: kind for name, kind in Model.model_class_reverse_map.items() if is_DataModel(kind)}


def is_plain(values: list[Any]) -> bool:
    """Whether a list is the same in JSON: text, or finite numbers that a browser has exactly."""
    kinds = set(map(type, values))
    if kinds <= PLAIN:
        return True
    return kinds <= NUMBERS and -EXACT <= min(values) and max(values) <= EXACT and isfinite(sum(values))


def dumps(value: Any) -> bytes:
    """The JSON of what a ``Writer`` wrote; ``BadMessage`` where it has text that is not Unicode."""
    try:
        return exact(orjson.dumps(value, _reference, orjson.OPT_PASSTHROUGH_DATACLASS))
    except TypeError as error:
        raise BadMessage(f"This can't be sent: {error}.") from None


def _reference(value: Any) -> Any:
    if isinstance(value, Buffer):
        return value.ref
    if isinstance(value, float):
        return float(value)  # a numpy.float64 in a list
    raise TypeError(f"{type(value).__name__} has no JSON")


Set = Callable[[Model, dict[str, Any]], None]
"""What to do with the attributes of a definition of a model that is here already."""


class Reader(Deserializer):
    """Reads values; ``find`` gives the model of an id that may be referred to, ``reuse`` one that may be redefined.

    ``found`` is called with a model that is here already and the attributes of a definition of it; without it they
    are set. ``setter`` is who sets them.
    """

    def __init__(
        self,
        find: Callable[[str], Model | None],
        reuse: Callable[[str], Model | None],
        buffers: Buffers = (),
        *,
        setter: Any = None,
        found: Set | None = None,
    ) -> None:
        super().__init__(setter=setter)
        self._find = find
        self._reuse = reuse
        self._found = found or self.set_all
        self._payloads = [Buffer(ID(name), payload) for name, payload in buffers]
        self.defined: list[Model] = []
        """The models of all definitions that were read."""
        self.renewed: set[str] = set()
        """Ids of those that were here, but in no document."""

    def read(self, value: Any) -> Any:
        """The value of its JSON."""
        return self.decode(value, self._payloads)

    def _decode_ref(self, obj: Any) -> Any:
        instance = self._references.get(obj["id"]) or self._find(obj["id"])
        if instance is None:
            raise UnknownReferenceError(obj["id"])
        return instance

    def _decode_object_ref(self, obj: Any) -> Any:
        instance = self._instance(obj["id"], obj["name"])
        self._references[instance.id] = instance
        self.defined.append(instance)
        attributes = {key: self._decode(value) for key, value in obj.get("attributes", {}).items()}
        if self._find(instance.id) is instance:
            self._found(instance, attributes)
        else:
            self._renew(instance, attributes)
        return instance

    def _instance(self, name: Any, type_name: str) -> Model:
        kind: type[Model] = self._resolve_type(type_name)
        instance = self._references.get(name) or self._reuse(name)
        if instance is None:
            instance = kind.__new__(kind, id=name)
            if not instance._initialized:
                HasProps.__init__(instance)
        elif isinstance(instance, kind):
            if self._find(instance.id) is not instance:
                self.renewed.add(instance.id)
        else:
            raise DeserializationError(f"model {name!r} is a {type(instance).__name__} here, not a {type_name}")
        return instance

    def _renew(self, instance: Model, attributes: dict[str, Any]) -> None:
        """Make a model that is in no document exactly what its definition says, without telling anybody."""
        callbacks, instance._callbacks = instance._callbacks, {}
        try:
            for name in set(instance._property_values) - attributes.keys():
                if instance.lookup(name).serialized:
                    instance.lookup(name).__delete__(instance)
            self.set_all(instance, attributes)
        finally:
            instance._callbacks = callbacks

    def set_all(self, instance: Model, attributes: dict[str, Any]) -> None:
        """Set attributes of a model; what it does not take is left out."""
        for name, value in attributes.items():
            set_attribute(instance, name, value, self._setter)


def set_attribute(instance: Model, name: str, value: Any, setter: Any) -> None:
    """Set one attribute as it came over the wire; log what the model does not take."""
    try:
        if name == "data" and isinstance(instance, ColumnDataSource) and isinstance(value, dict):
            set_columns(instance, value, setter)
        elif not set_in_place(instance, name, value, setter):
            instance.set_from_json(name, value, setter=setter)
    except (ValueError, TypeError, RuntimeError) as error:
        log.warning("%s.%s was not taken over: %s", type(instance).__name__, name, error)


def set_columns(source: ColumnDataSource, data: dict[str, Any], setter: Any) -> None:
    """Put ``data`` in the place of a source's columns, in the same container.

    The program may be streaming into it in another thread just now; bokeh, which would put another container there,
    then raises "Set changed size during iteration" in the program.
    """
    columns: Any = source.data
    old = columns._saved_copy()
    for gone in columns.keys() - data.keys():
        dict.__delitem__(columns, gone)
    dict.update(columns, data)
    hint = ColumnDataChangedEvent(source.document, source, "data", dict(data), list(data), setter)  # type: ignore[arg-type]
    columns._notify_owners(old, hint=hint)


def set_in_place(instance: Model, name: str, value: Any, setter: Any) -> bool:
    """Put ``value`` into the list, set or dict that an attribute of a live model is; False where it is none.

    The program may have it in hand already, about to append to it; what it adds to one that nobody has is lost.
    """
    here = instance._property_values.get(name, instance._unstable_default_values.get(name))
    if instance.document is None or not isinstance(here, PropertyValueContainer) or len(here._owners) > 1:
        return False
    descriptor = instance.lookup(name)
    new = descriptor.property.prepare_value(instance, name, value)
    if type(new) is not type(here):
        return False
    old = here._saved_copy()
    fill(here, new)
    descriptor._set(instance, old, here, setter=setter)
    return True


def fill(here: Any, new: Any) -> None:
    """Put ``new`` in the place of what is in a list, set or dict of bokeh's, without telling anybody."""
    if isinstance(here, list):
        list.__setitem__(here, slice(None), new)  # at once: nobody who reads it finds it empty
        return
    kind: Any = dict if isinstance(here, dict) else set
    kind.clear(here)
    kind.update(here, new)


def canonical(value: Any) -> Any:
    """``value`` as the other side sees it, to be compared by ``same``: arrays, lists and plain JSON."""
    writer = Writer(_Everything())
    encoded = writer.encode(value)
    return _with_arrays(encoded)


class _Everything:
    def __contains__(self, key: object) -> bool:
        return True


def _with_arrays(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get("type") in ("ndarray", "typed_array") and isinstance(value["array"], dict):
            payload = value["array"]["data"].to_bytes()
            array = np.frombuffer(payload, value["dtype"])
            return array.reshape(value["shape"]) if "shape" in value else array
        if value.get("type") == "ndarray":
            return value["array"]
        if value.get("type") == "bytes" and isinstance(value["data"], Buffer):
            return value["data"].to_bytes()
        return {key: _with_arrays(item) for key, item in value.items()}
    if isinstance(value, list) and not is_plain(value):
        return [_with_arrays(item) for item in value]
    if isinstance(value, tuple):
        return [_with_arrays(item) for item in value]
    return value


def same(one: Any, other: Any) -> bool:
    """Whether two canonical values are the same to a reader (numbers by value, NaN equal to itself)."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return _same_arrays(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        if one.get("type") == other.get("type") == "map":  # no reader sees in which order its entries are
            return same(sorted_entries(one), sorted_entries(other))
        return one.keys() == other.keys() and all(same(item, other[key]) for key, item in one.items())
    if isinstance(one, list) and isinstance(other, list):
        if is_plain(one) and is_plain(other):
            return one == other
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def sorted_entries(value: dict[str, Any]) -> list[Any]:
    """The entries of a map, by their keys."""
    return sorted(value.get("entries", ()), key=lambda entry: repr(entry[0]))


def _same_arrays(one: Any, other: Any) -> bool:
    try:
        x, y = np.asarray(plain_numbers(one)), np.asarray(plain_numbers(other))
    except ValueError:
        return False
    if x.dtype.kind in "fiub" and y.dtype.kind in "fiub":
        return np.array_equal(x, y, equal_nan=True)
    return x.shape == y.shape and x.tolist() == y.tolist()


def plain_numbers(values: Any) -> Any:
    """A list with Bokeh's ``{"type": "number"}`` in it as floats; anything else as it is."""
    if not isinstance(values, list):
        return values
    return [float(v["value"]) if isinstance(v, dict) and v.get("type") == "number" else v for v in values]
