"""Everything is refused unless granted: the whole matrix of who may do what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bokeh_server.core.authorise import (
    ANONYMOUS,
    BY_ADMINISTRATORS,
    DEFAULT_USER,
    ON_DOCUMENTS,
    SCOPES,
    Access,
    Action,
    Actor,
    Allowed,
    Refused,
    Role,
    Scope,
    good_for,
    may,
    role_of,
)

ANNA = Actor("user", "anna", "login:1")
BEN = Actor("user", "ben", "login:2")
ADMIN = Actor("user", "root", "login:3", admin=True)
HOLDER = Actor("anonymous", "", "login:4", links=frozenset({"l1"}))
ANNAS = Access("d", "anna")
GRANTS, LINKS = {"ben": Role.VIEWER, "eva": Role.EDITOR}, {"l1": Role.VIEWER, "l2": Role.EDITOR}
SHARED = Access("d", "anna", grants=GRANTS, links=LINKS)
SEEN = {Action.VIEW}
CHANGED = SEEN | {Action.STREAM, Action.EDIT}


def allowed(actor: Actor, access: Access | None) -> set[Action]:
    """What the actor may do with a document."""
    return {action for action in ON_DOCUMENTS if may(actor, action, access) == Allowed()}


def token(*scopes: Scope, user: str = "anna", document: str | None = None) -> Actor:
    return Actor("token", user, "token:1", frozenset(scopes), document)


@pytest.mark.parametrize("actor", [ANONYMOUS, HOLDER, DEFAULT_USER, ANNA, token(Scope.STREAM)])
def test_anybody_may_have_what_is_public(actor: Actor) -> None:
    assert may(actor, Action.PUBLIC) == Allowed()


@pytest.mark.parametrize("action", [Action.LIST, Action.CREATE, Action.STORE, Action.ACCOUNT])
def test_whoever_is_logged_in_may_list_create_and_see_to_his_account(action: Action) -> None:
    assert may(ANNA, action) == Allowed()
    for nobody in (ANONYMOUS, HOLDER):
        assert may(nobody, action) == Refused("Log in first.")


def test_only_an_administrator_sees_to_the_accounts_of_others() -> None:
    assert may(ADMIN, Action.ADMINISTER) == Allowed()
    assert may(ANNA, Action.ADMINISTER) == Refused("Only an administrator may do this.")
    assert may(replace(ADMIN, scopes=frozenset({Scope.WRITE})), Action.ADMINISTER) == Refused(
        "This token is not good for that: it needs the scope manage, and has write."
    )


def test_an_administrator_watches_the_server_and_where_there_are_no_accounts_the_only_user_does() -> None:
    for actor in (ADMIN, DEFAULT_USER, replace(token(Scope.WATCH), admin=True)):
        assert may(actor, Action.WATCH) == Allowed()
    assert may(ANNA, Action.WATCH) == Refused("Only an administrator may do this.")
    assert may(token(Scope.WATCH), Action.WATCH) == Refused("Only an administrator may do this.")
    told = "This token is not good for that: it needs the scope manage or watch, and has read and stream and write."
    others = token(Scope.READ, Scope.STREAM, Scope.WRITE)
    assert may(replace(others, admin=True), Action.WATCH) == Refused(told)
    assert may(ANONYMOUS, Action.WATCH) == Refused("Log in first.")


def test_a_token_to_watch_with_shows_no_document_and_changes_none() -> None:
    watching = replace(token(Scope.WATCH), admin=True)
    assert allowed(watching, ANNAS) == set()
    assert may(watching, Action.TRAFFIC) == Allowed()
    for action in (Action.LIST, Action.CREATE, Action.STORE, Action.ACCOUNT, Action.ADMINISTER):
        assert isinstance(may(watching, action), Refused)


def test_who_may_manage_may_watch() -> None:
    assert good_for(frozenset({Scope.MANAGE})) == {Scope.MANAGE, Scope.WATCH}
    assert good_for(frozenset({Scope.WRITE})) == {Scope.WRITE}
    assert may(replace(token(Scope.MANAGE), admin=True), Action.WATCH) == Allowed()


def test_an_owner_may_do_everything_with_a_document() -> None:
    assert allowed(ANNA, ANNAS) == ON_DOCUMENTS
    assert allowed(DEFAULT_USER, Access("d", "defaultuser")) == ON_DOCUMENTS


@pytest.mark.parametrize("action", sorted(ON_DOCUMENTS))
def test_to_others_a_document_looks_as_if_it_were_not_there(action: Action) -> None:
    assert may(BEN, action, ANNAS) == may(BEN, action, None) == Refused("There is no such document.", hidden=True)
    for nobody in (ANONYMOUS, HOLDER):
        for access in (ANNAS, None, Access("d", "")):
            assert may(nobody, action, access) == Refused("Log in first.", hidden=True)


def test_a_grant_makes_a_viewer_or_an_editor_and_never_lets_share_or_delete() -> None:
    assert allowed(BEN, SHARED) == SEEN
    assert allowed(Actor("user", "eva"), SHARED) == CHANGED
    assert may(BEN, Action.EDIT, SHARED) == Refused("You may see this document, not change it.")
    assert may(Actor("user", "eva"), Action.SHARE, SHARED) == Refused("Only the owner may do this.")


def test_a_link_gives_its_role_to_whoever_has_opened_it_as_long_as_it_holds() -> None:
    assert allowed(HOLDER, SHARED) == SEEN
    assert allowed(replace(HOLDER, links=frozenset({"l1", "l2"})), SHARED) == CHANGED
    assert allowed(replace(BEN, links=frozenset({"l2"})), SHARED) == CHANGED
    assert allowed(replace(HOLDER, links=frozenset({"another"})), SHARED) == set()


def test_what_is_published_everybody_may_see() -> None:
    published = replace(ANNAS, published=True)
    for actor in (ANONYMOUS, HOLDER, BEN):
        assert allowed(actor, published) == SEEN
    assert allowed(ANNA, published) == ON_DOCUMENTS


def test_in_the_public_view_everybody_is_a_visitor_and_only_what_is_published_is_there() -> None:
    for actor in (ANNA, BEN, ADMIN, HOLDER, ANONYMOUS):
        visitor = replace(actor, public=True)
        assert allowed(visitor, SHARED) == set()
        assert may(visitor, Action.VIEW, SHARED).hidden  # type: ignore[union-attr]
        assert allowed(visitor, replace(SHARED, published=True)) == SEEN


def test_an_administrator_may_look_at_documents_of_others_and_take_them_away() -> None:
    assert allowed(ADMIN, ANNAS) == BY_ADMINISTRATORS
    assert may(ADMIN, Action.EDIT, ANNAS) == Refused("Only the owner may do this.")
    assert allowed(ADMIN, replace(SHARED, grants={"root": Role.EDITOR})) == CHANGED | BY_ADMINISTRATORS
    assert allowed(ADMIN, Access("d", "root")) == ON_DOCUMENTS
    assert allowed(ADMIN, None) == set()


def test_what_was_stored_before_there_were_accounts_is_the_administrators_and_nobody_elses() -> None:
    left_behind = Access("d", DEFAULT_USER.name)
    assert allowed(ADMIN, left_behind) == ON_DOCUMENTS
    assert role_of(replace(ADMIN, public=True), left_behind) is None
    assert role_of(replace(ADMIN, document="e"), left_behind) is None
    assert allowed(BEN, left_behind) == allowed(HOLDER, left_behind) == allowed(ANONYMOUS, left_behind) == set()


@pytest.mark.parametrize(
    ("scopes", "good_for"),
    [
        ((Scope.READ,), SEEN),
        ((Scope.STREAM,), {Action.STREAM}),
        ((Scope.READ, Scope.STREAM), SEEN | {Action.STREAM}),
        ((Scope.WRITE,), CHANGED),
        ((Scope.MANAGE,), ON_DOCUMENTS - {Action.STREAM, Action.EDIT}),
        (tuple(Scope), ON_DOCUMENTS),
        ((), set()),
    ],
)
def test_a_token_is_good_for_its_scopes_only(scopes: tuple[Scope, ...], good_for: set[Action]) -> None:
    assert allowed(token(*scopes), ANNAS) == good_for
    for action in ON_DOCUMENTS - good_for:
        refused = may(token(*scopes), action, ANNAS)
        assert isinstance(refused, Refused)
        assert refused.reason.startswith("This token is not good for that: it needs the scope ")
        assert not refused.hidden


def test_a_token_is_told_what_scope_it_needs_and_has() -> None:
    told = "This token is not good for that: it needs the scope read or write or manage, and has stream."
    assert may(token(Scope.STREAM), Action.VIEW, ANNAS) == may(token(Scope.STREAM), Action.LIST) == Refused(told)
    told = "This token is not good for that: it needs the scope write, and has read and manage."
    assert may(token(Scope.MANAGE, Scope.READ), Action.EDIT, ANNAS) == Refused(told)
    told = "This token is not good for that: it needs the scope manage, and has none."
    assert may(token(), Action.SHARE, ANNAS) == Refused(told)


def test_a_token_gives_no_more_than_its_user_has() -> None:
    assert allowed(token(*Scope, user="ben"), SHARED) == SEEN


def test_a_token_for_one_document_is_good_for_no_other() -> None:
    limited = token(*Scope, document="d")
    assert allowed(limited, ANNAS) == ON_DOCUMENTS
    assert may(limited, Action.VIEW, replace(ANNAS, document="e")) == Refused("There is no such document.", hidden=True)
    for action in (Action.LIST, Action.STORE, Action.TRAFFIC):
        assert may(limited, action) == Allowed()
    for action in (Action.CREATE, Action.ACCOUNT, Action.ADMINISTER, Action.WATCH):
        told = "This token is not good for that: it is for one document."
        assert may(replace(limited, admin=True), action) == Refused(told)
    assert allowed(replace(limited, admin=True), replace(ANNAS, document="e")) == set()


def test_the_best_role_counts() -> None:
    assert role_of(replace(BEN, links=frozenset({"l2"})), SHARED) is Role.EDITOR
    assert role_of(ANNA, replace(SHARED, grants={"anna": Role.VIEWER})) is Role.OWNER
    assert role_of(ANONYMOUS, SHARED) is None


def test_every_action_has_its_scopes_and_its_group() -> None:
    assert set(SCOPES) == set(Action)
    others = {Action.PUBLIC, Action.LIST, Action.CREATE, Action.STORE, Action.PUSH, Action.ACCOUNT}
    others |= {Action.ADMINISTER, Action.TRAFFIC, Action.WATCH}
    assert set(Action) - ON_DOCUMENTS == others
