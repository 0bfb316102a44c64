"""Accounts: whatever ends here, the doors are told of, with what is true of exactly those whom it concerns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from bokeh_server.accounts import accounts as module
from bokeh_server.accounts.accounts import Accounts
from bokeh_server.accounts.users import Proof
from bokeh_server.core.authorise import ALL_SCOPES, ANONYMOUS, DEFAULT_USER, Access, Actor, Role, Scope
from bokeh_server.errors import Conflict, NotFound, StoreFailed, TooManyAttempts, Unauthorized
from bokeh_server.store import Info, Ledger
from tests.accounts.ledgers import GOOD, Clock, cheap, on_both, on_memory

HERE = "10.0.0.1"
D = Info("d", "anna", "line", 0.0, 0.0)


class Door:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.lost: list[Callable[[Actor], bool]] = []
        self.accesses: list[Access] = []
        self.before: list[Access | None] = []

    def revoke(self, lost: Callable[[Actor], bool]) -> None:
        self.lost.append(lost)

    def rights(self, access: Access, before: Access | None = None) -> None:
        self.accesses.append(access)
        self.before.append(before)


class House:
    """Accounts with two doors, and people who came in: anna by two browsers and three tokens, ben, root, a visitor."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self.clock = clock
        self.accounts = Accounts(ledger, passwords=cheap(), registration="open", clock=clock)
        self.doors = [Door(), Door()]
        self.accounts.doors += self.doors
        self.cookies: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self.actors: dict[str, Actor] = {}

    async def open(self) -> House:
        accounts = self.accounts
        await accounts.users.create("root", GOOD, admin=True)
        for name in ("anna", "ben"):
            await accounts.users.create(name, GOOD)
        for at, name in (("here", "anna"), ("there", "anna"), ("bens", "ben"), ("roots", "root")):
            self.cookies[at] = await accounts.log_in(name, GOOD, address=HERE, agent=at, before=None)
        self.cookies["visitor"] = await accounts.logins.open_link(None, "l1", "") or ""
        anna, ben = [await accounts.users.log_in(name, GOOD, address=HERE) for name in ("anna", "ben")]
        self.tokens["program"] = await accounts.token_for(anna, "curl")
        self.tokens["other program"] = await accounts.token_for(anna, "")
        self.tokens["bens program"] = await accounts.token_for(ben, "curl")
        self.tokens["job"], _ = await accounts.tokens.make("anna", "job", [Scope.READ])
        for at, cookie in self.cookies.items():
            self.actors[at] = await accounts.logins.actor(cookie)
        for at, text in self.tokens.items():
            self.actors[at] = await accounts.tokens.actor(text)
        self.actors |= {"nobody": ANONYMOUS, "somebody": DEFAULT_USER}
        self.told()
        return self

    def told(self) -> set[str]:
        """Who has lost what he came with, as both doors were told since the last time."""
        lost = [
            {at for at, actor in self.actors.items() if any(each(actor) for each in door.lost)} for door in self.doors
        ]
        for door in self.doors:
            door.lost.clear()
        assert lost[0] == lost[1]
        return lost[0]

    async def ended(self) -> set[str]:
        """Whose cookie or token means nothing any more."""
        gone = set()
        for at, cookie in self.cookies.items():
            if await self.accounts.logins.actor(cookie) == ANONYMOUS:
                gone.add(at)
        for at, text in self.tokens.items():
            try:
                await self.accounts.tokens.actor(text)
            except Unauthorized:
                gone.add(at)
        return gone

    def id(self, at: str) -> str:
        return self.actors[at].credential.partition(":")[2]


async def check(house: House, *ended: str) -> None:
    """Exactly these have ended, and the doors were told so."""
    assert house.told() == set(ended)
    assert await house.ended() == set(ended)


def scene(play: Callable[[House], Awaitable[None]]) -> Callable[[], None]:
    """A test out of what happens in a house."""

    async def whole(ledger: Ledger, clock: Clock) -> None:
        await play(await House(ledger, clock).open())

    whole.__name__, whole.__doc__ = play.__name__, play.__doc__
    return on_memory(whole)


