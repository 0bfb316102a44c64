"""Longer stories of a room: clients that go and come back, documents that are replaced, servers that restart.

As in ``tests/core/test_room.py``, client 1 is a program of ours, 2 one of our viewers, 3 a stock viewer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bokeh_server.limits import LIMITS
from tests.core.playbook import (
    OTHER,
    PROGRAM,
    VIEWER,
    Playbook,
    changed,
    clicked,
    live,
    model,
    patch,
    set_to,
    streamed,
    titled,
)


def test_patches_leave_in_the_order_in_which_they_came_whoever_sent_them() -> None:
    book = live()
    assert book.patches(1, set_to(5), number=1) == ["append 2"]
    assert book.patches(2, set_to(6), number=1) == ["append 3"]
    assert book.patches(3, set_to(7)) == ["append 4"]
    assert book.appended(3) == [
        "2,3 <- PATCH-DOC seq=2",
        "1 <- OK seq=2 number=1",
        "1,3 <- PATCH-DOC seq=3",
        "2 <- OK seq=3 number=1",
    ]
    assert book.appended(4) == ["1,2 <- PATCH-DOC seq=4"]


def test_a_record_says_who_changed_what() -> None:
    book = live()
    book.patches(2, set_to(5), number=7)
    record = book.log[-1]
    assert (record.document, record.epoch, record.seq, record.kind) == ("doc", 1, 2, "patch")
    assert (record.author, record.client, record.number) == ("defaultuser", VIEWER, 7)
    book.patches(3, set_to(6))
    assert (book.log[-1].client, book.log[-1].number) == ("", 0)


def test_a_title_that_only_looks_like_columns_is_passed_on_as_it_is() -> None:
    book = live()
    book.joins(4, "program")
    book.patches(1, changed("w", "cols", ["y"]), titled("t2"), number=1)
    book.appended()
    assert book.events(4) == book.events(2) == [changed("w", "cols", ["y"]), titled("t2")]


def test_a_copy_that_holds_a_patch_is_not_followed_by_the_same_patch() -> None:
    book = live()
    book.patches(1, set_to(5), number=1)
    book.joins(4, "viewer")
    book.patches(1, set_to(6), number=2)
    assert book.appended() == [
        "2,3 <- PATCH-DOC seq=2",
        "1 <- OK seq=2 number=1",
        "4 <- PULL-DOC-REPLY seq=2",
        "2,3,4 <- PATCH-DOC seq=3",
        "1 <- OK seq=3 number=2",
    ]


def test_numbers_are_counted_by_client_over_reconnects_and_restarts() -> None:
    book = live()
    book.patches(1, set_to(5), number=3)
    book.appended()
    book.leaves(1)
    book.joins(4, "program", resume=PROGRAM, pull=False)
    assert [letter.content["number"] for letter in book.got(4, "RESUMED")] == [3]
    assert book.patches(4, set_to(6), number=3) == ["4 <- OK seq=2 number=3"]
    assert book.patches(2, set_to(7), number=1) == ["append 3"]
    assert book.restarted().numbers == {PROGRAM: 3, VIEWER: 1}


def test_a_stock_client_does_not_count_whatever_it_writes_into_its_header() -> None:
    book = live()
    assert book.patches(3, set_to(5), number=1) == ["append 2"]
    assert book.patches(3, set_to(6), number=1) == ["append 3"]
    assert book.room.numbers == {}


@pytest.mark.parametrize("seen", [{}, {"epoch": 1}, {"seq": 1}, {"epoch": 2, "seq": 1}, {"epoch": 1, "seq": 9}])
def test_who_has_seen_nothing_of_this_history_must_have_a_fresh_copy(seen: dict[str, Any]) -> None:
    book = live()
    book.joins(4, "viewer", resume="viewer-four", pull=False, **seen)
    [resumed] = book.got(4, "RESUMED")
    assert resumed.content["fresh"] is True
    book.patches(1, set_to(5), number=1)
    assert book.appended()[0] == "2,3 <- PATCH-DOC seq=2"


def test_who_was_away_for_longer_than_the_ring_reaches_must_have_a_fresh_copy() -> None:
    book = live(limits=replace(LIMITS, ring=400))
    for number in range(1, 6):
        book.patches(1, set_to(number + 1), number=number)
    book.appended()
    book.joins(4, "viewer", resume="viewer-four", pull=False, epoch=1, seq=1)
    book.joins(5, "viewer", resume="viewer-five", pull=False, epoch=1, seq=5)
    assert [letter.content["fresh"] for key in (4, 5) for letter in book.got(key, "RESUMED")] == [True, False]
    assert [letter.header.seq for letter in book.got(5)] == [6]


def missed_after_a_restart(book: Playbook, seq: int) -> list[int | None] | None:
    """The patches that a viewer which has seen ``seq`` gets from the next server, or None where it must pull."""
    book.room, book.letters = book.restarted(), []
    book.joins(9, "viewer", resume="viewer-nine", pull=False, epoch=1, seq=seq)
    [resumed] = book.got(9, "RESUMED")
    return None if resumed.content["fresh"] else [letter.header.seq for letter in book.got(9)]


def test_after_a_restart_clients_go_on_as_after_a_cut() -> None:
    book = live()
    for number in (1, 2, 3):
        book.patches(1, set_to(number + 4), number=number)
    assert missed_after_a_restart(book, 1) == [4]
    assert book.events(9) == [set_to(7)]
    assert missed_after_a_restart(book, 4) == []
    book.joins(1, "program", resume=PROGRAM, pull=False, epoch=1, seq=2)
    [program] = book.got(1, "RESUMED")
    assert (program.content["number"], program.content["fresh"], book.got(1)) == (3, False, [])


def test_after_a_restart_the_ring_reaches_no_farther_than_its_bytes() -> None:
    size = len(patch(set_to(5)))
    book = live(limits=replace(LIMITS, ring=3 * size - 1))
    for number in (1, 2, 3):
        book.patches(1, set_to(number + 4), number=number)
    assert missed_after_a_restart(book, 3) == [4]
    assert missed_after_a_restart(book, 1) is None


def test_after_a_restart_nobody_catches_up_over_a_replacement() -> None:
    book = live()
    book.patches(1, set_to(5), number=1)
    book.sends(1, "PUSH-DOC", OTHER, number=2)
    book.patches(1, set_to(71), number=3)
    assert missed_after_a_restart(book, 3) == [4]
    assert missed_after_a_restart(book, 2) is None


def test_a_patch_that_arrives_late_on_an_old_socket_is_not_given_back_to_its_sender() -> None:
    book = live()
    book.joins(4, "program", resume=PROGRAM, pull=False, epoch=1, seq=1)
    assert book.patches(1, streamed("s", x=[5], y=[6]), number=1) == ["append 2"]
    assert book.appended() == ["2,3 <- PATCH-DOC seq=2", "1 <- OK seq=2 number=1"]
    assert book.patches(4, streamed("s", x=[5], y=[6]), number=1) == ["4 <- OK seq=2 number=1"]
    book.patches(2, set_to(9), number=1)
    assert book.appended()[0] == "1,3,4 <- PATCH-DOC seq=3"


def test_a_stock_program_that_pushes_gets_the_answer_it_waits_for_and_then_the_patches() -> None:
    book = Playbook(content=None)
    book.joins(1, "program", pull=False)
    assert book.sends(1, "PUSH-DOC", OTHER) == ["append 1", "wake"]
    assert book.appended() == ["snapshot 1", "noticed", "1 <- OK seq=1"]
    book.joins(2, "viewer")
    book.patches(2, set_to(71))
    assert book.appended() == ["1 <- PATCH-DOC seq=2"]


def test_who_resumes_while_the_document_is_being_replaced_must_pull_as_well() -> None:
    book = live()
    book.patches(1, set_to(5), number=1)
    book.joins(4, "viewer", resume="viewer-four", pull=False, epoch=1, seq=1)
    book.sends(1, "PUSH-DOC", OTHER, number=2)
    lines = book.appended()
    assert "4 <- RESUMED seq=2 number=0" in lines
    assert "2,4 <- RESYNC code=replaced" in lines


def test_who_pulls_while_the_document_is_being_replaced_has_the_new_one() -> None:
    book = live()
    book.sends(1, "PUSH-DOC", OTHER, number=1)
    book.sends(2, "PULL-DOC-REQ")
    lines = book.appended()
    assert lines.index("1 <- OK seq=2 number=1") < lines.index("2 <- PULL-DOC-REPLY seq=2")
    assert book.got(2, "PULL-DOC-REPLY")[-1].content["doc"]["title"] == "other"
    book.patches(1, set_to(71), number=2)
    assert book.appended()[0] == "2 <- PATCH-DOC seq=3"


def test_nobody_can_catch_up_by_patches_over_a_replacement() -> None:
    book = live()
    book.sends(1, "PUSH-DOC", OTHER, number=1)
    book.patches(1, set_to(71), number=2)
    book.appended()
    book.joins(4, "viewer", resume="viewer-four", pull=False, epoch=1, seq=1)
    book.joins(5, "viewer", resume="viewer-five", pull=False, epoch=1, seq=2)
    assert [letter.content["fresh"] for key in (4, 5) for letter in book.got(key, "RESUMED")] == [True, False]


def test_a_snapshot_is_taken_after_so_many_bytes() -> None:
    book = live(limits=replace(LIMITS, snapshot_bytes=1000))
    book.patches(1, changed("w", "title", "x" * 400), number=1)
    assert "snapshot 2" not in book.appended()
    book.patches(1, changed("w", "title", "y" * 400), number=2)
    assert "snapshot 3" in book.appended()


def test_records_that_were_replayed_count_towards_the_next_snapshot() -> None:
    book = live(limits=replace(LIMITS, snapshot_records=3))
    book.patches(1, set_to(5), number=1)
    book.room = book.restarted()
    book.joins(1, "program", resume=PROGRAM)
    book.patches(1, set_to(6), number=2)
    assert "snapshot 3" in book.appended()


def test_a_long_chain_of_models_survives_its_snapshot() -> None:
    book = live(limits=replace(LIMITS, snapshot_records=1000))
    book.patches(1, changed("w", "tags", [model("Node", "n0")]))
    for at in range(999):
        book.patches(1, changed(f"n{at}", "next", model("Node", f"n{at + 1}")))
    book.appended()
    [snapshot] = book.snapshots
    again = book.restarted(snapshot=snapshot)
    assert len(again.document.models) == 1000 + 4
    assert again.document.encode() == book.room.document.encode()


def test_a_page_whose_own_stream_browsers_get_wrong_is_given_the_column_like_everybody() -> None:
    book = live()
    wrong = streamed("s", 0, x=[5], y=[6])
    assert book.patches(2, wrong, number=1) == ["append 2"]
    assert book.appended() == ["1,2,3 <- PATCH-DOC seq=2", "2 <- OK seq=2 number=1"]
    assert book.events(2)[0]["kind"] == "ColumnDataChanged"
    assert book.patches(1, streamed("s", 0, x=[5], y=[6]), number=1) == ["append 3"]
    assert book.appended() == ["2,3 <- PATCH-DOC seq=3", "1 <- OK seq=3 number=1"]
    assert missed_after_a_restart(book, 1) is not None


def test_a_click_that_is_sent_again_is_not_passed_on_again() -> None:
    book = live()
    assert book.patches(2, clicked("w"), number=1) == ["1 <- PATCH-DOC", "2 <- OK seq=1 number=1"]
    assert book.patches(2, clicked("w"), number=1) == ["2 <- OK seq=1 number=1"]


def test_who_has_a_patch_from_before_a_replacement_can_not_catch_up_over_it() -> None:
    book = live()
    book.patches(1, set_to(5), number=1)
    book.sends(1, "PUSH-DOC", OTHER, number=2)
    book.patches(1, set_to(71), number=3)
    book.appended()
    book.joins(4, "viewer", resume="viewer-four", pull=False, epoch=1, seq=1)
    [resumed] = book.got(4, "RESUMED")
    assert resumed.content["fresh"] is True
    book.patches(1, set_to(72), number=4)
    assert book.appended() == ["1 <- OK seq=5 number=4"]


def test_who_must_pull_because_it_fell_behind_is_spared_further_patches_until_it_has() -> None:
    book = live(limits=replace(LIMITS, ring=0))
    book.pauses(2)
    book.patches(1, titled("u"), number=1)
    book.appended()
    assert book.drains(2) == ["2 <- RESYNC code=too far behind"]
    assert book.room.presence == (1, 0, 1)
    book.sends(2, "PULL-DOC-REQ")
    book.patches(1, set_to(6), number=2)
    assert book.appended()[0] == "2,3 <- PATCH-DOC seq=3"


def test_the_id_of_a_client_has_8_to_64_characters() -> None:
    for key, name in enumerate(("x" * 8, "x" * 64)):
        book = Playbook()
        assert book.joins(key, "viewer", resume=name, pull=False)[1] == f"{key} <- RESUMED seq=1 number=0"
