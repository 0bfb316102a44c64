"""The two events of which nearly all traffic consists, in their plain form, at a third of the price of ``apply``.

Rows of numbers or text for columns that take them as they are, and a plain value for an attribute. Each function
checks everything before it changes anything, so nothing has to be taken back; where anything is not plain it returns
False, has changed nothing, and ``apply`` goes the long way. The differential test holds both ways to the same result.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bokeh_server.core import Buffers
from bokeh_server.core.column import SCALARS, Column, Columns, Values
from bokeh_server.core.document import Document, Model

STREAM = frozenset({"kind", "model", "attr", "data", "rollover"})
DTYPES = {
    name: np.dtype(name) for name in ("float64", "float32", "int32", "int16", "int8", "uint32", "uint16", "uint8")
}


def apply_plain(document: Document, event: Any, buffers: Buffers, program: bool) -> bool:
    """Apply the only event of a patch, if it is plain; whether it was. ``program`` says that no browser sent it."""
    if type(event) is not dict:
        return False
    kind = event.get("kind")
    if kind == "ColumnsStreamed":
        return append_rows(document, event, buffers)
    if kind == "ModelChanged" and program:
        return set_value(document, event)
    return False


def append_rows(document: Document, event: dict[str, Any], buffers: Buffers) -> bool:
    """Append rows to the columns of a source."""
    model, rollover, data = known(document, event), event.get("rollover"), event.get("data")
    if model is None or event.get("attr") != "data" or "data" in model.refs or not event.keys() <= STREAM:
        return False
    if rollover is not None and (type(rollover) is not int or rollover < 1):
        return False
    columns = model.attributes.get("data")
    if type(columns) is not Columns or type(data) is not dict or len(data) != 2 or data.get("type") != "map":
        return False
    entries = data.get("entries")
    if type(entries) is not list:
        return False
    rows: dict[str, tuple[Column, Values]] = {}
    for entry in entries:
        if type(entry) is not list or len(entry) != 2 or type(entry[0]) is not str:
            return False
        name, values = entry
        column = columns.get(name)
        if type(values) is dict:
            values = plain_array(values, buffers)
        elif type(values) is not list:
            return False
        if column is None or name in rows or values is None or not column.takes(values, rollover):
            return False
        rows[name] = (column, values)
    for column, values in rows.values():
        column.extend(values, rollover)
    return True


def set_value(document: Document, event: dict[str, Any]) -> bool:
    """Give an attribute another plain value."""
    model, attribute = known(document, event), event.get("attr")
    if model is None or type(attribute) is not str or attribute in model.refs or len(event) != 4:
        return False
    attributes, new = model.attributes, event.get("new", model)
    if type(new) not in SCALARS or attribute not in attributes or type(attributes[attribute]) not in SCALARS:
        return False
    if attributes[attribute] == new:
        return False
    attributes[attribute] = new
    return True


def known(document: Document, event: dict[str, Any]) -> Model | None:
    """The model that an event names by its id, if that is all it says of it."""
    reference = event.get("model")
    if type(reference) is not dict or len(reference) != 1:
        return None
    key = reference.get("id")
    return document.models.get(key) if type(key) is str else None


def plain_array(value: dict[str, Any], buffers: Buffers) -> Values | None:
    """A one-dimensional array over one of the message's buffers, if ``value`` is exactly that."""
    array, shape = value.get("array"), value.get("shape")
    if value.get("type") != "ndarray" or value.get("order") != "little" or len(value) != 5:
        return None
    dtype = DTYPES.get(value["dtype"]) if type(value.get("dtype")) is str else None
    if dtype is None or type(array) is not dict or array.get("type") != "bytes" or len(array) != 2:
        return None
    named = array.get("data")
    key = named.get("id") if type(named) is dict and len(named) == 1 else None
    size = shape[0] if type(shape) is list and len(shape) == 1 else None
    for name, payload in reversed(buffers):
        if name == key:  # the last one of this name, as everywhere
            fits = type(size) is int and len(payload) == size * dtype.itemsize
            return np.frombuffer(payload, dtype) if fits else None
    return None
