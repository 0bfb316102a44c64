"""Who may do what: one pure question, ``may(actor, action, access)``.

Everything is refused unless granted. Two things must both allow an action on a document: the *role* that the actor
has there (from owning it, a grant, a link, or because it is published), and the *scopes* of what the actor showed
(a login has all of them, a token those that it was made with). In single-user mode the only actor besides nobody is
``defaultuser``, who owns every document; those that he has left behind when there are accounts are the
administrators'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Literal


class Scope(StrEnum):
    """What a token can be used for."""

    READ = "read"
    """See documents and lists of them."""
    STREAM = "stream"
    """Append rows to sources, and nothing else: not even look."""
    WRITE = "write"
    """Make documents and change them."""
    MANAGE = "manage"
    """Rename, delete, publish and share documents, say what they keep; the user's own account. It includes the next."""
    WATCH = "watch"
    """See how the server does, and nothing else: its metrics, for an administrator."""


ALL_SCOPES = frozenset(Scope)


class Role(IntEnum):
    """What somebody is to a document."""

    VIEWER = 1
    EDITOR = 2
    OWNER = 3


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is asking, and by what.

    ``name`` is the user's ("" where nobody is logged in), ``credential`` what was shown (``login:…``, ``token:…``), so
    that it can be taken back. ``links`` are the links that were opened, by their ids. ``document`` is the only one
    that a token is good for (None: all). ``public`` says that this is the public view: nobody is more than a visitor
    there, and only what is published is there. ``admin`` says that the user is an administrator. ``until`` is when the
    credential ends, ``since`` when it was looked up (seconds since 1970; None: never).
    """

    kind: Literal["user", "token", "anonymous"]
    name: str
    credential: str = ""
    scopes: frozenset[Scope] = ALL_SCOPES
    document: str | None = None
    links: frozenset[str] = frozenset()
    public: bool = False
    admin: bool = False
    until: float | None = None
    since: float = 0.0


ANONYMOUS = Actor("anonymous", "")
DEFAULT_USER = Actor("user", "defaultuser")
"""Everybody, in single-user mode."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who is what to the document ``document``: its owner, whether it is published, the roles of named users, and
    those that its links give, by their ids. Only grants and links that hold just now are in it; ``until`` is when the
    next of these ends (seconds since 1970; None: never)."""

    document: str
    owner: str
    published: bool = False
    grants: Mapping[str, Role] = field(default_factory=dict)
    links: Mapping[str, Role] = field(default_factory=dict)
    until: float | None = None


class Action(StrEnum):
    """What can be asked for. Those of the first two groups concern no document."""

    PUBLIC = "public"
    """What anybody may have: static files, health, the ping, the way to log in."""
    LIST = "list"
    """See the list of the documents that one may see."""
    CREATE = "create"
    """Make a new document."""
    STORE = "store"
    """Put a document under a name: in the place of the old one (which needs EDIT there), or a new one (CREATE)."""
    PUSH = "push"
    """Append rows to a document by its name: to one that is there (which needs STREAM there), or a new one (CREATE)."""
    ACCOUNT = "account"
    """See and change one's own account: password, logins, tokens."""
    ADMINISTER = "administer"
    """See and change other people's accounts, and invite."""
    TRAFFIC = "traffic"
    """See how busy the documents are that one may see."""
    WATCH = "watch"
    """See how the whole server does."""

    VIEW = "view"
    """See a document, live."""
    STREAM = "stream"
    """Append rows to the sources of a document."""
    EDIT = "edit"
    """Send patches to a document, or replace it."""
    RENAME = "rename"
    DELETE = "delete"
    RETAIN = "retain"
    """Say how much of what is streamed to a document is kept."""
    PUBLISH = "publish"
    """Show a document to everybody, or no longer."""
    SHARE = "share"
    """Grant roles to users, and make links."""


SCOPES: Mapping[Action, frozenset[Scope]] = {
    Action.PUBLIC: ALL_SCOPES,
    Action.LIST: frozenset({Scope.READ, Scope.WRITE, Scope.MANAGE}),
    Action.CREATE: frozenset({Scope.WRITE}),
    Action.STORE: frozenset({Scope.WRITE}),
    Action.PUSH: frozenset({Scope.STREAM, Scope.WRITE}),
    Action.ACCOUNT: frozenset({Scope.MANAGE}),
    Action.ADMINISTER: frozenset({Scope.MANAGE}),
    Action.TRAFFIC: frozenset({Scope.READ, Scope.WRITE, Scope.MANAGE, Scope.WATCH}),
    Action.WATCH: frozenset({Scope.MANAGE, Scope.WATCH}),
    Action.VIEW: frozenset({Scope.READ, Scope.WRITE, Scope.MANAGE}),
    Action.STREAM: frozenset({Scope.STREAM, Scope.WRITE}),
    Action.EDIT: frozenset({Scope.WRITE}),
    Action.RENAME: frozenset({Scope.MANAGE}),
    Action.DELETE: frozenset({Scope.MANAGE}),
    Action.RETAIN: frozenset({Scope.MANAGE}),
    Action.PUBLISH: frozenset({Scope.MANAGE}),
    Action.SHARE: frozenset({Scope.MANAGE}),
}
"""One of these is needed."""

