"""Retention: what has reached its share goes on with a rollover, the largest gives way first, and rows come of age."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from bokeh_server.core.apply import apply
from bokeh_server.core.column import Column, Columns
from bokeh_server.core.document import Document
from bokeh_server.core.history import History
from bokeh_server.core.retention import ALL, Keeper, Retention, columns_of, in_usual_form, level, size_of, streamed
from bokeh_server.core.thinning import Choice
from bokeh_server.errors import RefusedPatch
from tests.core.playbook import changed, data, data_changed, model, patch, patched, ref, titled
from tests.core.playbook import streamed as rows

NOW = 1_790_000_000.0


def document(**sources: Any) -> Document:
    """A document of sources with these columns."""
    roots = [model("ColumnDataSource", key, data=data(**columns)) for key, columns in sources.items()]
    return Document.from_json(orjson.loads(orjson.dumps({"roots": [*roots, model("Slider", "w", value=1)]})), {})


def came(keeper: Keeper, document: Document, *events: Any, now: float = NOW) -> list[Choice]:
    """These events come over the wire, as in a room."""
    content = keeper.capped(patch(*events), set())
    applied = apply(document, content)
    assert applied.content is not None
    return keeper.came(document, applied.content, len(content), now, applied.changed)


def test_a_document_goes_by_the_server_where_its_owner_says_nothing_else() -> None:
    server = Retention(1_000, 60.0)
    assert Retention().within(server) == server
    assert Retention(bytes=5).within(server) == Retention(5, 60.0)
    assert Retention(0, 0).within(server) == ALL
    assert Retention(raw=7.0).within(ALL) == Retention(raw=7.0)
    assert Keeper().idle
    assert not Keeper(server).idle


@pytest.mark.parametrize(
    ("sizes", "total", "expected"),
    [
        ([], 10, float("inf")),
        ([3, 4], 10, float("inf")),
        ([3, 7], 10, 7.0),
        ([3, 8], 10, 7.0),
        ([1, 8, 9], 11, 5.0),
        ([9, 9, 9], 9, 3.0),
    ],
)
def test_what_is_larger_than_the_others_gives_way_first(sizes: list[int], total: int, expected: float) -> None:
    assert level(sizes, total) == expected


def test_columns_are_measured_as_they_are_in_a_snapshot() -> None:
    assert size_of(Column(np.zeros(1_000))) == 8_000
    assert size_of(Column([])) == 0
    assert size_of(Column([0.25] * 1_000)) == 5_000
    assert size_of(Column([1, 22] * 500)) == pytest.approx(2_500, rel=0.2)
    assert size_of(Column([np.zeros((10, 10))] * 3)) == 2_400
    assert size_of(Column([[np.zeros(10), b"xyz"]])) > 80
    assert size_of(Column([[b"xyz"]])) > 1


def test_a_share_is_a_rollover_from_then_on() -> None:
    kept, keeper = document(s={"x": [1.5] * 900}), Keeper(Retention(bytes=4_000))
    came(keeper, kept, rows("s", x=[1.5] * 100))
    assert keeper.caps == {"s": 1_000}
    assert orjson.loads(keeper.capped(patch(rows("s", x=[1])), set()))["events"][0]["rollover"] == 1_000
    for event in (rows("s", 900, x=[1]), rows("w", x=[1]), changed("w", "value", 2)):
        content = patch(event)
        assert keeper.capped(content, set()) is content


def test_it_lowers_the_rollovers_of_several_events_too() -> None:
    keeper = Keeper(Retention(bytes=4_000))
    keeper.caps = {"s": 10}
    content = patch(titled("t"), rows("s", x=[1]), rows("s", 5, x=[1]), rows("s", 50, x=[1]), rows("t", x=[1]))
    cut: set[str] = set()
    events = orjson.loads(keeper.capped(content, cut))["events"][1:]
    assert [event["rollover"] for event in events] == [10, 5, 10, None]
    assert cut == {"s"}
    content = patch(titled("t"), rows("t", x=[1]))
    assert keeper.capped(content, cut) is content


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'{"events":[{}]}',
        b'{"events":[{"kind":"ColumnsStreamed"}]}',
        b'{"events":[{"kind":"ColumnsStreamed","model":{"id":["s"]}}]}',
        b'{"events":[{"kind":"ColumnsStreamed","model":{"id":"s"},"rollover":"ten"}]}',
        b'{"events":[{"kind":"ColumnsPatched"}]}',
    ],
)
def test_what_is_wrong_is_left_to_who_says_so(content: bytes) -> None:
    keeper = Keeper(Retention(bytes=4_000))
    keeper.caps = {"s": 10}
    assert keeper.capped(content, {"s"}) is content


def test_a_row_is_not_named_by_who_has_more_of_them() -> None:
    keeper = Keeper(Retention(bytes=4_000))
    with pytest.raises(RefusedPatch, match="rollover"):
        keeper.capped(patch(patched("s", x=[[0, 1]])), {"s"})
    content = patch(patched("t", x=[[0, 1]]))
    assert keeper.capped(content, {"s"}) is content
    content = patch(rows("t", x=[1]))
    assert keeper.capped(content, {"s"}) is content


def test_the_largest_source_gives_way_and_gets_its_room_back() -> None:
    kept, keeper = document(s={"x": [1.5] * 3_000}, t={"x": [1.5] * 100}), Keeper(Retention(bytes=8_000))
    came(keeper, kept, rows("t", x=[1.5]), rows("s", x=[1.5]))
    assert keeper.caps == {"s": pytest.approx(1_899, abs=5)}
    came(keeper, kept, rows("s", x=[1.5] * 100))
    assert len(kept.models["s"].attributes["data"]["x"]) == keeper.caps["s"]
    came(keeper, kept, data_changed("s", x=[1.5]), rows("s", x=[1.5] * 100))
    assert keeper.caps == {}


def test_what_nobody_streams_to_is_left_alone() -> None:
    kept, keeper = document(s={"x": [1.5] * 9_000}, t={"x": [1.5]}), Keeper(Retention(bytes=8_000, raw=1.0))
    came(keeper, kept, changed("w", "value", 2))
    came(keeper, kept, data_changed("s", x=[1.5] * 9_000), now=NOW + 100)
    assert came(keeper, kept, rows("t", x=[1.5]), now=NOW + 200) == []
    assert keeper.caps == {}


def test_a_source_that_has_gone_or_has_models_or_no_rows_is_left_alone() -> None:
    kept = document(s={"x": [1.5]}, m={"x": [model("Range1d", "r")]}, e={"x": [1], "y": [1]})
    keeper = Keeper(Retention(bytes=2))
    came(keeper, kept, rows("s", x=[1.5]), rows("m", x=[ref("r")]), rows("e", x=[1]))
    assert keeper.caps == {"s": 1}
    assert columns_of(kept, "gone") is columns_of(kept, "w") is columns_of(kept, "m") is None


def test_it_looks_now_and_then() -> None:
    kept, keeper = document(s={"x": [1.5]}), Keeper(Retention(bytes=2))
    came(keeper, kept, rows("s", x=[1.5]))
    assert keeper.caps == {"s": 1}
    slow = Keeper(Retention(bytes=10**9))
    came(slow, kept, rows("s", x=[1.5]))
    slow.retention = Retention(bytes=2 * 64 * 200)
    came(slow, kept, rows("s", x=[1.5] * 9_000), now=NOW + 1)
    assert slow.caps != {}


def test_a_source_is_thinned_when_a_quarter_of_it_is_of_age() -> None:
    kept, keeper = document(s={"x": [1.5] * 2_000}), Keeper(Retention(raw=60.0))
    assert came(keeper, kept, rows("s", x=[1.5])) == []
    assert came(keeper, kept, rows("s", x=[1.5]), now=NOW + 0.5) == []
    assert came(keeper, kept, rows("s", x=[1.5]), now=NOW + 59) == []
    (choice,) = came(keeper, kept, rows("s", x=[1.5]), now=NOW + 61)
    assert choice.source == "s"


def test_which_rows_of_a_source_stay_is_found_out_once_at_a_time() -> None:
    kept, keeper = document(s={"x": [1.5] * 2_000}), Keeper(Retention(raw=60.0))
    came(keeper, kept, rows("s", x=[1.5]))
    (choice,) = came(keeper, kept, rows("s", x=[1.5]), now=NOW + 61)
    assert came(keeper, kept, rows("s", x=[1.5]), now=NOW + 122) == []
    assert keeper.waited_for(choice)
    assert not keeper.waited_for(choice)
    (again,) = came(keeper, kept, rows("s", x=[1.5]), now=NOW + 183)
    assert not keeper.waited_for(choice)
    assert keeper.waited_for(again)


def test_the_sources_of_a_patch_are_those_that_get_rows() -> None:
    assert [*streamed(patch(rows("s", x=[1])))] == ["s"]
    assert [*streamed(patch(rows("s", x=[1]), titled("ColumnsStreamed"), rows("t", x=[1])))] == ["s", "t"]
    assert [*streamed(patch(changed("w", "value", "ColumnsStreamed")))] == []
    assert [*streamed(patch(changed("w", "value", 1)))] == []


def test_columns_that_are_set_anew_have_no_past() -> None:
    kept = document(s={"x": [1.5]})
    kept.models["s"].attributes["data"].history = History(1)
    apply(kept, patch(data_changed("s", x=[2.5])))
    assert kept.models["s"].attributes["data"].history is None
    assert Columns({"x": Column([1])}).pinned().history is None


USUAL = (
    b'{"events":[{"kind":"ColumnsStreamed","model":{"id":"s"},"attr":"data",'
    b'"data":{"type":"map","entries":[]},"rollover":'
)


@pytest.mark.parametrize("rollover", [b"null", b"11", b"999"])
def test_rows_as_bokeh_writes_them_are_not_decoded_for_it(rollover: bytes) -> None:
    keeper = Keeper(Retention(bytes=4_000))
    keeper.caps = {"s": 10}
    cut: set[str] = set()
    assert keeper.capped(USUAL + rollover + b"}]}", cut) == USUAL + b"10}]}"
    assert cut == {"s"}
    for content in (USUAL + b"10}]}", USUAL + b"9}]}", USUAL.replace(b'"s"', b'"t"') + b"null}]}"):
        assert keeper.capped(content, cut) is content


def test_the_usual_form_is_not_found_where_it_is_not_all_there_is() -> None:
    whole = USUAL + b"null}]}"
    assert in_usual_form(whole) == ("s", None)
    others = [
        whole[:-1] + b" }",
        whole.replace(b'"data"', b'"date"'),
        whole.replace(b"[]}", b'[["\\u0061",[]]]}'),
        whole.replace(b"[]}", b'[["kind",[]]]}'),
        USUAL + b'5},{"kind":"TitleChanged","title":"t","rollover":null}]}',
        USUAL + b'5},{"\\u006bind":"TitleChanged","title":"t","rollover":null}]}',
        whole.replace(b":null", b":0"),
        b'{"events": []}',
    ]
    assert {in_usual_form(content) for content in others} == {None}
