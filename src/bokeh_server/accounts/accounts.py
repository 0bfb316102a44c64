"""All accounts of a server, and the rule that a right that ends here ends everywhere at once.

Every method that takes something away says so to ``revoke`` (whoever came with it) or ``rights`` (the document), which
close the sockets that are open with it. There is no other way to take something away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from bokeh_server.accounts.attempts import Attempts
from bokeh_server.accounts.hosted import HostedUsers
from bokeh_server.accounts.logins import Logins
from bokeh_server.accounts.passwords import Passwords
from bokeh_server.accounts.sharing import Link, Sharing
from bokeh_server.accounts.tokens import Tokens
from bokeh_server.accounts.users import Proof, Registration, Users
from bokeh_server.core.authorise import ALL_SCOPES, Access, Actor, Role
from bokeh_server.errors import Unauthorized
from bokeh_server.store import Info, Ledger

MOST_BY_LOGIN = 100
"""Tokens of one user that programs got for his password: they never ask for fewer."""


class Doors(Protocol):
    """What has sockets or tickets open for actors."""

    def revoke(self, lost: Callable[[Actor], bool]) -> None:
        """Close what is open for actors of whom ``lost`` is true."""

    def rights(self, access: Access, before: Access | None = None) -> None:
        """Who is what to a document has changed: close what is open for those who may no longer see it.

        ``before``: who was what to it, where that is known; they have a list that is out of date now.
        """


class Accounts:
    """The accounts of one server. ``doors`` are told what ends. Without ``logins`` no cookie of a user is good: what is
    there of them is of a time when they were. ``admins`` are administrators by the word of a host application."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        registration: Registration = "invitation",
        passwords: Passwords | None = None,
        clock: Callable[[], float] = time.time,
        logins: bool = True,
        admins: Sequence[str] = (),
    ) -> None:
        self.attempts = Attempts()
        self.users = Users(ledger, passwords or Passwords(), self.attempts, registration, clock)
        self.logins = Logins(ledger, clock, of_users=logins)
        self.hosted = HostedUsers(ledger, admins, clock)
        self.tokens = Tokens(ledger, clock)
        self.sharing = Sharing(ledger, clock)
        self.doors: list[Doors] = []
        self._turn = asyncio.Lock()

    # Logging in and out

    async def log_in(self, name: str, password: str, *, address: str, agent: str, before: str | None) -> str:
        """The cookie of a browser that logs in; the one that it had ``before`` ends."""
        return await self.open(await self.users.log_in(name, password, address=address), agent, before)

    async def open(self, proof: Proof, agent: str, before: str | None) -> str:
        """The cookie of a browser that has just shown who its user is; the one that it had ``before`` ends."""
        ended = (await self.logins.actor(before)).credential if before is not None else ""
        key = await self.logins.open(proof.user.name, agent, before, proof=proof)
        if ended:
            self._revoke(lambda actor: actor.credential == ended)
        return key

    async def token_for(self, proof: Proof, agent: str) -> str:
        """The token of a program that logs in; of many such, the one that was used longest ago ends."""
        gone = {f"token:{id}" for id in await self.tokens.revoke_by_login(proof.user.name, but=MOST_BY_LOGIN - 1)}
        self._revoke(lambda actor: actor.credential in gone)
        name = f"login by {agent or 'a program'}"[:100]
        text, _ = await self.tokens.make(proof.user.name, name, ALL_SCOPES, proof=proof)
        return text

    async def log_out(self, actor: Actor) -> None:
        """End the login or the token that the actor came with."""
        kind, _, id = actor.credential.partition(":")
        if kind == "login":
            await self.logins.close(actor.name, id)
        else:
            await self.tokens.revoke(actor.name, id)
        self._revoke(lambda other: other.credential == actor.credential)

    async def log_out_everywhere(self, actor: Actor) -> None:
        """End all logins of the actor and the tokens that programs got by logging in."""
        self._logged_out(actor.name, await self.users.end_logins(actor.name))

    async def change_password(self, actor: Actor, old: str, new: str, *, address: str) -> None:
        """Give the actor another password; all that was opened with the old one ends, but this login. The tokens that
        he made stay: he sees them in his list, and can revoke them."""
        try:
            proof = await self.users.log_in(actor.name, old, address=address)
            ended = await self.users.set_password(proof, new, keep=actor.credential.partition(":")[2])
        except Unauthorized:
            raise Unauthorized("The old password is wrong.") from None
        self._logged_out(actor.name, ended, but=actor.credential)

    def _logged_out(self, name: str, ended: set[str], but: str = "") -> None:
        def lost(other: Actor) -> bool:
            login = other.name == name and other.credential.startswith("login:")
            return other.credential in ended or (login and other.credential != but)

        self._revoke(lost)

    def forget(self, name: str) -> None:
        """The host application has logged this user out: what he has open by its word ends."""
        self._revoke(lambda actor: actor.credential == f"host:{name}")

    # What ends

    async def close_login(self, user: str, id: str) -> None:
        """End one login of a user."""
        await self.logins.close(user, id)
        self._revoke(lambda actor: actor.credential == f"login:{id}")

    async def revoke_token(self, user: str, id: str) -> None:
        """End a token of a user."""
        await self.tokens.revoke(user, id)
        self._revoke(lambda actor: actor.credential == f"token:{id}")

    async def change_user(
        self,
        name: str,
        *,
        admin: bool | None = None,
        disabled: bool | None = None,
        password: str | None = None,
        owned: Sequence[Info] = (),
        by: str = "",
    ) -> None:
        """Change a user as in ``Users.change``, for an administrator who came with ``by``.

        While a user is kept out, nothing that he has opens anything, and what he ``owned`` is shown by no link of it
        and not to everybody.
        """
        async with self._changing(*owned):
            await self.users.change(name, admin=admin, disabled=disabled, password=password, by=by)
        all_ends = disabled or password is not None
        self._revoke(lambda actor: actor.name == name and (all_ends or admin not in (None, actor.admin)))

    # Documents

    async def publish(self, info: Info, on: bool) -> None:
        """Show a document to everybody, or no longer."""
        async with self._changing(info):
            await (self.sharing.publish if on else self.sharing.unpublish)(info.id)

    async def grant(self, info: Info, user: str, role: Role) -> None:
        """Make a user a viewer or an editor of a document."""
        async with self._changing(info):
            await self.sharing.grant(info.id, user, role)

    async def ungrant(self, info: Info, user: str) -> None:
        """Take a grant back."""
        async with self._changing(info):
            await self.sharing.ungrant(info.id, user)

    async def make_link(
        self,
        info: Info,
        name: str,
        role: Role,
        *,
        seconds: float | None = None,
        most: int | None = None,
        embed: Sequence[str] = (),
    ) -> tuple[str, Link]:
        """The text of a new link to a document, and what lists show of it."""
        async with self._changing(info):
            return await self.sharing.make_link(info.id, name, role, seconds=seconds, most=most, embed=embed)

    async def switch_link(self, info: Info, id: str, enabled: bool) -> None:
        """Turn a link off, or on again."""
        async with self._changing(info):
            await self.sharing.switch_link(info.id, id, enabled)

    async def remove_link(self, info: Info, id: str) -> None:
        """End a link for good."""
        async with self._changing(info):
            await self.sharing.remove_link(info.id, id)

    @asynccontextmanager
    async def _changing(self, *infos: Info) -> AsyncIterator[None]:
        """Tell the doors what holds afterwards: also where nothing was left to change, because they may not have heard
        of it when it was changed (the store failed just then, and somebody tries again)."""
        before = await self.sharing.accesses(infos)
        try:
            yield
        finally:
            async with self._turn:  # of two changes at once, the doors must hear last of what was looked up last
                for access, was in zip(await self.sharing.accesses(infos), before, strict=True):
                    for door in self.doors:
                        door.rights(access, was)

    def _revoke(self, lost: Callable[[Actor], bool]) -> None:
        for door in self.doors:
            door.revoke(lost)
