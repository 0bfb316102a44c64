"""Who is given what of a document: at once, at the end of a frame, when a socket drains, or by a fresh copy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bokeh_server.core.audience import Audience
from bokeh_server.core.wire import Header, Message
from bokeh_server.limits import LIMITS
from tests.core.playbook import (
    OTHER,
    PROGRAM,
    VIEWER,
    Playbook,
    added,
    clicked,
    data_changed,
    live,
    patch,
    ref,
    set_to,
    streamed,
    titled,
)

# Slow receivers


def test_who_was_slow_gets_what_is_not_plain_as_it_came() -> None:
    book = live()
    book.pauses(2)
    for number, event in enumerate((set_to(5), set_to(6), titled("u"), set_to(7), set_to(8)), 1):
        book.patches(1, event, number=number)
    book.appended()
    assert book.drains(2) == ["2 <- PATCH-DOC since=2 seq=3", "2 <- PATCH-DOC seq=4", "2 <- PATCH-DOC since=5 seq=6"]
    assert book.events(2) == [set_to(6), titled("u"), set_to(8)]


def test_who_stalled_at_one_time_catches_up_with_one_message_that_is_made_once() -> None:
    book = live()
    for key in (2, 3):
        book.pauses(key)
    book.joins(4, "viewer", resume="viewer-four")
    book.pauses(4)
    for number in (1, 2):
        book.patches(1, row(number), number=number)
    book.appended()
    assert book.drains(2) == ["2 <- PATCH-DOC since=2 seq=3"]
    assert book.drains(4) == ["4 <- PATCH-DOC since=2 seq=3"]
    assert book.got(4)[-1].outgoing is book.got(2)[-1].outgoing
    book.patches(2, set_to(5), number=1)
    book.patches(1, row(3), number=3)
    book.appended()
    book.leaves(2)
    assert "5 <- PATCH-DOC since=2 seq=5" in book.joins(5, "viewer", resume=VIEWER, pull=False, epoch=1, seq=1)
    assert book.events(5) == [streamed("s", 5, x=[1, 2, 3], y=[1, 2, 3])], "its own is not in it"


# Senders


def test_who_sends_more_than_the_store_can_take_is_not_read_from_for_a_while() -> None:
    size = len(patch(set_to(5)))
    book = live(limits=replace(LIMITS, unacknowledged=3 * size))
    for value in (5, 6, 7):
        assert book.patches(1, set_to(value), number=value) == [f"append {value - 3}"]
    assert book.patches(1, set_to(8), number=8) == ["append 5", "stop reading 1"]
    assert book.patches(1, set_to(9), number=9) == ["append 6"]
    assert book.patches(2, set_to(5), number=1) == ["append 7"]
    assert "read 1" not in book.appended(4)
    assert book.appended(5)[-1] == "read 1"
    assert "read 1" not in book.appended()


def test_who_has_left_is_not_read_from_again() -> None:
    book = live(limits=replace(LIMITS, unacknowledged=0))
    assert book.patches(1, set_to(5), number=1) == ["append 2", "stop reading 1"]
    book.leaves(1)
    assert book.appended() == ["2,3 <- PATCH-DOC seq=2"]
    assert book.patches(3, set_to(6)) == ["append 3", "stop reading 3"]
    assert book.appended() == ["2 <- PATCH-DOC seq=3", "read 3"]


def test_the_acknowledgement_of_who_has_left_goes_nowhere() -> None:
    book = live()
    for _ in range(2):  # the second time it is known, and answered when the first is kept
        book.patches(1, set_to(5), number=1)
    book.leaves(1)
    assert book.appended() == ["2,3 <- PATCH-DOC seq=2"]


# Frames


def framed(**more: Any) -> Playbook:
    """The document with a program (1), a page of ours that gets one message a frame (2), a stock viewer (3), and
    another such page (4)."""
    book = Playbook(**more)
    book.joins(1, "program", resume=PROGRAM, frames=True)
    book.joins(2, "viewer", resume=VIEWER, frames=True)
    book.joins(3, "viewer")
    book.joins(4, "viewer", resume="viewer-four", frames=True)
    book.ticks()
    book.now = 10.0
    return book


def row(value: int) -> dict[str, object]:
    return streamed("s", 5, x=[value], y=[value])


def test_a_page_gets_the_first_patch_at_once_and_what_comes_within_the_frame_at_its_end() -> None:
    book = framed()
    book.patches(1, row(5), number=1)
    assert book.appended()[0] == "3,2,4 <- PATCH-DOC seq=2"
    for number in (2, 3, 4):
        book.now += 0.001
        book.patches(1, row(number + 4), number=number)
    assert book.appended() == [
        "3 <- PATCH-DOC seq=3",
        "3 <- PATCH-DOC seq=4",
        "3 <- PATCH-DOC seq=5",
        "frame in 14 ms",
        "1 <- OK seq=3 number=2",
        "1 <- OK seq=4 number=3",
        "1 <- OK seq=5 number=4",
    ]
    assert book.frame(10.017) == ["2,4 <- PATCH-DOC since=3 seq=5"]
    assert book.events(2) == [row(5), streamed("s", 5, x=[6, 7, 8], y=[6, 7, 8])]
    book.now = 10.04
    book.patches(1, row(9), number=5)
    assert book.appended()[0] == "3,2,4 <- PATCH-DOC seq=6"


def test_patches_that_the_store_kept_together_leave_together_for_pages_as_one_message() -> None:
    book = framed()
    for number in (1, 2):
        book.patches(1, row(number), number=number)
    assert book.appended() == [
        "2,4 <- PATCH-DOC since=2 seq=3",
        "3 <- PATCH-DOC seq=2",
        "3 <- PATCH-DOC seq=3",
        "1 <- OK seq=2 number=1",
        "1 <- OK seq=3 number=2",
    ]
    assert book.events(2) == [streamed("s", 5, x=[1, 2], y=[1, 2])]


def test_patches_that_the_ring_can_not_hold_leave_together_as_well() -> None:
    book = framed(limits=replace(LIMITS, ring=3 * len(patch(row(1)))))
    for number in range(1, 9):
        book.patches(1, row(number), number=number)
    assert book.appended()[0] == "2,4 <- PATCH-DOC since=2 seq=9"


def test_a_program_gets_every_patch_at_once() -> None:
    book = framed()
    for number in (1, 2):
        book.patches(2, row(number), number=number)
    assert [line for line in book.appended() if line.startswith("1")] == [
        "1,3 <- PATCH-DOC seq=2",
        "1,3 <- PATCH-DOC seq=3",
    ]


def test_who_sees_the_document_without_frames_needs_none() -> None:
    book = live()
    for number in (1, 2):
        book.patches(1, row(number), number=number)
    assert book.appended()[:2] == ["2,3 <- PATCH-DOC seq=2", "2,3 <- PATCH-DOC seq=3"]


def test_an_acknowledgement_waits_for_the_patches_before_it() -> None:
    book = framed()
    book.patches(1, row(1), number=1)
    book.appended()
    book.patches(1, row(2), number=2)
    book.patches(2, set_to(5), number=1)
    book.patches(1, row(3), number=3)
    book.patches(2, set_to(6), number=2)
    lines = book.appended()
    assert "2 <- OK seq=4 number=1" not in lines
    assert book.frame(10.1) == [
        "2 <- PATCH-DOC seq=3",
        "2 <- OK seq=4 number=1",
        "2 <- PATCH-DOC seq=5",
        "2 <- OK seq=6 number=2",
        "4 <- PATCH-DOC since=3 seq=6",
    ]


def test_the_acknowledgement_of_a_page_that_lacks_nothing_does_not_wait() -> None:
    book = framed()
    for number in (1, 2):
        book.patches(2, set_to(number + 4), number=number)
    assert [line for line in book.appended() if line.startswith("2")] == [
        "2 <- OK seq=2 number=1",
        "2 <- OK seq=3 number=2",
    ]


def test_who_comes_back_within_a_frame_waits_for_its_own_patches_as_well() -> None:
    book = framed()
    book.patches(1, row(1), number=1)
    book.appended()
    book.patches(1, row(2), number=2)
    book.patches(2, set_to(5), number=1)
    book.appended()
    book.leaves(2)
    book.joins(5, "viewer", resume=VIEWER, pull=False, frames=True, epoch=1, seq=2)
    book.patches(1, row(3), number=3)
    book.appended()
    assert book.frame(10.1) == ["4 <- PATCH-DOC since=3 seq=5", "5 <- PATCH-DOC seq=5"]


def test_a_frame_passes_over_a_socket_that_is_full_and_who_has_all() -> None:
    book = framed()
    for number in (1, 2):
        book.patches(1, row(number), number=number)
        book.appended()
    book.pauses(2)
    book.sends(4, "PULL-DOC-REQ")
    assert book.frame(10.1) == []
    assert book.drains(2) == ["2 <- PATCH-DOC seq=3"]


def overrun(*events: Any) -> Playbook:
    """A small ring, and more of these events within a frame than fit it."""
    book = framed(limits=replace(LIMITS, ring=3 * len(patch(row(1)))))
    for number, event in enumerate(events, 1):
        book.patches(1, event, number=number)
        book.appended()
    return book


ROWS = [row(number) for number in range(1, 7)]


def test_what_does_not_fit_the_ring_within_a_frame_comes_as_a_copy_of_what_has_changed() -> None:
    book = overrun(*ROWS, set_to(7), set_to(8))
    assert book.frame(10.1) == ["2 <- PATCH-DOC since=3 seq=9", "4 <- PATCH-DOC since=3 seq=9"]
    columns, value = book.got(2)[-1].content["events"]
    assert (columns["kind"], dict(columns["data"]["entries"])) == (
        "ColumnDataChanged",
        {"x": [2, 3, 4, 5, 6], "y": [2, 3, 4, 5, 6]},
    )
    assert value == set_to(8)
    assert book.got(2)[-1].raw == book.got(4)[-1].raw
    book.now = 10.2
    book.patches(1, row(9), number=9)
    assert book.appended()[0] == "3,2,4 <- PATCH-DOC seq=10"


def test_only_what_has_changed_since_is_copied() -> None:
    book = overrun(set_to(5), *ROWS)
    book.frame(10.1)
    assert [event["kind"] for event in book.got(2)[-1].content["events"]] == ["ColumnDataChanged"]


def test_where_more_than_plain_changes_came_the_whole_document_is_pulled() -> None:
    book = overrun(row(0), titled("u"), *ROWS)
    assert book.frame(10.1) == ["2 <- RESYNC code=too far behind", "4 <- RESYNC code=too far behind"]


def test_a_copy_waits_for_the_store_and_acknowledgements_for_the_copy() -> None:
    book = overrun(*ROWS)
    book.patches(2, set_to(5), number=1)
    assert book.frame(10.1) == []
    assert book.frame(10.2) == []
    book.pauses(4)
    assert book.drains(4) == []
    book.patches(2, set_to(6), number=2)
    book.patches(1, clicked("w"), number=9)
    assert book.appended() == [
        "1,3 <- PATCH-DOC seq=8",
        "frame in 17 ms",
        "2 <- OK number=1",
        "2 <- PATCH-DOC since=3 seq=8",
        "4 <- PATCH-DOC since=3 seq=8",
        "1,3 <- PATCH-DOC seq=9",
        "2 <- OK seq=9 number=2",
        "4 <- PATCH-DOC seq=9",
        "2,3,4 <- PATCH-DOC",
        "1 <- OK seq=9 number=9",
    ]


def test_who_knows_nothing_of_the_document_can_copy_nothing() -> None:
    audience = Audience(LIMITS)
    assert audience._copy_for(1) is None
    assert audience._received(1, [Message(Header("m", "PULL-DOC-REQ"), b"{}")], 0.0) == []


def test_a_copy_does_not_go_into_a_socket_that_is_full_by_then() -> None:
    book = overrun(*ROWS)
    book.patches(1, set_to(5), number=7)
    assert book.frame(10.1) == []
    book.pauses(2)
    book.leaves(4)
    assert book.appended() == ["3 <- PATCH-DOC seq=8", "frame in 17 ms", "1 <- OK seq=8 number=7"]
    assert book.drains(2) == ["2 <- PATCH-DOC since=3 seq=8"]


def test_a_message_that_is_not_kept_comes_after_the_patches_before_it() -> None:
    book = framed()
    book.patches(1, added(ref("w")), number=1)
    book.appended()
    book.patches(1, row(1), number=2)
    book.appended()
    assert book.patches(1, clicked("w"), number=3) == [
        "2 <- PATCH-DOC seq=3",
        "4 <- PATCH-DOC seq=3",
        "2,3,4 <- PATCH-DOC",
        "1 <- OK seq=3 number=3",
    ]
    assert book.frame(10.1) == []


def test_a_message_that_is_not_kept_does_not_reach_who_must_pull() -> None:
    book = framed(limits=replace(LIMITS, ring=0))
    for number in (1, 2):
        book.patches(1, row(number), number=number)
    book.appended()
    book.patches(1, titled("u"), number=3)
    book.appended()
    lines = book.patches(1, clicked("w"), number=4)
    assert lines[:3] == ["2 <- RESYNC code=too far behind", "4 <- RESYNC code=too far behind", "3 <- PATCH-DOC"]


# Who is of another kind, and who is gone


def test_a_bokeh_client_gets_its_own_form_of_a_patch() -> None:
    book = live()
    book.joins(4, "program")
    book.patches(1, data_changed("s", cols=["x"], x=[5, 6]), number=1)
    assert book.appended()[:2] == ["4 <- PATCH-DOC seq=2", "2,3 <- PATCH-DOC seq=2"]
    book.leaves(2)
    book.leaves(3)
    book.patches(1, data_changed("s", cols=["x"], x=[7, 8]), number=2)
    assert book.appended() == ["4 <- PATCH-DOC seq=3", "1 <- OK seq=3 number=2"]


def test_a_message_that_is_not_kept_goes_to_nobody_where_nobody_is_left() -> None:
    book = live()
    book.patches(1, set_to(5), clicked("w"), number=1)
    book.leaves(2)
    book.leaves(3)
    assert book.appended() == ["1 <- OK seq=2 number=1"]


def test_where_nobody_is_ours_nobody_is_asked_to_pull() -> None:
    book = Playbook()
    book.joins(3, "viewer")
    book.submits(8, "replace", OTHER)
    assert book.appended() == ["snapshot 2", "close 3 1012 replaced", "noticed", "answer 8: 2"]


def test_who_has_left_is_neither_answered_nor_told_to_pull() -> None:
    book = live()
    book.pauses(2)
    book.patches(2, set_to(9), number=1)
    book.submits(8, "replace", OTHER)
    assert book.appended(2) == ["1,3 <- PATCH-DOC seq=2"]
    book.leaves(1)
    assert book.appended(3)[1:4] == ["2 <- OK number=1", "2 <- RESYNC code=replaced", "close 3 1012 replaced"]
    book.leaves(3)
    book.patches(2, set_to(9), number=2)
    book.sends(2, "PULL-DOC-REQ")
    book.leaves(2)
    assert book.appended() == []
    assert book.room.presence == (0, 0, 0)
