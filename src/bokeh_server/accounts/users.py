"""Users: who has an account, and who may come to have one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Literal

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, func, insert, select, update

from bokeh_server.accounts.attempts import Attempts
from bokeh_server.accounts.keys import digest, new_key
from bokeh_server.accounts.passwords import Passwords, ensure_good
from bokeh_server.errors import BadValue, Conflict, Forbidden, NotFound, Unauthorized
from bokeh_server.store import Ledger
from bokeh_server.store.schema import documents, invitations, logins, tokens, users

Registration = Literal["closed", "invitation", "open"]
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
DAY = 86_400.0
WEEK = 7 * DAY
WRONG = "The user name or the password is wrong."
CLOSED = "Registration is closed on this server; ask its administrator for an account."
NOBODY_INVITED = "Registration is closed on this server, nobody can be invited; make the account yourself."
INVITED_ONLY = "Registration is by invitation on this server; ask its administrator for one."
SERVER = "server"
"""Who invites the first administrator."""
RESERVED = frozenset({"anonymous", SERVER, "defaultuser"})


@dataclass(frozen=True, slots=True)
class User:
    """An account as lists show it. ``created`` in seconds since 1970."""

    name: str
    admin: bool
    disabled: bool
    created: float


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation that nobody has used yet; only who made it saw its text."""

    id: str
    author: str
    admin: bool
    created: float
    until: float


@dataclass(frozen=True, slots=True)
class Proof:
    """That somebody has just shown the password of ``user``: good until it is another, or the user is disabled."""

    user: User
    hashed: str = field(repr=False)

    def ensure(self, connection: Connection) -> None:
        """``Unauthorized`` where it is good no more: in the transaction that makes a key for it."""
        mine = users.c.name == self.user.name, users.c.password == self.hashed, ~users.c.disabled
        if connection.execute(select(users.c.name).where(*mine)).one_or_none() is None:
            raise Unauthorized(WRONG)


def ensure_stands(connection: Connection, credential: str, *, admin: bool = False) -> None:
    """``Unauthorized`` where this login or token has ended, its user (or that of a host application) is disabled or
    (``admin``) no administrator any more: in the transaction that makes something which outlives it."""
    kind, _, id = credential.partition(":")
    mine = [~users.c.disabled, *([users.c.admin] if admin else [])]
    if kind == "host":
        mine += [users.c.name == id]
    else:
        table = {"login": logins, "token": tokens}[kind]
        mine += [table.c.id == id, users.c.name == table.c.user]
    if not connection.scalar(select(exists().where(*mine))):
        raise Unauthorized


