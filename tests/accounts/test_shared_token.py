"""The one token of a server without accounts."""

from __future__ import annotations

import pytest

from bokeh_server.accounts.shared_token import SharedToken
from bokeh_server.core.authorise import ANONYMOUS, DEFAULT_USER
from bokeh_server.errors import Unauthorized

TEXT = "bst_0123456789abcdefghij"


def test_who_shows_it_is_the_default_user() -> None:
    assert SharedToken(TEXT).actor(TEXT) is DEFAULT_USER


@pytest.mark.parametrize("other", ["", TEXT[:-1], TEXT + "0", TEXT.upper(), "\udc80", "ä"])
def test_who_shows_another_is_refused(other: str) -> None:
    with pytest.raises(Unauthorized, match="not the token of this server"):
        SharedToken(TEXT).actor(other)


def test_its_cookie_is_as_good_and_does_not_hold_it() -> None:
    shared = SharedToken(TEXT)
    assert shared.by_cookie(shared.cookie) is DEFAULT_USER
    assert SharedToken(TEXT).cookie == shared.cookie, "a browser stays in when the server starts again"
    assert TEXT not in shared.cookie
    with pytest.raises(Unauthorized):
        shared.actor(shared.cookie)


@pytest.mark.parametrize("other", ["", TEXT, SharedToken(TEXT + "0").cookie, "\udc80"])
def test_the_cookie_of_another_token_is_nobodys(other: str) -> None:
    assert SharedToken(TEXT).by_cookie(other) is ANONYMOUS
