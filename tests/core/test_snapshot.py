"""Snapshots that are made later: they are what the document was, whatever it is meanwhile, and hold nobody up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from bokeh_server.core.apply import apply
from bokeh_server.core.document import Document
from bokeh_server.core.history import History
from bokeh_server.core.log import Record
from bokeh_server.core.snapshot import SLICE, VALUES, Draft, sliced
from tests.core.playbook import (
    array,
    data,
    data_changed,
    model,
    numbers,
    patch,
    patched,
    ref,
    removed,
    set_to,
    streamed,
)

LONG = 2 * VALUES + 7
NAN = {"type": "number", "value": "nan"}
MODELS = (
    model("ColumnDataSource", "s", name="a", data=data(x=list(range(LONG)), y=["é"] * LONG)),
    model("ColumnDataSource", "arrays", data=data(x=array("b", size=LONG), y=[None, NAN])),
    model("ColumnDataSource", "none", data=data()),
    model("ColumnDataSource", "empty", tags=[ref("s")], data=data(x=[])),
    model("ColumnDataSource", "models", data=data(x=[model("Range1d", "r")])),
    model("Slider", "w", value=1),
)


def made() -> Document:
    value = {"version": "3.9.2", "title": "t", "roots": MODELS, "defs": [], "callbacks": data()}
    return Document.from_json(orjson.loads(orjson.dumps(value)), {"b": numbers(*range(LONG))})


def read(record: Record) -> Document:
    return Document.decode(*record.open())


def test_it_is_the_document_and_its_record_is_that_of_the_server() -> None:
    document = made()
    record = Draft("doc", 3, 17, document).record()
    assert read(record).encode() == document.encode()
    assert (record.document, record.epoch, record.seq) == ("doc", 3, 17)
    assert (record.kind, record.author) == ("replace", "server")


def test_it_can_be_written_twice() -> None:
    draft = Draft("doc", 1, 1, made())
    assert draft.record() == draft.record()


CHANGES: list[tuple[Any, ...]] = [
    (streamed("s", x=[1] * 5_000, y=["b"] * 5_000),),
    (streamed("s", 10, x=[1] * 9_000, y=["b"] * 9_000), streamed("s", 10, x=[2] * 9_000, y=["c"] * 9_000)),
    (patched("s", x=[[0, 99]], y=[[LONG - 1, "z"]]),),
    (patched("arrays", x=[[0, 99.0]]),),
    (streamed("arrays", 5, x=[1.0] * 9_000, y=[1.0] * 9_000), streamed("arrays", 5, x=[2.0] * 9, y=[2.0] * 9)),
    (data_changed("s", x=[1], y=[2]),),
    (set_to(7), removed("models")),
]


@pytest.mark.parametrize("events", CHANGES)
def test_it_is_what_the_document_was_whatever_happens_to_it_before_it_is_written(events: tuple[Any, ...]) -> None:
    document, as_it_was = made(), made().encode()
    for changed in (document, document):
        if document.encode() == as_it_was:
            draft = Draft("doc", 1, 1, document)
            for event in events:
                apply(changed, patch(event))
    assert document.encode() != as_it_was
    assert read(draft.record()).encode() == as_it_was


def test_it_changes_while_it_is_written_and_is_written_in_small_pieces() -> None:
    document, as_it_was = made(), made().encode()
    draft, events = (
        Draft("doc", 1, 1, document),
        iter([event for some in (*CHANGES[:2], *CHANGES[5:]) for event in some]),
    )
    pauses = 0

    def pause() -> None:
        nonlocal pauses
        pauses += 1
        for event in events:
            apply(document, patch(event))
            break

    pieces = [bytes(piece) for piece in draft.pieces(pause)]
    assert max(map(len, pieces)) <= SLICE
    assert pauses > len(pieces)
    assert next(events, None) is None
    content = b"".join(pieces)
    assert read(draft.record(content)).encode() == as_it_was


@pytest.mark.parametrize("change", [lambda d: None, lambda d: apply(d, patch(set_to(3)))])
def test_what_is_known_of_rows_goes_with_it_beside_the_document(
    change: Callable[[Document], object],
) -> None:
    document = made()
    columns = document.models["s"].attributes["data"]
    columns.history = History(100, [(200, 5.0)])
    apply(document, patch(streamed("s", LONG, x=[1] * 40, y=["b"] * 40)))
    change(document)
    again = read(Draft("doc", 1, 1, document).record())
    assert again.models["s"].attributes["data"].history == History(60, [(160, 5.0)])
    assert again.encode() == document.encode()


def test_a_history_of_what_is_no_source_is_ignored() -> None:
    value = {"roots": [model("Slider", "w", value=1)], "histories": {"w": {}, "gone": {}}}
    assert Document.from_json(value, {}).models.keys() == {"w", "config"}


def test_slices_are_what_they_were_cut_from() -> None:
    chance = np.random.default_rng(1)
    pieces = [chance.bytes(int(size)) for size in (0, 5, SLICE, SLICE + 1, 7, 3 * SLICE, 100)]
    cut = [*sliced(pieces)]
    assert b"".join(cut) == b"".join(pieces)
    assert max(map(len, cut)) <= SLICE
