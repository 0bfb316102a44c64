"""Merged patches: whatever is merged, the document comes out the same; and little is sent where little is left."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bokeh_server.core import Buffers, Patch
from bokeh_server.core.apply import apply
from bokeh_server.core.document import Document
from bokeh_server.core.merge import merged
from bokeh_server.errors import RefusedPatch
from tests.model.canonical import server_flat

MODELS = ("a", "b")
NAMES = ("list", "text", "double", "int")
DTYPES = {"double": "float64", "int": "int32"}


def document() -> Document:
    """Two sources with lists and arrays, and attributes of their own."""
    arrays = {name: array(name, [1, 2, 3]) for name in DTYPES}
    data = {"type": "map", "entries": [["list", [1.5, 2, 3]], ["text", ["x", "y", "z"]], *arrays.items()]}
    models = [
        {"type": "object", "name": "ColumnDataSource", "id": id, "attributes": {"name": "n", "tags": [], "data": data}}
        for id in MODELS
    ]
    payloads = tuple((name, np.array([1, 2, 3], dtype).tobytes()) for name, dtype in DTYPES.items())
    return Document.decode(orjson.dumps({"version": "3.9.2", "title": "t", "roots": models}), payloads)


def array(name: str, values: list[Any]) -> dict[str, Any]:
    """A column of numbers in the buffer of its name."""
    dtype = DTYPES[name]
    inside = {"type": "bytes", "data": {"id": name}}
    return {"type": "ndarray", "array": inside, "shape": [len(values)], "dtype": dtype, "order": "little"}


def patch(*events: dict[str, Any], buffers: Buffers = ()) -> Patch:
    """A patch of these events."""
    return orjson.dumps({"events": events}), buffers


def rows(model: str, rollover: int | None, **columns: list[Any]) -> Patch:
    """A patch that appends rows: lists as they are, arrays in buffers."""
    entries = [[name, array(name, values) if name in DTYPES else values] for name, values in columns.items()]
    data = {"type": "map", "entries": entries}
    event = {"kind": "ColumnsStreamed", "model": {"id": model}, "attr": "data", "data": data, "rollover": rollover}
    found = [(name, np.array(columns[name], dtype).tobytes()) for name, dtype in DTYPES.items() if name in columns]
    return patch(event, buffers=tuple(found))


def value(model: str, attr: str, new: Any) -> Patch:
    """A patch that sets an attribute."""
    return patch({"kind": "ModelChanged", "model": {"id": model}, "attr": attr, "new": new})


def flat_after(patches: list[Patch]) -> Any:
    """The document after these patches."""
    made = document()
    for content, buffers in patches:
        apply(made, content, buffers)
    return server_flat(made)


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**40), 2**40)
models = st.sampled_from(MODELS)
rollovers = st.sampled_from([None, None, 1, 2, 5])


@st.composite
def streams(draw: st.DrawFn) -> Patch:
    """Rows for some columns."""
    length = draw(st.integers(0, 4))
    values: dict[str, st.SearchStrategy[list[Any]]] = {
        "list": st.lists(numbers | st.none(), min_size=length, max_size=length),
        "text": st.lists(st.text(max_size=3), min_size=length, max_size=length),
        "double": st.lists(st.floats(), min_size=length, max_size=length),
        "int": st.lists(st.integers(-9, 9), min_size=length, max_size=length),
    }
    names = draw(st.sampled_from([NAMES, NAMES, NAMES[::-1], NAMES[:2], NAMES[2:]]))
    return rows(draw(models), draw(rollovers), **{name: draw(values[name]) for name in names})


values = st.builds(value, models, st.sampled_from(["name", "title"]), numbers | st.text(max_size=3) | st.booleans())
others = st.one_of(
    st.builds(value, models, st.just("tags"), st.lists(st.integers(0, 3), max_size=2)),
    st.builds(lambda title: patch({"kind": "TitleChanged", "title": title}), st.text(max_size=3)),
    st.builds(
        lambda model, new: patch(
            {"kind": "ColumnsPatched", "model": {"id": model}, "attr": "data",
             "patches": {"type": "map", "entries": [["list", [[0, new]]]]}}
        ),
        models,
        st.integers(0, 9),
    ),
    st.builds(
        lambda model, new: patch(
            {"kind": "ColumnDataChanged", "model": {"id": model}, "attr": "data", "cols": ["text"],
             "data": {"type": "map", "entries": [["text", new]]}}
        ),
        models,
        st.lists(st.text(max_size=2), max_size=5),
    ),
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(streams() | streams() | values | others, max_size=12))
def test_whatever_was_merged_the_document_equals_the_logs(patches: list[Patch]) -> None:
    applied = document()
    kept = []
    for content, buffers in patches:  # what is relayed is what the document could take, in its normal form
        with suppress(RefusedPatch):
            found = apply(applied, content, buffers)
            if found.content is not None:
                kept.append((found.content, found.buffers))
    fewer = list(merged(kept))
    assert sum(number for number, _ in fewer) == len(kept)
    assert flat_after([each for _, each in fewer]) == server_flat(applied)


def test_rows_are_one_event_cut_at_the_rollover() -> None:
    stream = [rows("a", 3, list=[n], text=[str(n)], double=[n, n + 0.5], int=[n]) for n in range(100)]
    ((number, (content, buffers)),) = merged(stream)
    assert number == 100
    (event,) = orjson.loads(content)["events"]
    entries = dict(event["data"]["entries"])
    assert entries["list"] == [97, 98, 99]
    assert entries["text"] == ["97", "98", "99"]
    payloads = dict(buffers)
    assert np.frombuffer(payloads[entries["double"]["array"]["data"]["id"]], "f8").tolist() == [98.5, 99, 99.5]
    assert entries["double"]["shape"] == [3]
    assert np.frombuffer(payloads[entries["int"]["array"]["data"]["id"]], "i4").tolist() == [97, 98, 99]


def test_only_the_last_value_of_an_attribute_is_sent() -> None:
    ((number, (content, _)),) = merged([value("a", "name", n) for n in range(50)] + [value("b", "name", 1)])
    assert number == 51
    assert [(e["model"]["id"], e["new"]) for e in orjson.loads(content)["events"]] == [("a", 49), ("b", 1)]


def test_one_patch_stays_as_it_came_and_none_is_none() -> None:
    one = value("a", "name", 1)
    assert list(merged([one])) == [(1, one)]
    assert list(merged([])) == []


@pytest.mark.parametrize(
    "between",
    [
        patch({"kind": "TitleChanged", "title": "x"}),
        patch({"kind": "ModelChanged", "model": {"id": "a"}, "attr": "source", "new": {"id": "b"}}),
        patch({"kind": "RootAdded", "model": {"id": "a"}}),
        (b"not JSON", ()),
    ],
)
def test_nothing_is_moved_across_a_patch_that_is_not_plain(between: Patch) -> None:
    before, after = value("a", "name", 1), value("a", "name", 2)
    found = [number for number, _ in merged([before, before, between, after, after])]
    assert found == [2, 1, 2]


@pytest.mark.parametrize(
    "second",
    [
        rows("a", 4, list=[2]),
        rows("a", None, list=[2]),
        rows("a", 3, list=[2], text=["x"]),
        rows("a", 3, text=["x"]),
        rows("b", 3, list=[2]),
    ],
)
def test_rows_of_another_kind_are_an_event_of_their_own(second: Patch) -> None:
    ((number, (content, _)),) = merged([rows("a", 3, list=[1]), second])
    assert number == 2
    assert len(orjson.loads(content)["events"]) == 2


def test_the_columns_set_as_a_whole_end_the_rows_before() -> None:
    found = list(merged([rows("a", 3, list=[1]), value("a", "data", None), rows("a", 3, list=[2])]))
    assert [number for number, _ in found] == [3]
    assert len(orjson.loads(found[0][1][0])["events"]) == 3