class Users:
    """The accounts of one server. Where ``registration`` is closed, only that of the first administrator is good of all
    invitations."""

    def __init__(
        self,
        ledger: Ledger,
        passwords: Passwords,
        attempts: Attempts,
        registration: Registration,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.registration = registration
        self._ledger = ledger
        self._passwords = passwords
        self._attempts = attempts
        self._clock = clock

    async def register(self, name: str, password: str, *, invitation: str | None, address: str) -> Proof:
        """Make an account, by an invitation or because registration is open.

        Raises ``Forbidden`` where neither is so, ``Conflict`` for a name that is taken, ``BadValue`` for a name or
        password that can't be one, ``TooManyAttempts``.
        """
        name = canonical(name)
        ensure_good(password, name)
        if invitation is None and self.registration != "open":
            raise Forbidden(CLOSED if self.registration == "closed" else INVITED_ONLY)

        def job(connection: Connection) -> User:
            user = User(name, self._invited(connection, invitation), False, self._clock())
            add(connection, user, hashed)
            return user

        if invitation is None:
            self._attempts.uninvited(address)
        with self._attempts.one("", address):
            hashed = await self._passwords.hash(password)
            try:
                return Proof(await self._ledger.change(job), hashed)
            except Conflict:
                raise Conflict(f"The user name {name!r} is taken; choose another.") from None

    def _invited(self, connection: Connection, invitation: str | None) -> bool:
        """Use the invitation up; whether it makes an administrator."""
        if invitation is None:
            return False
        ours = invitations.c.digest == digest(invitation), *self._good()
        found = connection.execute(select(invitations.c.admin).where(*ours)).one_or_none()
        if found is None and self.registration == "closed":
            raise Forbidden(CLOSED)
        if found is None:
            raise Forbidden("This invitation is not valid, or not any more; ask for a new one.")
        connection.execute(delete(invitations).where(*ours))
        return bool(found.admin)

    def _good(self) -> list[ColumnElement[bool]]:
        """What makes an invitation one that can be used now."""
        closed = [invitations.c.author == SERVER] if self.registration == "closed" else []
        return [invitations.c.until >= self._clock(), *closed]

    async def create(self, name: str, password: str, *, admin: bool = False, by: str = "") -> User:
        """A new account, made by an administrator; ``by`` is the credential that he came with."""
        user = User(canonical(name), admin, False, self._clock())
        ensure_good(password, user.name)
        hashed = await self._passwords.hash(password)

        def job(connection: Connection) -> None:
            if by:
                ensure_stands(connection, by, admin=True)
            add(connection, user, hashed)

        try:
            await self._ledger.change(job)
        except Conflict:
            raise Conflict(f"The user name {user.name!r} is taken; choose another.") from None
        return user

    async def log_in(self, name: str, password: str, *, address: str) -> Proof:
        """Whose name and password this is; ``Unauthorized`` where there is no such user, or it is disabled."""
        name = name.strip().lower()[:100]
        with self._attempts.one(name, address):
            found = await self._row(name)
            right = await self._passwords.check(password, found.password if found else None)
            if found is None or not right or found.disabled:
                raise Unauthorized(WRONG)
        known: str = found.password
        if self._passwords.outdated(known):
            hashed = await self._passwords.hash(password)
            same = update(users).where(users.c.name == name, users.c.password == known).values(password=hashed)
            if await self._ledger.change(lambda connection: connection.execute(same).rowcount):
                known = hashed
        return Proof(user_of(found), known)

    async def set_password(self, proof: Proof, password: str, *, keep: str = "") -> set[str]:
        """Give a user another password, who has shown ``proof`` of the old one; his logins end in the same step, as in
        ``end_logins``. ``Unauthorized`` where the proof is good no more when the new one is hashed."""
        name = proof.user.name
        ensure_good(password, name)
        hashed = await self._passwords.hash(password)

        def job(connection: Connection) -> set[str]:
            proof.ensure(connection)
            connection.execute(update(users).where(users.c.name == name).values(password=hashed))
            return end_logins(connection, name, keep)

        return await self._ledger.change(job)

    async def end_logins(self, name: str) -> set[str]:
        """End all logins of a user and the tokens that programs got for his password; their credentials."""
        return await self._ledger.change(lambda connection: end_logins(connection, name))

    async def change(
        self,
        name: str,
        *,
        admin: bool | None = None,
        disabled: bool | None = None,
        password: str | None = None,
        by: str = "",
    ) -> None:
        """Change a user in one step, for an administrator who came with the credential ``by``; None leaves as it is.

        Who is kept out loses his logins. With another password all that he has ends, also the tokens and invitations
        that he made: whoever knew the old one may have made them. Raises ``Conflict`` where no administrator would be
        left who can log in, ``NotFound`` without such a user.
        """
        values: dict[str, bool | str | None] = {"admin": admin, "disabled": disabled}
        if password is not None:
            ensure_good(password, name)
            values["password"] = await self._passwords.hash(password)
        values = {column: value for column, value in values.items() if value is not None}

        def job(connection: Connection) -> None:
            if by:
                ensure_stands(connection, by, admin=True)
            this = users.c.name == name
            if values and not connection.execute(update(users).where(this).values(**values)).rowcount:
                raise NotFound(f"There is no user {name[:64]!r}.")
            administrators = connection.scalars(select(users.c.name).where(users.c.admin, ~users.c.disabled)).all()
            if not administrators and (disabled or admin is False):
                raise Conflict("This is the last administrator; make another one first.")
            if disabled or password is not None:
                connection.execute(delete(logins).where(logins.c.user == name))
            if password is not None:
                connection.execute(delete(tokens).where(tokens.c.user == name))
            if password is not None or name not in administrators:  # who is none (any more) invites nobody
                connection.execute(delete(invitations).where(invitations.c.author == name))

        await self._ledger.change(job)

    async def find(self, name: str) -> User:
        """The user of this name; ``NotFound`` without one."""
        found = await self._row(name.strip().lower())
        if found is None:
            raise NotFound(f"There is no user {name[:64]!r}.")
        return user_of(found)

    async def all(self) -> list[tuple[User, int, int]]:
        """Every user, with the number of documents and the bytes that he stores, by name."""
        stored = (
            select(documents.c.owner, func.count().label("many"), func.sum(documents.c.size).label("size"))
            .group_by(documents.c.owner)
            .subquery()
        )
        chosen = select(users, stored.c.many, stored.c.size).outerjoin(stored, stored.c.owner == users.c.name)
        ordered = chosen.order_by(users.c.name)
        # ``look`` would leave out the newest records
        rows = await self._ledger.change(lambda connection: connection.execute(ordered).all())
        return [(user_of(row), row.many or 0, row.size or 0) for row in rows]

    async def invite(
        self, author: str, *, admin: bool = False, seconds: float = WEEK, by: str = ""
    ) -> tuple[str, Invitation]:
        """The text of a new invitation, good once and for ``seconds``, which is never shown again, and what lists show
        of it; ``Forbidden`` where registration is closed. ``by`` is the credential that the author came with."""
        if self.registration == "closed" and author != SERVER:
            raise Forbidden(NOBODY_INVITED)
        key, now = new_key("invitation"), self._clock()
        made = Invitation(id=key.id, author=author, admin=admin, created=now, until=now + seconds)

        def job(connection: Connection) -> None:
            if by:
                ensure_stands(connection, by, admin=True)
            connection.execute(insert(invitations).values(**asdict(made), digest=key.digest))

        await self._ledger.change(job)
        return key.text, made

    async def invitations(self) -> list[Invitation]:
        """Those that can still be used, the newest first."""
        chosen = select(*(invitations.c[name] for name in Invitation.__slots__)).where(*self._good())
        ordered = chosen.order_by(invitations.c.created.desc())
        rows = await self._ledger.look(lambda connection: connection.execute(ordered).all())
        return [Invitation(*row) for row in rows]

    async def uninvite(self, id: str) -> None:
        """Take an invitation back; ``NotFound`` where it is used or gone."""
        gone = delete(invitations).where(invitations.c.id == id)
        if not await self._ledger.change(lambda connection: connection.execute(gone).rowcount):
            raise NotFound("There is no such invitation any more.")

    async def first_invitation(self) -> str | None:
        """The text of an invitation for the first administrator, where there is none yet; older ones end."""
        known = select(func.count()).select_from(users).where(users.c.admin)
        if await self._ledger.look(lambda connection: connection.scalar(known)):
            return None
        await self._ledger.change(lambda connection: connection.execute(delete(invitations)))
        text, _ = await self.invite(SERVER, admin=True, seconds=DAY)
        return text

    async def _row(self, name: str) -> Row[tuple[str, str, bool, bool, float]] | None:
        chosen = select(users).where(users.c.name == name)
        return await self._ledger.look(lambda connection: connection.execute(chosen).one_or_none())


def canonical(name: str) -> str:
    """The one spelling of a user's name; ``BadValue`` where it can't be one."""
    name = name.strip().lower()
    if not NAME.fullmatch(name) or name in RESERVED:
        raise BadValue("A user name has 1 to 64 letters, digits, dots, dashes or underscores, and is not reserved.")
    return name


def add(connection: Connection, user: User, hashed: str) -> None:
    """Add the row of a user."""
    row = {"name": user.name, "admin": user.admin, "disabled": user.disabled, "created": user.created}
    connection.execute(insert(users).values(**row, password=hashed))


def end_logins(connection: Connection, name: str, keep: str = "") -> set[str]:
    """End the logins of a user, but the one with the id ``keep``, and the tokens that programs got for his password;
    the credentials that ended."""
    browsers = delete(logins).where(logins.c.user == name, logins.c.id != keep).returning(logins.c.id)
    programs = delete(tokens).where(tokens.c.user == name, tokens.c.by_login).returning(tokens.c.id)
    ended = {"login": connection.scalars(browsers).all(), "token": connection.scalars(programs).all()}
    return {f"{kind}:{id}" for kind, ids in ended.items() for id in ids}


def user_of(row: Row[tuple[str, str, bool, bool, float]]) -> User:
    """A row without its password."""
    return User(row.name, row.admin, row.disabled, row.created)
