"""Who gets which bytes: the ring of the newest patches, and a cursor for each receiver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from bokeh_server.core.fanout import Cursor, Ring, receivers


@dataclass(frozen=True)
class Letter:
    """A message of one letter and any size."""

    text: str
    size: int = 10


@dataclass(frozen=True)
class Kept:
    """A patch."""

    seq: int
    name: str
    message: Letter


def ring(limit: int, *senders: str) -> Ring[Kept]:
    """A ring with patches 1, 2, 3, … of these senders, called a, b, c, …"""
    made: Ring[Kept] = Ring(limit)
    for at, sender in enumerate(senders):
        made.push(Kept(at + 1, sender, Letter("abcdefgh"[at])))
    return made


def texts(missed: list[Kept] | None) -> str | None:
    return None if missed is None else "".join(entry.message.text for entry in missed)


@pytest.mark.parametrize(("seen", "lacks"), [(0, "abcd"), (1, "bcd"), (3, "d"), (4, "")])
def test_who_was_away_gets_exactly_what_it_lacks_in_order(seen: int, lacks: str) -> None:
    assert texts(ring(100, "x", "x", "x", "x").after(seen, 4, "me")) == lacks


def test_who_was_away_does_not_get_its_own_patches_again() -> None:
    assert texts(ring(100, "x", "me", "x", "me").after(0, 4, "me")) == "ac"


def test_who_has_no_name_gets_the_patches_of_others_without_a_name() -> None:
    assert texts(ring(100, "", "x", "").after(0, 3, "")) == "abc"


def test_who_was_away_too_long_must_have_a_fresh_copy() -> None:
    full = ring(25, "x", "x", "x", "x")
    assert texts(full.after(2, 4, "me")) == "cd"
    assert full.after(1, 4, "me") is None


def test_a_ring_holds_as_many_bytes_as_its_limit_and_no_more() -> None:
    assert texts(ring(30, "x", "x", "x").after(0, 3, "")) == "abc"
    assert ring(29, "x", "x", "x").after(0, 3, "") is None
    assert texts(ring(29, "x", "x", "x").after(1, 3, "")) == "bc"


def test_a_patch_that_is_larger_than_the_ring_leaves_it_empty() -> None:
    full = ring(25, "x", "x")
    full.push(Kept(3, "x", Letter("C", size=26)))
    assert full.after(2, 3, "me") is None
    assert full.after(3, 3, "me") == []
    full.push(Kept(4, "x", Letter("d")))
    assert texts(full.after(3, 4, "me")) == "d"


def test_who_has_all_lacks_nothing_even_where_the_ring_is_empty() -> None:
    empty: Ring[Kept] = Ring(100)
    assert empty.after(7, 7, "me") == []
    assert empty.after(6, 7, "me") is None


def test_who_has_seen_more_than_there_is_must_have_a_fresh_copy() -> None:
    assert ring(100, "x", "x").after(3, 2, "me") is None
    assert Ring[Kept](100).after(3, 2, "me") is None


def test_a_cleared_ring_can_catch_nobody_up_and_fills_again() -> None:
    cleared = ring(20, "x", "x")
    cleared.clear()
    assert cleared.after(1, 2, "me") is None
    cleared.push(Kept(3, "x", Letter("c")))
    cleared.push(Kept(4, "x", Letter("d")))
    assert texts(cleared.after(2, 4, "me")) == "cd"


@pytest.mark.parametrize(("seen", "sent"), [(0, True), (1, True), (2, False), (4, False)])
def test_a_ring_knows_who_has_sent_since(seen: int, sent: bool) -> None:
    assert ring(100, "x", "me", "x", "x").has(seen, "me") is sent
    assert not Ring[Kept](100).has(seen, "me")


# Receivers


def cursor(seq: int, *, subscribed: bool = True, paused: bool = False) -> Cursor:
    return Cursor(seq, "", subscribed, paused)


def due(cursors: Any, seq: int, sender: Any, name: str = "", *, within: bool = False) -> list[Any]:
    """Who is due for one patch."""
    some, framed = receivers(cursors, seq, seq, sender, name, within=within)
    return [*some, *framed]


def test_of_several_patches_all_who_had_those_before_are_due() -> None:
    cursors = {
        "a": cursor(4),
        "page": Cursor(4, subscribed=True, framed=True),
        "behind": cursor(3),
        "sender": cursor(4),
    }
    assert receivers(cursors.items(), 5, 9, "sender") == (["a"], ["page"])
    assert [one.seq for one in cursors.values()] == [9, 9, 3, 9]


def test_all_who_keep_up_get_the_patch_and_move_on() -> None:
    cursors = {"a": cursor(4), "b": cursor(4)}
    assert due(cursors.items(), 5, None) == ["a", "b"]
    assert [found.seq for found in cursors.values()] == [5, 5]


def test_the_sender_does_not_get_its_own_patch_and_has_it_even_while_its_socket_is_full() -> None:
    cursors = {"a": cursor(4), "sender": cursor(4, paused=True)}
    assert due(cursors.items(), 5, "sender") == ["a"]
    assert cursors["sender"].seq == 5


def test_the_sender_does_not_get_its_own_patch_on_another_socket_either() -> None:
    cursors = {1: Cursor(4, "me", subscribed=True), 2: Cursor(4, "me", subscribed=True), 3: cursor(4)}
    assert due(cursors.items(), 5, 1, "me") == [3]
    assert [found.seq for found in cursors.values()] == [5, 5, 5]
    nameless = {1: cursor(4), 2: cursor(4)}
    assert due(nameless.items(), 5, 1, "") == [2]


def test_who_is_paused_is_passed_over_and_stays_behind() -> None:
    cursors = {"slow": cursor(4, paused=True)}
    assert due(cursors.items(), 5, None) == []
    assert cursors["slow"].seq == 4


def test_who_is_behind_gets_nothing_out_of_order_not_even_as_the_sender() -> None:
    cursors = {"behind": cursor(3), "sender": cursor(3)}
    assert due(cursors.items(), 5, "sender") == []
    assert [found.seq for found in cursors.values()] == [3, 3]


def test_who_has_pulled_a_copy_that_holds_the_patch_does_not_get_it_again() -> None:
    assert due({"pulled": cursor(5)}.items(), 5, None) == []


def test_who_has_not_asked_for_the_document_gets_no_patches() -> None:
    cursors = {"new": cursor(4, subscribed=False)}
    assert due(cursors.items(), 5, None) == []
    assert cursors["new"].seq == 4


def test_within_a_frame_only_those_who_get_every_patch_are_due() -> None:
    cursors = {"page": Cursor(4, subscribed=True, framed=True), "program": cursor(4)}
    assert due(cursors.items(), 5, None, within=True) == ["program"]
    assert due(cursors.items(), 6, None) == ["program"], "who is behind gets nothing out of order"
    assert due({"page": Cursor(4, subscribed=True, framed=True)}.items(), 5, None) == ["page"]
    own = {"page": Cursor(4, subscribed=True, framed=True)}
    assert due(own.items(), 5, "page", within=True) == []
    assert own["page"].seq == 5


def test_a_cursor_is_ready_for_more_where_nothing_is_in_between() -> None:
    assert Cursor(subscribed=True).ready
    for cursor in (Cursor(), Cursor(subscribed=True, paused=True), Cursor(subscribed=True, copying=(1, 2))):
        assert not cursor.ready