ROLES: Mapping[Action, Role] = {
    Action.VIEW: Role.VIEWER,
    Action.STREAM: Role.EDITOR,
    Action.EDIT: Role.EDITOR,
    Action.RENAME: Role.OWNER,
    Action.DELETE: Role.OWNER,
    Action.RETAIN: Role.OWNER,
    Action.PUBLISH: Role.OWNER,
    Action.SHARE: Role.OWNER,
}
"""The least role for an action on a document."""

ON_DOCUMENTS = frozenset(ROLES)
BY_ADMINISTRATORS = frozenset({Action.VIEW, Action.DELETE})
"""What an administrator may do with documents of others: look what it is (without its scripts), and take it away."""
OF_ADMINISTRATORS = frozenset({Action.ADMINISTER, Action.WATCH})
"""What nobody else may do."""
BY_THE_ONLY_USER = frozenset({Action.WATCH})
"""What is an administrator's where people have accounts, and otherwise everybody's who is let in."""
NOT_LIMITED = frozenset({Action.PUBLIC, Action.LIST, Action.STORE, Action.PUSH, Action.TRAFFIC})
"""What a token for one document may be used for by a name: it finds only that one."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The actor may."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The actor may not. ``hidden`` says that the document must look as if it were not there."""

    reason: str
    hidden: bool = False


LOG_IN = "Log in first."
ONLY_SEEN = "You may see this document, not change it."
NOT_THERE = "There is no such document."
OTHER_DOCUMENTS = "This token is not good for that: it is for one document."


def may(actor: Actor, action: Action, access: Access | None = None) -> Allowed | Refused:
    """Whether ``actor`` may do ``action``, with the document of ``access`` where the action concerns one."""
    if action in ON_DOCUMENTS:
        return may_with(actor, action, access)
    if action is Action.PUBLIC:
        return Allowed()
    if not actor.name:
        return Refused(LOG_IN)
    if actor.scopes.isdisjoint(SCOPES[action]):
        return Refused(out_of_scope(actor, action))
    if actor.document is not None and action not in NOT_LIMITED:
        return Refused(OTHER_DOCUMENTS)
    only_user = actor.name == DEFAULT_USER.name and action in BY_THE_ONLY_USER
    if action in OF_ADMINISTRATORS and not (actor.admin or only_user):
        return Refused("Only an administrator may do this.")
    return Allowed()


def may_with(actor: Actor, action: Action, access: Access | None) -> Allowed | Refused:
    """Whether ``actor`` may do ``action`` with a document."""
    role = role_of(actor, access) if access is not None else None
    supervised = actor.admin and not actor.public and access is not None and actor.document in (None, access.document)
    if role is None and not supervised:
        return Refused(NOT_THERE if actor.name else LOG_IN, hidden=True)
    if actor.scopes.isdisjoint(SCOPES[action]):
        return Refused(out_of_scope(actor, action))
    if (role is not None and role >= ROLES[action]) or (supervised and action in BY_ADMINISTRATORS):
        return Allowed()
    return Refused(ONLY_SEEN if role is Role.VIEWER else "Only the owner may do this.")


def role_of(actor: Actor, access: Access) -> Role | None:
    """What the actor is to a document; None where it is nothing to him."""
    if actor.document not in (None, access.document):
        return None
    roles = [Role.VIEWER] if access.published else []
    if not actor.public:
        roles += [role for link in actor.links if (role := access.links.get(link)) is not None]
        if actor.name:
            roles += [role for role in (access.grants.get(actor.name),) if role is not None]
            left_behind = access.owner == DEFAULT_USER.name and actor.admin
            roles += [Role.OWNER] if actor.name == access.owner or left_behind else []
    return max(roles, default=None)


def good_for(scopes: frozenset[Scope]) -> frozenset[Scope]:
    """These scopes, and those that they include."""
    return scopes | {Scope.WATCH} if Scope.MANAGE in scopes else scopes


def out_of_scope(actor: Actor, action: Action) -> str:
    """What is told to whom shows a token that has none of the scopes of an action."""
    has, needs = ([scope for scope in Scope if scope in some] for some in (actor.scopes, SCOPES[action]))
    return (
        "This token is not good for that: "
        f"it needs the scope {' or '.join(needs)}, and has {' and '.join(has) or 'none'}."
    )