# Coming


@on_both
async def test_a_browser_gets_a_cookie_and_a_program_a_token(ledger: Ledger, clock: Clock) -> None:
    house = await House(ledger, clock).open()
    here, program, other = house.actors["here"], house.actors["program"], house.actors["other program"]
    assert (here.kind, here.name, program.kind, program.name, program.scopes) == (
        "user",
        "anna",
        "token",
        "anna",
        ALL_SCOPES,
    )
    assert {token.name for token in await house.accounts.tokens.of("anna")} == {
        "login by curl",
        "login by a program",
        "job",
    }
    assert other.credential != program.credential
    assert await house.ended() == set()


@scene
async def test_logging_in_closes_what_the_browsers_login_before_had_opened(house: House) -> None:
    cookie = await house.accounts.log_in("ben", GOOD, address=HERE, agent="", before=house.cookies["here"])
    assert (await house.accounts.logins.actor(cookie)).name == "ben"
    await check(house, "here")


@scene
async def test_logging_in_with_a_cookie_that_means_nothing_closes_nothing(house: House) -> None:
    for before in ("made up", ""):
        await house.accounts.log_in("ben", GOOD, address=HERE, agent="", before=before)
    await check(house)


@scene
async def test_a_visitor_who_logs_in_gets_another_key_and_keeps_his_links(house: House) -> None:
    eva = await house.accounts.users.register("eva", GOOD, invitation=None, address=HERE)
    cookie = await house.accounts.open(eva, "", house.cookies["visitor"])
    assert (await house.accounts.logins.actor(cookie)).links == {"l1"}
    await check(house, "visitor")


@scene
async def test_a_log_in_that_fails_ends_nothing(house: House) -> None:
    with pytest.raises(Unauthorized):
        await house.accounts.log_in("anna", "wrong", address=HERE, agent="", before=house.cookies["here"])
    await check(house)


@scene
async def test_programs_can_log_in_for_ever_and_the_token_used_longest_ago_ends(house: House) -> None:
    anna = await house.accounts.users.log_in("anna", GOOD, address=HERE)
    for _ in range(module.MOST_BY_LOGIN - 2):
        await house.accounts.token_for(anna, "curl")
    await check(house)
    house.clock.now += 1
    texts = [await house.accounts.token_for(anna, "curl") for _ in range(2)]
    for text in texts:
        await house.accounts.tokens.actor(text)
    by_login = [token for token in await house.accounts.tokens.of("anna") if token.name.startswith("login")]
    assert len(by_login) == module.MOST_BY_LOGIN
    assert house.told() == await house.ended() <= {"program", "other program"}


# Going


@scene
async def test_logging_out_ends_this_login_and_no_other(house: House) -> None:
    await house.accounts.log_out(house.actors["here"])
    await check(house, "here")


@scene
async def test_a_program_that_logs_out_ends_its_token(house: House) -> None:
    await house.accounts.log_out(house.actors["program"])
    await check(house, "program")
    with pytest.raises(NotFound):
        await house.accounts.log_out(house.actors["program"])
    assert house.told() == set()


@scene
async def test_logging_out_everywhere_ends_all_logins_and_tokens_by_login(house: House) -> None:
    await house.accounts.log_out_everywhere(house.actors["here"])
    await check(house, "here", "there", "program", "other program")


@scene
async def test_changing_the_password_ends_all_that_was_opened_with_it_but_this_login(house: House) -> None:
    await house.accounts.change_password(house.actors["here"], GOOD, "another password", address=HERE)
    await check(house, "there", "program", "other program")
    with pytest.raises(Unauthorized):
        await house.accounts.log_in("anna", GOOD, address=HERE, agent="", before=None)
    await house.accounts.log_in("anna", "another password", address=HERE, agent="", before=None)


