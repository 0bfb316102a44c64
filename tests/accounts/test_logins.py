"""Logins: a new key whenever one comes to mean more, and an end to each."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import insert, select

from bokeh_server.accounts.logins import DAY, LONGEST, MOST, MOST_LINKS, MOST_VISITORS, SELDOM, Logins
from bokeh_server.core.authorise import ALL_SCOPES, ANONYMOUS, Actor
from bokeh_server.errors import NotFound, Unauthorized
from bokeh_server.store import Ledger
from bokeh_server.store.schema import logins
from tests.accounts.ledgers import Clock, add_user, count, dump, on_both, on_memory, proof_of


@on_both
async def test_a_cookie_says_who_comes_and_nothing_else_does(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna")
    known = Logins(ledger, clock)
    key = await known.open("anna", "a browser")
    actor = await known.actor(key)
    assert (actor.kind, actor.name, actor.scopes, actor.admin, actor.links) == (
        "user",
        "anna",
        ALL_SCOPES,
        False,
        frozenset(),
    )
    assert (actor.until, actor.since) == (clock.now + LONGEST, clock.now)
    [listed] = await known.of("anna")
    assert actor.credential == f"login:{listed.id}"
    for guess in ("", "x", key[:-1], key + "x", listed.id, "\udc80"):
        assert await known.actor(guess) == ANONYMOUS
    assert key not in await dump(ledger, logins)


@on_memory
async def test_an_administrator_comes_as_one(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "root", admin=True)
    known = Logins(ledger, clock)
    assert (await known.actor(await known.open("root", ""))).admin


@on_memory
async def test_a_disabled_user_and_one_who_is_no_more_are_nobody(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "ben", disabled=True)
    known = Logins(ledger, clock)
    assert await known.actor(await known.open("ben", "")) == ANONYMOUS


@on_both
async def test_a_key_that_was_planted_before_the_log_in_is_worth_nothing_after_it(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna")
    known = Logins(ledger, clock)
    planted = await known.open_link(None, "l1", "")
    assert planted is not None
    key = await known.open("anna", "", before=planted)
    assert key != planted
    assert await known.actor(planted) == ANONYMOUS
    actor = await known.actor(key)
    assert (actor.name, actor.links) == ("anna", frozenset({"l1"}))
    for made_up in ("chosen by somebody", "bsl_" + "x" * 27):
        key = await known.open("anna", "", before=made_up)
        assert key != made_up
        assert await known.actor(made_up) == ANONYMOUS


@on_memory
async def test_logging_in_again_ends_the_login_before(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna")
    await add_user(ledger, "ben")
    known = Logins(ledger, clock)
    first = await known.open("anna", "")
    second = await known.open("ben", "", before=first)
    assert await known.actor(first) == ANONYMOUS
    assert (await known.actor(second)).name == "ben"
    assert await known.of("anna") == []


@on_memory
async def test_a_login_ends_after_its_time_and_leaves_nothing(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna")
    known = Logins(ledger, clock)
    key = await known.open("anna", "")
    clock.now += LONGEST
    assert (await known.actor(key)).name == "anna"
    clock.now += 1
    assert await known.actor(key) == ANONYMOUS
    assert await known.of("anna") == []
    await known.open("anna", "")
    assert await count(ledger, logins) == 1
    assert LONGEST == 30 * DAY


@on_memory
async def test_when_it_was_used_last_is_noted_seldom(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna")
    known = Logins(ledger, clock)
    key = await known.open("anna", "")
    begin = clock.now
    for later, noted in ((1, 0), (SELDOM, 0), (SELDOM + 1, SELDOM + 1), (SELDOM + 2, SELDOM + 1)):
        clock.now = begin + later
        await known.actor(key)
        assert [login.used - begin for login in await known.of("anna")] == [noted]


@on_memory
async def test_a_user_sees_his_logins_the_last_used_first(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna")
    known = Logins(ledger, clock)
    first = await known.open("anna", "first " + "x" * 300)
    clock.now += 1
    await known.open("anna", "second")
    await known.open("ben", "another's")
    assert [login.agent[:6] for login in await known.of("anna")] == ["second", "first "]
    clock.now += SELDOM + 1
    await known.actor(first)
    listed = await known.of("anna")
    assert [login.agent[:6] for login in listed] == ["first ", "second"]
    assert len(listed[0].agent) == 200


@on_both
async def test_a_user_ends_his_own_logins_and_no_others(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna")
    await add_user(ledger, "ben")
    known = Logins(ledger, clock)
    keys = [await known.open("anna", str(at)) for at in range(3)]
    bens = await known.open("ben", "")
    ids = [(await known.actor(key)).credential.removeprefix("login:") for key in keys]
    with pytest.raises(NotFound):
        await known.close("ben", ids[0])
    await known.close("anna", ids[0])
    with pytest.raises(NotFound):
        await known.close("anna", ids[0])
    assert [(await known.actor(key)).name for key in [*keys, bens]] == ["", "anna", "anna", "ben"]


@on_both
async def test_of_very_many_logins_those_that_were_used_last_stay(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna")
    known = Logins(ledger, clock)
    other = await known.open("ben", "")
    first = await known.open("anna", "")
    for _ in range(MOST - 1):
        clock.now += 1
        second = await known.open("anna", "")
    clock.now += SELDOM + 1
    await known.actor(first)
    await known.open("anna", "one more")
    listed = await known.of("anna")
    assert len(listed) == MOST
    assert [(await known.actor(key)).name for key in (first, second, other)] == ["anna", "anna", "ben"]


@on_memory
async def test_of_very_many_visitors_those_that_came_last_stay(ledger: Ledger, clock: Clock) -> None:
    known = Logins(ledger, clock)
    row = {"user": "", "links": [], "agent": "", "created": 0.0, "until": clock.now}
    rows = [{**row, "id": str(at), "digest": b"%d" % at, "used": float(at)} for at in range(MOST_VISITORS)]
    await ledger.change(lambda connection: connection.execute(insert(logins), rows))
    key = await known.open_link(None, "l1", "") or ""
    left = set(await ledger.look(lambda connection: connection.scalars(select(logins.c.id)).all()))
    assert len(left) == MOST_VISITORS
    assert left >= {str(at) for at in range(1, MOST_VISITORS)}
    assert (await known.actor(key)).links == {"l1"}


@on_memory
async def test_a_server_without_users_knows_visitors_only(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna")
    before, now = Logins(ledger, clock), Logins(ledger, clock, of_users=False)
    annas, visitors = await before.open("anna", ""), await before.open_link(None, "l1", "") or ""
    assert await now.actor(annas) == ANONYMOUS
    assert (await now.actor(visitors)).links == {"l1"}
    key = await now.open_link(annas, "l2", "") or ""
    assert (await now.actor(key)).links == {"l2"}


# Links


@on_both
async def test_a_browser_without_a_login_gets_a_key_for_the_link_that_it_opens(ledger: Ledger, clock: Clock) -> None:
    known = Logins(ledger, clock)
    for cookie in (None, "worth nothing"):
        key = await known.open_link(cookie, "l1", "a browser")
        assert key is not None
        actor = await known.actor(key)
        assert replace(actor, credential="") == Actor(
            "anonymous", "", links=frozenset({"l1"}), until=clock.now + LONGEST, since=clock.now
        )
        assert actor.credential.startswith("login:")


@on_memory
async def test_a_browser_that_has_one_keeps_its_key_and_gets_no_other(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna")
    known = Logins(ledger, clock)
    key = await known.open("anna", "")
    for link in ("l1", "l2", "l1"):
        assert await known.open_link(key, link, "") is None
    actor = await known.actor(key)
    assert (actor.kind, actor.links) == ("user", frozenset({"l1", "l2"}))
    assert await count(ledger, logins) == 1


@on_memory
async def test_a_login_that_has_ended_opens_no_link_but_a_new_one_does(ledger: Ledger, clock: Clock) -> None:
    known = Logins(ledger, clock)
    key = await known.open_link(None, "l1", "")
    clock.now += LONGEST + 1
    again = await known.open_link(key, "l2", "")
    assert again not in (None, key)
    assert (await known.actor(again or "")).links == {"l2"}


@on_memory
async def test_of_many_links_the_oldest_is_forgotten(ledger: Ledger, clock: Clock) -> None:
    known = Logins(ledger, clock)
    key = await known.open_link(None, "l0", "") or ""
    for number in range(1, MOST_LINKS):
        await known.open_link(key, f"l{number}", "")
    await known.open_link(key, "l0", "")
    await known.open_link(key, "another", "")
    links = (await known.actor(key)).links
    assert len(links) == MOST_LINKS
    assert {"l0", "another"} <= links
    assert "l1" not in links


@on_memory
async def test_the_links_of_a_login_go_over_to_nobody_else(ledger: Ledger, clock: Clock) -> None:
    known = Logins(ledger, clock)
    for name in ("anna", "ben"):
        await add_user(ledger, name)
    annas, visitors = await known.open("anna", ""), await known.open_link(None, "l1", "") or ""
    await known.open_link(annas, "l1", "")
    bens = await known.open("ben", "", annas)
    assert (await known.actor(bens)).links == frozenset()
    assert await known.actor(annas) == ANONYMOUS
    clock.now += LONGEST + 1
    assert (await known.actor(await known.open("anna", "", visitors))).links == frozenset()


@on_memory
async def test_a_password_that_is_another_by_now_gives_no_key(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna", disabled=True)
    known = Logins(ledger, clock)
    before = await known.open_link(None, "l1", "") or ""
    with pytest.raises(Unauthorized):
        await known.open("anna", "", before, proof=proof_of("anna"))
    assert (await known.actor(before)).links == {"l1"}


@on_both
async def test_links_that_are_opened_at_once_are_all_open(ledger: Ledger, clock: Clock) -> None:
    known = Logins(ledger, clock)
    key = await known.open_link(None, "l0", "") or ""
    await asyncio.gather(*(known.open_link(key, f"l{number}", "") for number in range(1, 10)))
    assert (await known.actor(key)).links == {f"l{number}" for number in range(10)}
    rows = await ledger.look(lambda connection: connection.execute(select(logins.c.links)).all())
    assert len(rows) == 1
