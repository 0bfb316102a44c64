"""Sharing: who else may see or change a document: everybody (it is published), named users, and holders of links."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from itertools import chain

from sqlalchemy import Connection, case, delete, exists, func, insert, or_, select, update
from sqlalchemy.sql import ColumnElement

from bokeh_server.accounts.keys import digest, new_key
from bokeh_server.core.authorise import Access, Role
from bokeh_server.errors import BadValue, Conflict, NotFound
from bokeh_server.store import Info, Ledger
from bokeh_server.store.schema import embedders, grants, links, published, users

NO_LINK = "This link is not valid, or not any more; ask for a new one."
AT_ONCE = 500
"""Documents in one look-up."""
MOST_LINKS = 100
"""Links to one document: each look at it reads them."""
ANY_PAGE = "*"
"""In the place of sites: every page that has the link's key, wherever it is from."""
MOST_EMBEDDERS = 20
"""Sites that one link is for: they are in a header of each answer."""
MOST_SHOWN = 1_000
"""Documents of others that one list has, for each of the reasons to be in it."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link as lists show it. ``most``: how often it can be opened (None: no limit); times in seconds since 1970.

    ``embed`` are the sites that show the document in a page of theirs by it, as origins, or ``*`` alone.
    """

    id: str
    name: str
    role: Role
    enabled: bool
    opened: int
    most: int | None
    created: float
    until: float | None
    embed: tuple[str, ...] = ()


KEPT = tuple(name for name in Link.__slots__ if name != "embed")
"""The columns of a link."""


