"""Who is there is told to all, and who does not read is shown the door."""

from __future__ import annotations

from bokeh_server.limits import LIMITS
from tests.core.playbook import PROGRAM, VIEWER, Playbook, live


def test_who_does_not_drain_its_socket_is_shown_the_door() -> None:
    book = live()
    book.now = 100.0
    book.pauses(2)
    assert book.ticks(100.0 + LIMITS.pause) == []
    for later in (100.1, 100.2):
        assert book.ticks(later + LIMITS.pause) == ["close 2 1013 too slow"]
    assert book.room.tally.doors == 1, "it is shown out once, however long it takes to leave"
    book.drains(2)
    assert book.ticks(999.0) == []


def test_presence_counts_those_who_have_a_copy() -> None:
    book = Playbook()
    assert book.joins(1, "program", resume=PROGRAM, answers=True)[2:] == ["wake", "1 <- PULL-DOC-REPLY seq=1"]
    book.joins(2, "viewer", resume=VIEWER)
    book.joins(3, "viewer")
    book.joins(4, "program")
    book.joins(5, "program", resume="program-five", pull=False)
    assert book.room.presence == (2, 2, 2)
    assert book.ticks() == ["1,2 <- PRESENCE", "noticed"]
    assert book.got(2, "PRESENCE")[-1].content == {"programs": 2, "answering": 2, "viewers": 2}


def test_presence_is_told_once_for_all_that_changed_and_not_again() -> None:
    book = live()
    assert book.leaves(3) == ["wake"]
    assert book.joins(4, "viewer") == ["4 <- ACK", "4 <- PULL-DOC-REPLY seq=1"]
    assert book.ticks() == ["1,2 <- PRESENCE", "noticed"]
    assert book.ticks() == []
    assert book.leaves(4) == ["wake"]


def test_lists_are_told_even_where_no_client_asks_who_is_there() -> None:
    book = Playbook()
    book.joins(1, "viewer")
    assert book.ticks() == ["noticed"]
