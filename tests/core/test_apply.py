"""A patch on a document: all of it or none of it; and a normal patch that gives everybody else the same.

``Case`` (in ``playbook.py``) keeps a second document beside the first. It gets only the normal patches, as the log and
the viewers do, and forgets at once what nothing leads to; after every patch both must be the same, byte for byte.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from bokeh_server.core.apply import Applied, Origin, apply, with_whole_data
from bokeh_server.core.copies import Copy
from bokeh_server.core.document import Document
from bokeh_server.errors import BadMessage, ClientError, RefusedPatch, TooLarge, TypeClash, UnknownModel
from bokeh_server.limits import LIMITS
from tests.core.playbook import (
    DOCUMENT,
    Case,
    Json,
    added,
    array,
    changed,
    clicked,
    data,
    data_changed,
    doc,
    events,
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

NAN = {"type": "number", "value": "nan"}


# What each kind does


def test_an_attribute_is_set() -> None:
    case = Case()
    case.apply(changed("w", "value", 5), changed("w", "tags", [1, {"type": "map", "entries": [["a", ref("s")]]}]))
    assert case.value("w", "value") == 5
    assert case.document.models["w"].refs == {"tags": {"s"}}


def test_the_data_of_a_source_is_replaced() -> None:
    case = Case()
    case.apply(changed("s", "data", data(z=[1])), titled("u"))
    assert list(case.value("s", "data")) == ["z"]
    case.apply(data_changed("s", a=[1, 2], b=array("0")), buffers=(("0", numbers(1, 2)),))
    assert {name: case.column(name) for name in case.value("s", "data")} == {
        "a": ("list", [1, 2]),
        "b": ("float64", [1, 2]),
    }


def test_single_columns_are_set_and_the_others_kept() -> None:
    case = Case()
    case.apply(data_changed("s", cols=["y"], y=["a", "b"]))
    assert (case.column("x"), case.column("y")) == (("list", [1, 2]), ("list", ["a", "b"]))
    case.apply(changed("w", "data", 1), data_changed("c", cols=[], z=[1]))
    assert case.column("z", "c") == ("list", [1])


def test_rows_are_appended_and_roll_over() -> None:
    case = Case()
    case.apply(streamed("s", 3, x=[5, NAN], y=["a", None]), streamed("s", x=[6], y=[7]))
    assert case.column("x") == ("list", [2, 5, NAN, 6])
    assert case.column("y") == ("list", [4, "a", None, 7])


def test_the_first_rows_of_an_empty_source_make_its_columns() -> None:
    case = Case(doc(model("ColumnDataSource", "s"), model("ColumnDataSource", "t", data=data())))
    case.apply(
        streamed("s", x=[1]), streamed("t", x=array("0", "int32")), buffers=(("0", numbers(1, 2, dtype="int32")),)
    )
    assert (case.column("x"), case.column("x", "t")) == (("list", [1]), ("int32", [1, 2]))


def test_values_are_patched_by_index_slice_and_part_of_an_image() -> None:
    case = Case()
    image = {**array("0", "uint8", 4), "shape": [2, 2]}
    everything = {"type": "slice", "start": None, "stop": None, "step": None}
    case.apply(changed("s", "data", data(x=[1, 2, 3], i=[image])), titled("u"), buffers=(("0", b"\x00\x01\x02\x03"),))
    case.apply(
        patched(
            "s",
            x=[[0, "a"], [{"type": "slice", "start": 1, "stop": None, "step": None}, [8, NAN]]],
            i=[[[0, everything, 1], [7, 9]]],
        )
    )
    assert case.column("x") == ("list", ["a", 8, NAN])
    assert case.column("i")[1][0].tolist() == [[0, 7], [2, 9]]


def test_roots_come_and_go_and_keep_their_order() -> None:
    case = Case()
    case.apply(added(model("Div", "d")), added(ref("w")), removed("c"))
    assert case.document.roots == ["d", "w"]
    assert set(case.document.models) == {"d", "w", "config"}
    case.apply(added({"type": "ref", "id": "s"}), now=1.0)
    assert case.document.roots == ["d", "w", "s"]


def test_a_root_that_goes_takes_with_it_what_nothing_else_leads_to() -> None:
    case = Case()
    case.apply(removed("c"))
    assert (set(case.document.models), set(case.document.grave)) == ({"config"}, {"c", "w", "s"})


def test_the_models_in_columns_that_are_kept_are_kept() -> None:
    case = Case()
    case.apply(data_changed("s", cols=["y"], y=[model("N", "a")]))
    case.apply(data_changed("s", cols=["x"], x=[1]))
    assert case.document.models["s"].refs == {"data": {"a"}}
    assert "a" in case.document.models


def test_the_title_is_set() -> None:
    case = Case()
    assert events(case.apply(titled("new"))) == [titled("new")]
    assert case.document.title == "new"


def test_a_message_changes_nothing_and_is_passed_on_by_itself() -> None:
    case = Case()
    applied = case.apply(clicked("w"))
    assert (applied.content, applied.buffers, messages(applied)) == (None, (), [clicked("w")])


# What is malformed or refused

MALFORMED = [
    b"",
    b"[]",
    b"{}",
    b'{"events":{}}',
    b'{"events":[1]}',
    patch({}),
    patch({"kind": "Nonsense"}),
    patch({"kind": ["ModelChanged"]}),
    patch({"kind": "ModelChanged", "attr": "value", "new": 1}),
    patch({"kind": "ModelChanged", "model": ref("w"), "new": 1}),
    patch({"kind": "ModelChanged", "model": ref("w"), "attr": "value"}),
    patch({"kind": "ModelChanged", "model": ["w"], "attr": "value", "new": 1}),
    patch(changed("w", "value", {"id": 5})),
    patch(changed("w", "value", {"type": "bytes", "data": ref("none")})),
    patch({**data_changed("s", x=[1]), "attr": "other"}),
    patch({**data_changed("s", x=[1]), "data": [1]}),
    patch({**data_changed("s"), "data": {"type": "map", "entries": [[1, [2]]]}}),
    patch({**data_changed("s"), "data": {"type": "map", "entries": [["x", [2]], ["x", [3]]]}}),
    patch(data_changed("s", x=5)),
    patch({**data_changed("s", x=[1]), "cols": "x"}),
    patch({**data_changed("s", x=[1]), "cols": [1]}),
    patch({**streamed("s", x=[1], y=[1]), "rollover": -1}),
    patch({**streamed("s", x=[1], y=[1]), "rollover": True}),
    patch({**streamed("s", x=[1], y=[1]), "rollover": 1.5}),
    patch(streamed("s", x=5)),
    patch(streamed("s", x={"type": "set", "entries": [1]})),
    patch({**streamed("s"), "data": 5}),
    patch({**patched("s"), "patches": 5}),
    patch(patched("s", x=5)),
    patch(patched("s", x=[5])),
    patch(patched("s", x=[[0]])),
    patch(patched("s", x=[[None, 1]])),
    patch(patched("s", x=[[[[0], 0], 1]])),
    patch(patched("s", x=[[{"start": 0}, 1]])),
    patch({"kind": "RootAdded"}),
    patch({"kind": "RootRemoved", "model": "c"}),
    patch({"kind": "TitleChanged", "title": None}),
    patch({"kind": "MessageSent", "msg_data": 1}),
]
REFUSED: list[tuple[bytes, type[ClientError]]] = [
    (patch(changed("nobody", "value", 1)), UnknownModel),
    (patch(changed("w", "value", ref("nobody"))), UnknownModel),
    (patch(changed("w", "value", model("Div", "w"))), TypeClash),
    (patch(streamed("s", z=[1])), RefusedPatch),
    (patch(streamed("c", x=[1]), streamed("c", y=[1])), RefusedPatch),
    (patch(changed("s", "data", 5), streamed("s", x=[1])), RefusedPatch),
    (patch(changed("s", "data", 5), data_changed("s", cols=["x"], x=[1])), RefusedPatch),
    (patch(patched("s", z=[[0, 1]])), RefusedPatch),
    (patch(patched("c", x=[[0, 1]])), RefusedPatch),
    (patch(patched("s", x=[[9, 1]])), RefusedPatch),
    (patch(patched("s", x=[[[0, 0], 1]])), RefusedPatch),
    (patch(removed("nobody")), UnknownModel),
    (patch(added(ref("nobody"))), UnknownModel),
    (patch({"kind": "MessageSent", "msg_type": "x", "msg_data": ref("nobody")}), UnknownModel),
    (patch({**titled("u"), "more": ref("nobody")}), UnknownModel),
    (patch({**titled("u"), "model": ref("nobody")}), UnknownModel),
]


@pytest.mark.parametrize("content", MALFORMED, ids=lambda content: content.decode()[:60])
@pytest.mark.parametrize("origin", ["program", "viewer"])
def test_a_malformed_patch_is_refused_and_changes_nothing(content: bytes, origin: Origin) -> None:
    document = Document.decode(DOCUMENT)
    before = document.encode()
    with pytest.raises(BadMessage):
        apply(document, content, origin=origin)
    assert document.encode() == before


@pytest.mark.parametrize(("content", "error"), REFUSED, ids=lambda value: str(value)[:60])
def test_a_patch_that_the_document_can_not_take_is_refused_and_changes_nothing(content: bytes, error: Any) -> None:
    document = Document.decode(DOCUMENT)
    before = document.encode()
    with pytest.raises(error):
        apply(document, content)
    assert document.encode() == before


def test_a_patch_has_so_many_events_and_no_more() -> None:
    case = Case(limits=replace(LIMITS, events=2))
    case.apply(titled("a"), titled("b"))
    with pytest.raises(TooLarge, match="at most 2 events"):
        case.apply(titled("a"), titled("b"), titled("c"))
    with pytest.raises(TooLarge, match="more than 2 events"):  # or the log could not be read again
        case.apply(changed("w", "tags", [model("Slider", "w", value=1, start=0, end=2)]))
    assert case.document.title == "b"


@pytest.mark.parametrize(
    "event",
    [
        lambda deep: changed("w", "tags", deep(201)),
        lambda deep: changed("s", "data", data(x=deep(200))),
        lambda deep: data_changed("s", x=deep(200)),
        lambda deep: streamed("s", x=deep(200), y=[1]),
        lambda deep: patched("s", x=[[0, deep(199)]]),
        lambda deep: added(model("M", "m", a=deep(199))),
        lambda deep: {"kind": "MessageSent", "msg_type": "x", "msg_data": deep(201)},
        lambda deep: {**titled("u"), "more": deep(201)},
    ],
)
def test_what_is_nested_deeper_than_a_snapshot_may_be_is_refused(event: Any) -> None:
    def deep(levels: int) -> Any:
        value: Any = 1
        for _ in range(levels):
            value = [value]
        return value

    case = Case()
    with pytest.raises(TooLarge):
        case.apply(event(deep))
    case.apply(event(lambda levels: deep(levels - 1)))
    assert Document.decode(*case.document.encode(flat=True)).encode() == case.document.encode()


# All or nothing

KEPT_BEFORE = (
    changed("w", "tags", [model("N", "old", next=model("N", "older"))]),
    changed("c", "more", ref("w")),
    data_changed("s", cols=["z"], z=array("0")),
)
EVERY_KIND = [
    changed("w", "value", 9),
    changed("w", "tags", 9),
    changed("w", "tags", [model("N", "n", self=ref("n"))]),
    changed("w", "tags", [model("N", "old", next=None)]),
    changed("c", "more", model("Slider", "w", value=9, title="anew")),
    changed("w", "brand_new", [ref("buried"), model("N", "buried", anew=1)]),
    changed("s", "data", data(q=[1])),
    data_changed("s", x=[9]),
    data_changed("s", cols=["y"], y=[model("N", "in-data")]),
    streamed("s", 1, x=[9], y=["a"], z=[9.5]),
    streamed("s", x=[model("N", "in-stream")], y=[1], z=["text"]),
    streamed("w", fresh=[1]),
    patched("s", x=[[0, 9], [0, 10]], z=[[{"type": "slice", "start": 0, "stop": 2, "step": 1}, [7, NAN]]]),
    patched("s", y=[[1, model("N", "in-patch")]]),
    added(model("N", "root")),
    added(ref("buried")),
    removed("c"),
    titled("other"),
    clicked("w"),
    {"kind": "MessageSent", "msg_type": "x", "msg_data": model("N", "in-message")},
]


@pytest.mark.parametrize("event", EVERY_KIND, ids=lambda event: str(list(event.values()))[:60])
def test_a_patch_whose_last_event_is_refused_leaves_the_document_as_it_was(event: Json) -> None:
    case = Case()
    case.apply(changed("w", "tags", [model("N", "buried", next=model("N", "deeper"))]))
    case.apply(*KEPT_BEFORE, buffers=(("0", numbers(1, 2)),))
    document = case.document
    before, buried, models = document.encode(), dict(document.grave), set(document.models)
    assert set(buried) == {"buried", "deeper"}
    for refused in (changed("nobody", "value", 1), patched("s", x=[[99, 1]]), {"kind": "Nonsense"}):
        with pytest.raises(ClientError):
            case.apply(event, event, titled("t2"), refused)
        assert document.encode() == before
        assert (document.grave, set(document.models), document.title) == (buried, models, "t")
    case.apply(event)
    case.apply(event)


def test_a_patch_of_every_kind_at_once_is_taken_back_as_well() -> None:
    case = Case()
    case.apply(changed("w", "tags", [model("N", "buried")]))
    case.apply(*KEPT_BEFORE, buffers=(("0", numbers(1, 2)),))
    before = case.document.encode()
    several = [
        event for event in EVERY_KIND if event not in (changed("s", "data", data(q=[1])), data_changed("s", x=[9]))
    ]
    with pytest.raises(UnknownModel):
        case.apply(*several, changed("w", "value", ref("nobody")))
    assert case.document.encode() == before
    case.apply(*several)


# The normal patch: as it came


@pytest.mark.parametrize("event", EVERY_KIND[:1] + EVERY_KIND[6:9] + EVERY_KIND[12:15] + EVERY_KIND[16:18])
def test_what_everybody_understands_is_passed_on_byte_for_byte(event: Json) -> None:
    case = Case()
    case.apply(data_changed("s", cols=["z"], z=[1, 2]))
    content = b" " + patch(titled("w"), event).replace(b":", b" : ")
    applied = apply(case.document, content, (("unused", b"1"),))
    assert applied == Applied(content, (("unused", b"1"),), None)


def test_a_patch_without_events_is_no_news() -> None:
    assert apply(Document.decode(DOCUMENT), b'{"events":[]}', (("a", b""),)) == Applied(None, (), None)


def test_what_does_not_change_anything_is_no_news() -> None:
    case = Case()
    for event in (changed("w", "value", 1), titled("t"), added(ref("c")), removed("w")):
        assert case.apply(event) == Applied(None, (), None)
    assert events(case.apply(changed("w", "value", 1), changed("w", "value", 2), titled("t"))) == [
        changed("w", "value", 2)
    ]
    assert events(case.apply(changed("w", "value", 2.0))) == [changed("w", "value", 2.0)]
    assert events(case.apply(changed("w", "absent", None))) == [changed("w", "absent", None)]


def test_a_browser_that_announces_its_roots_again_changes_nothing() -> None:
    case = Case()
    old = model("Column", "c", children=[model("Slider", "w", value=77)], width=5)
    assert case.apply(added(old), titled("t"), origin="viewer").content is None
    assert case.apply(added(old)).content is None
    assert case.value("w", "value") == 1


# The normal patch: what is one viewer's own

WINDOW = [
    ("Range1d", "start"),
    ("DataRange1d", "end"),
    ("FactorRange", "start"),
    ("Figure", "inner_width"),
    ("Div", "outer_height"),
]


@pytest.mark.parametrize(("name", "attribute"), WINDOW)
def test_what_a_browser_reports_of_its_own_window_is_neither_kept_nor_passed_on(name: str, attribute: str) -> None:
    case = Case(
        doc(model("Column", "c", child=model(name, "r"), tags=[array("0"), "other"]), model("M", "m")).replace(
            orjson.dumps(array("0")), b"[1]"
        )
    )
    window = changed("r", attribute, 5)
    assert case.apply(window, origin="viewer") == Applied(None, (), None)
    assert events(case.apply(window, changed("m", "x", 1), origin="viewer")) == [changed("m", "x", 1)]
    assert attribute not in case.document.models["r"].attributes
    assert events(case.apply(window)) == [window]


def test_what_a_document_knew_of_a_window_is_kept_as_it_was() -> None:
    case = Case(doc(model("Range1d", "r", start=1), model("M", "m")))
    assert case.apply(changed("r", "start", 5), origin="viewer") == Applied(None, (), None)
    assert case.apply(changed("r", "start", 5), changed("r", "start", 6), origin="viewer").content is None
    assert case.value("r", "start") == 1


@pytest.mark.parametrize(("name", "attribute"), WINDOW)
def test_a_document_may_share_its_view(name: str, attribute: str) -> None:
    case = Case(doc(model("Column", "c", child=model(name, "r"), tags=[1, "share_view"])))
    assert events(case.apply(changed("r", attribute, 5), origin="viewer")) == [changed("r", attribute, 5)]


# The normal patch: where BokehJS would show something else


@pytest.mark.parametrize(
    ("event", "x"),
    [
        (streamed("s", 0, x=[1], y=[1]), []),
        (streamed("s", x=[1.5], y=[1]), [1, 2, 1.5]),
        (streamed("s", 2, x=["a"], y=[1]), [2, "a"]),
        (patched("s", x=[[0, 300]]), [44, 2]),
    ],
)
def test_a_column_that_browsers_would_cut_otherwise_is_passed_on_anew(event: Json, x: list[Any]) -> None:
    case = Case()
    case.apply(data_changed("s", cols=["x"], x=array("0", "uint8")), buffers=(("0", b"\x01\x02"),))
    applied = case.apply(event)
    [only] = events(applied)
    assert case.column("x")[1] == x
    assert applied.corrected is ("patches" not in event)
    assert only["kind"] == ("ColumnsPatched" if "patches" in event else "ColumnDataChanged")
    assert only.get("cols") == (None if "patches" in event else ["x", "y"])


def test_a_pixel_that_browsers_do_not_understand_is_passed_on_as_the_column() -> None:
    image = {**array("0", "uint8", 4), "shape": [2, 2]}
    case = Case()
    case.apply(data_changed("s", cols=["i"], i=[image]), buffers=(("0", b"\x00\x01\x02\x03"),))
    applied = case.apply(patched("s", i=[[[0, 0, 0], 9]], x=[[0, 5]]))
    [only] = events(applied)
    assert (only["kind"], only["cols"]) == ("ColumnDataChanged", ["i", "x"])
    assert [payload for _, payload in applied.buffers] == [b"\x09\x01\x02\x03"]


def test_a_column_that_is_passed_on_anew_is_what_it_was_then() -> None:
    case = Case()
    case.apply(streamed("s", 0, x=[1], y=[1]), streamed("s", x=[5], y=[6]), patched("s", x=[[0, 7]]))
    assert case.column("x") == ("list", [7])


# For programs that take a part for the whole


def whole(case: Case, *given: Json, buffers: Any = ()) -> tuple[list[Json], list[str]]:
    """The events with whole data, and the names of the buffers that go with them."""
    case.apply(*given, buffers=buffers)
    content, more = with_whole_data(case.document, patch(*given), buffers)
    found: list[Json] = orjson.loads(content)["events"]
    return found, [name for name, _ in more]


def test_single_columns_become_the_whole_data_of_their_source() -> None:
    [event], names = whole(Case(), data_changed("s", cols=["y"], y=[8, 9]))
    assert event == data_changed("s", x=[1, 2], y=[8, 9])
    assert names == []


def test_what_comes_after_the_whole_data_of_a_source_is_in_it_already() -> None:
    before, after = streamed("s", x=[5], y=[6]), streamed("s", x=[7], y=[8])
    others = [titled("u"), changed("w", "value", 7), changed("s", "name", "n")]
    found, _ = whole(Case(), before, data_changed("s", cols=[]), after, patched("s", x=[[0, 9]]), *others)
    assert found == [before, data_changed("s", x=[9, 2, 5, 7], y=[3, 4, 6, 8]), *others]


def test_data_that_comes_whole_stays_as_it_is() -> None:
    given = [data_changed("s", z=[1]), data_changed("s", cols=["z"], z=[2])]
    found, _ = whole(Case(), *given)
    assert found == [given[0], data_changed("s", z=[2])]


def test_a_source_that_is_gone_has_no_whole_data() -> None:
    given = [data_changed("s", cols=["y"], y=[8, 9]), changed("c", "children", [])]
    assert whole(Case(), *given)[0] == given


def test_of_a_source_that_is_gone_and_holds_no_columns_none_are_told() -> None:
    given = [data_changed("s", cols=["y"], y=[8, 9]), changed("s", "data", None), changed("c", "children", [])]
    assert whole(Case(), *given)[0] == given[1:]


def test_arrays_of_the_whole_data_take_names_that_the_patch_has_not() -> None:
    case = Case()
    case.apply(
        changed("s", "data", data(x=array("0"), y=array("1"))), buffers=(("0", numbers(1, 2)), ("1", numbers(3, 4)))
    )
    [event], names = whole(case, data_changed("s", cols=["y"], y=array("0")), buffers=(("0", numbers(8, 9)),))
    assert len(set(names)) == len(names) == 3
    x, y = (column["array"]["data"]["id"] for _, column in event["data"]["entries"])
    assert "0" not in (x, y)
    assert {x, y} <= set(names)


# What has changed


def test_a_patch_says_which_attributes_it_has_changed_where_that_is_all() -> None:
    for event, attribute in (
        (changed("w", "value", 5), ("w", "value")),
        (changed("w", "tags", [1, {"a": 2}]), ("w", "tags")),
        (streamed("s", x=[5], y=[6]), ("s", "data")),
        (data_changed("s", cols=["x"], x=[7, 8]), ("s", "data")),
        (patched("s", x=[[0, 5]]), ("s", "data")),
    ):
        found = Document.decode(DOCUMENT)
        assert apply(found, patch(event)).changed == (attribute,)
        again = Document.decode(DOCUMENT)
        apply(again, *Copy(found, [attribute], 1, 1).run())
        assert again.encode(flat=True) == found.encode(flat=True)
    both = apply(Document.decode(DOCUMENT), patch(changed("w", "value", 5), changed("s", "name", "n")))
    assert both.changed == (("w", "value"), ("s", "name"))


@pytest.mark.parametrize(
    "event",
    [
        titled("u"),
        added(ref("s")),
        clicked("w"),
        changed("w", "tags", [ref("s")]),
        changed("c", "children", [ref("w")]),
        changed("w", "tags", [model("Div", "d")]),
    ],
)
def test_a_patch_that_does_more_does_not(event: Json) -> None:
    assert apply(Document.decode(DOCUMENT), patch(event)).changed is None
