"""Users of a host application: it says who is asking, and here they get what users have: documents, rights, tokens.

An account is made when its user first comes; it has no password. The name is the host's own, so it must be one spelling
for one person: nothing is made lower case here, where the host may mean two people by two spellings.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection

from sqlalchemy import Connection, insert, select, update

from bokeh_server.accounts.users import RESERVED
from bokeh_server.core.authorise import Actor
from bokeh_server.errors import Conflict, Forbidden, ServerFault
from bokeh_server.store import Ledger
from bokeh_server.store.schema import users

NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
TRUSTED = 300.0
"""Seconds for which an open socket stays without the host being asked again."""
NO_PASSWORD = ""
"""In the place of a password's hash: no password is the right one."""
DISABLED = "Your account here is disabled; ask an administrator."


class HostedUsers:
    """The users that a host application names; ``admins`` are those whom its settings make administrators."""

    def __init__(self, ledger: Ledger, admins: Collection[str] = (), clock: Callable[[], float] = time.time) -> None:
        self._ledger = ledger
        self._admins = frozenset(admins)
        self._clock = clock

    async def actor(self, name: object, links: frozenset[str] = frozenset()) -> Actor:
        """The user of this name, who has opened these ``links``.

        Raises ``ServerFault`` for what can be no name, ``Forbidden`` for a user whom an administrator has disabled.
        """
        if not isinstance(name, str) or not NAME.fullmatch(name) or name in RESERVED:
            raise ServerFault(
                f"identify() named {name!r:.80}; let it return None, or 1 to 64 characters of a-z, 0-9 and . _ - @ + "
                "that are one person's, such as the lower-case login name."
            )
        now, admin = self._clock(), name in self._admins
        chosen = select(users.c.admin, users.c.disabled).where(users.c.name == name)
        row = await self._ledger.look(lambda connection: connection.execute(chosen).one_or_none())
        if row is None or (admin and not row.admin):
            await self._change(name, admin, now)
            row = await self._ledger.look(lambda connection: connection.execute(chosen).one())
        if row.disabled:
            raise Forbidden(DISABLED)
        return Actor("user", name, f"host:{name}", links=links, admin=row.admin, until=now + TRUSTED, since=now)

    async def _change(self, name: str, admin: bool, now: float) -> None:
        """Make the account, or make it an administrator's."""

        def job(connection: Connection) -> None:
            raised = update(users).where(users.c.name == name).values(admin=True)
            if not admin or connection.execute(raised).rowcount == 0:
                row = {"name": name, "password": NO_PASSWORD, "admin": admin, "disabled": False, "created": now}
                connection.execute(insert(users).values(**row))

        try:
            await self._ledger.change(job)
        except Conflict:  # he came twice at the same time
            pass
