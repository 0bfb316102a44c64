"""Who may do what: one pure question, ``may(actor, action, owner)``.

Everything is refused unless granted. In single-user mode the only actor besides nobody is ``defaultuser``, who owns
every document; named users, roles and links come with accounts and need nothing but more rows here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is asking."""

    kind: Literal["user", "token", "anonymous"]
    name: str


ANONYMOUS = Actor("anonymous", "")
DEFAULT_USER = Actor("user", "defaultuser")
"""Everybody, in single-user mode."""


class Action(StrEnum):
    """What can be asked for. Those of the first group concern no document."""

    PUBLIC = "public"
    """What anybody may have: static files, health, the ping."""
    LIST = "list"
    """See the list of one's own documents."""
    CREATE = "create"
    """Make a new document."""

    VIEW = "view"
    """See a document, live."""
    EDIT = "edit"
    """Send patches to a document, or replace it."""
    RENAME = "rename"
    DELETE = "delete"


ON_DOCUMENTS = frozenset({Action.VIEW, Action.EDIT, Action.RENAME, Action.DELETE})


@dataclass(frozen=True, slots=True)
class Allowed:
    """The actor may."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The actor may not. ``hidden`` says that the document must look as if it were not there."""

    reason: str
    hidden: bool = False


def may(actor: Actor, action: Action, owner: str | None = None) -> Allowed | Refused:
    """Whether ``actor`` may do ``action``, on a document of ``owner`` where the action concerns one."""
    if action is Action.PUBLIC:
        return Allowed()
    if actor.kind == "anonymous":
        return Refused("Log in first.", hidden=action in ON_DOCUMENTS)
    if action not in ON_DOCUMENTS:
        return Allowed()
    if owner == actor.name:
        return Allowed()
    return Refused("There is no such document.", hidden=True)
