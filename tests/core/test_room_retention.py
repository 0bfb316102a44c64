"""What is streamed and not kept for ever: the room lets go of it; log, viewers and memory stay the same document."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any, cast

import numpy as np
import orjson
import pytest

from bokeh_server.core import Buffers
from bokeh_server.core.copies import Copy
from bokeh_server.core.events import Retained
from bokeh_server.core.retention import ALL, Retention
from bokeh_server.limits import LIMITS
from tests.core.playbook import (
    OTHER,
    PROGRAM,
    VIEWER,
    Json,
    Playbook,
    array,
    data_changed,
    doc,
    model,
    numbers,
    patch,
    patched,
    streamed,
)
from tests.model.browser import Browser
from tests.model.canonical import server_flat

DAY = 86_400.0
NOON = 1_790_000_000.0
"""Seconds since 1970."""


def times(first: int, count: int) -> list[float]:
    """So many minutes from a minute on, in ms."""
    return [(NOON + 60.0 * minute) * 1000 for minute in range(first, first + count)]


def kept(retention: Retention, **more: Any) -> Playbook:
    """A program of ours (1) and a viewer (2) of a source with times and values; this is kept of it."""
    source = model("ColumnDataSource", "s", data={"type": "map", "entries": [["t", []], ["y", []]]})
    book = Playbook(content=doc(source), now=NOON, **more)
    book.receive(Retained(retention))
    book.joins(1, "program", resume=PROGRAM)
    book.joins(2, "viewer", resume=VIEWER)
    book.joins(3, "program")
    return book


def rows(first: int, count: int, chance: Random) -> Json:
    return streamed("s", t=times(first, count), y=[chance.gauss() for _ in range(count)])


def page(book: Playbook, key: int = 2) -> Browser:
    """What a page shows that got all patches of a client."""
    first, *rest = [
        letter for to, letter in book.letters if to == key and letter.type in ("PULL-DOC-REPLY", "PATCH-DOC")
    ]
    browser = Browser(first.raw, first.buffers)
    for letter in rest:
        browser.apply(letter.raw, letter.buffers)
    return browser


def same_everywhere(book: Playbook) -> None:
    """The document in memory is the one of the log, of the newest snapshot with the log after it, and of a page."""
    here = server_flat(book.room.document)
    assert server_flat(book.restarted().document) == here
    if book.snapshots:
        assert server_flat(book.restarted(snapshot=book.snapshots[-1]).document) == here
    assert page(book).flat() == here
    assert page(book, 3).flat() == here


def test_a_source_that_has_reached_its_share_keeps_the_newest_rows_by_a_rollover() -> None:
    book, chance = kept(Retention(bytes=100_000)), Random(1)
    for number in range(100):
        book.patches(1, rows(number * 100, 100, chance), number=number + 1)
        book.appended()
    length = len(book.column("t"))
    assert 2_000 < length < 4_000
    assert book.column("t") == times(10_000 - length, length)
    rollovers = [event["rollover"] for event in book.events(2)]
    assert rollovers[0] is None
    assert rollovers[-1] == length
    same_everywhere(book)


def test_numbers_in_buffers_are_never_copied_to_keep_a_budget() -> None:
    book = kept(Retention(bytes=100_000))
    for number in range(40):
        buffers = (("a", numbers(*range(500))), ("b", numbers(*range(500))))
        event = streamed("s", t=array("a", size=500), y=array("b", size=500))
        book.patches(1, event, number=number + 1, buffers=buffers)
        book.appended()
    assert {event["kind"] for event in book.events(2)} == {"ColumnsStreamed"}
    assert sum(column.live.nbytes for column in book.value("s", "data").values()) < 110_000
    same_everywhere(book)


def test_what_is_over_a_budget_when_it_is_set_is_cut_with_the_next_rows() -> None:
    book, chance = kept(ALL), Random(1)
    book.patches(1, rows(0, 5_000, chance), number=1)
    assert book.receive(Retained(Retention(bytes=100_000))) == []
    book.patches(1, rows(5_000, 1, chance), number=2)
    book.patches(1, rows(5_001, 1, chance), number=3)
    book.appended()
    assert len(book.column("t")) < 4_000
    same_everywhere(book)


def test_an_index_of_a_row_from_a_copy_that_has_more_rows_is_refused_until_it_is_pulled() -> None:
    book, chance = kept(Retention(bytes=100_000)), Random(1)
    for number in range(50):
        book.patches(1, rows(number * 100, 100, chance), number=number + 1)
    book.appended()
    assert book.patches(1, patched("s", y=[[0, 7.0]]), number=51) == [
        "1 <- ERROR number=51 code=refused-patch",
        "1 <- RESYNC code=refused-patch",
    ]
    book.sends(1, "PULL-DOC-REQ")
    book.patches(1, patched("s", y=[[0, 7.0]]), number=52)
    book.appended()
    assert book.column("y")[0] == 7.0
    same_everywhere(book)


def test_who_pushes_or_streams_with_a_rollover_of_his_own_may_name_rows() -> None:
    book, chance = kept(Retention(bytes=100_000)), Random(1)
    for number in range(50):
        event = {**rows(number * 100, 100, chance), "rollover": 200}
        book.patches(1, event, number=number + 1)
    book.patches(1, patched("s", y=[[0, 7.0]]), number=51)
    book.appended()
    assert book.column("y")[0] == 7.0
    same_everywhere(book)


def test_rows_that_are_older_than_raw_are_thinned_and_their_extremes_stay() -> None:
    book, chance = kept(Retention(raw=DAY)), Random(1)
    for number in range(40):
        book.now = NOON + 6_000.0 * (number + 1)
        book.patches(1, rows(number * 100, 100, chance), number=number + 1)
        book.appended()
    column = book.column("t")
    assert len(column) < 3_000
    assert column[-1_400:] == times(2_600, 1_400)
    assert [record.kind for record in book.log].count("thin") >= 1
    same_everywhere(book)


def test_a_source_without_times_goes_by_when_its_rows_came() -> None:
    book = kept(Retention(raw=DAY))
    for number in range(60):
        book.now = NOON + 6_000.0 * number
        book.patches(1, streamed("s", t=[float(number)] * 100, y=[1.0] * 100), number=number + 1)
        book.appended()
    assert 1_400 < len(book.column("t")) < 4_000
    assert book.column("t")[-1_400:] == [float(46 + row // 100) for row in range(1_400)]
    same_everywhere(book)


def test_where_nothing_can_be_let_go_of_nothing_is_logged() -> None:
    book = kept(Retention(raw=DAY))
    columns: dict[str, Any] = {f"c{number}": [1.0] * 2_000 for number in range(200)}
    book.patches(1, data_changed("s", **columns), number=1)
    for number in range(2, 6):
        book.now = NOON + number * DAY
        book.patches(1, streamed("s", **cast(Any, {key: [1.0] for key in columns})), number=number)
        book.appended()
    assert "thin" not in {record.kind for record in book.log}


def test_a_thinned_source_goes_on_after_a_restart_from_a_snapshot() -> None:
    book, chance = kept(Retention(raw=DAY), limits=replace(LIMITS, snapshot_records=7)), Random(1)
    for number in range(60):
        book.now = NOON + 6_000.0 * (number + 1)
        book.patches(1, rows(number * 100, 100, chance), number=number + 1)
        book.appended()
    assert book.snapshots
    again = book.restarted(snapshot=book.snapshots[-1])
    columns, others = (room.document.models["s"].attributes["data"] for room in (book.room, again))
    assert others.history.thinned - others.gone == columns.history.thinned - columns.gone > 0
    same_everywhere(book)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_streamed_all_have_the_same(seed: int) -> None:
    """Random rows, as lists or in buffers, with and without rollovers, under both rules at once."""
    chance = Random(seed)
    book = kept(
        Retention(bytes=chance.choice((None, 70_000, 120_000)), raw=chance.choice((3_600.0, 40_000.0))),
        limits=replace(LIMITS, snapshot_records=chance.choice((5, 50)), ring=chance.choice((0, 10_000, LIMITS.ring))),
    )
    first = 0
    buffers: Buffers
    for number in range(1, 80):
        count, binary = chance.randrange(1, 300), chance.random() < (seed % 3) / 2
        rollover = chance.choice((None, None, None, 2_000))
        values = np.array([chance.gauss() for _ in range(count)])
        if binary:
            buffers = (("a", numbers(*times(first, count))), ("b", values.tobytes()))
            event = streamed("s", rollover, t=array("a", size=count), y=array("b", size=count))
        else:
            event, buffers = streamed("s", rollover, t=times(first, count), y=values.tolist()), ()
        first += count
        book.now = NOON + 60.0 * first
        book.patches(1, event, number=number, buffers=buffers)
        if chance.random() < 0.5:
            book.appended()
    book.appended()
    book.frame(book.now + 1)
    for to, letter in book.letters:
        assert to != 3 or letter.type != "RESYNC"
    if book.room._limits.ring:  # or else the page pulls again, which is not what is looked at here
        same_everywhere(book)
    else:
        assert server_flat(book.restarted().document) == server_flat(book.room.document)


def thinned() -> Playbook:
    """A source that was thinned."""
    book, chance = kept(Retention(raw=DAY)), Random(1)
    for number in range(40):
        book.now = NOON + 6_000.0 * (number + 1)
        book.patches(1, rows(number * 100, 100, chance), number=number + 1)
        book.appended()
    return book


def test_it_would_be_seen_if_the_log_did_not_say_what_was_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    same_everywhere(book := thinned())
    monkeypatch.setattr("bokeh_server.core.thinning.replay", lambda *_: None)
    with pytest.raises(AssertionError):
        same_everywhere(book)


def test_it_would_be_seen_if_viewers_were_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Copy, "run", lambda *_: (b'{"events":[]}', ()))
    book = thinned()
    with pytest.raises(AssertionError):
        same_everywhere(book)


def test_where_nobody_looks_no_copy_is_made_and_who_comes_back_from_before_pulls() -> None:
    book = thinned()
    seq = book.room.seq
    for key in (1, 2, 3):
        book.leaves(key)
    chance = Random(2)
    for number in range(40, 80):
        book.now = NOON + 6_000.0 * (number + 1)
        event = rows(number * 100, 100, chance)
        book.submits(number, "patch", orjson.dumps({"events": [event]}))
        book.appended()
    assert [record.kind for record in book.log if record.seq > seq].count("thin") > 1
    assert server_flat(book.restarted().document) == server_flat(book.room.document)
    book.joins(4, "viewer", resume=VIEWER, pull=False, epoch=1, seq=seq)
    fresh = [letter.content["fresh"] for to, letter in book.letters if to == 4 and letter.type == "RESUMED"]
    assert fresh == [True]


# What another thread does takes its time


def old(**more: Any) -> Playbook:
    """A source with 4,000 rows, half of which are older than a day; which of them stay is being found out."""
    book, chance = kept(Retention(raw=DAY), waits=True, **more), Random(1)
    book.now = NOON + 60.0 * 4_000
    assert book.patches(1, rows(0, 4_000, chance), number=1) == ["append 2", "beside: choice s"]
    book.appended()
    return book


def more(book: Playbook, *, number: int, key: int = 1, rollover: int | None = None) -> list[str]:
    event = streamed("s", rollover, t=times(3_998 + number, 1), y=[float(number)])
    return book.patches(key, event, number=number)


def test_rows_are_thinned_once_it_is_known_which_stay_and_the_stream_goes_on_meanwhile() -> None:
    book = old()
    assert more(book, number=2) == ["append 3"]
    assert book.appended(3) == ["2,3 <- PATCH-DOC seq=3", "1 <- OK seq=3 number=2"]
    assert book.done() == ["append 4"]
    assert len(book.column("t")) < 2_300
    assert book.column("t")[-1_441:] == times(2_560, 1_441)


def test_who_keeps_up_waits_for_a_copy_and_the_log_and_the_others_do_not() -> None:
    book = old()
    book.done()
    assert book.appended() == ["beside: copy 3-3"]
    book.joins(4, "viewer", resume="viewer-four")
    more(book, number=2)
    assert book.appended() == ["4 <- PATCH-DOC seq=4"], "its sender waits for what is before it"
    assert book.submits(9, "patch", patch(streamed("s", t=times(5_000, 1), y=[1.0]))) == ["append 5"]
    assert book.appended() == ["4 <- PATCH-DOC seq=5", "answer 9: 5"]
    assert book.done() == [
        "1 <- PATCH-DOC since=3 seq=3",
        "1 <- OK seq=4 number=2",
        "1 <- PATCH-DOC seq=5",
        "2 <- PATCH-DOC since=3 seq=3",
        "2 <- PATCH-DOC since=4 seq=5",
        "3 <- PATCH-DOC since=3 seq=3",
        "3 <- PATCH-DOC since=4 seq=5",
    ]
    same_everywhere(book)


def test_an_acknowledgement_of_what_a_copy_holds_comes_before_it() -> None:
    book = old()
    book.done()
    more(book, number=2)
    assert book.appended() == ["beside: copy 3-4"]
    assert book.done()[:2] == ["1 <- OK number=2", "1 <- PATCH-DOC since=3 seq=4"]
    same_everywhere(book)


def test_a_copy_waits_for_the_store() -> None:
    book = old()
    book.done()
    more(book, number=2)
    assert book.appended(3) == ["beside: copy 3-4"]
    assert book.done() == []
    assert book.appended(4)[1:3] == ["1 <- PATCH-DOC since=3 seq=4", "2 <- PATCH-DOC since=3 seq=4"]


def test_what_a_stock_program_sends_while_it_waits_does_not_come_back_to_it() -> None:
    book = old()
    book.done()
    book.appended()
    book.patches(3, streamed("s", t=times(5_000, 1), y=[1.0]))
    more(book, number=2)
    book.appended()
    assert [line for line in book.done() if line.startswith("3")] == [
        "3 <- PATCH-DOC since=3 seq=3",
        "3 <- PATCH-DOC seq=5",
    ]


def test_rows_that_roll_over_meanwhile_are_no_part_of_what_is_thinned() -> None:
    book = old()
    more(book, number=2, rollover=3_000)
    assert book.done() == ["append 4"]
    book.appended()
    book.done()
    assert 1_441 < len(book.column("t")) < 1_700
    same_everywhere(book)


@pytest.mark.parametrize(
    "event",
    [
        data_changed("s", t=times(0, 4_000), y=[0.0] * 4_000),
        streamed("s", 5, t=times(4_001, 1), y=[0.0]),
        {"kind": "RootRemoved", "model": {"id": "s"}},
    ],
)
def test_what_is_found_out_of_rows_that_are_not_there_any_more_is_let_go_of(event: Json) -> None:
    book = old()
    book.patches(1, event, number=2)
    assert book.done() == []
    assert {record.kind for record in book.log} == {"replace", "patch"}


def test_it_is_let_go_of_where_the_document_was_replaced_or_its_owner_keeps_all_now() -> None:
    book = old()
    book.submits(9, "replace", OTHER)
    assert book.done() == []
    book = old()
    book.receive(Retained(ALL))
    assert book.done() == []


def test_a_frame_ends_before_its_rows_are_thinned() -> None:
    source = model("ColumnDataSource", "s", data={"type": "map", "entries": [["t", []], ["y", []]]})
    book = Playbook(content=doc(source), now=NOON, waits=True)
    book.receive(Retained(Retention(raw=DAY)))
    book.joins(1, "program", resume=PROGRAM)
    book.joins(2, "viewer", resume=VIEWER, frames=True)
    book.now = NOON + 60.0 * 4_000
    book.patches(1, rows(0, 4_000, Random(1)), number=1)
    book.appended()
    more(book, number=2)
    book.appended()
    book.done()
    assert book.appended() == ["2 <- PATCH-DOC seq=3", "beside: copy 4-4"]
    book.done()
    assert page(book).flat() == server_flat(book.room.document)


def test_who_lacks_a_root_besides_when_rows_are_thinned_must_pull() -> None:
    book = old()
    book.done()
    book.patches(1, {"kind": "TitleChanged", "title": "u"}, number=2)
    assert [line for line in book.appended() if not line.startswith("1")] == [
        "2 <- RESYNC code=too far behind",
        "close 3 1012 too far behind",
    ]


def test_arrays_that_were_sent_to_who_asked_long_ago_are_not_copied_to_thin_them() -> None:
    book = kept(Retention(raw=DAY), waits=True)
    book.now = NOON + 60.0 * 4_000
    buffers = (("a", numbers(*times(0, 4_000))), ("b", numbers(*map(float, range(4_000)))))
    book.patches(1, streamed("s", t=array("a", size=4_000), y=array("b", size=4_000)), number=1, buffers=buffers)
    more(book, number=2)
    book.appended()
    book.sends(2, "PULL-DOC-REQ")
    book.letters.clear()
    column = book.value("s", "data")["y"]
    before = id(column.values)
    assert book.done() == ["append 4"]
    assert id(column.values) == before
