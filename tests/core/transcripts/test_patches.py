"""Longer stories of patches: models that come back, chains, rows that roll over; each also at somebody who forgets."""

from __future__ import annotations

import pytest

from bokeh_server.core.apply import apply
from bokeh_server.errors import UnknownModel
from bokeh_server.limits import LIMITS
from tests.core.playbook import (
    Case,
    Json,
    array,
    changed,
    data,
    data_changed,
    doc,
    events,
    forgotten,
    model,
    numbers,
    patch,
    patched,
    ref,
    streamed,
    titled,
)


def test_other_things_of_a_range_and_other_models_are_shared() -> None:
    case = Case(doc(model("Range1d", "r"), model("Slider", "w")))
    shared = [changed("r", "bounds", [1, 2]), changed("w", "start", 1)]
    assert events(case.apply(*shared, origin="viewer")) == shared


def test_tags_of_any_kind_do_not_share_the_view() -> None:
    tags = [None, 5, [[1.5, 2], {"type": "ndarray", "array": [1, 2], "dtype": "int32", "shape": [2]}]]
    for tag in tags:
        case = Case(doc(model("Range1d", "r", tags=tag)))
        assert case.apply(changed("r", "start", 1), origin="viewer").content is None


def test_new_buffers_do_not_take_the_names_of_those_that_came() -> None:
    case = Case()
    case.apply(data_changed("s", x=array("0"), y=array("0")), buffers=(("0", numbers(1, 2)),))
    applied = case.apply(
        streamed("s", 0, x=array("0"), y=[1]),
        changed("w", "tags", [array("1")]),
        buffers=(("0", numbers(3, 4)), ("1", numbers(5, 6))),
    )
    names = [name for name, _ in applied.buffers]
    assert len(names) == len(set(names)) == 4


def test_a_model_that_comes_back_may_be_changed_at_once() -> None:
    case = forgotten(model("N", "a", x=1))
    case.apply(changed("a", "x", 2), changed("w", "title", ref("a")))
    assert case.value("a", "x") == 2


def test_an_event_that_has_an_id_is_still_an_event() -> None:
    case = forgotten(model("N", "a"))
    assert events(case.apply({**titled("u"), "id": "a"}, changed("w", "tags", [ref("a")])))[0]["title"] == "u"


def test_a_browser_may_define_its_own_new_model_twice() -> None:
    case = Case()
    applied = case.apply(
        changed("w", "a", model("N", "n", x=1)), changed("w", "b", model("N", "n", x=2)), origin="viewer"
    )
    assert [event["new"] for event in events(applied)] == [model("N", "n", x=1), ref("n")]
    assert case.value("n", "x") == 1


def test_what_is_defined_anew_may_name_what_the_same_event_defines_before() -> None:
    case = Case()
    case.apply(titled("u"), changed("c", "more", [model("N", "n"), model("Slider", "w", title=ref("n"))]))
    assert case.value("w", "title") == ref("n")


def test_a_column_that_is_passed_on_anew_carries_the_models_in_it() -> None:
    case = forgotten(model("N", "a"))
    case.apply(data_changed("s", x=array("0")), buffers=(("0", numbers(1, 2)),))
    case.apply(streamed("s", x=[ref("a"), model("N", "n"), model("Slider", "w", value=6)]))
    assert case.document.models["s"].refs["data"] == {"a", "n", "w"}
    assert case.value("w", "value") == 6


def test_what_is_let_go_of_rests_and_is_forgotten_after_a_while() -> None:
    case = Case()
    case.apply(changed("w", "tags", [model("N", "n")]), now=10.0)
    case.apply(changed("w", "tags", []), now=20.0)
    assert case.document.grave["n"][0] == 20.0
    case.apply(changed("w", "tags", [model("N", "o")]), now=21.0 + LIMITS.grave)
    with pytest.raises(UnknownModel):
        case.apply(changed("w", "tags", [ref("n")]), now=150.0)


@pytest.mark.parametrize(
    "event",
    [
        changed("s", "data", data(x=[1, 2], y=[3, 4])),
        data_changed("s", cols=["x"], x=[1, 2]),
        streamed("s", 1, x=[5], y=[6]),
        patched("s", x=[[0, 1], [1, 2]]),
    ],
)
def test_models_in_a_column_are_let_go_of_when_the_column_does(event: Json) -> None:
    case = Case()
    case.apply(data_changed("s", cols=["x"], x=[model("N", "a"), model("N", "b")]))
    assert case.document.models["s"].refs == {"data": {"a", "b"}}
    case.apply(event)
    assert set(case.document.grave) >= {"a", "b"}
    assert case.document.models["s"].refs == {}


def test_a_long_stream_does_not_keep_what_rolled_over() -> None:
    case = Case()
    for at in range(3000):
        apply(case.document, patch(streamed("s", 10, x=[at], y=[at]), titled(str(at))))
    assert len(case.value("s", "data")["x"].values) < 3000
    assert case.column("x") == ("list", list(range(2990, 3000)))
