"""Everything is refused unless granted: the whole matrix of who may do what."""

from __future__ import annotations

import pytest

from bokeh_server.core.authorise import ANONYMOUS, DEFAULT_USER, ON_DOCUMENTS, Action, Actor, Allowed, Refused, may

ANNA, BENS_TOKEN = Actor("user", "anna"), Actor("token", "ben")


@pytest.mark.parametrize("actor", [ANONYMOUS, DEFAULT_USER, ANNA, BENS_TOKEN])
def test_anybody_may_have_what_is_public(actor: Actor) -> None:
    assert may(actor, Action.PUBLIC) == Allowed()


@pytest.mark.parametrize("action", [Action.LIST, Action.CREATE])
def test_whoever_is_logged_in_may_list_and_create(action: Action) -> None:
    assert may(ANNA, action) == may(BENS_TOKEN, action) == Allowed()
    assert may(ANONYMOUS, action) == Refused("Log in first.", hidden=False)


@pytest.mark.parametrize("action", sorted(ON_DOCUMENTS))
def test_an_owner_may_do_everything_with_a_document(action: Action) -> None:
    assert may(ANNA, action, "anna") == may(BENS_TOKEN, action, "ben") == Allowed()
    assert may(DEFAULT_USER, action, "defaultuser") == Allowed()


@pytest.mark.parametrize("action", sorted(ON_DOCUMENTS))
def test_to_others_a_document_looks_as_if_it_were_not_there(action: Action) -> None:
    assert may(BENS_TOKEN, action, "anna") == Refused("There is no such document.", hidden=True)
    assert may(ANNA, action, None) == Refused("There is no such document.", hidden=True)


@pytest.mark.parametrize("action", sorted(ON_DOCUMENTS))
def test_nobody_may_touch_a_document_without_logging_in_not_even_one_of_nobody(action: Action) -> None:
    for owner in ("anna", "", None):
        assert may(ANONYMOUS, action, owner) == Refused("Log in first.", hidden=True)


def test_every_action_is_either_public_or_one_of_a_known_group() -> None:
    assert set(Action) - ON_DOCUMENTS == {Action.PUBLIC, Action.LIST, Action.CREATE}
