"""Values in a document: written as they came, or refused."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import replace
from typing import Any

import pytest

from bokeh_server.core.document import Document
from bokeh_server.errors import BadMessage, TooLarge
from bokeh_server.limits import LIMITS
from tests.core.playbook import data, doc, model, ref
from tests.core.rewritten import BYTES, PACKED, nested, value

NO_COLUMNS = [5, [1], {"type": "map", "entries": [[1, [2]]]}, data(x=1), {"type": "value", "value": 1}]


@pytest.mark.parametrize(
    "given",
    [
        None,
        True,
        1,
        1.0,
        -0.5,
        2**53 + 1,
        "text",
        [],
        {},
        [1, "a", None, [2.5]],
        {"type": "number", "value": "nan"},
        {"type": "number", "value": "+inf"},
        {"type": "number", "value": 1.5},
        {"type": "map"},
        {"type": "map", "entries": []},
        {"type": "set", "entries": [1, 2]},
        {"type": "array", "entries": [1]},
        {"type": "slice", "start": 0, "stop": None, "step": 2},
        {"type": "date", "iso": "2026-01-01"},
        {"type": "value", "value": {"type": "number", "value": "-inf"}},
        {"type": "ndarray", "array": ["a", None, "b", 1], "dtype": "object", "shape": [2, 2], "order": "little"},
    ],
)
def test_a_value_is_written_as_it_came(given: Any) -> None:
    assert value(given) == given
    assert json.dumps(value(given), sort_keys=True) == json.dumps(given, sort_keys=True)


def test_an_array_of_objects_is_a_list() -> None:
    assert value({"type": "ndarray", "array": ["a", None], "dtype": "object", "shape": [2], "order": "little"}) == [
        "a",
        None,
    ]


def test_bytes_come_by_buffer_or_inline_and_leave_either_way() -> None:
    by_buffer = model("M", "m", a=[{"type": "bytes", "data": ref("b7")}, {"type": "bytes", "data": PACKED}])
    document = Document.decode(doc(by_buffer), (("b7", b"seven"),))
    written, buffers = document.encode()
    assert [payload for _, payload in buffers] == [b"seven", BYTES]
    assert Document.decode(written, buffers).encode() == (written, buffers)
    inline, none = document.encode(inline=True)
    assert none == ()
    assert Document.decode(inline).encode() == (written, buffers)


@pytest.mark.parametrize(
    "data", [ref("nobody"), {"id": 1}, {}, None, 5, "no gzip", PACKED[:-8]], ids=lambda data: str(data)[:20]
)
def test_bytes_that_are_not_there_are_refused(data: Any) -> None:
    with pytest.raises(BadMessage):
        value({"type": "bytes", "data": data}, buffers=(("b7", b""),))


def test_all_that_a_message_unpacks_to_counts_together() -> None:
    limits = replace(LIMITS, message=10)
    parts = [{"type": "bytes", "data": PACKED}] * 2
    Document.decode(doc(model("M", "m", a=parts)), limits=limits)
    with pytest.raises(TooLarge):
        Document.decode(doc(model("M", "m", a=[*parts, parts[0]])), limits=limits)


@pytest.mark.parametrize("kind", ["ndarray", "typed_array"])
@pytest.mark.parametrize(
    "array", [{"type": "bytes", "data": ref("b")}, {"type": "bytes", "data": PACKED}, [0, 1, 2, 3]]
)
def test_an_array_leaves_as_an_array_of_bytes(kind: str, array: Any) -> None:
    given = {"type": kind, "array": array, "dtype": "uint8", "order": "little"}
    document = Document.decode(doc(model("M", "m", a=given)), (("b", BYTES),))
    written, buffers = document.encode()
    [root] = json.loads(written)["roots"]
    assert root["attributes"]["a"] == {
        "type": "ndarray",
        "array": {"type": "bytes", "data": ref("0")},
        "dtype": "uint8",
        "shape": [4],
        "order": "little",
    }
    assert buffers == (("0", BYTES),)


def test_the_shape_and_the_byte_order_of_an_array_are_kept() -> None:
    given = {"type": "ndarray", "array": [1, 2, 3, 4], "dtype": "int16", "shape": [2, 2], "order": "big"}
    kept = Document.decode(doc(model("M", "m", a=given))).models["m"].attributes["a"]
    assert (kept.tolist(), kept.dtype.name) == ([[1, 2], [3, 4]], "int16")
    payload = {"type": "bytes", "data": base64.b64encode(gzip.compress(b"\x00\x01\x00\x02")).decode()}
    swapped = (
        Document.decode(doc(model("M", "m", a={**given, "array": payload, "shape": [2]}))).models["m"].attributes["a"]
    )
    assert swapped.tolist() == [1, 2]
    bare = Document.decode(doc(model("M", "m", a={**given, "array": [7], "shape": []}))).models["m"].attributes["a"]
    assert bare.tolist() == [7]


@pytest.mark.parametrize(
    "lie",
    [
        {"shape": [3]},
        {"shape": [5]},
        {"shape": 4},
        {"shape": [-4]},
        {"shape": [2**63]},
        {"shape": [4, 0]},
        {"shape": {}},
        {"dtype": "int64"},
        {"dtype": "complex128"},
        {"dtype": "object", "shape": 4},
        {"dtype": []},
        {"dtype": None},
        {"dtype": "float64", "array": [1, "a", 2, 3]},
        {"order": "middle"},
        {"order": []},
        {"array": None},
        {"array": "AAAA"},
        {"array": {"type": "map"}},
        {"array": {"type": "bytes", "data": PACKED}, "dtype": "float64"},
        {"array": {"type": "bytes", "data": PACKED}, "dtype": "object"},
    ],
    ids=str,
)
def test_an_array_that_lies_about_itself_is_refused(lie: dict[str, Any]) -> None:
    honest = {"type": "ndarray", "array": [0, 1, 2, 3], "dtype": "uint8", "shape": [4], "order": "little"}
    value(honest)
    with pytest.raises(BadMessage):
        value({**honest, **lie})


@pytest.mark.parametrize(
    "given",
    [
        {"type": "map", "entries": {}},
        {"type": "map", "entries": [1]},
        {"type": "set", "entries": None},
        {"type": "number", "value": "many"},
        {"type": "number"},
    ],
)
def test_a_value_that_is_malformed_is_refused(given: Any) -> None:
    with pytest.raises(BadMessage):
        value(given)


def test_what_a_container_carries_besides_its_entries_is_not_kept() -> None:
    assert value({"type": "set", "entries": [1], "more": nested(240)}) == {"type": "set", "entries": [1]}