@scene
async def test_the_password_is_not_changed_by_who_does_not_know_it(house: House) -> None:
    for _ in range(10):
        with pytest.raises(Unauthorized, match="The old password is wrong"):
            await house.accounts.change_password(house.actors["here"], "wrong", "another password", address=HERE)
    with pytest.raises(TooManyAttempts):
        await house.accounts.change_password(house.actors["here"], GOOD, "another password", address=HERE)
    await check(house)


@scene
async def test_a_password_that_an_administrator_gives_stays_though_the_old_one_was_shown_before(house: House) -> None:
    users = house.accounts.users
    log_in = users.log_in

    async def overtaken(name: str, password: str, *, address: str) -> Proof:
        proof = await log_in(name, password, address=address)
        await house.accounts.change_user("anna", password="one from root")
        return proof

    users.log_in = overtaken  # type: ignore[method-assign]
    with pytest.raises(Unauthorized, match="The old password is wrong"):
        await house.accounts.change_password(house.actors["here"], GOOD, "another password", address=HERE)
    await log_in("anna", "one from root", address=HERE)


@scene
async def test_a_user_ends_one_of_his_logins(house: House) -> None:
    with pytest.raises(NotFound):
        await house.accounts.close_login("ben", house.id("there"))
    await check(house)
    await house.accounts.close_login("anna", house.id("there"))
    await check(house, "there")


@scene
async def test_a_user_revokes_one_of_his_tokens(house: House) -> None:
    with pytest.raises(NotFound):
        await house.accounts.revoke_token("ben", house.id("job"))
    await check(house)
    await house.accounts.revoke_token("anna", house.id("job"))
    await check(house, "job")


ANNAS = ("here", "there", "program", "other program", "job")


@scene
async def test_a_disabled_user_loses_everything_and_gets_his_tokens_back_when_he_is_let_in(house: House) -> None:
    await house.accounts.change_user("anna", disabled=True)
    await check(house, *ANNAS)
    await house.accounts.change_user("anna", disabled=False)
    assert house.told() == set()
    assert await house.ended() == {"here", "there"}


@scene
async def test_what_a_disabled_user_owns_is_shown_by_no_link_and_not_to_everybody(house: House) -> None:
    accounts, door = house.accounts, house.doors[0]
    await accounts.publish(D, True)
    await accounts.grant(D, "ben", Role.EDITOR)
    _, link = await accounts.make_link(D, "", Role.EDITOR)
    shown = door.accesses[-1]
    assert shown == Access("d", "anna", True, {"ben": Role.EDITOR}, {link.id: Role.EDITOR})
    await accounts.change_user("anna", disabled=True, owned=[D, Info("e", "anna", "bars", 0.0, 0.0)])
    hidden = Access("d", "anna", False, {"ben": Role.EDITOR})
    assert door.accesses[-2:] == [hidden, Access("e", "anna")]
    assert door.before[-2:] == [shown, Access("e", "anna")]
    await accounts.change_user("anna", disabled=False, owned=[D])
    assert (door.before[-1], door.accesses[-1]) == (hidden, shown)


@scene
async def test_an_administrator_who_is_one_no_longer_comes_in_anew(house: House) -> None:
    with pytest.raises(Conflict):
        await house.accounts.change_user("root", admin=False)
    await check(house)
    await house.accounts.change_user("anna", admin=True)
    assert house.told() == set(ANNAS)
    house.actors["here"] = await house.accounts.logins.actor(house.cookies["here"])
    await house.accounts.change_user("root", admin=False)
    assert house.told() == {"roots"}
    assert await house.ended() == set()


@scene
async def test_a_password_that_an_administrator_gives_ends_all_that_the_user_has(house: House) -> None:
    await house.accounts.change_user("anna", password="another password")
    await check(house, *ANNAS)
    assert await house.accounts.tokens.of("anna") == []
    with pytest.raises(Unauthorized):
        await house.accounts.log_in("anna", GOOD, address=HERE, agent="", before=None)
    await house.accounts.log_in("anna", "another password", address=HERE, agent="", before=None)


# Documents


