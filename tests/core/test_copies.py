"""Copies of what has changed: written later, they are what it was then; all who have seen the same share one."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from bokeh_server.core import copies
from bokeh_server.core.apply import apply
from bokeh_server.core.copies import Changes, Copy, Whole
from bokeh_server.core.document import Document
from bokeh_server.core.snapshot import VALUES
from bokeh_server.core.wire import Outgoing
from tests.core.playbook import array, changed, data, data_changed, doc, model, patch, patched, set_to, streamed
from tests.model.canonical import server_flat

LONG = 2 * VALUES + 7
DATA, TAGS, VALUE = ("s", "data"), ("s", "tags"), ("w", "value")
MODELS = (
    model("ColumnDataSource", "s", tags=[{"a": [1]}], data=data(x=list(range(LONG)), y=["\u00e9"] * LONG)),
    model("ColumnDataSource", "arrays", data=data(x=array("b", size=LONG), y=[None], z=[array("b", size=LONG)])),
    model("ColumnDataSource", "none", data=data()),
    model("Slider", "w", value=1),
)
NUMBERS = np.arange(float(LONG))


def document() -> Document:
    return Document.decode(doc(*MODELS), (("b", NUMBERS.tobytes()),))


def applied(copy: Copy) -> dict[str, Any]:
    """What the attributes are at somebody who had others and has got the copy."""
    other = document()
    for key in ("s", "arrays", "none"):
        apply(other, patch(changed(key, "data", data(x=[0]))))
    apply(other, patch(set_to(9), changed("s", "tags", [])))
    apply(other, *copy.run())
    return {key: found.attributes for key, found in other.models.items()}


def test_it_sets_attributes_to_what_they_were_when_it_was_made() -> None:
    here = document()
    copy = Copy(here, [DATA, TAGS, ("arrays", "data"), ("none", "data"), VALUE], 3, 7)
    apply(here, patch(set_to(5)))
    apply(here, patch(streamed("s", 5, x=[5], y=["z"])))
    apply(here, patch(patched("arrays", x=[[0, 5.0]])))
    apply(here, patch(data_changed("none", x=[5])))
    found = applied(copy)
    assert found["w"]["value"] == 1
    assert found["s"]["tags"] == [{"a": [1]}]
    assert {name: list(column.live) for name, column in found["s"]["data"].items()} == {
        "x": list(range(LONG)),
        "y": ["\u00e9"] * LONG,
    }
    assert found["arrays"]["data"]["x"].live.tolist() == NUMBERS.tolist()
    assert found["arrays"]["data"]["z"].live[0].tolist() == NUMBERS.tolist()
    assert found["arrays"]["data"]["y"].live == [None]
    assert found["none"]["data"] == {}
    assert copy.span == (3, 7)


def test_it_names_attributes_as_bokeh_writes_them_and_nothing_else() -> None:
    content, buffers = Copy(document(), [VALUE, TAGS], 1, 1).run()
    assert orjson.loads(content) == {"events": [set_to(1), changed("s", "tags", [{"a": [1]}])]}
    assert buffers == ()


def test_the_interpreter_is_let_go_of_between_small_pieces() -> None:
    pauses: list[None] = []
    Copy(document(), [DATA], 1, 1).run(lambda: pauses.append(None))
    assert len(pauses) == 2 * 3


def test_what_is_written_pins_no_list_any_more() -> None:
    here = document()
    copy, column = Copy(here, [DATA], 1, 1), here.models["s"].attributes["data"]["x"]
    copy.run()
    before = id(column.values)
    apply(here, patch(patched("s", x=[[0, 5]])))
    assert id(column.values) == before


# The whole


def test_a_long_document_is_written_later_as_it_was_and_a_short_one_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    here = document()
    short = Whole(here, 5)
    monkeypatch.setattr(copies, "LONG", LONG)
    long = Whole(here, 5)
    assert (long.written, long.size, long.span) == (None, 0, (0, 5))
    apply(here, patch(set_to(5), streamed("s", 5, x=[5], y=["z"])))
    pauses: list[None] = []
    content, buffers = long.run(lambda: pauses.append(None))
    assert len(pauses) == 2 * 3 + 2
    assert short.written is not None
    assert short.size == len(short.written[0]) + 2 * NUMBERS.nbytes
    for found in (short.written, (content, buffers)):
        told = Document.from_json(orjson.loads(found[0])["doc"], dict(found[1]))
        assert server_flat(told) == server_flat(document())


def test_numbers_in_arrays_make_no_document_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "LONG", 0)
    source = model("ColumnDataSource", "s", data=data(x=array("b", size=LONG)))
    other = model("Figure", "f", data="none")
    assert Whole(Document.decode(doc(source, other), (("b", NUMBERS.tobytes()),)), 1).written is not None


# Which copy


def test_a_copy_holds_what_has_changed_since_and_who_has_seen_the_same_shares_it() -> None:
    changes, here = Changes(), document()
    changes.note((VALUE,), 2)
    changes.note((TAGS,), 3)
    copy, new = changes.since(2, here, 3)
    assert new
    assert copy.span == (3, 3)
    assert orjson.loads(copy.run()[0])["events"] == [changed("s", "tags", [{"a": [1]}])]
    changes.note((VALUE,), 4)
    assert changes.since(2, here, 4) == (copy, False), "as long as it is written"
    other, new = changes.since(1, here, 4)
    assert new
    assert other.span == (2, 4)


def test_a_copy_that_is_written_is_good_until_the_next_patch() -> None:
    changes, here = Changes(), document()
    changes.note((VALUE,), 2)
    copy, _ = changes.since(1, here, 2)
    copy.message = Outgoing(())
    assert changes.since(1, here, 2) == (copy, False)
    changes.note((VALUE,), 3)
    again, new = changes.since(1, here, 3)
    assert new
    assert again is not copy


def test_what_was_before_a_patch_that_did_more_is_forgotten() -> None:
    changes = Changes()
    changes.note((VALUE,), 2)
    changes.note(None, 3)
    assert (changes.attributes, changes.more) == ({}, 3)
