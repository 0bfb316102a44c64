"""Users: who gets an account, who gets in, and that somebody is left who can let others in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Connection, insert, select

from bokeh_server.accounts.attempts import PAIR, UNINVITED, Attempts
from bokeh_server.accounts.logins import Logins
from bokeh_server.accounts.passwords import Passwords
from bokeh_server.accounts.tokens import Tokens
from bokeh_server.accounts.users import (
    DAY,
    RESERVED,
    WEEK,
    WRONG,
    Proof,
    Registration,
    User,
    Users,
    canonical,
    ensure_stands,
)
from bokeh_server.core.authorise import Scope
from bokeh_server.errors import BadValue, ClientError, Conflict, Forbidden, NotFound, TooManyAttempts, Unauthorized
from bokeh_server.store import Ledger
from bokeh_server.store.schema import documents, invitations, logins, tokens, users
from bokeh_server.store.sql import SqlStore
from tests.accounts.ledgers import CHEAP, GOOD, Clock, add_user, cheap, count, dump, on_both, on_memory
from tests.store.contract import line, several

HERE = "10.0.0.1"


def some(ledger: Ledger, clock: Clock, registration: Registration = "invitation", passwords: Any = None) -> Users:
    return Users(ledger, passwords or cheap(), Attempts(), registration, clock)


async def refused(kind: type[ClientError], asked: Awaitable[object]) -> str:
    """What somebody is told who is refused with exactly this error."""
    with pytest.raises(kind) as caught:
        await asked
    assert type(caught.value) is kind
    return str(caught.value)


class Counting(Passwords):
    """Passwords that count the questions."""

    def __init__(self) -> None:
        super().__init__(CHEAP)
        self.asked: list[bool] = []

    async def check(self, password: str, known: str | None) -> bool:
        self.asked.append(known is not None)
        return await super().check(password, known)


# Logging in


@on_both
async def test_a_user_logs_in_by_name_and_password(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock)
    made = await known.create("anna", GOOD)
    assert made == User("anna", False, False, clock.now)
    for name in ("anna", "ANNA", "  Anna "):
        assert (await known.log_in(name, GOOD, address=HERE)).user == made
    assert GOOD not in await dump(ledger, users)


@on_memory
async def test_a_wrong_password_and_an_unknown_user_look_the_same_and_cost_the_same(
    ledger: Ledger, clock: Clock
) -> None:
    passwords = Counting()
    known = some(ledger, clock, passwords=passwords)
    await known.create("anna", GOOD)
    await known.create("ben", GOOD)
    await known.create("root", GOOD, admin=True)
    await known.change("ben", disabled=True)
    told = [
        await refused(Unauthorized, known.log_in(name, password, address=HERE))
        for name, password in [("anna", "wrong"), ("nobody", GOOD), ("", ""), ("ben", GOOD), ("../anna", GOOD)]
    ]
    assert set(told) == {WRONG}
    assert passwords.asked == [True, False, False, True, False], "each is checked, and once"


@on_memory
async def test_a_disabled_user_is_kept_out_until_he_is_let_in_again(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock)
    await known.create("root", GOOD, admin=True)
    await known.create("anna", GOOD)
    await known.change("anna", disabled=True)
    assert (await known.find("anna")).disabled
    await refused(Unauthorized, known.log_in("anna", GOOD, address=HERE))
    await known.change("anna", disabled=False)
    await known.log_in("anna", GOOD, address=HERE)


@on_memory
async def test_a_hash_of_weaker_parameters_is_made_anew_when_its_user_logs_in(ledger: Ledger, clock: Clock) -> None:
    strong = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    await some(ledger, clock).create("anna", GOOD)
    stronger = some(ledger, clock, passwords=Passwords(strong))
    assert "m=8,t=1,p=1" in await dump(ledger, users)
    await refused(Unauthorized, stronger.log_in("anna", "wrong password", address=HERE))
    assert "m=8,t=1,p=1" in await dump(ledger, users)
    await stronger.log_in("anna", GOOD, address=HERE)
    again = await dump(ledger, users)
    assert "m=16,t=2,p=1" in again
    await stronger.log_in("anna", GOOD, address=HERE)
    assert await dump(ledger, users) == again


@on_memory
async def test_a_password_that_is_changed_while_a_log_in_is_under_way_stays_changed(
    ledger: Ledger, clock: Clock
) -> None:
    class Slow(Passwords):
        """While a hash is made anew for a log-in, an administrator gives the user another password."""

        async def hash(self, password: str) -> str:
            if password == GOOD:
                await some(ledger, clock).change("anna", password="another password")
            return await super().hash(password)

    await some(ledger, clock).create("anna", GOOD)
    slow = Slow(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    proof = await some(ledger, clock, passwords=slow).log_in("anna", GOOD, address=HERE)
    await refused(Unauthorized, ledger.change(proof.ensure))
    await refused(Unauthorized, some(ledger, clock).log_in("anna", GOOD, address=HERE))
    await some(ledger, clock).log_in("anna", "another password", address=HERE)


@on_both
async def test_what_somebody_has_shown_is_good_until_he_is_kept_out(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock)
    await known.create("root", GOOD, admin=True)
    await known.create("anna", GOOD)
    proof = await known.log_in("anna", GOOD, address=HERE)
    await ledger.change(proof.ensure)
    await known.change("anna", disabled=True)
    await refused(Unauthorized, ledger.change(proof.ensure))


@on_memory
async def test_after_some_failures_even_the_right_password_has_to_wait(ledger: Ledger, clock: Clock) -> None:
    passwords = Counting()
    known = some(ledger, clock, passwords=passwords)
    await known.create("anna", GOOD)
    for _ in range(PAIR.amount):
        await refused(Unauthorized, known.log_in("anna", "wrong", address=HERE))
    asked = len(passwords.asked)
    for name in ("anna", "Anna ", "ANNA"):
        await refused(TooManyAttempts, known.log_in(name, GOOD, address=HERE))
    assert len(passwords.asked) == asked, "nothing is hashed for who has no try left"
    await known.log_in("anna", GOOD, address="10.0.0.2")


@on_memory
async def test_a_crowd_of_guesses_at_once_has_no_more_tries_than_one_after_the_other(
    ledger: Ledger, clock: Clock
) -> None:
    passwords = Counting()
    known = some(ledger, clock, passwords=passwords)
    await known.create("anna", GOOD)
    guesses = (known.log_in("anna", f"guess {number}", address=HERE) for number in range(50))
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    kinds = [type(outcome) for outcome in outcomes]
    assert (kinds.count(Unauthorized), kinds.count(TooManyAttempts)) == (PAIR.amount, 50 - PAIR.amount)
    assert len(passwords.asked) == PAIR.amount


# Names


@pytest.mark.parametrize("name", ["anna", "a", "x" * 64, "a.b-c_d", "7up", " Anna ", "ANNA"])
def test_a_name_has_one_spelling(name: str) -> None:
    assert canonical(name) == name.strip().lower()


@pytest.mark.parametrize(
    "name",
    ["", " ", "x" * 65, ".anna", "-anna", "_anna", "an na", "anna/", "änna", "anna\n.", "a\x00", "аnna", *RESERVED],
)
def test_a_name_that_looks_like_another_or_is_reserved_is_refused(name: str) -> None:
    with pytest.raises(BadValue, match="1 to 64"):
        canonical(name)


@on_both
async def test_a_name_is_taken_once_however_it_is_written(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock, "open")
    await known.create("anna", GOOD)
    taken = "The user name 'anna' is taken; choose another."
    assert await refused(Conflict, known.create("Anna", "another password")) == taken
    asked = known.register(" ANNA ", "another password", invitation=None, address=HERE)
    assert await refused(Conflict, asked) == taken
    await known.log_in("anna", GOOD, address=HERE)


@on_memory
async def test_of_two_who_want_a_name_at_once_one_gets_it(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock, "open")
    both = (known.register("anna", f"password {at}", invitation=None, address=HERE) for at in range(2))
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "Proof"]


# Registration


@on_memory
async def test_where_registration_is_open_anybody_becomes_a_user_and_no_administrator(
    ledger: Ledger, clock: Clock
) -> None:
    known = some(ledger, clock, "open")
    made = (await known.register("Anna", GOOD, invitation=None, address=HERE)).user
    assert made == User("anna", False, False, clock.now)
    await known.log_in("anna", GOOD, address=HERE)


@on_memory
async def test_where_registration_is_not_open_it_says_whom_to_ask(ledger: Ledger, clock: Clock) -> None:
    for registration, words in (("closed", "is closed"), ("invitation", "is by invitation")):
        known = some(ledger, clock, registration)  # type: ignore[arg-type]
        asked = known.register("anna", GOOD, invitation=None, address=HERE)
        assert words in await refused(Forbidden, asked)
    assert await count(ledger, users) == 0


@on_memory
async def test_a_name_or_password_that_can_not_be_one_is_refused_first(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock, "open")
    for name, password in (("a b", GOOD), ("anna", "short"), ("annamaria", "annamaria")):
        await refused(BadValue, known.register(name, password, invitation=None, address=HERE))
        await refused(BadValue, known.create(name, password))
    assert await count(ledger, users) == 0


@on_both
async def test_an_invitation_is_good_once(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock, "invitation")
    key, _ = await known.invite("root")
    made = (await known.register("anna", GOOD, invitation=key, address=HERE)).user
    assert not made.admin
    asked = known.register("ben", GOOD, invitation=key, address=HERE)
    assert "not valid" in await refused(Forbidden, asked)
    assert [user.name for user, _, _ in await known.all()] == ["anna"]


@on_both
async def test_an_invitation_is_not_used_up_where_the_name_is_taken(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock, "invitation")
    await known.create("anna", GOOD)
    key, _ = await known.invite("root")
    await refused(Conflict, known.register("anna", "another password", invitation=key, address=HERE))
    assert (await known.register("ben", GOOD, invitation=key, address=HERE)).user.name == "ben"


@on_memory
async def test_an_invitation_ends(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock, "open")
    key, _ = await known.invite("root")
    assert [found.until - clock.now for found in await known.invitations()] == [WEEK]
    clock.now += WEEK + 1
    assert await known.invitations() == []
    await refused(Forbidden, known.register("anna", GOOD, invitation=key, address=HERE))


@on_memory
async def test_an_invitation_of_an_administrator_makes_one(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock)
    key, _ = await known.invite("root", admin=True)
    made = (await known.register("anna", GOOD, invitation=key, address=HERE)).user
    assert made.admin
    assert (await known.find("ANNA ")).admin


@on_memory
async def test_guesses_of_invitations_are_limited(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock)
    for _ in range(PAIR.amount):
        await refused(Forbidden, known.register("anna", GOOD, invitation="bsi_guess", address=HERE))
    key, _ = await known.invite("root")
    await refused(TooManyAttempts, known.register("anna", GOOD, invitation=key, address=HERE))
    await known.register("anna", GOOD, invitation=key, address="10.0.0.2")


@on_memory
async def test_invitations_are_listed_without_their_text_and_can_be_taken_back(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock)
    first, _ = await known.invite("root")
    clock.now += 1
    second, _ = await known.invite("eva", admin=True)
    listed = await known.invitations()
    assert [(found.author, found.admin) for found in listed] == [("eva", True), ("root", False)]
    kept = await dump(ledger, invitations)
    assert first not in kept
    assert second not in kept
    await known.uninvite(listed[0].id)
    await refused(NotFound, known.uninvite(listed[0].id))
    await refused(Forbidden, known.register("anna", GOOD, invitation=second, address=HERE))
    await known.register("anna", GOOD, invitation=first, address=HERE)


@on_both
async def test_where_registration_is_closed_no_invitation_is_good_and_none_is_made(
    ledger: Ledger, clock: Clock
) -> None:
    key, _ = await some(ledger, clock, "invitation").invite("root")
    known = some(ledger, clock, "closed")
    assert await known.invitations() == []
    for invitation in (key, "bsi_guess"):
        told = await refused(Forbidden, known.register("anna", GOOD, invitation=invitation, address=HERE))
        assert told == "Registration is closed on this server; ask its administrator for an account."
    assert "nobody can be invited" in await refused(Forbidden, known.invite("root", admin=True))
    assert (await known.create("anna", GOOD)).name == "anna"
    again = some(ledger, clock, "invitation")
    assert [found.author for found in await again.invitations()] == ["root"]
    assert (await again.register("ben", GOOD, invitation=key, address=HERE)).user.name == "ben"


@on_both
async def test_where_registration_is_closed_the_first_administrator_comes_by_his_link(
    ledger: Ledger, clock: Clock
) -> None:
    known = some(ledger, clock, "closed")
    key = await known.first_invitation()
    assert [found.author for found in await known.invitations()] == ["server"]
    assert (await known.register("root", GOOD, invitation=key, address=HERE)).user.admin
    await refused(Forbidden, known.register("eva", GOOD, invitation=key, address=HERE))


@on_memory
async def test_the_first_start_gives_an_invitation_for_the_administrator_and_every_start_a_new_one(
    ledger: Ledger, clock: Clock
) -> None:
    known = some(ledger, clock)
    first, second = await known.first_invitation(), await known.first_invitation()
    assert first
    assert second
    await refused(Forbidden, known.register("root", GOOD, invitation=first, address=HERE))
    assert [found.until - clock.now for found in await known.invitations()] == [DAY]
    assert (await known.register("root", GOOD, invitation=second, address=HERE)).user.admin
    assert await known.first_invitation() is None


@on_memory
async def test_where_others_registered_first_there_is_still_an_invitation_for_the_administrator(
    ledger: Ledger, clock: Clock
) -> None:
    known = some(ledger, clock, "open")
    await known.register("anna", GOOD, invitation=None, address=HERE)
    key = await known.first_invitation()
    assert (await known.register("root", GOOD, invitation=key, address=HERE)).user.admin


@on_both
async def test_who_is_no_administrator_any_more_has_invited_nobody(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock)
    for name in ("root", "anna", "ben"):
        await known.create(name, GOOD, admin=True)
    annas, bens, roots = [(await known.invite(name, admin=True))[0] for name in ("anna", "ben", "root")]
    await known.change("anna", admin=False)
    await known.change("ben", disabled=True)
    for key in (annas, bens):
        await refused(Forbidden, known.register("eva", GOOD, invitation=key, address=HERE))
    assert (await known.register("eva", GOOD, invitation=roots, address=HERE)).user.admin


@on_memory
async def test_one_address_makes_so_many_accounts_without_an_invitation(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock, "open")
    key, _ = await known.invite("root")
    for number in range(UNINVITED.amount):
        asked = known.register(f"user{number // 2}", GOOD, invitation=None, address=HERE)
        await (refused(Conflict, asked) if number % 2 else asked)
    await refused(TooManyAttempts, known.register("anna", GOOD, invitation=None, address=HERE))
    await known.register("anna", GOOD, invitation=key, address=HERE)
    await known.register("ben", GOOD, invitation=None, address="10.0.0.2")


# What administrators change


@on_both
async def test_the_last_administrator_stays(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock)
    await known.create("root", GOOD, admin=True)
    await known.create("anna", GOOD)
    for asked in (known.change("root", admin=False), known.change("root", disabled=True)):
        assert "last administrator" in await refused(Conflict, asked)
    assert await known.find("root") == User("root", True, False, clock.now)
    await known.change("anna", admin=True)
    await known.change("root", disabled=True)
    assert "last administrator" in await refused(Conflict, known.change("anna", admin=False))
    assert (await known.find("anna")).admin


@on_memory
async def test_another_password_takes_the_place_of_the_old_one(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock)
    await known.create("anna", GOOD)
    await known.change("anna", password="another password")
    await refused(Unauthorized, known.log_in("anna", GOOD, address=HERE))
    await known.log_in("anna", "another password", address=HERE)
    await refused(BadValue, known.change("anna", password="short"))


@on_both
async def test_who_has_lost_what_he_came_with_makes_no_user_no_invitation_and_no_password(
    ledger: Ledger, clock: Clock
) -> None:
    known = some(ledger, clock)
    for name in ("root", "sam", "eva", "ben"):
        await known.create(name, GOOD, admin=name != "ben")
    programs, browsers = Tokens(ledger, clock), Logins(ledger, clock)
    made = {name: await programs.make(name, "job", [Scope.MANAGE]) for name in ("root", "sam", "eva", "ben")}
    came = {name: f"token:{token.id}" for name, (_, token) in made.items()}
    proof = await known.log_in("root", GOOD, address=HERE)
    came["browser"] = (await browsers.actor(await browsers.open("root", "", proof=proof))).credential
    for name in ("root", "browser"):
        await known.create(f"by-{name}", GOOD, by=came[name])
        await known.change("ben", password=GOOD, by=came[name])
        await known.invite("root", by=came[name])
    await known.change("sam", disabled=True)
    await known.change("eva", admin=False)
    await programs.revoke("root", came["root"].removeprefix("token:"))
    await known.end_logins("root")
    before = [await dump(ledger, table) for table in (users, invitations)]
    for by in came.values():
        await refused(Unauthorized, known.create("backdoor", GOOD, admin=True, by=by))
        await refused(Unauthorized, known.change("ben", password="another password", by=by))
        await refused(Unauthorized, known.change("eva", admin=True, by=by))
        await refused(Unauthorized, known.change("sam", disabled=False, by=by))
        await refused(Unauthorized, known.invite("eva", admin=True, by=by))
    assert [await dump(ledger, table) for table in (users, invitations)] == before


@on_both
async def test_a_user_changes_his_password_as_long_as_the_one_that_he_has_shown_is_good(
    ledger: Ledger, clock: Clock
) -> None:
    known = some(ledger, clock)
    await known.create("anna", GOOD)
    proof = await known.log_in("anna", GOOD, address=HERE)
    await known.set_password(proof, "another password")
    await refused(Unauthorized, known.set_password(proof, "one more password"))
    proof = await known.log_in("anna", "another password", address=HERE)
    await refused(BadValue, known.set_password(proof, "short"))


async def keys_of(ledger: Ledger, clock: Clock, name: str, proof: Proof) -> tuple[str, str, str]:
    """The credentials of a user: a login, a token by login, and one that he made."""
    browsers, programs = Logins(ledger, clock), Tokens(ledger, clock)
    login = (await browsers.actor(await browsers.open(name, "", proof=proof))).credential
    _, by_login = await programs.make(name, "login", [Scope.MANAGE], proof=proof)
    _, made = await programs.make(name, "job", [Scope.MANAGE])
    return login, f"token:{by_login.id}", f"token:{made.id}"


async def keys_left(ledger: Ledger) -> set[str]:
    """The credentials that are still there, of anybody."""

    def job(connection: Connection) -> set[str]:
        kinds = ("login", logins.c.id), ("token", tokens.c.id)
        return {f"{kind}:{id}" for kind, column in kinds for id in connection.scalars(select(column))}

    return await ledger.look(job)


@on_both
async def test_what_was_opened_with_a_password_ends_in_the_step_that_makes_it_another(
    ledger: Ledger, clock: Clock
) -> None:
    known = some(ledger, clock)
    for name in ("root", "anna", "ben"):
        await known.create(name, GOOD, admin=name != "ben")
        await known.invite(name)
    shown = {name: await known.log_in(name, GOOD, address=HERE) for name in ("root", "anna", "ben")}
    keys = {name: await keys_of(ledger, clock, name, shown[name]) for name in shown}
    another, _, _ = await keys_of(ledger, clock, "anna", shown["anna"])
    all_keys = await keys_left(ledger)
    ended = await known.set_password(shown["anna"], "another password", keep=another.removeprefix("login:"))
    assert ended == all_keys - await keys_left(ledger)
    assert {*keys["anna"][:2]} <= ended
    assert another not in ended
    assert {*keys["ben"], *keys["root"], keys["anna"][2]} <= await keys_left(ledger)
    assert len(await known.invitations()) == 3
    await known.change("anna", password="one from root")
    assert await keys_left(ledger) == {*keys["ben"], *keys["root"]}
    assert sorted(invitation.author for invitation in await known.invitations()) == ["ben", "root"]
    assert await known.end_logins("ben") == {*keys["ben"][:2]}
    await known.change("root", admin=True)
    assert await keys_left(ledger) == {*keys["root"], keys["ben"][2]}
    await known.change("anna", disabled=True)
    assert await keys_left(ledger) == {*keys["root"], keys["ben"][2]}
    await known.change("root")
    assert await known.find("root") == User("root", True, False, clock.now)


@on_both
async def test_a_change_of_a_user_that_fails_leaves_all_as_it_was(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock)
    await known.create("root", GOOD, admin=True)
    await keys_of(ledger, clock, "root", await known.log_in("root", GOOD, address=HERE))
    await known.invite("root")
    before = [await dump(ledger, table) for table in (users, logins, tokens, invitations)]
    await refused(Conflict, known.change("root", disabled=True, password="another password"))
    await refused(Unauthorized, known.change("root", password="another password", by="token:none"))
    assert [await dump(ledger, table) for table in (users, logins, tokens, invitations)] == before


@on_memory
async def test_who_is_not_there_can_not_be_found_or_changed(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock)
    await known.create("root", GOOD, admin=True)
    for asked in (
        known.find("anna"),
        known.change("anna", password=GOOD),
        known.change("anna", admin=True),
        known.change("anna", disabled=True),
    ):
        assert await refused(NotFound, asked) == "There is no user 'anna'."


@on_memory
async def test_every_user_is_listed_with_what_he_stores(ledger: Ledger, clock: Clock) -> None:
    known = some(ledger, clock)
    await known.create("root", GOOD, admin=True)
    await known.create("anna", GOOD)
    row = {"owner": "anna", "created": 0.0, "changed": 0.0, "seq": 0, "epoch": 1, "kind": ""}
    rows = [{**row, "id": f"d{at}", "title": f"t{at}", "size": at} for at in (3, 4)]
    await ledger.change(lambda connection: connection.execute(insert(documents), rows))
    listed = [(user.name, many, size) for user, many, size in await known.all()]
    assert listed == [("anna", 2, 7), ("root", 0, 0)]


def test_what_was_appended_just_now_counts_in_what_a_user_stores(tmp_path: Path) -> None:
    async def play() -> None:
        async with SqlStore(tmp_path) as store:
            known = some(store, Clock())
            await known.create("me", GOOD)
            await store.create(line())
            await store.append(several("d1", 1, 2), now=2.0)
            [(_, many, size)] = await known.all()
            assert (many, size) == (1, (await store.documents())[0].size)
            assert size > 0

    asyncio.run(play())


@on_both
async def test_the_credential_of_a_hosts_user_stands_while_he_is_let_in(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "ann")

    async def stands(credential: str, **more: bool) -> None:
        await ledger.look(lambda connection: ensure_stands(connection, credential, **more))

    await stands("host:ann")
    for credential, admin in (("host:ann", True), ("host:nobody", False)):
        with pytest.raises(Unauthorized):
            await stands(credential, admin=admin)
