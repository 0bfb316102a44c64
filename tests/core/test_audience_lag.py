"""How far behind somebody is: what a page asks to learn it, and what the room counts of it."""

from __future__ import annotations

from bokeh_server.core.tally import NAMES, Tally
from tests.core.playbook import OTHER, PROGRAM, VIEWER, Playbook, clicked, live, set_to
from tests.core.test_audience import ROWS, framed, overrun, row


def counts(book: Playbook) -> Tally:
    """What the room has counted, without the copies that all pulled when they came."""
    return Tally(**{name: getattr(book.room.tally, name) for name in NAMES} | {"pulls": 0})


# ECHO


def test_an_echo_comes_at_once_to_who_has_all_there_is() -> None:
    book = live()
    assert book.sends(2, "ECHO") == ["2 <- ECHO"]
    assert book.got(2, "ECHO")[0].header.reqid == "m"


def test_an_echo_comes_behind_what_the_store_has_not_kept_yet() -> None:
    book = live()
    book.patches(1, set_to(5), number=1)
    assert book.sends(2, "ECHO") == []
    assert book.appended() == ["2,3 <- PATCH-DOC seq=2", "1 <- OK seq=2 number=1", "2 <- ECHO"]


def test_an_echo_comes_behind_what_a_full_socket_holds_up_and_only_one_waits() -> None:
    book = live()
    book.pauses(2)
    book.patches(1, set_to(5), number=1)
    book.appended()
    assert book.sends(2, "ECHO") == book.sends(2, "ECHO") == []
    book.patches(1, set_to(6), number=2)
    book.appended()
    assert book.drains(2) == ["2 <- PATCH-DOC seq=2", "2 <- ECHO", "2 <- PATCH-DOC seq=3"]


def test_an_echo_waits_besides_acknowledgements() -> None:
    book = live()
    book.pauses(2)
    book.patches(1, set_to(5), number=1)
    book.patches(2, set_to(6), number=1)
    book.appended()
    book.sends(2, "ECHO")
    assert book.drains(2) == ["2 <- PATCH-DOC seq=2", "2 <- OK seq=3 number=1", "2 <- ECHO"]


def test_an_echo_does_not_wait_for_a_frame() -> None:
    book = framed()
    for number in (1, 2):
        book.patches(1, row(number), number=number)
        book.appended()
    assert book.sends(2, "ECHO") == ["2 <- ECHO"]
    assert book.frame(10.1) == ["2,4 <- PATCH-DOC seq=3"]


def test_an_echo_comes_behind_a_copy_that_is_on_its_way() -> None:
    book = overrun(*ROWS)
    book.patches(1, set_to(5), number=9)
    assert book.sends(2, "ECHO") == book.frame(10.1) == []
    lines = [line for line in book.appended() if line.startswith("2")]
    assert lines == ["2 <- PATCH-DOC since=3 seq=8", "2 <- ECHO"]


def test_who_must_pull_the_document_again_gets_no_echo_for_what_it_does_not_get() -> None:
    book = live()
    book.pauses(2)
    book.sends(2, "ECHO")
    book.submits(8, "replace", OTHER)
    assert "1,2 <- RESYNC code=replaced" in book.appended()
    assert book.drains(2) == []
    assert book.sends(2, "ECHO") == ["2 <- ECHO"]


def test_nobody_is_sent_an_echo_who_has_left() -> None:
    book = live()
    book.patches(1, set_to(5), number=1)
    book.sends(2, "ECHO")
    book.leaves(2)
    assert book.appended() == ["3 <- PATCH-DOC seq=2", "1 <- OK seq=2 number=1"]


def test_who_does_not_speak_the_private_messages_knows_no_echo() -> None:
    assert live().sends(3, "ECHO") == ["3 <- ERROR code=bad-message"]


# What is counted


def test_messages_for_several_patches_of_a_frame_are_counted_for_each_page() -> None:
    book = framed()
    for number in (1, 2, 3):
        book.patches(1, row(number), number=number)
    book.appended()
    book.frame(10.1)
    assert counts(book) == Tally(framed=2)
    book.patches(1, row(4), number=4)
    book.patches(1, row(5), number=5)
    book.appended()
    book.patches(1, clicked("w"), number=6)
    assert counts(book) == Tally(framed=4), "a message that is not kept brings what was before it"


def test_messages_for_several_patches_that_a_full_socket_held_up_are_counted_apart() -> None:
    book = live()
    book.pauses(2)
    for number in (1, 2, 3):
        book.patches(1, row(number), number=number)
    book.appended()
    book.drains(2)
    assert counts(book) == Tally(conflated=1)


def test_messages_to_who_comes_back_are_counted_as_late() -> None:
    book = live()
    for number in (1, 2, 3):
        book.patches(1, row(number), number=number)
    book.appended()
    book.leaves(2)
    book.joins(5, "viewer", resume=VIEWER, pull=False, epoch=1, seq=1)
    assert counts(book) == Tally(conflated=1)


def test_copies_and_clients_that_must_pull_are_counted() -> None:
    book = overrun(*ROWS)
    book.frame(10.1)
    assert counts(book) == Tally(copies=2)
    book.submits(8, "replace", OTHER)
    book.appended()
    assert counts(book) == Tally(documents=1, copies=2, resyncs=4)


def test_every_pull_is_counted() -> None:
    book = Playbook()
    book.joins(1, "program", resume=PROGRAM)
    book.sends(1, "PULL-DOC-REQ")
    assert book.room.tally.pulls == 2
