"""Tokens: the keys of programs. Each has a name, scopes, perhaps one document, perhaps an end, and can be revoked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from bokeh_server.accounts.keys import digest, new_key
from bokeh_server.accounts.users import Proof, ensure_stands
from bokeh_server.core.authorise import Actor, Scope
from bokeh_server.errors import BadValue, Conflict, NotFound, Unauthorized
from bokeh_server.store import Ledger
from bokeh_server.store.schema import tokens, users

MOST = 200
"""Tokens of one user."""
SELDOM = 60.0
"""Seconds between two notes of when it was used last."""
NOT_VALID = "This token is not valid, or not any more; log in again, or make a new one."


@dataclass(frozen=True, slots=True)
class Token:
    """A token as lists show it; times in seconds since 1970. ``document``: the only one that it is good for."""

    id: str
    name: str
    scopes: frozenset[Scope]
    document: str | None
    created: float
    used: float | None
    until: float | None


class Tokens:
    """The tokens of one server."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.time) -> None:
        self._ledger = ledger
        self._clock = clock

    async def make(
        self,
        user: str,
        name: str,
        scopes: Iterable[Scope],
        *,
        document: str | None = None,
        seconds: float | None = None,
        proof: Proof | None = None,
        by: str = "",
    ) -> tuple[str, Token]:
        """The text of a new token, which is never shown again, and what lists show of it.

        ``proof`` is what a program that logs in has shown of the user's password, ``by`` the credential of who asks
        otherwise: where that has just ended there is no token (``Unauthorized``), so that none outlives a reset.
        """
        name, wanted = name.strip(), frozenset(scopes)
        if not name or len(name) > 100 or not name.isprintable():
            raise BadValue("The name of a token has 1 to 100 printable characters.")
        if not wanted:
            raise BadValue(f"A token is good for one or more of: {', '.join(Scope)}.")
        if seconds is not None and not 0 < seconds < 1e10:
            raise BadValue("The life of a token is a number of seconds, more than 0.")
        key, now = new_key("token"), self._clock()
        token = Token(key.id, name, wanted, document, now, None, None if seconds is None else now + seconds)

        def job(connection: Connection) -> None:
            if proof is not None:
                proof.ensure(connection)
            if by:
                ensure_stands(connection, by)
            connection.execute(delete(tokens).where(tokens.c.user == user, tokens.c.until < now - 30 * 86_400))
            if (connection.scalar(select(func.count()).where(tokens.c.user == user)) or 0) >= MOST:
                raise Conflict(f"A user has at most {MOST} tokens; revoke some first.")
            row = {name: getattr(token, name) for name in Token.__slots__} | {"scopes": sorted(wanted)}
            row |= {"digest": key.digest, "user": user, "by_login": proof is not None}
            connection.execute(insert(tokens).values(**row))

        await self._ledger.change(job)
        return key.text, token

    async def actor(self, text: str) -> Actor:
        """Who comes with this token; ``Unauthorized`` where it means nothing (any more)."""
        chosen = (
            select(tokens, users.c.admin)
            .join(users, users.c.name == tokens.c.user)
            .where(tokens.c.digest == digest(text), ~users.c.disabled)
        )
        now = self._clock()
        row = await self._ledger.look(lambda connection: connection.execute(chosen).one_or_none())
        if row is None or (row.until is not None and row.until < now):
            raise Unauthorized(NOT_VALID)
        if row.used is None or now - row.used > SELDOM:
            used = update(tokens).where(tokens.c.id == row.id).values(used=now)
            await self._ledger.change(lambda connection: connection.execute(used))
        scopes, credential = frozenset(map(Scope, row.scopes)), f"token:{row.id}"
        return Actor("token", row.user, credential, scopes, row.document, admin=row.admin, until=row.until, since=now)

    async def of(self, user: str) -> list[Token]:
        """The tokens of a user, the newest first; those that have ended for a month."""
        chosen = select(*(tokens.c[name] for name in Token.__slots__)).where(tokens.c.user == user)
        ordered = chosen.order_by(tokens.c.created.desc(), tokens.c.id)
        rows = await self._ledger.look(lambda connection: connection.execute(ordered).all())
        return [Token(id, name, frozenset(map(Scope, scopes)), *more) for id, name, scopes, *more in rows]

    async def revoke(self, user: str, id: str) -> None:
        """End a token of a user; ``NotFound`` where there is none such."""
        gone = delete(tokens).where(tokens.c.id == id, tokens.c.user == user)
        if not await self._ledger.change(lambda connection: connection.execute(gone).rowcount):
            raise NotFound("There is no such token any more.")

    async def revoke_by_login(self, user: str, *, but: int) -> set[str]:
        """End the tokens that programs got for the user's password, but so many that were used last; their ids."""
        used = func.coalesce(tokens.c.used, tokens.c.created)
        by_login = select(tokens.c.id).where(tokens.c.user == user, tokens.c.by_login)
        ended = by_login.order_by(used.desc(), tokens.c.id).offset(but)
        gone = delete(tokens).where(tokens.c.id.in_(ended)).returning(tokens.c.id)
        rows = await self._ledger.change(lambda connection: connection.execute(gone).all())
        return {id for (id,) in rows}
