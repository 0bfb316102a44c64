"""The corpus: valid messages about the document of ``tests.model.bad_input``, each as the fragments of its socket.

Every kind of event, from a program and from a viewer; the plain forms that take the short way; what is written anew
for the others; models that come, go into the grave and are named again; and rows in a row, which can be merged.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from typing import Any

import orjson

from bokeh_server.core import Buffers
from fuzz.fragments import Fragment, pack
from tests.model.bad_input import array, events

Event = dict[str, Any]

VALID, BUFFERS = events()


def message(some: list[Event], buffers: Buffers = (), *, origin: str = "program") -> list[Fragment]:
    """The fragments of one patch; its ``msgid`` says who sends it."""
    header = {"msgid": origin, "msgtype": "PATCH-DOC", "num_buffers": len(buffers)}
    fragments: list[Fragment] = [orjson.dumps(header).decode(), "{}", orjson.dumps({"events": some}).decode()]
    for name, payload in buffers:
        fragments += (orjson.dumps({"id": name}).decode(), bytes(payload))
    return fragments


def rows(entries: list[Any], rollover: int | None = None, **more: Any) -> Event:
    """An event that appends to columns."""
    data = {"type": "map", "entries": entries}
    return {"kind": "ColumnsStreamed", "model": {"id": "s"}, "attr": "data", "data": data, "rollover": rollover, **more}


def patched(column: str, *changes: Any) -> Event:
    """An event that changes values of a column."""
    patches = {"type": "map", "entries": [[column, list(changes)]]}
    return {"kind": "ColumnsPatched", "model": {"id": "s"}, "attr": "data", "patches": patches}


def changed(new: Any, attr: str = "tags", model: str = "w") -> Event:
    """An event that sets an attribute."""
    return {"kind": "ModelChanged", "model": {"id": model}, "attr": attr, "new": new}


def single() -> Iterator[Event]:
    """Events without buffers that reach what the valid ones of every kind do not."""
    div = {"type": "object", "name": "Div", "id": "n", "attributes": {"text": "x"}}
    again = {"type": "object", "name": "Slider", "id": "w", "attributes": {"value": 7, "tags": [div, {"id": "s"}]}}
    packed = base64.b64encode(gzip.compress(bytes(16), mtime=0)).decode()
    inline = {"type": "ndarray", "array": {"type": "bytes", "data": packed}, "order": "big", "dtype": "float64"}
    part = {"type": "slice", "start": 0, "stop": 2, "step": 1}
    yield rows([["l", [1, 2.5, None]], ["s", ["a"]]], 2)
    yield rows([["f", [1.5]], ["i", [1]], ["l", [{"type": "number", "value": "nan"}]], ["s", ["a"]], ["m", [None]]])
    yield rows([["i", [1.5, 2]]], 3)
    yield rows([["i", ["text"]]], 0)
    yield rows([["l", {"type": "ndarray", "array": [1, 2], "dtype": "int32", "shape": [2], "order": "little"}]], 2)
    yield rows([["s", {**inline, "shape": [2]}]])
    yield rows([["l", [{"id": "w"}, div]]], 2)
    yield patched("f", [0, 1.5], [part, [1, 2]], [{**part, "step": 2}, [3]])
    yield patched("s", [part, ["y", "z"]], [2, {"id": "w"}])
    yield patched("m", [[0, part, 0], [1, 2]], [[0, 1, 1], 5], [[1, part], [3, 4]])
    yield changed([div, again, {"id": "n"}, {"type": "ref", "id": "js"}])
    yield changed({"type": "map", "entries": [["f", [1, 2]], ["g", {**inline, "shape": [1, 2]}]]}, "data", "s")
    yield changed({"f": [1], "g": []}, "data", "s")
    yield rows([["l", [{"type": {**inline, "shape": [2]}, "extends": {"id": "w"}}]]])
    yield changed({"type": "set", "entries": [1, "a", {"type": "bytes", "data": packed}]})
    yield changed(
        {"type": "model", "name": "My", "extends": {"id": "Base"}, "properties": [{"name": "x", "default": 1}]}
    )
    yield changed({"type": "ndarray", "array": [[1, {"id": "w"}], [3, 4]], "dtype": "object", "shape": [2, 2]})
    yield changed(0.5, "value")
    yield changed({"type": "number", "value": "-inf"}, "value")
    yield changed(800, "inner_width", "r")
    yield {**changed(1, "value"), "setter": "somebody", "hint": [div]}
    yield {"kind": "RootAdded", "model": {"id": "w"}}
    yield {"kind": "RootAdded", "model": {"type": "object", "name": "Column", "id": "r", "attributes": {"width": 1}}}
    yield {"kind": "ColumnDataChanged", "model": {"id": "s"}, "attr": "data", "data": {"f": [1], "l": [div]}}


def histories() -> Iterator[list[list[Fragment]]]:
    """Several patches, one after the other."""
    f, (_, payload) = array([7, 8], "float64", "b")
    yield [message([rows([["l", [at]], ["s", [str(at)]]], 4)]) for at in range(4)]
    yield [message([rows([["f", f]], 4)], (("b", payload),)) for _ in range(3)]
    yield [message([changed(at, "value"), rows([["l", [at]]])]) for at in range(3)]
    gone = message([{"kind": "RootRemoved", "model": {"id": "r"}}])
    for origin in ("program", "viewer"):
        back = message([{"kind": "RootAdded", "model": {"id": "r"}}, changed(3, "value")], origin=origin)
        yield [gone, back]
        yield [
            message([changed([{"id": "s"}], "children", "r")]),
            message([changed([{"id": "w"}], "tags", "s")], origin=origin),
        ]
    empty = message([changed({"type": "map", "entries": []}, "data", "s")])
    yield [empty, message([rows([["x", [1, 2]], ["y", ["a", "b"]]], 1)]), message([patched("x", [0, 9])])]


def seeds() -> list[bytes]:
    """All of it, packed."""
    everything = tuple(BUFFERS.items())
    inputs = [[message([event], origin=origin)] for event in single() for origin in ("program", "viewer")]
    inputs += [[message([event], everything, origin=origin)] for event in VALID for origin in ("program", "viewer")]
    inputs += [[message(VALID, everything)], [message(list(single())[:8])], *histories()]
    return [pack(fragment for fragments in history for fragment in fragments) for history in inputs]
