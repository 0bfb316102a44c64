"""A patch that is written anew, for those who lack models that it names, or take more from it than they should."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from bokeh_server.core.apply import apply, with_whole_data
from bokeh_server.core.copies import Copy
from bokeh_server.errors import TooLarge
from bokeh_server.limits import LIMITS
from tests.core.playbook import (
    Case,
    array,
    changed,
    clicked,
    data_changed,
    events,
    forgotten,
    messages,
    model,
    numbers,
    patch,
    patched,
    ref,
    removed,
    streamed,
    titled,
)


def test_a_model_that_comes_back_is_written_in_full_for_those_who_have_forgotten_it() -> None:
    case = forgotten(model("N", "a", next=model("N", "b", x=1), payload=array("0")), buffers=(("0", numbers(1, 2)),))
    applied = case.apply(changed("w", "tags", [ref("a"), ref("b")]), titled("u"))
    [tags, _] = events(applied)
    assert tags["new"][0]["attributes"]["next"] == model("N", "b", x=1)
    assert tags["new"][1] == ref("b")
    assert [payload for _, payload in applied.buffers] == [numbers(1, 2)]


def test_a_part_of_what_came_back_is_written_where_it_is_named_first() -> None:
    case = forgotten(model("N", "a", next=model("N", "b")))
    case.apply(removed("a"), changed("w", "tags", [ref("b")]), changed("w", "title", ref("a")))
    assert case.value("w", "title") == ref("a")


def test_a_message_carries_the_models_that_its_readers_lack() -> None:
    case = forgotten(model("N", "a", payload=array("0")), buffers=(("0", numbers(1, 2)),))
    applied = case.apply(clicked("a"))
    [[_, button]] = messages(applied)[0]["msg_data"]["values"]["entries"]
    assert (applied.content, button["name"]) == (None, "N")
    assert [payload for _, payload in applied.buffers] == [numbers(1, 2)]


def test_what_a_message_defines_is_in_the_log_where_a_later_event_names_it() -> None:
    case = forgotten(model("N", "a"))
    new = {"kind": "MessageSent", "msg_type": "x", "msg_data": [model("N", "n", x=1), ref("a")]}
    applied = case.apply(new, changed("w", "tags", [ref("n"), ref("a")]))
    assert events(applied)[0]["new"] == [model("N", "n", x=1), model("N", "a")]
    assert messages(applied)[0]["msg_data"] == [ref("n"), ref("a")]


def test_what_looks_like_a_model_in_the_name_of_a_buffer_is_none() -> None:
    case = forgotten(model("N", "a"))
    case.apply(changed("w", "tags", [{"type": "bytes", "data": ref("a")}, ref("a")]), buffers=(("a", b"12"),))
    packed = base64.b64encode(gzip.compress(b"12", mtime=0)).decode()
    case.apply(changed("w", "title", [{"type": "bytes", "data": packed}]), titled("t"))
    assert case.value("w", "title") == [b"12"]


def test_an_attribute_of_the_name_id_is_one_like_others() -> None:
    case = forgotten(model("N", "a", id="x", of=[1]))
    case.apply(changed("w", "tags", [ref("a"), model("N", "n", id="y", of=[ref("s")])]))
    assert [case.value("a", "of"), case.value("n", "of"), case.value("n", "id")] == [[1], [ref("s")], "y"]


def test_what_a_browser_defines_anew_is_kept_as_it_was_and_passed_on_by_its_id() -> None:
    case = Case()
    old = model("Slider", "w", value=77)
    case.apply(changed("c", "more", [old, model("N", "new")]), origin="viewer")
    assert case.value("w", "value") == 1
    assert case.apply(changed("c", "more", [old, ref("new")]), origin="viewer").content is None
    [only] = events(case.apply(changed("c", "more", [old]), origin="viewer"))
    assert only["new"] == [ref("w")]


def test_what_a_program_defines_anew_is_passed_on_as_changes_in_their_order() -> None:
    case = Case()
    anew = model("Slider", "w", value=5, title=model("N", "n", of=model("Column", "c", width=7)))
    applied = case.apply(changed("w", "value", 2), changed("c", "more", [ref("w"), anew]), changed("w", "value", 8))
    assert events(applied) == [
        changed("w", "value", 2),
        changed("w", "value", 5),
        changed("c", "width", 7),
        changed("w", "title", model("N", "n", of=ref("c"))),
        changed("c", "more", [ref("w"), ref("w")]),
        changed("w", "value", 8),
    ]
    assert case.value("w", "value") == 8


READERS_LOOK_BY: list[Callable[[Any], Any]] = [
    lambda unread: {"type": "set", "entries": [], "more": unread},
    lambda unread: {"type": "ndarray", "array": [1], "dtype": "int32", "shape": [1], "order": "little", "more": unread},
    lambda unread: {"type": "bytes", "data": {"id": "b", "more": unread}},
    lambda unread: {"type": "ref", "id": "s", "more": unread},
    lambda unread: {"id": "s", "more": unread},
    lambda unread: {**model("N", "n"), "more": unread},
]


@pytest.mark.parametrize("around", READERS_LOOK_BY)
def test_no_model_is_defined_where_no_reader_looks(around: Callable[[Any], Any]) -> None:
    case = forgotten(model("N", "a", x=1))
    case.apply(changed("c", "more", [around([ref("a")]), ref("a")]), buffers=(("b", b"1"),))
    assert case.value("a", "x") == 1


@pytest.mark.parametrize("around", READERS_LOOK_BY)
def test_no_model_is_set_anew_where_no_reader_looks(around: Callable[[Any], Any]) -> None:
    case, unread = Case(), [model("Slider", "w", value=3)]
    case.apply(changed("c", "more", [model("Slider", "w", title="t"), around(unread)]), buffers=(("b", b"1"),))
    assert (case.value("w", "value"), case.value("w", "title")) == (1, "t")


def test_what_stands_in_an_event_of_no_kind_is_read_first_and_written_to_nobody() -> None:
    case = forgotten(model("N", "a"))
    event = changed("w", "tags", [ref("a"), ref("n")])
    beside = {"one": [ref("a"), model("N", "n", x=1)], "two": model("Slider", "w", value=5, title="t")}
    applied = case.apply({**event, **beside})
    of_slider = [changed("w", "value", 5), changed("w", "title", "t")]
    assert events(applied) == [*of_slider, changed("w", "tags", [model("N", "a"), model("N", "n", x=1)])]
    assert case.apply({**titled("u"), "type": "map"}).content == orjson.dumps({"events": [titled("u")]})


def test_a_model_that_is_set_anew_twice_is_as_it_was_read_last() -> None:
    case = Case()
    values = {"new": [model("Slider", "w", value=6)], "model": model("Slider", "w", value=5)}
    case.apply({"kind": "ModelChanged", **values, "attr": "tags", "type": model("Slider", "w", value=4)})
    assert case.value("w", "value") == 6


@pytest.mark.parametrize("levels", [205, 1000])
def test_what_is_nested_too_deep_in_an_index_is_refused_when_written_anew(levels: int) -> None:
    index = {"type": "slice", "start": 0, "stop": 1, "step": 1, "more": "deep"}
    content = patch(changed("c", "more", [model("Slider", "w", value=2)]), patched("s", x=[[index, [5]]]))
    case = Case()
    with pytest.raises(TooLarge):
        apply(case.document, content.replace(b'"deep"', b"[" * levels + b"]" * levels))
    assert (case.value("w", "value"), case.column("x")) == (1, ("list", [1, 2]))


def test_lists_between_models_that_come_back_count_towards_the_depth() -> None:
    def inside(key: str) -> Any:
        value: Any = model("N", key)
        for _ in range(50):
            value = [value]
        return value

    case = Case()
    case.apply(changed("w", "tags", [model("N", "n0")]))
    for at in range(4):
        case.apply(changed(f"n{at}", "next", inside(f"n{at + 1}")))
    case.apply(changed("w", "tags", []))
    with pytest.raises(TooLarge):
        case.apply(changed("w", "tags", [ref("n0")]))
    case.apply(changed("w", "tags", [ref("n2")]))
    assert "n4" in case.document.models


@pytest.mark.parametrize("length", [90, 150, 600])
def test_a_chain_comes_back_whole_or_is_refused_but_never_half(length: int) -> None:
    case = Case()
    case.apply(changed("w", "tags", [model("N", "n0")]))
    for at in range(length - 1):
        for document in (case.document, case.other):
            apply(document, patch(changed(f"n{at}", "next", model("N", f"n{at + 1}"))))
    case.apply(changed("w", "tags", []))
    before = case.document.encode()
    if length < 100:
        case.apply(changed("w", "tags", [ref("n0")]))
        assert f"n{length - 1}" in case.document.models
    else:
        with pytest.raises(TooLarge):
            case.apply(changed("w", "tags", [ref("n0")]))
        assert case.document.encode() == before


IMAGE = {**array("0", size=20), "shape": [4, 5]}


def imaged(limit: int) -> Case:
    """A document with an image of 160 bytes, and a bound on messages."""
    case = Case(limits=replace(LIMITS, message=limit))
    case.apply(changed("s", "data", {"type": "map", "entries": [["m", [IMAGE]]]}), buffers=(("0", bytes(160)),))
    return case


def in_part(value: int, *, rows: Any = 0) -> Any:
    """An event that sets two numbers of the image; ``rows`` as a slice are what BokehJS reads otherwise."""
    return patched("s", m=[[[0, rows, {"type": "slice", "start": 0, "stop": 2, "step": 1}], [value, value]]])


def test_a_patch_that_stands_for_many_copies_of_a_column_is_refused_before_they_are_made() -> None:
    one = {"type": "slice", "start": 0, "stop": 1, "step": 1}
    case = imaged(600)
    applied = case.apply(*(in_part(at, rows=one) for at in range(4)))
    assert [payload[:8] for _, payload in applied.buffers] == [numbers(at) for at in range(4)]
    before = case.document.encode()
    with pytest.raises(TooLarge, match="more than 600 bytes of columns anew"):
        case.apply(*(in_part(at, rows=one) for at in range(9)))
    assert case.document.encode() == before


def test_one_change_of_a_column_that_is_larger_than_a_message_may_be_is_taken() -> None:
    case = imaged(600)
    case.document.limits = replace(LIMITS, message=10)
    assert len(case.apply(in_part(1, rows={"type": "slice", "start": 0, "stop": 1, "step": 1})).buffers) == 1


def test_what_is_written_anew_shows_an_image_as_it_was_then() -> None:
    one = {"type": "slice", "start": 0, "stop": 1, "step": 1}
    applied = imaged(10_000).apply(in_part(1), in_part(2, rows=one), in_part(3), in_part(4, rows=one), in_part(5))
    assert [payload[:8] for _, payload in applied.buffers] == [numbers(2), numbers(4)]


def test_a_class_that_extends_another_defines_no_model_for_those_who_lack_one_of_its_name() -> None:
    case = forgotten(model("N", "a"))
    cls = {"type": "model", "name": "D", "extends": ref("a")}
    applied = case.apply(changed("w", "tags", [cls, ref("a")]))
    assert events(applied)[0]["new"] == [cls, model("N", "a")]


def test_an_object_with_an_array_for_its_type_is_written_anew_with_a_column() -> None:
    strange = {"type": {"type": "ndarray", "array": [1, 2], "dtype": "int8", "shape": [2], "order": "little"}, "x": 1}
    case = Case()
    case.apply(changed("s", "data", {"type": "map", "entries": [["x", array("0")]]}), buffers=(("0", numbers(1, 2)),))
    applied = case.apply(streamed("s", x=[strange]))
    [[_, column]] = events(applied)[0]["data"]["entries"]
    assert (column[2]["x"], column[2]["type"]["dtype"]) == (1, "int8")


def test_a_fault_of_ours_leaves_nothing_of_a_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*anything: Any) -> None:
        raise ZeroDivisionError

    case = Case()
    before = case.document.encode()
    monkeypatch.setattr("bokeh_server.core.apply._normal", broken)
    with pytest.raises(ZeroDivisionError):
        case.apply(titled("half"), changed("w", "tags", [model("N", "n")]))
    assert case.document.encode() == before


def test_columns_beside_one_of_the_name_id_are_written_anew_as_well() -> None:
    case = Case()
    applied = case.apply(changed("w", "value", 1), {**data_changed("s"), "data": {"x": [ref("c")], "id": [1]}})
    assert events(applied)[-1]["data"] == {"x": [ref("c")], "id": [1]}


def test_a_copy_of_what_has_changed_has_no_columns_that_are_gone() -> None:
    case, other = Case(), Case()
    applied = case.apply(changed("s", "data", {"type": "map", "entries": [["x", [1]]]}))
    assert applied.changed is not None
    apply(other.document, *Copy(case.document, applied.changed, 1, 1).run())
    assert other.document.encode() == case.document.encode()


def for_stock(case: Case, *some: Any) -> Case:
    """Another document, to which whole columns were sent where ``case`` got single ones."""
    other = Case()
    applied = case.apply(*some)
    assert applied.content is not None
    apply(other.document, *with_whole_data(case.document, applied.content, applied.buffers))
    return other


def test_a_model_in_whole_columns_is_defined_there_for_programs_of_bokehs() -> None:
    case = Case()
    new = model("N", "n", text="x", tags=[model("N", "m")])
    other = for_stock(case, data_changed("s", cols=["x"], x=[1, 2]), data_changed("s", cols=["y"], y=[new, ref("m")]))
    assert other.document.encode() == case.document.encode()


def test_a_model_that_is_gone_for_good_is_defined_as_it_came() -> None:
    case = Case(limits=replace(LIMITS, grave_models=0))
    new = changed("w", "tags", [model("N", "n", data={"type": "bytes", "data": "H4sIAAAAAAACAwMAAAAAAAAAAAA="})])
    other = for_stock(case, new, changed("w", "tags", []), data_changed("s", cols=["x"], x=[1, 2]))
    assert other.document.encode() == case.document.encode()


def test_whole_columns_that_are_none_by_then_are_sent_as_a_value() -> None:
    case = Case()
    none = {"type": "map", "entries": [["x", 8]]}
    other = for_stock(case, data_changed("s", cols=["x"], x=[1, 2]), changed("s", "data", none))
    assert other.document.encode() == case.document.encode()
