"""Users that a host application names."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bokeh_server.accounts.accounts import Accounts
from bokeh_server.accounts.hosted import TRUSTED, HostedUsers
from bokeh_server.accounts.users import ensure_stands
from bokeh_server.core.authorise import Actor
from bokeh_server.errors import Forbidden, ServerFault, Unauthorized
from bokeh_server.store import Ledger
from bokeh_server.store.schema import users
from tests.accounts.ledgers import Clock, add_user, count, on_both, on_memory


@on_both
async def test_an_account_is_made_once_and_nobody_knows_its_password(ledger: Ledger, clock: Clock) -> None:
    hosted = HostedUsers(ledger, (), clock)
    actor = await hosted.actor("ann", frozenset({"l1"}))
    known = {"links": frozenset({"l1"}), "until": clock.now + TRUSTED, "since": clock.now}
    assert actor == Actor("user", "ann", "host:ann", **known)  # type: ignore[arg-type]
    await asyncio.gather(*(hosted.actor("ben@example.org") for _ in range(5)))
    assert await count(ledger, users) == 2
    for password in ("", " "):
        with pytest.raises(Unauthorized):
            await Accounts(ledger).users.log_in("ann", password, address="127.0.0.1")


@on_both
async def test_an_account_that_was_there_is_his(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "ann")
    assert (await HostedUsers(ledger, (), clock).actor("ann")).name == "ann"
    assert await count(ledger, users) == 1


@on_both
async def test_the_settings_make_administrators_also_later(ledger: Ledger, clock: Clock) -> None:
    assert not (await HostedUsers(ledger, (), clock).actor("ann")).admin
    hosted = HostedUsers(ledger, ("ann", "root"), clock)
    assert [(await hosted.actor(name)).admin for name in ("ann", "root", "ben")] == [True, True, False]
    assert (await HostedUsers(ledger, (), clock).actor("root")).admin, "the users page takes that away, not a setting"


@on_both
async def test_who_is_disabled_is_told_and_makes_nothing_any_more(ledger: Ledger, clock: Clock) -> None:
    hosted, accounts = HostedUsers(ledger, ("root",), clock), Accounts(ledger)
    for name in ("ann", "root"):
        await hosted.actor(name)
    stands: Any = lambda credential, **more: ledger.look(lambda c: ensure_stands(c, credential, **more))  # noqa: E731
    await stands("host:ann")
    await stands("host:root", admin=True)
    with pytest.raises(Unauthorized):
        await stands("host:ann", admin=True)
    await accounts.change_user("ann", disabled=True, owned=[])
    with pytest.raises(Forbidden, match="disabled"):
        await hosted.actor("ann")
    for credential in ("host:ann", "host:nobody"):
        with pytest.raises(Unauthorized):
            await stands(credential)


@pytest.mark.parametrize("name", ["", "Ann", "ann smith", ".ann", "x" * 65, "defaultuser", "server", "ünal", 7, b"ann"])
def test_what_can_be_no_name_is_refused(name: Any) -> None:
    @on_memory
    async def test_it(ledger: Ledger, clock: Clock) -> None:
        with pytest.raises(ServerFault, match=r"identify\(\) named"):
            await HostedUsers(ledger, (), clock).actor(name)
        assert await count(ledger, users) == 0

    test_it()
