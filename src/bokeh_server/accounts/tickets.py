"""Tickets: single-use keys to one socket of one document.

A sandboxed frame has no cookie and no origin. It opens its socket with a ticket that the page around it fetched: 128
random bits, good once, for 30 seconds, for one document and one actor. Only its hash is remembered, in memory: a
restart ends all tickets, and pages fetch new ones when they come back.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from bokeh_server.core.authorise import Actor
from bokeh_server.errors import Unauthorized
from bokeh_server.limits import LIMITS, Limits


@dataclass(frozen=True, slots=True)
class Grant:
    """What a ticket is good for; ``until`` in seconds of the clock."""

    document: str
    actor: Actor
    until: float


class Tickets:
    """The tickets of one server. When there are more than ``limits.tickets``, the oldest end first."""

    def __init__(self, limits: Limits = LIMITS, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._grants: dict[bytes, Grant] = {}

    def __len__(self) -> int:
        return len(self._grants)

    def issue(self, document: str, actor: Actor) -> str:
        """A new ticket: 22 characters that a header can carry."""
        now = self._clock()
        self._forget(now)
        ticket = secrets.token_urlsafe(16)
        self._grants[digest(ticket)] = Grant(document, actor, now + self._limits.ticket)
        return ticket

    def redeem(self, ticket: str, document: str) -> Actor:
        """Who it was issued to. It is spent, whatever comes of it; ``Unauthorized`` where it opens nothing here."""
        grant = self._grants.pop(digest(ticket), None)
        if grant is None or grant.document != document or grant.until < self._clock():
            raise Unauthorized("This ticket is not valid here, or not any more; fetch a new one.")
        return grant.actor

    def _forget(self, now: float) -> None:
        """Drop what has ended, and the oldest where there are too many (they were issued in order of their end)."""
        for key, grant in list(self._grants.items()):
            if grant.until >= now and len(self._grants) < self._limits.tickets:
                break
            del self._grants[key]


def digest(ticket: str) -> bytes:
    """What is remembered of a ticket."""
    return sha256(ticket.encode(errors="surrogatepass")).digest()
