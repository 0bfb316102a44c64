"""What happens to a room, and what a room wants done: the whole interface of the state machine in ``core.room``.

All are frozen: a list of events and the effects that they gave is a transcript that can be read, stored and replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from bokeh_server.core import Buffers
from bokeh_server.core.authorise import Access, Actor
from bokeh_server.core.copies import Copy, Whole
from bokeh_server.core.log import Record
from bokeh_server.core.retention import Retention
from bokeh_server.core.snapshot import Draft
from bokeh_server.core.thinning import Choice
from bokeh_server.core.wire import Message, Outgoing
from bokeh_server.errors import BokehServerError, ServerFault

Kind = Literal["viewer", "program"]
Work = Choice | Copy | Whole
"""What another thread has to do."""

# What happens to a room


class Joined(msgspec.Struct, frozen=True, gc=False):
    """A socket is open. ``client`` is any number that was never used in this room."""

    client: int
    kind: Kind
    actor: Actor


class Received(msgspec.Struct, frozen=True, gc=False):
    """Messages came from a client, in this order; ``now`` in seconds."""

    client: int
    messages: Sequence[Message]
    now: float


class Submitted(msgspec.Struct, frozen=True, gc=False):
    """A request without a socket wants a patch applied, or the document replaced, or nothing but to know when all
    that the document holds now is durable; answered by ``Answer``. A patch with a ``number`` is the one that ``client``
    counts so: the document takes it once."""

    token: int
    what: Literal["patch", "replace", "nothing"]
    content: bytes
    buffers: Buffers
    actor: Actor
    now: float
    client: str = ""
    number: int | None = None


class Appended(msgspec.Struct, frozen=True, gc=False):
    """The store has every record up to ``seq``; ``now`` in seconds."""

    seq: int
    now: float = 0.0


class Failed(msgspec.Struct, frozen=True, gc=False):
    """The store could not keep a record: this room is no longer the truth."""

    error: ServerFault


class Paused(msgspec.Struct, frozen=True, gc=False):
    """The client's socket is full."""

    client: int
    now: float


class Drained(msgspec.Struct, frozen=True, gc=False):
    """The client's socket takes more."""

    client: int


class Left(msgspec.Struct, frozen=True, gc=False):
    """The client's socket is closed."""

    client: int


class Rights(msgspec.Struct, frozen=True, gc=False):
    """Who is what to the document has changed."""

    access: Access


class Revoked(msgspec.Struct, frozen=True, gc=False):
    """Actors of whom ``lost`` is true have lost what they came with: logged out, a token or link taken back."""

    lost: Callable[[Actor], bool]


class Retained(msgspec.Struct, frozen=True, gc=False):
    """What is kept of that which is streamed to the document is another now."""

    retention: Retention


class Tick(msgspec.Struct, frozen=True, gc=False):
    """Time has passed; ``now`` in seconds."""

    now: float


class Frame(msgspec.Struct, frozen=True, gc=False):
    """The time that a ``NextFrame`` asked for has passed; ``now`` in seconds, as in ``Appended``."""

    now: float


class Done(msgspec.Struct, frozen=True, gc=False):
    """Another thread has done this work; ``outcome`` gives what came of it, or raises what went wrong."""

    work: Work
    outcome: Callable[[], Any]


Event = (
    Joined
    | Received
    | Submitted
    | Appended
    | Failed
    | Paused
    | Drained
    | Left
    | Rights
    | Revoked
    | Retained
    | Tick
    | Frame
    | Done
)


# What a room wants done


class Append(msgspec.Struct, frozen=True, gc=False):
    """Give the record to the store; answer with ``Appended`` or ``Failed``."""

    record: Record


class Send(msgspec.Struct, frozen=True, gc=False):
    """Send the message to each of the clients."""

    clients: tuple[int, ...]
    message: Outgoing


class Close(msgspec.Struct, frozen=True, gc=False):
    """Close the client's socket."""

    client: int
    code: int
    reason: str


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The request ``token`` is carried out and durable as ``seq``, or failed."""

    token: int
    outcome: int | BokehServerError


class TakeSnapshot(msgspec.Struct, frozen=True, gc=False):
    """Give the store this copy of the document; it may then let go of the records before.

    A ``Draft`` is written first, in another thread.
    """

    record: Record | Draft
    clients: dict[str, int]

    def whole(self) -> Record:
        """The record, which is written now where that was left for later."""
        return self.record.record() if isinstance(self.record, Draft) else self.record


class Beside(msgspec.Struct, frozen=True, gc=False):
    """Have another thread ``run`` this work, which would hold up the stream; answer with ``Done``, at any time."""

    work: Work


class Reading(msgspec.Struct, frozen=True, gc=False):
    """Stop or go on reading from the client: too much of it waits for the store."""

    client: int
    on: bool


class Wake(msgspec.Struct, frozen=True, gc=False):
    """Send a ``Tick`` soon: something is to be told that need not be told at once."""


class NextFrame(msgspec.Struct, frozen=True, gc=False):
    """Send a ``Frame`` after so many seconds: pages wait for what came since the last one."""

    after: float


class Noticed(msgspec.Struct, frozen=True, gc=False):
    """Lists that show this document are out of date."""


Effect = Append | Send | Close | Answer | TakeSnapshot | Beside | Reading | Wake | NextFrame | Noticed


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
