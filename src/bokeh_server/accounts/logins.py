"""Logins: what the cookie of a browser stands for. All of it is kept here, the cookie is only a key to it.

A login gets a new key when it comes to be a user's, so that a key that was planted before is worth nothing. A visitor's
stays the same, or two links that are opened at once would be lost to each other; with TLS no other server can plant one
(``__Host-``). A login ends when it is closed here, and with it every socket that was opened by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Row, delete, insert, select, update

from bokeh_server.accounts.keys import digest, new_key
from bokeh_server.accounts.users import Proof
from bokeh_server.core.authorise import ANONYMOUS, Actor
from bokeh_server.errors import NotFound
from bokeh_server.store import Ledger
from bokeh_server.store.schema import logins, users

DAY = 86_400.0
LONGEST = 30 * DAY
"""After this a browser must log in again."""
MOST, MOST_VISITORS = 100, 10_000
"""Logins of one user, and of all visitors; past it the one that was used longest ago ends."""
MOST_LINKS = 50
"""Links that one browser has open; the oldest is forgotten."""
SELDOM = 60.0
"""Seconds between two notes of when it was used last."""


@dataclass(frozen=True, slots=True)
class Login:
    """A login as lists show it; times in seconds since 1970."""

    id: str
    agent: str
    created: float
    used: float
    until: float


class Logins:
    """The logins of one server."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.time, *, of_users: bool = True) -> None:
        self._ledger = ledger
        self._clock = clock
        self._of_users = of_users
        """Whether users can log in; without it only visitors have a key that is good."""

    async def open(self, user: str, agent: str, before: str | None = None, *, proof: Proof | None = None) -> str:
        """The text of a new key for a user, who has shown ``proof`` ("": a visitor).

        The key ``before`` ends; the links that it had open go over, unless it was another user's.
        """
        key, now = new_key("login"), self._clock()

        def job(connection: Connection) -> None:
            kept: list[str] = []
            if proof is not None:
                proof.ensure(connection)
            if before is not None:
                old = connection.execute(select(logins).where(logins.c.digest == digest(before))).one_or_none()
                if old is not None and old.user in ("", user) and old.until >= now:
                    kept = old.links
                connection.execute(delete(logins).where(logins.c.digest == digest(before)))
            connection.execute(delete(logins).where(logins.c.until < now))
            last_used = select(logins.c.id).where(logins.c.user == user).order_by(logins.c.used.desc(), logins.c.id)
            many = last_used.offset((MOST if user else MOST_VISITORS) - 1)
            connection.execute(delete(logins).where(logins.c.id.in_(many)))
            row = {"id": key.id, "digest": key.digest, "user": user, "links": kept, "agent": agent[:200]}
            connection.execute(insert(logins).values(**row, created=now, used=now, until=now + LONGEST))

        await self._ledger.change(job)
        return key.text

    async def open_link(self, cookie: str | None, link: str, agent: str) -> str | None:
        """Note that a browser has opened a link; the text of a new key where it had none that holds."""
        holds = cookie is not None and await self._row(cookie) is not None
        key = cookie if holds and cookie is not None else await self.open("", agent)
        mine = logins.c.digest == digest(key)

        def job(connection: Connection) -> None:
            known = connection.scalar(select(logins.c.links).where(mine)) or []
            kept = [*(other for other in known if other != link), link][-MOST_LINKS:]
            connection.execute(update(logins).where(mine).values(links=kept))

        await self._ledger.change(job)
        return None if holds else key

    async def actor(self, cookie: str) -> Actor:
        """Who comes with this cookie; nobody where it means nothing (any more)."""
        now = self._clock()
        row = await self._row(cookie)
        if row is None or row.disabled:
            return ANONYMOUS
        if now - row.used > SELDOM:
            used = update(logins).where(logins.c.id == row.id).values(used=now)
            await self._ledger.change(lambda connection: connection.execute(used))
        return Actor(
            "user" if row.user else "anonymous",
            row.user,
            f"login:{row.id}",
            links=frozenset(row.links),
            admin=bool(row.admin),
            until=row.until,
            since=now,
        )

    async def of(self, user: str) -> list[Login]:
        """The logins of a user, the last used first."""
        chosen = select(*(logins.c[name] for name in Login.__slots__)).where(
            logins.c.user == user, logins.c.until >= self._clock()
        )
        rows = await self._ledger.look(lambda c: c.execute(chosen.order_by(logins.c.used.desc())).all())
        return [Login(*row) for row in rows]

    async def close(self, user: str, id: str) -> None:
        """End one login of a user; ``NotFound`` where there is none such."""
        gone = delete(logins).where(logins.c.id == id, logins.c.user == user)
        if not await self._ledger.change(lambda connection: connection.execute(gone).rowcount):
            raise NotFound("There is no such login any more.")

    async def _row(self, cookie: str) -> Row[tuple[object, ...]] | None:
        good = [logins.c.until >= self._clock(), *([] if self._of_users else [logins.c.user == ""])]
        chosen = (
            select(logins, users.c.admin, users.c.disabled)
            .outerjoin(users, users.c.name == logins.c.user)
            .where(logins.c.digest == digest(cookie), *good)
        )
        return await self._ledger.look(lambda connection: connection.execute(chosen).one_or_none())
