"""Who may do what in a room, and rights that change or end while it is open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bokeh_server.core.authorise import DEFAULT_USER, Access, Actor, Role, Scope
from bokeh_server.core.events import Rights
from tests.core.playbook import (
    OTHER,
    PROGRAM,
    VIEWER,
    Playbook,
    clicked,
    data_changed,
    model,
    patch,
    set_to,
    streamed,
    titled,
)

EVA, BEN = Actor("user", "eva", "login:1"), Actor("user", "ben", "login:2")
VISITOR = Actor("anonymous", "", "login:3", links=frozenset({"l1"}))
STREAMER = Actor("token", "defaultuser", "token:1", frozenset({Scope.READ, Scope.STREAM}))
ONLY_STREAMS = replace(STREAMER, scopes=frozenset({Scope.STREAM}))
FORBIDDEN = "1 <- ERROR code=forbidden"
PLAIN = streamed("s", x=[5], y=[6])


def shared() -> Playbook:
    """Eva, an editor, as 1; Ben, a viewer, as 2; the owner as 3."""
    book = Playbook()
    book.shares(eva=Role.EDITOR, ben=Role.VIEWER)
    book.joins(1, "program", resume=PROGRAM, actor=EVA)
    book.joins(2, "viewer", resume=VIEWER, actor=BEN)
    book.joins(3, "viewer")
    return book


def test_who_may_no_longer_see_is_shown_the_door_and_the_others_stay() -> None:
    book = shared()
    assert book.shares(eva=Role.EDITOR) == ["close 2 1008 revoked"]
    assert book.sends(2, "PULL-DOC-REQ") == ["2 <- ERROR code=forbidden"]
    book.leaves(2)
    assert book.shares() == ["close 1 1008 revoked"]
    assert book.patches(3, set_to(5)) == ["append 2"]


def test_who_may_do_more_or_less_than_before_comes_back_to_learn_it() -> None:
    book = shared()
    assert book.shares(eva=Role.VIEWER, ben=Role.VIEWER) == ["close 1 1012 rights"]
    assert book.shares(eva=Role.VIEWER, ben=Role.EDITOR) == ["close 2 1012 rights"]
    assert book.shares(eva=Role.VIEWER, ben=Role.EDITOR, carla=Role.VIEWER) == []
    assert book.shares(published=True) == ["close 2 1012 rights"]
    assert book.shares() == ["close 1 1008 revoked", "close 2 1008 revoked"]


def test_a_patch_after_the_right_was_taken_is_refused_and_one_before_is_kept() -> None:
    book = shared()
    assert book.patches(1, set_to(5), number=1) == ["append 2"]
    book.shares(eva=Role.VIEWER, ben=Role.VIEWER)
    assert book.patches(1, set_to(6), number=2) == []
    assert [line for line in book.appended() if line.startswith("1 <-")] == [
        "1 <- OK seq=2 number=1",
        "1 <- ERROR number=2 code=forbidden",
        "1 <- RESYNC code=forbidden",
    ]
    assert book.value() == 5


def test_a_reader_resumes_as_one_who_does_not_write() -> None:
    book = shared()
    assert [book.got(key, "RESUMED")[0].content["writer"] for key in (1, 2)] == [True, False]


def test_links_that_were_opened_count_as_long_as_they_hold() -> None:
    book = Playbook()
    book.receive(Rights(Access("doc", "defaultuser", links={"l1": Role.VIEWER})))
    assert book.joins(1, "viewer", actor=VISITOR)[:2] == ["1 <- ACK", "1 <- PULL-DOC-REPLY seq=1"]
    assert book.receive(Rights(Access("doc", "defaultuser", links={"l2": Role.VIEWER}))) == ["close 1 1008 revoked"]


def test_in_the_public_view_even_the_owner_is_a_visitor() -> None:
    book = Playbook()
    book.shares(published=True)
    book.joins(1, "program", actor=replace(DEFAULT_USER, public=True))
    assert book.patches(1, set_to(5)) == [FORBIDDEN]
    assert book.shares() == ["close 1 1008 revoked"]


def test_whoever_has_lost_what_he_came_with_is_shown_the_door_and_nobody_else() -> None:
    book = shared()
    assert book.revokes(lambda actor: actor.credential == "login:1") == ["close 1 1008 revoked"]
    assert book.revokes(lambda actor: actor.name in ("eva", "ben")) == ["close 1 1008 revoked", "close 2 1008 revoked"]
    assert book.revokes(lambda actor: False) == []


def test_a_request_of_somebody_without_the_right_is_refused() -> None:
    book = shared()
    for token, (what, actor) in enumerate([("patch", BEN), ("replace", BEN), ("nothing", VISITOR), ("patch", VISITOR)]):
        assert book.submits(token, what, patch(set_to(5)), actor) == [f"answer {token}: forbidden"]
    assert book.submits(9, "nothing", b"", BEN) == ["answer 9: 1"]


def test_who_may_only_stream_appends_plain_rows_over_a_socket_and_nothing_else() -> None:
    book = Playbook()
    book.joins(1, "program", actor=STREAMER)
    assert book.patches(1, PLAIN) == ["append 2"]
    book.appended()
    script = model("CustomJS", "x", code="alert(1)")
    for events in (
        [set_to(5)],
        [PLAIN, PLAIN],
        [PLAIN, set_to(5)],
        [streamed("s", x=[script], y=[1])],
        [data_changed("s", x=[1], y=[2])],
        [titled("u")],
        [clicked("w")],
        [],
    ):
        assert book.patches(1, *events) == [FORBIDDEN]
    assert book.sends(1, "PUSH-DOC", OTHER) == [FORBIDDEN]
    assert book.column("x") == [1, 2, 5]


@pytest.mark.parametrize("actor", [STREAMER, ONLY_STREAMS])
def test_who_may_only_stream_appends_plain_rows_by_a_request_and_nothing_else(actor: Actor) -> None:
    book = Playbook()
    assert book.submits(1, "patch", patch(PLAIN), actor) == ["append 2"]
    assert book.appended() == ["answer 1: 2"]
    assert book.submits(2, "patch", patch(set_to(5)), actor) == ["answer 2: forbidden"]
    assert book.submits(3, "replace", OTHER, actor) == ["answer 3: forbidden"]
    assert book.submits(4, "replace", patch(PLAIN), actor) == ["answer 4: forbidden"]
    may_look = Scope.READ in actor.scopes
    assert book.submits(5, "nothing", patch(PLAIN), actor) == [f"answer 5: {2 if may_look else 'forbidden'}"]


def test_a_streamer_gets_no_further_than_his_role() -> None:
    book = Playbook()
    book.shares(eva=Role.VIEWER)
    book.joins(1, "program", actor=replace(STREAMER, name="eva"))
    assert book.patches(1, PLAIN) == [FORBIDDEN]


def test_who_only_streams_can_not_look() -> None:
    book = Playbook()
    book.joins(1, "program", pull=False, actor=ONLY_STREAMS)
    assert book.sends(1, "PULL-DOC-REQ") == [FORBIDDEN]
    assert book.resumes(1, PROGRAM) == [FORBIDDEN]
