"""Input that nobody should send: valid patches and frames, spoiled at random, and the worst of it written by hand.

``trial`` is the promise: whatever comes, ``apply`` either raises a ``ClientError`` and the document is as before, or
takes it; then the document can still be written and read, the log gives the same document, and a browser that does
not throw at what is relayed shows the same.
"""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import numpy as np
import orjson

from bokeh_server.core import Buffers
from bokeh_server.core.apply import Origin, apply
from bokeh_server.core.document import Document
from bokeh_server.errors import ClientError
from tests.model.browser import Browser
from tests.model.canonical import Flat, compare, server_flat
from tests.model.junk import JUNK


def array(values: list[Any], dtype: str, name: str, shape: list[int] | None = None) -> tuple[Any, tuple[str, bytes]]:
    """An ndarray on the wire, and its buffer."""
    rep = {"type": "bytes", "data": {"id": name}}
    made = {"type": "ndarray", "array": rep, "dtype": dtype, "shape": shape or [len(values)], "order": "little"}
    return made, (name, np.array(values, dtype).tobytes())


def base() -> tuple[bytes, Buffers]:
    """A document with a source of every kind of column, a widget, nested values and a callback."""
    f, f_bytes = array([1, 2, 3], "float64", "0")
    i, i_bytes = array([1, 2, 3], "int32", "1")
    image, image_bytes = array(list(range(6)), "float32", "2", [2, 3])
    line, line_bytes = array([1, 2], "float64", "3")
    columns = [
        ["f", f],
        ["i", i],
        ["l", [1, 2.5, {"type": "number", "value": "nan"}]],
        ["s", ["a", "b", "c"]],
        ["m", [image, line, None]],
    ]
    source = {
        "type": "object",
        "name": "ColumnDataSource",
        "id": "s",
        "attributes": {
            "data": {"type": "map", "entries": columns},
            "selected": {"type": "object", "name": "Selection", "id": "sel"},
        },
    }
    tags = [1, {"type": "map", "entries": [["k", {"id": "s"}]]}, {"type": "set", "entries": [1]}]
    slider = {"type": "object", "name": "Slider", "id": "w", "attributes": {"value": 1, "tags": tags}}
    script = {"type": "object", "name": "CustomJS", "id": "js", "attributes": {"code": "1"}}
    root = {"type": "object", "name": "Column", "id": "r", "attributes": {"children": [source, slider]}}
    callbacks = {"type": "map", "entries": [["document_ready", [script]]]}
    doc = {
        "version": "3.9.2",
        "title": "t",
        "roots": [root],
        "callbacks": callbacks,
        "config": {"type": "object", "name": "DocumentConfig", "id": "c"},
    }
    return orjson.dumps(doc), (f_bytes, i_bytes, image_bytes, line_bytes)


def events() -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """A valid event of every kind, and the buffers that they name."""
    f, (_, f_bytes) = array([7, 8], "float64", "b0")
    i, (_, i_bytes) = array([7, 8], "int32", "b1")
    image, (_, image_bytes) = array([1, 2, 3, 4], "float32", "b2", [2, 2])
    new = {"type": "object", "name": "Div", "id": "n", "attributes": {"text": "x", "tags": [{"id": "w"}]}}
    part = {"type": "slice", "start": 0, "stop": 2, "step": 1}
    everything = {"type": "slice", "start": None, "stop": None, "step": None}
    streamed = [["f", f], ["i", i], ["l", [4, 5]], ["s", ["d", "e"]], ["m", [image, None]]]
    changes = [
        ["f", [[0, 5.5], [part, [1, 2]]]],
        ["i", [[2, 9]]],
        ["s", [[1, "z"]]],
        ["m", [[[0, 1, everything], [1, 2, 3]], [[1, 0], [3]]]],
    ]
    made: list[dict[str, Any]] = [
        {"kind": "ModelChanged", "model": {"id": "w"}, "attr": "value", "new": 5},
        {"kind": "ModelChanged", "model": {"id": "r"}, "attr": "children", "new": [{"id": "s"}, new]},
        {
            "kind": "ModelChanged",
            "model": {"id": "w"},
            "attr": "tags",
            "new": [image, {"type": "map", "entries": [[1, f]]}],
        },
        {"kind": "ModelChanged", "model": {"id": "s"}, "attr": "data", "new": {"type": "map", "entries": [["f", f]]}},
        {
            "kind": "ColumnDataChanged",
            "model": {"id": "s"},
            "attr": "data",
            "data": {"type": "map", "entries": [["l", i]]},
            "cols": ["l"],
        },
        {
            "kind": "ColumnsStreamed",
            "model": {"id": "s"},
            "attr": "data",
            "data": {"type": "map", "entries": streamed},
            "rollover": 4,
        },
        {
            "kind": "ColumnsPatched",
            "model": {"id": "s"},
            "attr": "data",
            "patches": {"type": "map", "entries": changes},
        },
        {"kind": "RootAdded", "model": new},
        {"kind": "RootRemoved", "model": {"id": "r"}},
        {"kind": "TitleChanged", "title": "u"},
        {
            "kind": "MessageSent",
            "msg_type": "bokeh_event",
            "msg_data": {
                "type": "event",
                "name": "tap",
                "values": {"type": "map", "entries": [["model", {"id": "w"}]]},
            },
        },
    ]
    return made, {"b0": f_bytes, "b1": i_bytes, "b2": image_bytes}


