"""What happens to a room, and what a room wants done: the whole interface of the state machine in ``core.room``.

All are frozen: a list of events and the effects that they gave is a transcript that can be read, stored and replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from bokeh_server.core import Buffers
from bokeh_server.core.authorise import Access, Actor
from bokeh_server.core.log import Record
from bokeh_server.core.wire import Message, Outgoing
from bokeh_server.errors import BokehServerError, ServerFault

Kind = Literal["viewer", "program"]

# What happens to a room


@dataclass(frozen=True, slots=True)
class Joined:
    """A socket is open. ``client`` is any number that was never used in this room."""

    client: int
    kind: Kind
    actor: Actor


@dataclass(frozen=True, slots=True)
class Received:
    """A message came from a client; ``now`` in seconds."""

    client: int
    message: Message
    now: float


@dataclass(frozen=True, slots=True)
class Submitted:
    """A request without a socket wants a patch applied, or the document replaced, or nothing but to know when all
    that the document holds now is durable; answered by ``Answer``."""

    token: int
    what: Literal["patch", "replace", "nothing"]
    content: bytes
    buffers: Buffers
    actor: Actor
    now: float


@dataclass(frozen=True, slots=True)
class Appended:
    """The store has every record up to ``seq``; ``now`` in seconds."""

    seq: int
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class Failed:
    """The store could not keep a record: this room is no longer the truth."""

    error: ServerFault


@dataclass(frozen=True, slots=True)
class Paused:
    """The client's socket is full."""

    client: int
    now: float


@dataclass(frozen=True, slots=True)
class Drained:
    """The client's socket takes more."""

    client: int


@dataclass(frozen=True, slots=True)
class Left:
    """The client's socket is closed."""

    client: int


@dataclass(frozen=True, slots=True)
class Rights:
    """Who is what to the document has changed."""

    access: Access


@dataclass(frozen=True, slots=True)
class Revoked:
    """Actors of whom ``lost`` is true have lost what they came with: logged out, a token or link taken back."""

    lost: Callable[[Actor], bool]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; ``now`` in seconds."""

    now: float


@dataclass(frozen=True, slots=True)
class Frame:
    """The time that a ``NextFrame`` asked for has passed; ``now`` in seconds, as in ``Appended``."""

    now: float


Event = Joined | Received | Submitted | Appended | Failed | Paused | Drained | Left | Rights | Revoked | Tick | Frame


# What a room wants done


@dataclass(frozen=True, slots=True)
class Append:
    """Give the record to the store; answer with ``Appended`` or ``Failed``."""

    record: Record


@dataclass(frozen=True, slots=True)
class Send:
    """Send the message to each of the clients."""

    clients: tuple[int, ...]
    message: Outgoing


@dataclass(frozen=True, slots=True)
class Close:
    """Close the client's socket."""

    client: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The request ``token`` is carried out and durable as ``seq``, or failed."""

    token: int
    outcome: int | BokehServerError


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Give the store this copy of the document; it may then let go of the records before."""

    record: Record
    clients: dict[str, int]


@dataclass(frozen=True, slots=True)
class Reading:
    """Stop or go on reading from the client: too much of it waits for the store."""

    client: int
    on: bool


@dataclass(frozen=True, slots=True)
class Wake:
    """Send a ``Tick`` soon: something is to be told that need not be told at once."""


@dataclass(frozen=True, slots=True)
class NextFrame:
    """Send a ``Frame`` after so many seconds: pages wait for what came since the last one."""

    after: float


@dataclass(frozen=True, slots=True)
class Noticed:
    """Lists that show this document are out of date."""


Effect = Append | Send | Close | Answer | TakeSnapshot | Reading | Wake | NextFrame | Noticed


def gathered(effects: list[Effect]) -> Iterator[Effect]:
    """The effects, with what goes to the same clients put together: one write for all patches of one commit.

    Each client gets its messages in the order of the effects; that between different clients means nothing.
    """
    waiting: dict[tuple[int, ...], list[Outgoing]] = {}
    members: set[int] = set()
    for effect in effects:
        if isinstance(effect, Send):
            known = waiting.get(effect.clients)
            if known is not None:
                known.append(effect.message)
                continue
            if members.isdisjoint(effect.clients):
                waiting[effect.clients] = [effect.message]
                members.update(effect.clients)
                continue
        yield from (Send(clients, Outgoing.joined(messages)) for clients, messages in waiting.items())
        waiting, members = {}, set()
        if isinstance(effect, Send):
            waiting[effect.clients] = [effect.message]
            members.update(effect.clients)
        else:
            yield effect
    yield from (Send(clients, Outgoing.joined(messages)) for clients, messages in waiting.items())
