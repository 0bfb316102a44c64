"""A fresh copy of just what has changed, for who fell behind the ring."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bokeh_server.core import copies
from bokeh_server.core.audience import HELD
from bokeh_server.core.authorise import ANONYMOUS
from bokeh_server.limits import LIMITS
from tests.core.playbook import OTHER, Playbook, changed, live, ref, set_to, streamed, titled
from tests.core.test_audience_copies import waiting

BEHIND = replace(LIMITS, ring=0)


def behind(*events: dict[str, object]) -> Playbook:
    """A page of ours (2) and another (4) that have missed patches with these events; the store has them all."""
    book = live(limits=BEHIND)
    book.joins(4, "viewer", resume="viewer-four")
    book.pauses(2)
    book.pauses(4)
    for number, event in enumerate(events, 1):
        book.patches(1, event, number=number)
    book.appended()
    return book


def test_it_holds_what_has_changed_once_as_it_is_now() -> None:
    book = behind(set_to(5), streamed("s", x=[5], y=[6]), set_to(6), changed("s", "tags", [{"a": 1}]))
    assert book.drains(2) == ["2 <- PATCH-DOC since=2 seq=5"]
    value, columns, tags = book.events(2)
    assert value == set_to(6)
    assert dict(columns["data"]["entries"]) == {"x": [1, 2, 5], "y": [3, 4, 6]}
    assert columns["cols"] is None
    assert tags == changed("s", "tags", [{"a": 1}])


def test_it_is_written_once_for_all_who_saw_the_same_last() -> None:
    book = behind(set_to(5))
    book.drains(2)
    book.drains(4)
    assert book.got(2)[-1].outgoing is book.got(4)[-1].outgoing
    book.pauses(2)
    book.patches(1, set_to(7), number=2)
    book.appended()
    assert book.drains(2) == ["2 <- PATCH-DOC since=3 seq=3"]
    assert book.events(2)[-1] == set_to(7)


def test_it_waits_for_the_store_and_is_not_sent_twice() -> None:
    book = behind(set_to(5))
    book.patches(1, set_to(6), number=2)
    assert book.drains(2) == []
    assert book.drains(2) == []
    assert "2 <- PATCH-DOC since=2 seq=3" in book.appended()
    assert len(book.got(2)) == 1


def test_it_does_not_go_into_a_socket_that_is_full_by_then_and_acknowledgements_wait_for_it() -> None:
    book = behind(set_to(5))
    book.patches(2, streamed("s", x=[5], y=[6]), number=1)
    assert book.drains(2) == []
    book.pauses(2)
    assert [line for line in book.appended() if line.startswith("2")] == []
    assert book.drains(2) == ["2 <- OK number=1", "2 <- PATCH-DOC since=2 seq=3"]


def test_who_leaves_or_pushes_another_document_meanwhile_does_not_get_it() -> None:
    book = behind(set_to(5))
    book.patches(1, set_to(6), number=2)
    book.drains(2)
    book.drains(4)
    book.leaves(2)
    book.submits(8, "replace", OTHER)
    assert "4 <- PATCH-DOC since=2 seq=3" in book.appended(3)
    assert "1,4 <- RESYNC code=replaced" in book.appended()
    assert book.got(2) == []


def test_who_lacks_more_than_attributes_pulls_the_whole() -> None:
    for event in (titled("u"), changed("c", "children", [ref("s")]), changed("c", "tags", [ref("s")])):
        assert behind(set_to(5), event, set_to(6)).drains(2) == ["2 <- RESYNC code=too far behind"]


def test_after_a_restart_nobody_knows_what_changed_before() -> None:
    book = behind(set_to(5))
    book.room = book.restarted()
    book.joins(1, "program", resume="program-one", epoch=1, seq=2)
    book.joins(2, "viewer", resume="viewer-two", pull=False, epoch=1, seq=2)
    book.pauses(2)
    book.patches(1, set_to(6), number=2)
    book.appended()
    assert book.drains(2) == ["2 <- PATCH-DOC since=3 seq=3"]


# Requests for the document while a copy is on its way


def test_a_request_for_the_document_is_answered_behind_the_copy_that_is_on_its_way() -> None:
    book = waiting()
    for _ in range(HELD + 5):
        assert book.sends(2, "PULL-DOC-REQ") == []
    book.patches(1, set_to(6), number=2)
    book.appended()
    assert book.done() == ["2 <- PATCH-DOC since=2 seq=2", "beside: copy 3-3", "4 <- PATCH-DOC since=2 seq=2"]
    lines = book.done()
    assert lines[0] == "2 <- PATCH-DOC since=3 seq=3"
    assert lines.count("2 <- PULL-DOC-REPLY seq=3") == HELD


def test_who_may_not_see_the_document_any_more_is_refused_it_behind_a_copy() -> None:
    book = waiting()
    book.sends(2, "PULL-DOC-REQ")
    book.room.clients[2].actor = ANONYMOUS
    assert "2 <- ERROR code=forbidden" in book.done()


def test_a_request_that_comes_before_a_copy_is_begun_is_answered_behind_that_too() -> None:
    book = live(limits=replace(LIMITS, ring=0), waits=True)
    book.pauses(2)
    book.patches(1, set_to(5), number=1)
    book.appended()
    book.patches(1, set_to(6), number=2)
    book.sends(2, "PULL-DOC-REQ")
    assert "beside: copy 2-3" in book.appended()
    assert book.done() == []
    assert book.drains(2) == ["2 <- PATCH-DOC since=2 seq=3", "2 <- PULL-DOC-REPLY seq=3"]


# A long document is written by another thread


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> Playbook:
    """A document that counts as long, and its clients: a program of ours (1), a page (2) and one without our script."""
    book = live(waits=True)
    monkeypatch.setattr(copies, "LONG", 0)
    book.room._whole = None
    return book


def test_who_asks_for_a_long_document_gets_it_in_its_place_and_the_others_go_on(long: Playbook) -> None:
    assert "beside: whole 0-1" in long.joins(4, "viewer", resume="viewer-four")
    long.patches(4, streamed("s", x=[5], y=[6]), number=1)
    long.patches(1, streamed("s", x=[7], y=[8]), number=1)
    assert long.appended() == ["1,2,3 <- PATCH-DOC seq=2", "2,3 <- PATCH-DOC seq=3", "1 <- OK seq=3 number=1"]
    assert long.done() == ["4 <- PULL-DOC-REPLY seq=1", "4 <- OK seq=2 number=1", "4 <- PATCH-DOC seq=3"]


def test_it_is_written_once_for_all_who_ask_before_the_next_patch(long: Playbook) -> None:
    assert "beside: whole 0-1" in long.joins(4, "viewer", resume="viewer-four")
    long.joins(5, "viewer")
    assert len(long.works) == 1
    assert long.done() == ["4 <- PULL-DOC-REPLY seq=1", "5 <- PULL-DOC-REPLY seq=1"]
    assert "6 <- PULL-DOC-REPLY seq=1" in long.joins(6, "viewer")


def test_it_waits_for_the_store(long: Playbook) -> None:
    long.patches(1, set_to(5), number=1)
    assert long.sends(2, "PULL-DOC-REQ")[0] == "beside: whole 0-2"
    assert long.done() == []
    assert long.appended() == ["2,3 <- PATCH-DOC seq=2", "1 <- OK seq=2 number=1", "2 <- PULL-DOC-REPLY seq=2"]


def test_who_has_asked_before_it_was_replaced_gets_the_other_document(long: Playbook) -> None:
    long.sends(2, "PULL-DOC-REQ")
    long.sends(3, "PULL-DOC-REQ")
    long.leaves(3)
    long.submits(9, "replace", OTHER)
    assert "1,2 <- RESYNC code=replaced" in long.appended()
    assert long.done() == ["2 <- PULL-DOC-REPLY seq=2"]
    assert long.got(2, "PULL-DOC-REPLY")[-1].content["doc"]["title"] == "other"


def test_who_is_slow_by_then_gets_it_and_what_came_after_it_when_its_socket_drains(long: Playbook) -> None:
    long.sends(2, "PULL-DOC-REQ")
    long.pauses(2)
    long.patches(1, set_to(5), number=1)
    long.appended()
    assert long.done() == ["2 <- PULL-DOC-REPLY seq=1"]
    assert long.drains(2) == ["2 <- PATCH-DOC seq=2"]
