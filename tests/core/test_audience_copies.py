"""Who waits for a copy that is being written: what is held for him, and in which order he gets it all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bokeh_server.core.audience import HELD, SMALL
from bokeh_server.limits import LIMITS
from tests.core.playbook import OTHER, Playbook, changed, clicked, data_changed, live, set_to
from tests.core.test_room_retention import old


def waiting(**more: Any) -> Playbook:
    """Pages of ours (2 and 4) that wait for a copy, and one without our script (3)."""
    book = live(limits=replace(LIMITS, ring=0), waits=True, **more)
    book.joins(4, "viewer", resume="viewer-four")
    for key in (2, 4):
        book.pauses(key)
    book.patches(1, set_to(5), number=1)
    book.appended()
    assert book.drains(2) == ["beside: copy 2-2"]
    assert book.drains(4) == []
    return book


def test_a_message_that_is_not_kept_waits_for_a_copy_with_its_receiver() -> None:
    book = waiting()
    book.pauses(4)
    assert book.patches(1, clicked("w"), number=2)[:1] == ["3 <- PATCH-DOC"]
    assert book.done() == ["2 <- PATCH-DOC since=2 seq=2", "2 <- PATCH-DOC"]
    assert book.events(2) == [set_to(5), clicked("w")]


def test_no_more_than_some_small_messages_wait_for_a_copy() -> None:
    book = waiting()
    book.patches(1, {**clicked("w"), "msg_data": "x" * SMALL}, number=2)
    for number in range(HELD + 5):
        book.patches(1, clicked("w"), number=3 + number)
    book.done()
    assert len(book.got(2)) == 1 + HELD


def test_copies_are_shared_while_they_are_written_also_where_patches_come_meanwhile() -> None:
    book = waiting()
    book.patches(1, set_to(6), number=2)
    book.appended()
    book.done()
    assert book.got(2)[0].outgoing is book.got(4)[0].outgoing


def test_nobody_gets_past_a_copy_on_its_way_and_who_leaves_does_not_get_it() -> None:
    book = waiting()
    book.leaves(4)
    book.patches(2, set_to(7), number=1)
    book.patches(1, set_to(8), number=2)
    assert book.appended() == ["1,3 <- PATCH-DOC seq=3", "3 <- PATCH-DOC seq=4", "1 <- OK seq=4 number=2"]
    assert book.done() == ["2 <- PATCH-DOC since=2 seq=2", "beside: copy 3-4"]
    assert book.done() == ["2 <- OK number=1", "2 <- PATCH-DOC since=3 seq=4"]


def test_who_pushes_another_document_while_it_waits_for_a_copy_does_not_get_that() -> None:
    book = waiting()
    book.sends(2, "PUSH-DOC", OTHER, number=1)
    assert book.done() == ["4 <- PATCH-DOC since=2 seq=2"]
    assert "2 <- OK seq=3 number=1" in book.appended()


def test_who_has_been_refused_a_change_pulls_and_does_not_get_the_copy() -> None:
    book = waiting()
    book.patches(2, changed("gone", "x", 1), number=1)
    book.sends(2, "PULL-DOC-REQ")
    assert book.done() == ["2 <- PULL-DOC-REPLY seq=2", "4 <- PATCH-DOC since=2 seq=2"]


def test_a_stock_program_that_was_slow_gets_what_the_ring_has_unless_that_has_single_columns() -> None:
    book = live()
    book.joins(4, "program")
    book.pauses(4)
    book.patches(4, set_to(5))
    book.patches(1, set_to(6), number=1)
    book.appended()
    assert book.drains(4) == ["4 <- PATCH-DOC seq=3"], "but for its own"
    book.pauses(4)
    book.patches(1, data_changed("s", cols=["x"], x=[5, 6]), number=2)
    book.appended()
    assert book.drains(4) == ["close 4 1012 too far behind"]


def test_who_keeps_up_with_a_source_waits_for_a_copy_when_it_is_thinned_and_nobody_else() -> None:
    book = old()
    book.joins(4, "viewer", pull=False)
    book.pauses(2)
    book.done()
    assert book.appended() == ["beside: copy 3-3"]
    assert book.done() == ["1 <- PATCH-DOC since=3 seq=3", "3 <- PATCH-DOC since=3 seq=3"]
    assert book.drains(2) == ["2 <- PATCH-DOC since=3 seq=3"]
