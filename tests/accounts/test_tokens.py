"""Tokens: shown once, good for what they were made for, and gone when revoked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bokeh_server.accounts.logins import Logins
from bokeh_server.accounts.tokens import MOST, SELDOM, Token, Tokens
from bokeh_server.core.authorise import ALL_SCOPES, Actor, Scope
from bokeh_server.errors import BadValue, Conflict, NotFound, Unauthorized
from bokeh_server.store import Ledger
from bokeh_server.store.schema import tokens
from tests.accounts.ledgers import Clock, add_user, count, dump, on_both, on_memory, proof_of

MONTH = 30 * 86_400


async def holds(known: Tokens, text: str) -> bool:
    """Whether the token opens anything."""
    try:
        await known.actor(text)
    except Unauthorized:
        return False
    return True


@on_both
async def test_a_token_says_who_comes_and_what_for(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna")
    known = Tokens(ledger, clock)
    text, token = await known.make("anna", " a job ", [Scope.READ, Scope.STREAM], document="d", seconds=60)
    assert token == Token(
        token.id, "a job", frozenset({Scope.READ, Scope.STREAM}), "d", clock.now, None, clock.now + 60
    )
    assert await known.actor(text) == Actor(
        "token",
        "anna",
        f"token:{token.id}",
        token.scopes,
        "d",
        until=clock.now + 60,
        since=clock.now,
    )
    assert await known.of("anna") == [replace(token, used=clock.now)]
    assert text not in await dump(ledger, tokens)


@on_memory
async def test_what_is_no_token_opens_nothing(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna")
    known = Tokens(ledger, clock)
    text, token = await known.make("anna", "a job", ALL_SCOPES)
    for guess in ("", "x", text[:-1], text + "x", text.upper(), token.id, "\udc80", "é"):
        with pytest.raises(Unauthorized, match="not valid"):
            await known.actor(guess)


@on_memory
async def test_an_administrators_token_is_an_administrators(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "root", admin=True)
    known = Tokens(ledger, clock)
    text, _ = await known.make("root", "a job", [Scope.MANAGE])
    assert (await known.actor(text)).admin


@on_memory
async def test_the_token_of_a_disabled_user_opens_nothing(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "ben", disabled=True)
    known = Tokens(ledger, clock)
    text, _ = await known.make("ben", "a job", ALL_SCOPES)
    assert not await holds(known, text)
    text, _ = await known.make("nobody", "a job", ALL_SCOPES)
    assert not await holds(known, text)


@on_memory
async def test_a_token_ends_and_is_forgotten_a_month_later(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna")
    known = Tokens(ledger, clock)
    text, token = await known.make("anna", "short", ALL_SCOPES, seconds=60)
    lasting, _ = await known.make("anna", "for ever", ALL_SCOPES)
    clock.now += 60
    assert await holds(known, text)
    clock.now += 1
    assert not await holds(known, text)
    assert token.id in {each.id for each in await known.of("anna")}
    clock.now += MONTH
    await known.make("anna", "another", ALL_SCOPES)
    assert {each.name for each in await known.of("anna")} == {"for ever", "another"}
    assert await holds(known, lasting)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": ""}, "name of a token"),
        ({"name": "  "}, "name of a token"),
        ({"name": "x" * 101}, "name of a token"),
        ({"name": "a\nb"}, "name of a token"),
        ({"scopes": []}, "read, stream, write, manage"),
        ({"seconds": 0}, "life of a token"),
        ({"seconds": -1.0}, "life of a token"),
        ({"seconds": float("nan")}, "life of a token"),
        ({"seconds": float("inf")}, "life of a token"),
    ],
)
def test_a_token_that_can_not_be_is_refused(settings: dict[str, Any], words: str) -> None:
    @on_memory
    async def test_it(ledger: Ledger, clock: Clock) -> None:
        with pytest.raises(BadValue, match=words):
            await Tokens(ledger, clock).make("anna", **{"name": "a job", "scopes": [Scope.READ], **settings})
        assert await count(ledger, tokens) == 0

    test_it()


@on_memory
async def test_a_user_has_so_many_tokens_and_no_more(ledger: Ledger, clock: Clock) -> None:
    known = Tokens(ledger, clock)
    for number in range(MOST):
        await known.make("anna", f"job {number}", [Scope.READ])
    with pytest.raises(Conflict, match=f"at most {MOST} tokens"):
        await known.make("anna", "one more", [Scope.READ])
    await known.make("ben", "his first", [Scope.READ])
    [first, *_] = await known.of("anna")
    await known.revoke("anna", first.id)
    await known.make("anna", "one more", [Scope.READ])


@on_memory
async def test_when_it_was_used_last_is_noted_seldom(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna")
    known = Tokens(ledger, clock)
    text, _ = await known.make("anna", "a job", ALL_SCOPES)
    assert [token.used for token in await known.of("anna")] == [None]
    begin = clock.now
    for later, noted in ((1, 1), (SELDOM, 1), (SELDOM + 1, 1), (SELDOM + 2, SELDOM + 2)):
        clock.now = begin + later
        await known.actor(text)
        assert [(token.used or 0) - begin for token in await known.of("anna")] == [noted]


@on_both
async def test_a_user_revokes_his_own_tokens_and_no_others(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna")
    known = Tokens(ledger, clock)
    text, token = await known.make("anna", "a job", ALL_SCOPES)
    with pytest.raises(NotFound):
        await known.revoke("ben", token.id)
    assert await holds(known, text)
    await known.revoke("anna", token.id)
    assert not await holds(known, text)
    with pytest.raises(NotFound):
        await known.revoke("anna", token.id)


@on_both
async def test_tokens_by_login_end_together_and_only_these(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna")
    known = Tokens(ledger, clock)
    by_login = [await known.make("anna", "login", ALL_SCOPES, proof=proof_of("anna")) for _ in range(2)]
    made, _ = await known.make("anna", "a job", ALL_SCOPES)
    await add_user(ledger, "ben")
    bens, _ = await known.make("ben", "login", ALL_SCOPES, proof=proof_of("ben"))
    assert await known.revoke_by_login("anna", but=0) == {token.id for _, token in by_login}
    assert not any([await holds(known, text) for text, _ in by_login])
    assert await holds(known, made)
    assert await known.revoke_by_login("anna", but=0) == set()
    assert await holds(known, bens)


@on_memory
async def test_what_has_ended_makes_no_token_any_more(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna")
    known, browsers = Tokens(ledger, clock), Logins(ledger, clock)
    login = (await browsers.actor(await browsers.open("anna", ""))).credential
    _, first = await known.make("anna", "first", ALL_SCOPES, by=login)
    _, second = await known.make("anna", "second", ALL_SCOPES, by=f"token:{first.id}")
    await known.revoke("anna", first.id)
    await known.revoke("anna", second.id)
    await browsers.close("anna", login.removeprefix("login:"))
    for ended in (login, f"token:{first.id}"):
        with pytest.raises(Unauthorized):
            await known.make("anna", "late", ALL_SCOPES, by=ended)
    assert await known.of("anna") == []


@on_memory
async def test_a_password_that_is_another_by_now_gives_no_token(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna", disabled=True)
    known = Tokens(ledger, clock)
    with pytest.raises(Unauthorized):
        await known.make("anna", "login", ALL_SCOPES, proof=proof_of("anna"))
    assert await known.of("anna") == []


@on_both
async def test_those_that_were_used_last_can_be_kept(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna")
    known = Tokens(ledger, clock)
    made = []
    for _ in range(4):
        clock.now += 1
        made.append(await known.make("anna", "login", ALL_SCOPES, proof=proof_of("anna")))
    clock.now += 1
    await known.actor(made[0][0])
    assert await known.revoke_by_login("anna", but=2) == {made[1][1].id, made[2][1].id}
    assert [await holds(known, text) for text, _ in made] == [True, False, False, True]


@on_memory
async def test_the_newest_token_is_listed_first(ledger: Ledger, clock: Clock) -> None:
    known = Tokens(ledger, clock)
    for name in ("first", "second"):
        clock.now += 1
        await known.make("anna", name, [Scope.WRITE])
    assert [token.name for token in await known.of("anna")] == ["second", "first"]
    assert await known.of("ben") == []
