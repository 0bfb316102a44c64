"""The two events of which nearly all traffic consists, in their plain form, at a fraction of the price of ``apply``.

Rows of numbers or text for columns that take them as they are, and a plain value for an attribute. msgspec reads the
JSON straight into the types below, so that what is left to check here is whether the document can take it. That is
done before anything changes, so nothing has to be taken back; where anything is not plain, nothing has changed, and
``apply`` goes the long way. The differential test holds both ways to the same result.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from bokeh_server.core import Buffers, Payload
from bokeh_server.core.column import SCALARS, Array, Column, Columns
from bokeh_server.core.document import Document

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Scalar = str | float | Int64 | bool | None
DTYPES = {
    name: np.dtype(name) for name in ("float64", "float32", "int32", "int16", "int8", "uint32", "uint16", "uint8")
}


class Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A JSON object with these fields and no others."""


class Named(Plain):
    """A model or a buffer by its id."""

    id: str


class InBuffer(Plain, tag_field="type", tag="bytes"):
    """Binary data that follows the text of its message."""

    data: Named


class Numbers(Plain, tag_field="type", tag="ndarray"):
    """A one-dimensional array in a buffer."""

    array: InBuffer
    shape: tuple[int]
    dtype: str
    order: Literal["little"]

    def values(self, payloads: dict[str, Payload]) -> Array | None:
        """The array, or None where the buffer is none such."""
        dtype, payload = DTYPES.get(self.dtype), payloads.get(self.array.data.id)
        if dtype is None or payload is None or len(payload) != self.shape[0] * dtype.itemsize:
            return None
        return np.frombuffer(payload, dtype)


class Entries(Plain, tag_field="type", tag="map"):
    """Columns by name."""

    entries: list[tuple[str, list[Scalar] | Numbers]]


class Rows(Plain, tag_field="kind", tag="ColumnsStreamed"):
    """Rows for the columns of a source."""

    model: Named
    attr: Literal["data"]
    data: Entries
    rollover: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] | None = None

    def apply(self, document: Document, buffers: Buffers, program: bool) -> bool:
        """Append the rows, if every column takes them; whether they were."""
        model = document.models.get(self.model.id)
        columns = model.attributes.get("data") if model is not None and "data" not in model.refs else None
        if type(columns) is not Columns:
            return False
        entries: list[tuple[str, Any]] = self.data.entries
        rollover = self.rollover
        if buffers:
            payloads = dict(buffers)
            entries = [(name, given.values(payloads) if type(given) is Numbers else given) for name, given in entries]
        into: dict[Column, Any] = {}
        for name, values in entries:
            column = columns.get(name)
            if column is None or column in into or not column.takes(values, rollover):
                return False
            into[column] = values
        for column, values in into.items():
            column.extend(values, rollover)
        return True


class Value(Plain, tag_field="kind", tag="ModelChanged"):
    """A plain value for an attribute."""

    model: Named
    attr: str
    new: Scalar

    def apply(self, document: Document, buffers: Buffers, program: bool) -> bool:
        """Set the attribute, if a program asks for it and it has another plain value; whether it was."""
        model = document.models.get(self.model.id)
        if model is None or not program or self.attr not in model.attributes:
            return False
        old = model.attributes[self.attr]
        if type(old) not in SCALARS or old == self.new:
            return False
        model.put(self.attr, self.new)
        return True


class Patch(Plain):
    """A patch of one such event."""

    events: tuple[Rows | Value]


def is_rows(content: bytes) -> bool:
    """Whether a patch does nothing but append plain rows: it can hold no model, and so no script."""
    try:
        return type(decode(content).events[0]) is Rows
    except NOT_PLAIN:
        return False


decode = msgspec.json.Decoder(Patch).decode
NOT_PLAIN = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
"""What ``decode`` raises on anything else."""


def apply_plain(document: Document, content: bytes, buffers: Buffers, program: bool) -> tuple[str, str] | None:
    """Apply a patch, if it is plain; the model and the attribute that it changed. ``program``: no browser sent it."""
    try:
        (event,) = decode(content).events
    except NOT_PLAIN:
        return None
    return (event.model.id, event.attr) if event.apply(document, buffers, program) else None