@scene
async def test_every_change_of_who_may_see_a_document_is_told_with_what_holds_now(house: House) -> None:
    accounts, door = house.accounts, house.doors[0]
    await accounts.publish(D, True)
    assert door.accesses[-1] == Access("d", "anna", published=True)
    await accounts.publish(D, False)
    assert door.accesses[-1] == Access("d", "anna")
    await accounts.grant(D, "ben", Role.EDITOR)
    assert door.accesses[-1] == Access("d", "anna", grants={"ben": Role.EDITOR})
    await accounts.ungrant(D, "ben")
    assert door.accesses[-1] == Access("d", "anna")
    text, link = await accounts.make_link(D, "wall", Role.VIEWER, seconds=60, most=2)
    assert text.startswith("bsk_")
    assert door.accesses[-1] == Access("d", "anna", links={link.id: Role.VIEWER}, until=link.until)
    await accounts.switch_link(D, link.id, False)
    assert door.accesses[-1] == Access("d", "anna")
    await accounts.switch_link(D, link.id, True)
    assert door.accesses[-1].links == {link.id: Role.VIEWER}
    await accounts.remove_link(D, link.id)
    assert door.accesses[-1] == Access("d", "anna")
    assert len(door.accesses) == 8
    assert door.before == [Access("d", "anna"), *door.accesses[:-1]]
    assert door.accesses == house.doors[1].accesses
    assert house.told() == set()


@scene
async def test_what_fails_changes_nothing_and_the_doors_hear_what_holds(house: House) -> None:
    for asked in (house.accounts.grant(D, "who", Role.VIEWER), house.accounts.ungrant(D, "ben")):
        with pytest.raises(NotFound):
            await asked
    assert house.doors[0].accesses == [Access("d", "anna")] * 2


@scene
async def test_trying_again_what_failed_half_way_tells_the_doors_of_it(house: House) -> None:
    await house.accounts.grant(D, "ben", Role.EDITOR)
    sharing = house.accounts.sharing
    look, away = sharing.accesses, [True, False]  # before the change, and after it

    async def accesses(infos: Sequence[Info]) -> list[Access]:
        if away and away.pop():
            raise StoreFailed
        return await look(infos)

    sharing.accesses = accesses  # type: ignore[method-assign]
    with pytest.raises(StoreFailed):
        await house.accounts.ungrant(D, "ben")
    assert house.doors[0].accesses[-1].grants == {"ben": Role.EDITOR}
    with pytest.raises(NotFound):
        await house.accounts.ungrant(D, "ben")
    assert house.doors[0].accesses[-1].grants == {}


@scene
async def test_of_two_changes_at_once_the_doors_hear_last_of_what_holds(house: House) -> None:
    sharing = house.accounts.sharing
    look, slow = sharing.accesses, [True]

    async def accesses(infos: Sequence[Info]) -> list[Access]:
        found = await look(infos)
        if slow.pop() if slow else False:
            await asyncio.sleep(0.05)
        return found

    sharing.accesses = accesses  # type: ignore[method-assign]
    await asyncio.gather(house.accounts.grant(D, "ben", Role.VIEWER), house.accounts.publish(D, True))
    assert house.doors[0].accesses[-1] == Access("d", "anna", published=True, grants={"ben": Role.VIEWER})


def test_without_passwords_of_a_test_they_are_hashed_as_slowly_as_should_be() -> None:
    @on_memory
    async def test_it(ledger: Ledger, clock: Clock) -> None:
        accounts = Accounts(ledger)
        assert accounts.users.registration == "invitation"
        assert accounts.users._passwords._hasher.memory_cost >= 64 * 1024

    test_it()


@scene
async def test_who_logs_out_of_the_host_loses_what_he_has_by_its_word_and_nothing_else(house: House) -> None:
    for name in ("anna", "ben"):
        house.actors[f"hosted {name}"] = await house.accounts.hosted.actor(name)
    house.accounts.forget("anna")
    assert house.told() == {"hosted anna"}