class Sharing:
    """What is shared on one server."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.time) -> None:
        self._ledger = ledger
        self._clock = clock

    async def access(self, info: Info) -> Access:
        """Who is what to a document, just now."""
        return (await self.accesses([info]))[0]

    async def accesses(self, infos: Sequence[Info]) -> list[Access]:
        """Who is what to each of these documents, just now. Links and publication hold while the owner is let in."""

        def job(connection: Connection) -> list[Access]:
            found = (self._some(connection, infos[at : at + AT_ONCE]) for at in range(0, len(infos), AT_ONCE))
            return list(chain.from_iterable(found))

        return await self._ledger.look(job)

    def _some(self, connection: Connection, infos: Sequence[Info]) -> list[Access]:
        ids = [info.id for info in infos]
        disabled = select(users.c.name).where(users.c.name.in_({info.owner for info in infos}), users.c.disabled)
        kept_out = set(connection.scalars(disabled))
        open_ids = [info.id for info in infos if info.owner not in kept_out]
        public = set(connection.scalars(select(published.c.document).where(published.c.document.in_(open_ids))))
        shared: dict[str, dict[str, Role]] = defaultdict(dict)
        for row in connection.execute(select(grants).where(grants.c.document.in_(ids))):
            shared[row.document][row.user] = Role(row.role)
        roles: dict[str, dict[str, Role]] = defaultdict(dict)
        until: dict[str, float] = {}
        for row in connection.execute(select(links).where(links.c.document.in_(open_ids), self._holds())):
            roles[row.document][row.id] = Role(row.role)
            if row.until is not None:
                until[row.document] = min(row.until, until.get(row.document, row.until))
        return [Access(i.id, i.owner, i.id in public, shared[i.id], roles[i.id], until.get(i.id)) for i in infos]

    def _holds(self) -> ColumnElement[bool]:
        """Whether a link can still be used by who has opened it."""
        return links.c.enabled & or_(links.c.until.is_(None), links.c.until >= self._clock())

    async def publish(self, document: str) -> None:
        """Show a document to everybody."""

        def job(connection: Connection) -> None:
            connection.execute(delete(published).where(published.c.document == document))
            connection.execute(insert(published).values(document=document, created=self._clock()))

        await self._ledger.change(job)

    async def unpublish(self, document: str) -> None:
        """Show it to everybody no longer."""
        gone = delete(published).where(published.c.document == document)
        await self._ledger.change(lambda connection: connection.execute(gone))

    async def grant(self, document: str, user: str, role: Role) -> None:
        """Make a user a viewer or an editor of a document; ``NotFound`` where there is no such user."""
        if role is Role.OWNER:
            raise BadValue("A document has one owner; others can be viewers or editors.")
        user = user.strip().lower()

        def job(connection: Connection) -> None:
            if not connection.scalar(select(exists().where(users.c.name == user))):
                raise NotFound(f"There is no user {user[:64]!r}.")
            connection.execute(delete(grants).where(grants.c.document == document, grants.c.user == user))
            row = {"document": document, "user": user, "role": int(role), "created": self._clock()}
            connection.execute(insert(grants).values(**row))

        await self._ledger.change(job)

    async def ungrant(self, document: str, user: str) -> None:
        """Take a grant back; ``NotFound`` where there is none."""
        user = user.strip().lower()
        gone = delete(grants).where(grants.c.document == document, grants.c.user == user)
        if not await self._ledger.change(lambda connection: connection.execute(gone).rowcount):
            raise NotFound(f"The document is not shared with {user[:64]!r}.")

    async def make_link(
        self,
        document: str,
        name: str,
        role: Role,
        *,
        seconds: float | None = None,
        most: int | None = None,
        embed: Sequence[str] = (),
    ) -> tuple[str, Link]:
        """The text of a new link, which is never shown again, and what lists show of it."""
        if role is Role.OWNER:
            raise BadValue("A link makes a viewer or an editor of who opens it.")
        if len(name) > 100 or not name.isprintable():
            raise BadValue("The name of a link has at most 100 printable characters.")
        if (seconds is not None and not 0 < seconds < 1e10) or (most is not None and not 0 < most < 2**31):
            raise BadValue("The life of a link is a number of seconds, how often it opens a count; both more than 0.")
        if embed and most is not None:
            raise BadValue(
                "A link that a page shows a document by has no count: each look at the page would use it up."
            )
        if len(embed) > MOST_EMBEDDERS:
            raise BadValue(f"A link is for the pages of at most {MOST_EMBEDDERS} sites.")
        key, now = new_key("link"), self._clock()
        until = None if seconds is None else now + seconds
        link = Link(key.id, name, role, True, 0, most, now, until, tuple(sorted(set(embed))))
        row = {name: getattr(link, name) for name in KEPT} | {"role": int(role)}

        def job(connection: Connection) -> None:
            if (connection.scalar(select(func.count()).where(links.c.document == document)) or 0) >= MOST_LINKS:
                raise Conflict(f"A document has at most {MOST_LINKS} links; remove some first.")
            connection.execute(insert(links).values(**row, digest=key.digest, document=document))
            for origin in link.embed:
                connection.execute(insert(embedders).values(link=key.id, origin=origin))

        await self._ledger.change(job)
        return key.text, link

    async def find_link(self, text: str) -> tuple[str, str]:
        """The id of a link and its document; ``NotFound`` where there is none such."""
        chosen = select(links.c.id, links.c.document).where(links.c.digest == digest(text))
        found = await self._ledger.look(lambda connection: connection.execute(chosen).one_or_none())
        if found is None:
            raise NotFound(NO_LINK)
        return found.id, found.document

    async def embedding(self, id: str) -> tuple[str, list[str]]:
        """The document that a link leads to ("" where there is none such), and the sites that may show it by that."""
        leads = select(links.c.document).where(links.c.id == id)
        sites = select(embedders.c.origin).where(embedders.c.link == id).order_by(embedders.c.origin)

        def job(connection: Connection) -> tuple[str, list[str]]:
            return connection.scalar(leads) or "", list(connection.scalars(sites))

        return await self._ledger.look(job)

    async def open_link(self, text: str, had: Set[str] = frozenset()) -> None:
        """Use a link once; ``NotFound`` where it is none, has ended or is used up.

        A browser that ``had`` opened it before (the ids of its links) goes on with what it has: that uses up nothing.
        """
        this, good = links.c.digest == digest(text), self._holds()
        first = links.c.id.not_in(had)
        left = or_(~first, links.c.most.is_(None), links.c.opened < links.c.most)
        used = update(links).where(this, good, left).values(opened=links.c.opened + case((first, 1), else_=0))
        if not await self._ledger.change(lambda connection: connection.execute(used).rowcount):
            raise NotFound(NO_LINK)

    async def switch_link(self, document: str, id: str, enabled: bool) -> None:
        """Turn a link off, or on again; ``NotFound`` where the document has none such."""
        changed = update(links).where(links.c.id == id, links.c.document == document).values(enabled=enabled)
        if not await self._ledger.change(lambda connection: connection.execute(changed).rowcount):
            raise NotFound("The document has no such link any more.")

    async def remove_link(self, document: str, id: str) -> None:
        """End a link for good; ``NotFound`` where the document has none such."""
        gone = delete(links).where(links.c.id == id, links.c.document == document)

        def job(connection: Connection) -> None:
            if not connection.execute(gone).rowcount:
                raise NotFound("The document has no such link any more.")
            connection.execute(delete(embedders).where(embedders.c.link == id))

        await self._ledger.change(job)

    async def links(self, document: str) -> list[Link]:
        """The links of a document, the newest first, also those that have ended."""
        chosen = select(*(links.c[name] for name in KEPT)).where(links.c.document == document)
        ordered = chosen.order_by(links.c.created.desc(), links.c.id)
        sites = select(embedders).join(links, links.c.id == embedders.c.link).where(links.c.document == document)

        def job(connection: Connection) -> list[Link]:
            shown = defaultdict(list)
            for row in connection.execute(sites.order_by(embedders.c.origin)):
                shown[row.link].append(row.origin)
            rows = connection.execute(ordered)
            return [
                replace(Link(id, name, Role(role), *more), embed=tuple(shown[id])) for id, name, role, *more in rows
            ]

        return await self._ledger.look(job)

    async def shared_with(self, user: str, opened: Set[str] = frozenset()) -> set[str]:
        """The documents that were last shared with a user, or by a link that he has ``opened``, by id."""
        granted = select(grants.c.document).where(grants.c.user == user).order_by(grants.c.created.desc())
        opening = select(links.c.document).where(links.c.id.in_(opened), self._holds())

        def job(connection: Connection) -> set[str]:
            return {*connection.scalars(granted.limit(MOST_SHOWN)), *connection.scalars(opening)}

        return await self._ledger.look(job)

    async def published(self) -> set[str]:
        """The documents that were published last, by id."""
        chosen = select(published.c.document).order_by(published.c.created.desc()).limit(MOST_SHOWN)
        return await self._ledger.look(lambda connection: set(connection.scalars(chosen)))

    async def forget(self, document: str) -> None:
        """The document was deleted."""

        ended = select(links.c.id).where(links.c.document == document)

        def job(connection: Connection) -> None:
            connection.execute(delete(embedders).where(embedders.c.link.in_(ended)))
            for table in (published, grants, links):
                connection.execute(delete(table).where(table.c.document == document))

        await self._ledger.change(job)
