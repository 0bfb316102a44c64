"""One live document as transcripts: what happens to the room, and what it wants done.

In each book, client 1 is a program of ours unless it says otherwise. Whatever tells of a patch that the store does not
have yet makes the book fail by itself (``playbook.Playbook``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from msgspec import structs

from bokeh_server.core.authorise import Access, Actor
from bokeh_server.core.log import Record, Stored
from bokeh_server.core.room import Room
from bokeh_server.errors import StoreDamaged, StoreFailed, StoreFull
from bokeh_server.limits import LIMITS
from tests.core.playbook import (
    DOCUMENT,
    OTHER,
    PROGRAM,
    SOURCE,
    VIEWER,
    Json,
    Playbook,
    changed,
    clicked,
    data_changed,
    edits,
    live,
    model,
    patch,
    ref,
    set_to,
    streamed,
    titled,
)

REFUSED = changed("nobody", "value", 1)


# Joining, pulling, asking


def test_the_first_message_to_everybody_is_ack() -> None:
    assert Playbook().joins(7, "viewer", pull=False) == ["7 <- ACK"]


def test_a_pull_is_answered_with_the_document_its_epoch_and_its_seq() -> None:
    book = Playbook()
    assert book.joins(1, "viewer") == ["1 <- ACK", "1 <- PULL-DOC-REPLY seq=1", "wake"]
    [reply] = book.got(1, "PULL-DOC-REPLY")
    assert (reply.header.reqid, reply.header.epoch, reply.header.seq) == ("m", 1, 1)
    assert reply.content["doc"]["roots"] == [
        model("Column", "c", children=[model("Slider", "w", value=1), SOURCE]),
    ]


def test_a_copy_carries_its_binary_buffers() -> None:
    array = {"type": "ndarray", "array": {"type": "bytes", "data": ref("b")}, "dtype": "uint8", "shape": [2]}
    book = Playbook()
    book.joins(1, "program", resume=PROGRAM)
    book.patches(1, data_changed("s", x={**array, "order": "little"}), buffers=(("b", b"\x07\x08"),))
    book.appended()
    book.joins(2, "viewer")
    [reply] = book.got(2, "PULL-DOC-REPLY")
    assert [payload for _, payload in reply.buffers] == [b"\x07\x08"]


def test_server_info_tells_both_versions() -> None:
    book = Playbook()
    book.joins(1, "program", pull=False)
    assert book.sends(1, "SERVER-INFO-REQ") == ["1 <- SERVER-INFO-REPLY"]
    [reply] = book.got(1, "SERVER-INFO-REPLY")
    assert (reply.header.reqid, reply.content) == ("m", {"version_info": {"bokeh": "b", "server": "s"}})


def test_who_wants_to_know_how_late_it_hears_is_sent_an_echo() -> None:
    assert live().sends(2, "ECHO") == ["2 <- ECHO"]


@pytest.mark.parametrize("answer", ["OK", "ERROR", "ACK"])
def test_answers_need_no_answer(answer: str) -> None:
    assert live().sends(1, answer) == []


def test_a_message_of_an_unknown_type_is_answered_with_an_error() -> None:
    book = live()
    assert book.sends(1, "NONSENSE", number=4) == ["1 <- ERROR number=4 code=bad-message"]
    [error] = book.got(1, "ERROR")
    assert book.room.tally.refused == 1
    assert error.header.reqid == "m"
    assert error.content == {
        "text": "There is no message of type 'NONSENSE'.",
        "code": "bad-message",
        "traceback": None,
    }


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"client":"short"}', b'{"client":"long-enough","seq":"1"}'])
def test_a_resume_that_is_none_is_answered_with_an_error(content: bytes) -> None:
    book = Playbook()
    book.joins(1, "viewer", pull=False)
    assert book.sends(1, "RESUME", content) == ["1 <- ERROR code=bad-message"]
    assert book.resumes(1, "x" * 65) == ["1 <- ERROR code=bad-message"]


def test_whoever_has_no_right_gets_nothing_and_changes_nothing() -> None:
    book = Playbook()
    book.joins(1, "program", pull=False, actor=Actor("user", "mallory"))
    for msgtype in ("PULL-DOC-REQ", "PUSH-DOC", "PATCH-DOC"):
        assert book.sends(1, msgtype, DOCUMENT) == ["1 <- ERROR code=forbidden"]
    assert book.resumes(1, "mallory-1") == ["1 <- ERROR code=forbidden"]
    assert book.submits(5, "patch", patch(set_to(2)), Actor("anonymous", "")) == ["answer 5: forbidden"]
    assert (book.room.seq, book.value()) == (1, 1)


# A patch, from the program to the viewers


def test_a_patch_is_acknowledged_and_shown_only_after_the_log_has_it() -> None:
    book = live()
    assert book.patches(1, set_to(5), number=1) == ["append 2"]
    assert book.appended(2) == ["2,3 <- PATCH-DOC seq=2", "1 <- OK seq=2 number=1"]
    assert book.value() == 5


def test_what_the_others_get_is_what_came_byte_for_byte_and_made_once() -> None:
    book = live()
    content = b'{ "events" : [ ' + orjson.dumps(set_to(5)) + b" ] }"
    book.sends(1, "PATCH-DOC", content, number=1)
    book.appended()
    [first], [second] = book.got(2), book.got(3)
    assert first.raw == content
    assert first.outgoing is second.outgoing


def test_a_patch_without_effect_is_acknowledged_and_not_kept() -> None:
    book = live()
    assert book.patches(1, set_to(1), number=1) == ["1 <- OK seq=1 number=1"]
    book.patches(1, set_to(2), number=2)
    assert book.patches(1, set_to(2), number=3) == []
    assert book.appended() == ["2,3 <- PATCH-DOC seq=2", "1 <- OK seq=2 number=2", "1 <- OK seq=2 number=3"]
    assert [record.seq for record in book.log] == [1, 2]


def test_what_a_browser_says_of_its_own_window_goes_nowhere() -> None:
    book = live()
    assert book.patches(2, changed("c", "inner_width", 600), number=1) == ["2 <- OK seq=1 number=1"]
    assert book.patches(3, changed("c", "inner_width", 600)) == []
    assert "inner_width" not in book.room.document.models["c"].attributes


def test_a_refused_patch_changes_nothing_and_its_sender_must_pull_again() -> None:
    book = live()
    before = book.room.document.encode()
    assert book.patches(1, set_to(5), REFUSED, number=1) == [
        "1 <- ERROR number=1 code=unknown-model",
        "1 <- RESYNC code=unknown-model",
    ]
    assert book.patches(3, REFUSED) == ["3 <- ERROR code=unknown-model", "close 3 1012 unknown-model"]
    assert book.room.document.encode() == before
    assert len(book.log) == 1


def test_a_stock_program_is_told_of_a_refused_patch_and_not_cut_off() -> None:
    book = live()
    book.joins(4, "program")
    assert book.patches(4, REFUSED) == ["4 <- ERROR code=unknown-model"]
    book.patches(1, set_to(2), number=1)
    assert book.appended()[0] == "2,3,4 <- PATCH-DOC seq=2"


def test_who_must_pull_again_gets_no_patches_until_it_has() -> None:
    book = live()
    book.patches(2, REFUSED, number=1)
    book.patches(1, set_to(5), number=1)
    assert book.appended()[0] == "3 <- PATCH-DOC seq=2"
    assert book.sends(2, "PULL-DOC-REQ") == ["2 <- PULL-DOC-REPLY seq=2", "wake"]
    book.patches(1, set_to(6), number=2)
    assert book.appended()[0] == "2,3 <- PATCH-DOC seq=3"


def test_a_click_reaches_programs_and_nobody_else_and_is_not_kept() -> None:
    book = live()
    book.joins(4, "program")
    assert book.patches(2, clicked("w"), number=1) == ["1,4 <- PATCH-DOC", "2 <- OK seq=1 number=1"]
    assert book.events(1) == [clicked("w")]
    assert len(book.log) == 1


def test_a_message_of_a_program_reaches_viewers_and_no_program() -> None:
    book = live()
    book.joins(4, "program")
    assert book.patches(1, clicked("w"), number=1) == ["2,3 <- PATCH-DOC", "1 <- OK seq=1 number=1"]


def test_a_message_passes_over_who_is_paused_has_left_or_has_no_copy_yet() -> None:
    book = live()
    book.joins(4, "viewer", pull=False)
    book.patches(1, set_to(5), number=1)
    assert book.patches(1, clicked("w"), number=2) == []
    book.sends(4, "PULL-DOC-REQ")
    book.pauses(2)
    book.leaves(3)
    assert book.appended() == ["1 <- OK seq=2 number=1", "1 <- OK seq=2 number=2", "4 <- PULL-DOC-REPLY seq=2"]


def test_a_click_and_a_change_in_one_patch_go_their_own_ways() -> None:
    book = live()
    assert book.patches(2, clicked("w"), set_to(5), number=1) == ["append 2"]
    assert book.appended() == ["1,3 <- PATCH-DOC seq=2", "2 <- OK seq=2 number=1", "1 <- PATCH-DOC"]
    assert book.events(3) == [set_to(5)]
    assert book.events(1) == [set_to(5), clicked("w")]


# Stock programs take the columns of an event for all there are


def columns(event: Json) -> dict[str, Any]:
    return dict(event["data"]["entries"])


def test_a_stock_program_gets_all_columns_where_one_was_set() -> None:
    book = live()
    book.joins(4, "program")
    book.patches(1, data_changed("s", cols=["y"], y=[8, 9]), number=1)
    assert book.appended()[:2] == ["4 <- PATCH-DOC seq=2", "2,3 <- PATCH-DOC seq=2"]
    [plain], [event] = book.events(4), book.events(2)
    assert (plain["cols"], columns(plain)) == (None, {"x": [1, 2], "y": [8, 9]})
    assert (event["cols"], columns(event)) == (["y"], {"y": [8, 9]})


def test_a_stock_program_does_not_get_rows_twice_that_came_with_the_column() -> None:
    book = live()
    book.joins(4, "program")
    book.patches(1, streamed("s", x=[5], y=[5]), data_changed("s", cols=[]), streamed("s", x=[6], y=[6]), titled("u"))
    book.appended()
    first, whole, title = book.events(4)
    assert columns(first) == {"x": [5], "y": [5]}
    assert columns(whole) == {"x": [1, 2, 5, 6], "y": [3, 4, 5, 6]}
    assert title == titled("u")


def test_a_stock_program_is_spared_the_columns_of_a_source_that_is_gone() -> None:
    book = live()
    book.joins(4, "program")
    gone = data_changed("s", cols=["y"], y=[8, 9])
    assert book.patches(1, gone, changed("c", "children", []), number=1) == ["append 2"]
    book.appended()
    assert book.events(4) == [gone, changed("c", "children", [])]


def test_a_patch_is_not_written_twice_where_no_stock_program_gets_it() -> None:
    book = live()
    book.joins(4, "program", pull=False)
    book.patches(1, data_changed("s", cols=["y"], y=[8, 9]), number=1)
    assert book.appended()[0] == "2,3 <- PATCH-DOC seq=2"


# Nothing leaves before the store has it


def test_whatever_is_asked_for_waits_for_the_patches_before_it() -> None:
    book = live()
    book.joins(4, "program", pull=False)
    book.patches(1, set_to(5), number=1)
    assert book.patches(1, set_to(5), number=1) == []
    assert book.sends(4, "PULL-DOC-REQ") == ["wake"]
    assert book.sends(4, "SERVER-INFO-REQ") == []
    assert book.sends(4, "NONSENSE") == []
    assert book.patches(2, REFUSED, number=1) == []
    assert book.patches(2, clicked("w"), number=2) == []
    assert book.submits(8, "patch", patch(set_to(5))) == []
    assert book.submits(9, "patch", patch(REFUSED)) == []
    assert book.joins(5, "viewer", resume="viewer-five", pull=False) == ["5 <- ACK"]
    assert book.appended(2) == [
        "3 <- PATCH-DOC seq=2",
        "1 <- OK seq=2 number=1",
        "1 <- OK seq=2 number=1",
        "4 <- PULL-DOC-REPLY seq=2",
        "4 <- SERVER-INFO-REPLY",
        "4 <- ERROR code=bad-message",
        "2 <- ERROR number=1 code=unknown-model",
        "2 <- RESYNC code=unknown-model",
        "1,4 <- PATCH-DOC",
        "2 <- OK seq=2 number=2",
        "answer 8: 2",
        "answer 9: unknown-model",
        "5 <- RESUMED seq=2 number=0",
    ]


def test_when_an_append_fails_everybody_is_cut_off_and_nothing_more_leaves() -> None:
    book = live()
    book.patches(1, set_to(5), number=1)
    book.sends(3, "PULL-DOC-REQ")
    assert book.fails(StoreFull()) == [f"close {key} 1013 store-full" for key in (1, 2, 3)]
    assert book.appended() == []
    assert book.got(1, "OK") == []
    assert book.restarted().document.models["w"].attributes["value"] == 5


# Numbers: a patch that is sent again is applied once


def test_a_client_that_has_left_gets_no_answer_any_more() -> None:
    book = live()
    book.joins(4, "viewer", resume="viewer-four", pull=False)
    book.patches(1, set_to(5), number=1)
    book.sends(2, "PULL-DOC-REQ")
    book.joins(6, "viewer", resume="viewer-six", pull=False)
    for key in (1, 2, 6):
        book.leaves(key)
    assert book.appended() == ["3 <- PATCH-DOC seq=2"]


def test_a_patch_that_is_sent_again_is_applied_once_and_acknowledged_again() -> None:
    book = live()
    event = streamed("s", x=[5], y=[6])
    book.patches(1, event, number=1)
    book.appended()
    assert book.patches(1, event, number=1) == ["1 <- OK seq=2 number=1"]
    assert book.column("x") == [1, 2, 5]
    assert book.patches(1, event, number=2) == ["append 3"]


def test_the_clients_that_were_silent_longest_are_forgotten_first() -> None:
    book = live(limits=replace(LIMITS, clients=2))
    book.joins(4, "program", resume="program-four")
    for key, value in ((1, 5), (2, 6), (1, 7), (4, 8)):
        book.patches(key, set_to(value), number=value)
    assert book.room.numbers == {PROGRAM: 7, "program-four": 8}


# Coming back


def test_who_comes_back_gets_what_it_missed_and_not_what_it_sent() -> None:
    book = live()
    book.patches(1, set_to(5), number=1)
    book.patches(2, set_to(6), number=1)
    book.appended()
    book.leaves(2)
    book.patches(1, set_to(7), number=2)
    book.appended()
    lines = book.joins(4, "viewer", resume=VIEWER, pull=False, epoch=1, seq=1)
    assert lines == ["4 <- ACK", "4 <- RESUMED seq=4 number=1", "4 <- PATCH-DOC since=2 seq=4"]
    [resumed] = book.got(4, "RESUMED")
    assert resumed.content == {"epoch": 1, "seq": 4, "number": 1, "fresh": False, "writer": True}
    book.patches(1, set_to(8), number=3)
    assert book.appended()[0] == "3,4 <- PATCH-DOC seq=5"


def test_a_second_resume_on_one_socket_only_tells_what_has_changed() -> None:
    book = live()
    assert book.resumes(1, PROGRAM, answers=True) == ["wake"]
    assert book.ticks() == ["1,2 <- PRESENCE", "noticed"]
    assert book.got(2, "PRESENCE")[-1].content["answering"] == 1


# Another document in its place


def test_a_pushed_document_replaces_the_old_one_and_everybody_else_must_pull() -> None:
    book = live()
    assert book.sends(1, "PUSH-DOC", OTHER, number=1) == ["append 2", "wake"]
    assert book.appended() == [
        "snapshot 2",
        "2 <- RESYNC code=replaced",
        "close 3 1012 replaced",
        "noticed",
        "1 <- OK seq=2 number=1",
    ]
    assert (book.room.document.title, book.value()) == ("other", 70)
    assert book.sends(1, "PUSH-DOC", OTHER, number=1) == ["1 <- OK seq=2 number=1"]
    book.patches(2, set_to(71), number=1)
    assert book.appended() == ["1 <- PATCH-DOC seq=3", "2 <- OK seq=3 number=1"]


def test_a_push_that_is_no_document_changes_nothing() -> None:
    book = live()
    assert book.sends(1, "PUSH-DOC", b'{"doc":{}}', number=1) == ["1 <- ERROR number=1 code=bad-message"]
    assert (len(book.log), book.value()) == (1, 1)


def test_a_request_without_a_socket_is_answered_once_it_is_durable() -> None:
    book = live()
    assert book.submits(8, "replace", OTHER) == ["append 2"]
    assert book.submits(9, "patch", patch(set_to(71))) == ["append 3"]
    assert book.submits(10, "patch", b"{}") == []
    lines = book.appended()
    assert lines[:4] == ["snapshot 2", "1,2 <- RESYNC code=replaced", "close 3 1012 replaced", "noticed"]
    assert lines[4:] == ["answer 8: 2", "answer 9: 3", "answer 10: bad-message"]
    assert book.submits(11, "replace", b"[]") == ["answer 11: bad-message"]


def test_a_request_may_only_wait_until_all_before_it_is_durable() -> None:
    book = live()
    assert book.submits(8, "nothing", b"") == ["answer 8: 1"]
    book.patches(1, set_to(5), number=1)
    assert book.submits(9, "nothing", b"") == []
    assert book.submits(10, "nothing", b"", Actor("user", "mallory")) == []
    assert book.appended()[2:] == ["answer 9: 2", "answer 10: forbidden"]


# Slow receivers, fast senders


def test_who_is_paused_is_skipped_and_catches_up_when_its_socket_drains() -> None:
    book = live()
    book.pauses(2)
    for number in (1, 2):
        book.patches(1, set_to(number + 5), number=number)
    assert book.appended()[0] == "3 <- PATCH-DOC seq=2"
    book.patches(2, set_to(9), number=1)
    book.appended()
    assert book.drains(2) == ["2 <- PATCH-DOC since=2 seq=3", "2 <- OK seq=4 number=1"]
    assert book.events(2) == [set_to(7)]
    assert book.drains(2) == []
    book.patches(1, set_to(10), number=3)
    assert book.appended()[0] == "2,3 <- PATCH-DOC seq=5"


def test_who_must_pull_while_paused_first_learns_that_its_patches_hold_but_not_where_they_stand() -> None:
    book = live()
    book.pauses(2)
    book.patches(2, set_to(9), number=1)
    book.submits(8, "replace", OTHER)
    assert "2 <- OK number=1" in book.appended(2) + book.appended(3)
    assert book.drains(2) == []


def test_who_fell_behind_the_ring_must_pull_and_a_stock_client_comes_back() -> None:
    book = live(limits=replace(LIMITS, ring=0))
    for key in (2, 3):
        book.pauses(key)
    book.patches(1, titled("u"), number=1)
    book.appended()
    assert book.drains(2) == ["2 <- RESYNC code=too far behind"]
    assert book.drains(3) == ["close 3 1012 too far behind"]
    book.patches(1, set_to(6), number=2)
    assert book.appended() == ["1 <- OK seq=3 number=2"]


def test_the_end_of_a_frame_that_nobody_waits_for_is_nothing() -> None:
    assert live().frame(1.0) == []


def test_who_has_no_copy_lacks_nothing_when_its_socket_drains() -> None:
    book = live()
    book.joins(4, "viewer", pull=False)
    book.pauses(4)
    book.patches(1, set_to(5), number=1)
    book.appended()
    assert book.drains(4) == []


def test_a_large_document_counts_as_well() -> None:
    book = live(limits=replace(LIMITS, unacknowledged=10))
    assert book.sends(1, "PUSH-DOC", OTHER) == ["append 2", "stop reading 1", "wake"]
    assert book.appended()[-1] == "read 1"


def test_the_copies_that_somebody_asks_for_count_as_well_while_they_wait() -> None:
    book = live(limits=replace(LIMITS, unacknowledged=10))
    assert book.sends(3, "PULL-DOC-REQ") == ["3 <- PULL-DOC-REPLY seq=1", "wake"]
    book.patches(1, set_to(5), number=1)
    assert book.sends(3, "PULL-DOC-REQ") == ["stop reading 3"]
    assert "read 3" in book.appended()
    assert book.got(3, "PULL-DOC-REPLY")[-1].header.seq == 2


# Snapshots and replay


def test_the_log_replayed_gives_the_same_document_and_the_same_numbers() -> None:
    book = live()
    edits(book)
    again = book.restarted()
    assert again.document.encode() == book.room.document.encode()
    assert (again.seq, again.durable, again.epoch, again.numbers) == (7, 7, 1, book.room.numbers)


def test_a_snapshot_is_taken_after_so_many_records_and_gives_the_same_document() -> None:
    book = live(limits=replace(LIMITS, snapshot_records=4))
    edits(book)
    assert book.snapshots == []
    assert book.appended().count("snapshot 4") == 1
    [snapshot] = book.snapshots
    assert snapshot.clients == {PROGRAM: 2, VIEWER: 1}
    again = book.restarted(snapshot=snapshot)
    assert again.document.encode() == book.room.document.encode()
    assert (again.seq, again.numbers) == (7, book.room.numbers)


def test_an_empty_document_is_there_from_the_start() -> None:
    room = Room.restore(Access("doc", "defaultuser"), Stored(None, {}, []), epoch=4)
    assert (room.epoch, room.seq, room.durable, room.document.roots) == (4, 0, 0, [])


def test_a_record_that_is_damaged_or_does_not_fit_is_not_skipped() -> None:
    first = Record.make("doc", 1, 1, "replace", DOCUMENT)
    for bad in (
        Record.make("doc", 1, 2, "patch", patch(REFUSED)),
        Record.make("doc", 1, 2, "replace", b"{}"),
        structs.replace(Record.make("doc", 1, 2, "patch", patch(set_to(2))), crc=0),
    ):
        with pytest.raises(StoreDamaged, match="Record 2 of document doc"):
            Room.restore(Access("doc", "defaultuser"), Stored(None, {}, [first, bad]))


def test_a_failure_of_the_store_closes_with_its_own_code() -> None:
    assert live().fails(StoreFailed())[0] == "close 1 1013 store-failed"
