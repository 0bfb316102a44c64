"""The short way: what it takes, it applies as the long way does; what is not plain it leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from bokeh_server.core import Buffers
from bokeh_server.core.apply import apply
from bokeh_server.core.document import Document
from bokeh_server.core.plain import apply_plain, is_rows

FLOATS = np.array([1.5, 2.5]).tobytes()


def document() -> Document:
    """A source with a list, a float array and an int array, and a slider."""
    arrays = [
        ["f", {"type": "ndarray", "array": [1.0, 2.0], "shape": [2], "dtype": "float64", "order": "little"}],
        ["i", {"type": "ndarray", "array": [1, 2], "shape": [2], "dtype": "int32", "order": "little"}],
        ["m", {"type": "ndarray", "array": [[1.0], [2.0]], "shape": [2, 1], "dtype": "float64", "order": "little"}],
    ]
    data = {"type": "map", "entries": [["l", [1, "a"]], *arrays]}
    attributes = {"data": data, "selected": {"type": "object", "name": "Selection", "id": "sel", "attributes": {}}}
    source = {"type": "object", "name": "ColumnDataSource", "id": "s", "attributes": attributes}
    slider = {
        "type": "object",
        "name": "Slider",
        "id": "w",
        "attributes": {"value": 1, "tags": [1], "other": {"id": "s"}},
    }
    return Document.from_json({"roots": [source, slider], "title": "", "version": None}, {})


def rows(entries: Any, rollover: Any = None, **more: Any) -> dict[str, Any]:
    """A stream of columns."""
    data = {"type": "map", "entries": entries}
    event = {"kind": "ColumnsStreamed", "model": {"id": "s"}, "attr": "data", "data": data, "rollover": rollover}
    return {**event, **more}


def array(dtype: str = "float64", shape: Any = (2,), **more: Any) -> dict[str, Any]:
    """An array over the buffer "b"."""
    data = {"type": "bytes", "data": {"id": "b"}}
    return {"type": "ndarray", "array": data, "shape": list(shape), "dtype": dtype, "order": "little", **more}


def change(new: Any, attr: Any = "value", **more: Any) -> dict[str, Any]:
    """A change of the slider."""
    return {"kind": "ModelChanged", "model": {"id": "w"}, "attr": attr, "new": new, **more}


def long_way(found: Document, event: dict[str, Any], buffers: Buffers) -> None:
    """``apply`` with an event beside it, which takes the short way from nobody."""
    beside = {"kind": "TitleChanged", "title": found.title}
    apply(found, orjson.dumps({"events": [event, beside]}), buffers)


def short_way(found: Document, event: Any, buffers: Buffers = (), program: bool = True) -> bool:
    """Whether an event alone is taken the short way."""
    return apply_plain(found, orjson.dumps({"events": [event]}), buffers, program) is not None


@pytest.mark.parametrize(
    "event",
    [
        rows([["l", [2, None, "b", True, 1.5]]]),
        rows([["l", [2, 3]], ["f", [1, 2.5]]], 3),
        rows([["l", [2]]], 1),
        rows([["f", array()]]),
        rows([["f", array()]], 2),
        rows([["f", [1.0] * 5000]], 4),
        change(2),
        change("text"),
        change(None),
    ],
    ids=lambda event: orjson.dumps(event)[:60].decode(),
)
def test_the_short_way_does_what_the_long_way_does(event: dict[str, Any]) -> None:
    short, long = document(), document()
    assert short_way(short, event, (("a", b""), ("b", FLOATS)))
    long_way(long, event, (("a", b""), ("b", FLOATS)))
    assert short.encode() == long.encode()


@pytest.mark.parametrize(
    "event",
    [
        None,
        {"kind": "TitleChanged", "title": "t"},
        {"kind": ["ColumnsStreamed"]},
        rows([["l", [1]]], model={"id": "s", "more": 1}),
        rows([["l", [1]]], model={"type": "s"}),
        rows([["l", [1]]], model={"id": 1}),
        rows([["l", [1]]], model={"id": "none"}),
        rows([["l", [1]]], model="s"),
        rows([["l", [1]]], model={"id": "w"}),
        rows([["l", [1]]], attr="other"),
        rows([["l", [1]]], extra=1),
        rows([["l", [1]]], 0),
        rows([["l", [1]]], "2"),
        rows([["l", [1]]], data={"l": [1]}),
        rows([["l", [1]]], data=[["l", [1]]]),
        rows([["l", [1]]], data={"type": "set", "entries": []}),
        rows(5),
        rows({"l": [1]}),
        rows([["l"]]),
        rows([[1, [1]]]),
        rows(["l"]),
        rows([["l", "text"]]),
        rows([["l", [[1]]]]),
        rows([["l", [1]], ["l", [2]]]),
        rows([["none", [1]]]),
        rows([["l", array()]]),
        rows([["f", [1, "a"]]]),
        rows([["f", [True]]]),
        rows([["f", []]]),
        rows([["f", [1.0]]], 1),
        rows([["i", [1]]]),
        rows([["m", [1.0]]]),
        rows([["i", array()]]),
        rows([["f", array("float128")]]),
        rows([["f", array(1)]]),  # type: ignore[arg-type]
        rows([["f", array(shape=(1,))]]),
        rows([["f", array(shape=(2, 1))]]),
        rows([["f", array(order="big")]]),
        rows([["f", array(extra=1)]]),
        rows([["f", array(array=[1.0, 2.0])]]),
        rows([["f", array(array={"type": "bytes", "data": "text"})]]),
        rows([["f", array(array={"type": "bytes", "data": {"id": "none"}})]]),
        rows([["f", array(array={"type": "bytes"})]]),
        change(1),
        change([2]),
        change(2, "tags"),
        change(2, "other"),
        change(2, "unset"),
        change(2, ["value"]),
        change(2, more=1),
        {"kind": "ModelChanged", "model": {"id": "w"}, "attr": "value", "old": 2},
    ],
    ids=lambda event: orjson.dumps(event)[:80].decode(),
)
def test_what_is_not_plain_is_left_alone(event: Any) -> None:
    found = document()
    assert not short_way(found, event, (("b", FLOATS),))
    assert found.encode() == document().encode()


def test_an_array_without_its_buffer_is_left_alone() -> None:
    assert not short_way(document(), rows([["f", array()]]))
    assert not short_way(document(), rows([["l", array()]]))


def test_a_browsers_change_goes_the_long_way_where_view_state_is_known() -> None:
    assert not short_way(document(), change(2), program=False)


# Who may only stream


@pytest.mark.parametrize(
    "event",
    [
        rows([["l", [2, None, "b", True, 1.5]]]),
        rows([["l", [2, 3]], ["f", [1, 2.5]]], 3),
        rows([["f", array()]]),
        rows([["none", [1]]], model={"id": "none"}),
        rows([]),
    ],
    ids=lambda event: orjson.dumps(event)[:80].decode(),
)
def test_plain_rows_are_known_without_a_document(event: Any) -> None:
    assert is_rows(orjson.dumps({"events": [event]}))


SCRIPT = {"type": "object", "name": "CustomJS", "id": "x", "attributes": {"code": "alert(1)"}}


@pytest.mark.parametrize(
    "event",
    [
        None,
        change(2),
        {"kind": "TitleChanged", "title": "t"},
        {"kind": "RootAdded", "model": SCRIPT},
        rows([["l", [SCRIPT]]]),
        rows([["l", [{"id": "x"}]]]),
        rows([["l", SCRIPT]]),
        rows([["l", [[1]]]]),
        rows([["l", [1]]], model=SCRIPT),
        rows([["l", [1]]], model={"id": "s", "attributes": {}}),
        rows([["l", [1]]], attr="tags"),
        rows([["l", [1]]], more=SCRIPT),
        rows([["l", [1]]], 0),
        rows([["f", array(array=SCRIPT)]]),
        {**rows([["l", [1]]]), "kind": "ColumnDataChanged"},
        {**rows([["l", [1]]]), "kind": "ColumnsPatched"},
    ],
    ids=lambda event: orjson.dumps(event)[:100].decode(),
)
def test_what_could_hold_a_model_or_change_anything_else_is_not_plain_rows(event: Any) -> None:
    assert not is_rows(orjson.dumps({"events": [event]}))


def test_plain_rows_are_one_event_alone_and_said_once() -> None:
    one = rows([["l", [1]]])
    text = orjson.dumps(one)
    for content in (
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"events":[]}',
        b'{"events":[%s,%s]}' % (text, text),
        b'{"events":[%s,%s]}' % (text, orjson.dumps(change(2))),
        b'{"events":[%s],"more":1}' % text,
        b'{"events":[%s],"events":[%s]}' % (text, orjson.dumps(change(2))),
        b'{"events":[%s,"kind":"ColumnDataChanged"}]}' % text[:-1],
        b'{"events":[{"kind":"ColumnDataChanged",%s]}' % text[1:],
        b'{"events":[%s]} ' % text + text,
    ):
        assert not is_rows(content), content[:200]