class Spoiler:
    """Spoils JSON values at random."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def patch(self) -> tuple[bytes, Buffers, Origin]:
        """A patch of one to four events with up to three things wrong, and its buffers with something wrong or not."""
        rng = self.rng
        valid, buffers = events()
        value: Any = {"events": copy.deepcopy(rng.choices(valid, k=rng.choice([1, 1, 2, 4])))}
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            value = self.spoil(value)
        content = json.dumps(value, ensure_ascii=False).encode()
        if rng.random() < 0.05:
            content = self.flipped(content)
        return content, self.spoil_buffers(buffers), rng.choice(["viewer", "program"])

    def spoil(self, value: Any) -> Any:
        """``value`` with one thing wrong, somewhere inside."""
        rng = self.rng
        if isinstance(value, dict | list) and value and rng.random() < 0.88:
            at = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
            roll = rng.random()
            if roll < 0.85:
                value[at] = self.spoil(value[at])
            elif roll < 0.92:
                del value[at]
            elif isinstance(value, list):
                value.append(copy.deepcopy(value[at]))
            else:
                value[rng.choice(["id", "type", "data", "extra", "attr", "new", "entries", "model", "cols"])] = (
                    value.pop(at)
                )
            return value
        return copy.deepcopy(rng.choice(JUNK))

    def flipped(self, content: bytes) -> bytes:
        """Bytes with some flipped, cut or added."""
        rng = self.rng
        spoiled = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(spoiled) + 1)
            match rng.randrange(4):
                case 0 if at < len(spoiled):
                    spoiled[at] = rng.randrange(256)
                case 1:
                    del spoiled[at:]
                case 2:
                    spoiled[at:at] = rng.choice(
                        [b"NaN", b"Infinity", b"\xff", b"\xed\xa0\x80", b'\\ud800"', b"1e999", b"[", b"}"]
                    )
                case _:
                    del spoiled[at : at + rng.randrange(9)]
        return bytes(spoiled)

    def spoil_buffers(self, buffers: dict[str, bytes]) -> Buffers:
        """Buffers in order, or with one missing, doubled, cut, unused or empty."""
        rng = self.rng
        found = list(buffers.items())
        if rng.random() < 0.8:
            return tuple(found)
        at = rng.randrange(len(found))
        name, payload = found[at]
        match rng.randrange(5):
            case 0:
                del found[at]
            case 1:
                found.append((name, b"12345678"))
            case 2:
                found[at] = (name, payload[: rng.randrange(len(payload))])
            case 3:
                found.append(("unused", b"x"))
            case _:
                found[at] = (name, b"")
        return tuple(found)


def state(document: Document) -> tuple[Flat, Any]:
    """All that a refused patch must leave as it was, the forgotten models included."""
    return server_flat(document), {key: shape(model) for key, (_, model) in document.grave.items()}


def shape(model: Any) -> Any:
    """A model of the grave in a form that can be compared."""
    return model.name, {name: repr(value) for name, value in model.attributes.items()}, dict(model.refs)


def trial(document: Document, content: bytes, buffers: Buffers, origin: Origin = "program") -> bool:
    """Apply a patch that may be anything; whether it was taken. Raises where a promise is broken."""
    before = state(document)
    start = document.encode(flat=True)
    try:
        applied = apply(document, content, buffers, origin=origin)
    except ClientError:
        assert state(document) == before, "a refused patch left something behind"
        return False
    after = server_flat(document)
    for again in readings(document):
        assert server_flat(Document.decode(*again)) == after, "the document reads back as another one"
    replay(start, applied.content, applied.buffers, after)
    return True


def readings(document: Document) -> list[tuple[bytes, Buffers]]:
    """The ways in which a document is written: for snapshots, for the wire, and with everything inside the JSON."""
    flat = document.encode(flat=True)
    return [flat] if len(document.models) > 100 else [flat, document.encode(), document.encode(inline=True)]


def replay(start: tuple[bytes, Buffers], content: bytes | None, buffers: Buffers, after: Flat) -> None:
    """The log, and a browser that does not throw, come to ``after`` as well."""
    logged = Document.decode(*start)
    browser = Browser(*logged.encode()) if len(logged.models) < 100 else None
    if content is not None:
        apply(logged, content, buffers)
    assert server_flat(logged) == after, "the log gives another document"
    if browser is None:
        return
    try:
        if content is not None:
            browser.apply(content, buffers)
        shown = browser.flat()
    except Exception:  # noqa: BLE001 - junk that both sides let pass may break the model of BokehJS in any way
        return
    assert compare(after, shown) == [], "a browser shows another document"
