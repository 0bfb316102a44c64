"""Plain values as Bokeh writes them: maps, arrays of numbers, and binary data in base64 of gzip.

Each function reads one kind and refuses what is not well-formed with ``BadMessage``, before anything large is made of
it: an array must have the bytes that its type and shape ask for, and what unpacks to more than its bound is not
unpacked. None of them knows models or documents (bokeh 3.9 ``core/serialization.py``).
"""

from __future__ import annotations

import base64
import math
import zlib
from typing import Any

import numpy as np
import orjson

from bokeh_server.core.column import Array, as_numbers, cut, flattened
from bokeh_server.errors import BadMessage, TooLarge

DTYPES = frozenset({"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64", "bool"})


def pairs(value: Any) -> list[Any] | None:
    """The entries of a map, or of a plain JSON object; None where ``value`` is none of them."""
    if type(value) is not dict:
        return None
    if "type" not in value:
        return None if type(value.get("id")) is str else list(value.items())
    entries = value.get("entries", [])
    if value["type"] != "map" or type(entries) is not list:
        return None
    if not all(type(entry) is list and len(entry) == 2 for entry in entries):
        return None
    return entries


def load_json(content: bytes) -> Any:
    """The value of a JSON text; ``BadMessage`` where it is not strict JSON or nested too deep."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise BadMessage(f"The content is not valid JSON: {error}.") from None


def from_bytes(data: bytes, dtype: np.dtype[Any], order: str) -> Array:
    """An array over the bytes that came; ``BadMessage`` where their number does not fit the type."""
    if len(data) % dtype.itemsize:
        raise BadMessage(f"{len(data)} bytes are no array of {dtype.name}.")
    if dtype.kind == "b":
        return np.frombuffer(data, np.uint8).astype(np.bool_)
    if order == "big":
        return np.frombuffer(data, dtype.newbyteorder(">")).astype(dtype)
    array: Array = np.frombuffer(data, dtype)
    return array


def from_list(data: list[Any], dtype: np.dtype[Any]) -> Array:
    """An array of plain values; ``BadMessage`` where they are no numbers."""
    numbers = as_numbers(flattened(data))
    if numbers is None:
        raise BadMessage("The values of an array are numbers.")
    return cut(numbers, dtype)


def is_shape(value: Any) -> bool:
    """Whether ``value`` is the shape of an array that memory could hold."""
    plain = isinstance(value, list) and len(value) <= 8 and all(type(n) is int and 0 <= n < 2**31 for n in value)
    return plain and math.prod(max(n, 1) for n in value) < 2**48


def inflate(data: str, limit: int) -> bytes:
    """The bytes of base64 of gzip (how bokeh writes buffers into JSON), bounded."""
    try:
        packed = base64.b64decode(data, validate=True)
        stream = zlib.decompressobj(wbits=31)
        out = stream.decompress(packed, limit + 1)
    except (ValueError, zlib.error):
        raise BadMessage("A binary value is not base64 of gzip.") from None
    if len(out) > limit:
        raise TooLarge(f"A binary value is larger than {limit} bytes.")
    if not stream.eof:
        raise BadMessage("A binary value is cut off.")
    return out


def unchanged(old: Any, new: Any) -> bool:
    """Whether two taken-apart values are the same (arrays by their numbers; 1, 1.0 and True are different)."""
    if type(old) is not type(new):
        return False
    if isinstance(old, np.ndarray):
        return bool(old.dtype == new.dtype and old.shape == new.shape and old.tobytes() == new.tobytes())
    if isinstance(old, dict):
        return old.keys() == new.keys() and all(unchanged(item, new[key]) for key, item in old.items())
    if isinstance(old, list):
        return len(old) == len(new) and all(map(unchanged, old, new))
    return bool(old == new)
