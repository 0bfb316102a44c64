"""``apply`` gives what bokeh's own ``Document`` gives, patch by patch; and where bokeh is wrong, what we give instead.

``FUZZ_PATCHES`` sets how many random patches are tried (5,000 in every run, 200,000 in ``make fuzz``). A failure
prints a seed: ``FUZZ_SEED=<seed>`` runs that document alone.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson
import pytest
from bokeh.document import Document as BokehDocument
from bokeh.events import DocumentReady
from bokeh.models import ColumnDataSource, CustomJS, Div, Slider  # type: ignore[attr-defined]

from bokeh_server.core import Buffers
from bokeh_server.core.apply import Applied, apply
from bokeh_server.core.document import Document
from bokeh_server.errors import RefusedPatch
from tests.model.browser import Browser
from tests.model.canonical import compare, server_flat, wire_flat
from tests.model.differential import Difference, session, viewer_session

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
PATCHES = int(os.environ.get("FUZZ_PATCHES", "200000" if LONG else "5000"))
STEPS = 40
PARTS = 25
SEED = os.environ.get("FUZZ_SEED")

Event = dict[str, Any]


def sessions(seeds: Iterable[int], patches: int = 10**9) -> Counter[str]:
    """Run the sessions of these seeds until there were so many patches; how many events of each kind there were."""
    count: Counter[str] = Counter()
    for seed in seeds:
        session(seed, STEPS, count)
        if count["patches"] >= patches:
            break
    return count


@pytest.mark.timeout(60 + PATCHES // PARTS)
@pytest.mark.parametrize("part", range(PARTS))
def test_random_patches_give_what_bokeh_gives_and_what_a_browser_shows(part: int) -> None:
    count = sessions([int(SEED)] if SEED else itertools.count(part, PARTS), -(-PATCHES // PARTS))
    kinds = {"ModelChanged", "ColumnDataChanged", "ColumnsStreamed", "ColumnsPatched", "RootAdded", "RootRemoved"}
    assert kinds | {"TitleChanged", "MessageSent"} <= count.keys() or SEED


@pytest.mark.timeout(60 + PATCHES // PARTS)
def test_what_browsers_send_comes_to_the_same_in_the_server_the_log_and_other_browsers() -> None:
    for seed in range(-(-PATCHES // (STEPS * 5))):
        viewer_session(seed, STEPS)


def test_the_differential_run_notices_an_apply_that_loses_a_rollover(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(document: Document, content: bytes, buffers: Buffers) -> Applied:
        return apply(document, content.replace(b'"rollover"', b'"rolover"'), buffers)

    monkeypatch.setattr("tests.model.differential.apply", wrong)
    with pytest.raises(Difference, match=r"seed \d+, patch \d+"):
        sessions(range(20))


def test_the_differential_run_notices_a_relay_that_is_not_the_normal_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(document: Document, content: bytes, buffers: Buffers) -> Applied:
        applied = apply(document, content, buffers)
        return applied if applied.content is None else Applied(content, buffers, None)

    monkeypatch.setattr("tests.model.differential.apply", wrong)
    with pytest.raises(Difference, match="browser"):
        sessions(range(20))


# Where bokeh is wrong, or where Python, NumPy and JavaScript differ: what we do.


class Case:
    """A small document with a source ``s`` and a slider ``w``, in the server and in a browser."""

    def __init__(self, **columns: Any) -> None:
        self.source = ColumnDataSource(columns)
        self.slider = Slider(start=0, end=9, value=1)
        self.bokeh = BokehDocument()
        self.bokeh.add_root(Div(tags=[self.source, self.slider]))
        self.content = orjson.dumps(self.bokeh.to_json(deferred=False))
        self.ours = Document.decode(self.content)
        self.browser = Browser(self.content, ())
        self.log: list[Applied] = []

    def apply(self, *events: Event, origin: Any = "program") -> Applied:
        """Apply events to the server's document; a browser gets what is relayed, and shows the same."""
        applied = apply(self.ours, orjson.dumps({"events": events}), origin=origin)
        self.log.append(applied)
        if applied.content is not None:
            self.browser.apply(applied.content, applied.buffers)
        assert compare(server_flat(self.ours), self.browser.flat()) == []
        return applied

    def replayed(self) -> Document:
        """The document that the log gives."""
        document = Document.decode(self.content)
        for applied in self.log:
            if applied.content is not None:
                apply(document, applied.content, applied.buffers)
        return document

    def stream(self, rollover: int | None = None, **columns: Any) -> Event:
        """An event that streams plain lists."""
        return self.event("ColumnsStreamed", data={"type": "map", "entries": list(columns.items())}, rollover=rollover)

    def event(self, kind: str, **more: Any) -> Event:
        """An event about the source."""
        return {"kind": kind, "model": {"id": self.source.id}, "attr": "data", **more}

    def tags(self, model: Any, value: Any) -> Event:
        """An event that sets the tags of a model."""
        return {"kind": "ModelChanged", "model": {"id": model.id}, "attr": "tags", "new": value}

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of the source as plain lists, with the type of those that are arrays."""
        data = self.ours.models[self.source.id].attributes["data"]
        return {name: [getattr(c.values, "dtype", "list"), *list(c.live)] for name, c in data.items()}


def test_single_columns_that_are_set_leave_the_others_as_they_are() -> None:
    case = Case(x=[1, 2], y=[3, 4])
    data = {"type": "map", "entries": [["y", [5, 6]]]}
    case.apply(case.event("ColumnDataChanged", data=data, cols=["y"]))
    assert case.columns == {"x": ["list", 1, 2], "y": ["list", 5, 6]}


def test_objects_in_two_dimensions_are_a_column_like_any_other() -> None:
    case = Case(x=[1, 2])
    objects = {"type": "ndarray", "array": [1, "a", 3, 4], "shape": [2, 2], "dtype": "object", "order": "little"}
    data = {"type": "map", "entries": [["x", objects]]}
    case.apply({"kind": "ModelChanged", "model": {"id": case.source.id}, "attr": "data", "new": data})


def test_a_patch_that_names_a_forgotten_model_brings_it_back_for_everyone() -> None:
    case = Case()
    root = case.bokeh.roots[0]
    case.apply(case.tags(root, [{"id": case.source.id}]))
    assert case.slider.id not in case.ours.models
    case.browser.collect()
    case.apply(case.tags(root, [{"id": case.slider.id}]))
    assert case.ours.models[case.slider.id].attributes["value"] == 1


def test_a_root_that_is_announced_again_changes_nothing_here_or_elsewhere() -> None:
    case = Case()
    root = {"type": "object", "name": "Div", "id": case.bokeh.roots[0].id, "attributes": {"text": "stale"}}
    before = server_flat(case.ours)
    for origin in ("program", "viewer"):
        assert case.apply({"kind": "RootAdded", "model": root}, origin=origin).content is None
    assert server_flat(case.ours) == before


def test_what_a_browser_says_of_a_model_that_it_got_from_others_is_not_news() -> None:
    case = Case()
    slider = {"type": "object", "name": "Slider", "id": case.slider.id, "attributes": {"value": 7}}
    case.apply(case.tags(case.source, [slider]), origin="viewer")
    assert case.ours.models[case.slider.id].attributes["value"] == 1
    case.apply(case.tags(case.source, [slider, 1]), origin="program")
    assert case.ours.models[case.slider.id].attributes["value"] == 7


def test_a_model_that_is_defined_anew_after_a_change_in_the_same_patch_is_the_same_everywhere() -> None:
    case = Case()
    again = {"type": "object", "name": "Slider", "id": case.slider.id, "attributes": {"tags": [2]}}
    case.apply(case.tags(case.slider, [1]), case.tags(case.source, [again]))
    assert case.ours.models[case.slider.id].attributes["tags"] == [2]


@pytest.mark.parametrize(
    "carrier",
    [
        {"kind": "MessageSent", "msg_type": "mine", "msg_data": {"m": "NEW"}},
        {"kind": "RootRemoved", "model": "NEW"},
        {"kind": "ModelChanged", "model": "NEW", "attr": "value", "new": 3},
    ],
)
def test_a_model_that_is_defined_in_an_event_without_effect_is_in_the_log_all_the_same(carrier: Event) -> None:
    case = Case()
    new = orjson.dumps({"type": "object", "name": "Slider", "id": "new", "attributes": {"value": 3}})
    event = orjson.loads(orjson.dumps(carrier).replace(b'"NEW"', new))
    case.apply(event, case.tags(case.slider, [{"id": "new"}]))
    assert case.ours.models["new"].attributes["value"] == 3
    assert wire_flat(*case.replayed().encode()) == server_flat(case.ours)


def test_a_message_that_sets_a_model_anew_is_in_the_log() -> None:
    case = Case()
    again = {"type": "object", "name": "Slider", "id": case.slider.id, "attributes": {"value": 5}}
    applied = case.apply({"kind": "MessageSent", "msg_type": "mine", "msg_data": [again]})
    assert applied.messages is not None
    assert b"attributes" not in applied.messages
    assert wire_flat(*case.replayed().encode()) == server_flat(case.ours)


def test_the_document_s_callbacks_stay_and_keep_what_they_name() -> None:
    document = BokehDocument()
    kept = Div(text="kept")
    document.add_root(kept)
    document.js_on_event(DocumentReady, CustomJS(args={"div": kept}, code="1"))
    content = orjson.dumps(document.to_json(deferred=False))
    ours = Document.decode(content)
    document.add_root(Div())
    event = {"kind": "RootRemoved", "model": {"id": kept.id}}
    apply(ours, orjson.dumps({"events": [event]}))
    flat = server_flat(ours)
    assert flat.roots == []
    assert kept.id in flat.models
    assert server_flat(Document.decode(*ours.encode())) == flat


def test_streamed_numbers_that_fit_leave_a_column_its_type_and_others_change_it() -> None:
    case = Case(f=np.zeros(1, np.float32), i=np.zeros(1, np.int32), u=np.zeros(1, np.uint8))
    case.apply(case.stream(f=[0.5], i=[7], u=[255]))
    assert [column[0] for column in case.columns.values()] == ["float32", "int32", "uint8"]
    case.apply(case.stream(f=[1], i=[1.5], u=[256]))
    assert [column[0] for column in case.columns.values()] == ["float32", "float64", "int32"]
    assert case.columns["u"] == ["int32", 0, 255, 256]


def test_a_rollover_of_nothing_empties_the_source_here_and_in_browsers() -> None:
    case = Case(x=[1, 2], y=["a", "b"])
    case.apply(case.stream(0, x=[3], y=["c"]))
    assert case.columns == {"x": ["list"], "y": ["list"]}


def test_an_array_that_is_longer_than_the_rollover_is_cut_here_and_in_browsers() -> None:
    case = Case(x=np.arange(6, dtype=np.float64))
    case.apply(case.stream(3, x=[6]))
    assert case.columns["x"] == ["float64", 4, 5, 6]


def test_a_column_that_is_set_and_streamed_in_one_patch_gets_the_rows_once() -> None:
    case = Case(x=[1])
    root = {"kind": "RootAdded", "model": {"id": case.bokeh.roots[0].id}}  # makes the patch be written anew
    data = {"type": "map", "entries": [["x", [2]]]}
    case.apply(case.event("ColumnDataChanged", data=data, cols=["x"]), case.stream(x=[3]), root)
    assert case.columns == {"x": ["list", 2, 3]}


def test_words_in_a_column_of_numbers_make_a_list_of_both() -> None:
    case = Case(x=np.array([1.5, np.nan]))
    case.apply(case.stream(x=["a"]))
    nan = {"type": "number", "value": "nan"}
    assert case.columns == {"x": ["list", 1.5, nan, "a"]}


@pytest.mark.parametrize(("value", "stored"), [(-1, 65535), (65537.9, 1), (2**40 + 3, 3), (None, None), ("nan", 0)])
def test_patched_numbers_wrap_around_as_in_javascript(value: Any, stored: int | None) -> None:
    case = Case(x=np.zeros(2, np.uint16))
    new = {"type": "number", "value": "nan"} if value == "nan" else value
    event = case.event("ColumnsPatched", patches={"type": "map", "entries": [["x", [[1, new]]]]})
    if stored is None:
        with pytest.raises(RefusedPatch):
            case.apply(event)
    else:
        case.apply(event)
        assert case.columns["x"] == ["uint16", 0, stored]


@pytest.mark.parametrize(("value", "stored"), [("nan", 0), (0.5, 0), (256, 0), (-1, 1), (2, 1)])
def test_numbers_patched_into_truth_values_become_bytes_first_as_in_javascript(value: Any, stored: int) -> None:
    case = Case(x=np.ones(2, np.bool_))
    new = {"type": "number", "value": "nan"} if value == "nan" else value
    case.apply(case.event("ColumnsPatched", patches={"type": "map", "entries": [["x", [[1, new]]]]}))
    assert case.columns["x"] == ["bool", 1, stored]


def test_a_word_is_no_truth_value() -> None:
    case = Case(x=np.zeros(2, np.bool_))
    with pytest.raises(RefusedPatch):
        case.apply(case.event("ColumnsPatched", patches={"type": "map", "entries": [["x", [[1, "x"]]]]}))
