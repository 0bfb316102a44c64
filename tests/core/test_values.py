"""Plain values as Bokeh writes them; and that nothing large is made of something small."""

from __future__ import annotations

import base64
import gzip
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from bokeh.core.serialization import Serializer

from bokeh_server.core.values import from_bytes, from_list, inflate, is_shape, load_json, pairs, unchanged
from bokeh_server.errors import BadMessage, TooLarge

NAN = {"type": "number", "value": "nan"}


def packed(payload: bytes) -> str:
    return base64.b64encode(gzip.compress(payload, mtime=0)).decode()


# JSON


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"NaN",
        b"[Infinity]",
        b"1e999",
        b"'a'",
        b"[1,]",
        b"\xff",
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b"[" * 100_000 + b"]" * 100_000,
    ],
)
def test_what_is_not_strict_json_is_refused(content: bytes) -> None:
    with pytest.raises(BadMessage, match="not valid JSON"):
        load_json(content)


def test_json_is_read_without_loss() -> None:
    assert load_json(b'{"a":[1,1.0,-0.5,true,null,"\\u00e9",9007199254740993]}') == {
        "a": [1, 1.0, -0.5, True, None, "é", 9007199254740993]
    }


# Maps


@pytest.mark.parametrize(
    ("value", "entries"),
    [
        ({"type": "map", "entries": [["a", 1], [2, "b"]]}, [["a", 1], [2, "b"]]),
        ({"type": "map"}, []),
        ({"a": 1}, [("a", 1)]),
        ({}, []),
        ({"id": [1]}, [("id", [1])]),
    ],
)
def test_the_entries_of_a_map_or_a_plain_object_are_found(value: Any, entries: Any) -> None:
    assert pairs(value) == entries


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "map",
        {"id": "m"},
        {"type": "set", "entries": []},
        {"type": "map", "entries": {}},
        {"type": "map", "entries": [["a"]]},
        {"type": "map", "entries": ["ab"]},
    ],
)
def test_what_is_no_map_has_no_entries(value: Any) -> None:
    assert pairs(value) is None


# Arrays


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"])
@pytest.mark.parametrize("order", ["little", "big"])
def test_an_array_is_read_in_either_byte_order(dtype: str, order: str) -> None:
    numbers = np.array([0, 1, 100], dtype)
    payload = numbers.astype(numbers.dtype.newbyteorder("<" if order == "little" else ">")).tobytes()
    array = from_bytes(payload, np.dtype(dtype), order)
    assert (array.dtype.name, array.tolist()) == (dtype, [0, 1, 100])
    assert array.dtype.isnative


@pytest.mark.parametrize("order", ["little", "big"])
def test_every_byte_but_0_is_true(order: str) -> None:
    assert from_bytes(b"\x00\x01\x02\xff", np.dtype(np.bool_), order).tobytes() == b"\x00\x01\x01\x01"


def test_bytes_that_are_no_whole_numbers_are_refused() -> None:
    with pytest.raises(BadMessage, match="9 bytes are no array of float64"):
        from_bytes(b"123456789", np.dtype("float64"), "little")


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([], "float32", []),
        ([[], []], "uint8", []),
        ([1, 2.5], "float64", [1, 2.5]),
        ([[1, 2], [3, 4]], "int32", [1, 2, 3, 4]),
        ([[[1]], [[2]]], "float32", [1, 2]),
        ([300, -1], "uint8", [44, 255]),
        ([True, False], "bool", [True, False]),
    ],
)
def test_an_array_may_be_written_as_lists_of_numbers(values: Any, dtype: str, expected: list[Any]) -> None:
    array = from_list(values, np.dtype(dtype))
    assert (array.dtype.name, array.tolist()) == (dtype, expected)


def test_nan_may_stand_in_a_list_of_numbers() -> None:
    assert np.isnan(from_list([1, NAN], np.dtype("float64"))[1])


@pytest.mark.parametrize("values", [["a"], [None], [[1], 2], [1, [2]], [{"id": "m"}], [[1], [True, "a"]]])
def test_lists_of_anything_else_are_no_array(values: Any) -> None:
    with pytest.raises(BadMessage, match="are numbers"):
        from_list(values, np.dtype("float64"))


@pytest.mark.parametrize("shape", [[], [0], [3], [2, 3], [0, 2**31 - 1], [1] * 8])
def test_a_shape_is_a_list_of_up_to_8_whole_numbers(shape: Any) -> None:
    assert is_shape(shape)


@pytest.mark.parametrize(
    "shape", [None, 3, "3", [-1], [1.0], [True], [None], [1] * 9, [2**31], [0, 2**31 - 1, 2**31 - 1], [[1]]]
)
def test_a_shape_that_lies_or_that_memory_can_not_hold_is_none(shape: Any) -> None:
    assert not is_shape(shape)


# Binary data in base64 of gzip


def test_a_buffer_of_bokehs_serializer_is_unpacked() -> None:
    rep: Any = Serializer(deferred=False).encode(np.arange(3.0))
    assert inflate(rep["array"]["data"], 24) == np.arange(3.0).tobytes()


@pytest.mark.parametrize("size", [0, 1, 1000, 100_000])
def test_what_unpacks_to_its_bound_is_unpacked_and_one_byte_more_is_refused(size: int) -> None:
    assert inflate(packed(b"x" * size), size) == b"x" * size
    with pytest.raises(TooLarge):
        inflate(packed(b"x" * (size + 1)), size)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    squeezed = zlib.compressobj(1, wbits=31)
    bomb = b"".join([*(squeezed.compress(bytes(2**20)) for _ in range(20)), squeezed.flush()])
    tracemalloc.start()
    with pytest.raises(TooLarge, match="larger than 1000 bytes"):
        inflate(base64.b64encode(bomb).decode(), 1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20 < 20 * len(bomb)


@pytest.mark.parametrize("data", ["", "####", "é", "QUJD", base64.b64encode(zlib.compress(b"abc")).decode()])
def test_what_is_no_base64_of_gzip_is_refused(data: str) -> None:
    with pytest.raises(BadMessage):
        inflate(data, 1000)


def test_what_is_cut_off_is_refused() -> None:
    whole = gzip.compress(b"abc" * 100, mtime=0)
    for cut in (1, 4, 8, 20):
        with pytest.raises(BadMessage):
            inflate(base64.b64encode(whole[:-cut]).decode(), 1000)


# The same or not


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (1, 1),
        ("a", "a"),
        (None, None),
        ([1, [2]], [1, [2]]),
        ({"a": [1]}, {"a": [1]}),
        (b"x", b"x"),
        (NAN, dict(NAN)),
        (np.array([1.0, np.nan]), np.array([1.0, np.nan])),
        ([np.arange(2)], [np.arange(2)]),
    ],
)
def test_the_same_is_the_same(old: Any, new: Any) -> None:
    assert unchanged(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (1, 2),
        (1, 1.0),
        (1, True),
        (None, False),
        ("a", b"a"),
        ([1], [1, 2]),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 2}),
        (np.arange(2), [0, 1]),
        (np.arange(2.0), np.arange(2.0, dtype="float32")),
        (np.zeros((1, 2)), np.zeros((2, 1))),
        (np.zeros(2), np.ones(2)),
        (np.zeros(2), "name"),
    ],
)
def test_another_value_or_another_type_is_not_the_same(old: Any, new: Any) -> None:
    assert not unchanged(old, new)
