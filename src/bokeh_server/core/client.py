"""What a room knows of each socket, and what our own clients say of themselves when they come (back)."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from bokeh_server.core.authorise import Actor
from bokeh_server.core.events import Kind
from bokeh_server.core.fanout import Cursor
from bokeh_server.core.wire import Message, Outgoing


@dataclass(slots=True)
class Client:
    """What the room knows of one socket."""

    kind: Kind
    actor: Actor
    edits: bool = False
    """Whether it may change the document just now."""
    cursor: Cursor = field(default_factory=Cursor)
    ours: bool = False
    """Whether it speaks the private messages (it has sent RESUME)."""
    answers: bool = False
    """Whether it is a program with callbacks."""
    waiting: int = 0
    """Bytes that wait for the store: what it sent, and the copies of the document that it asked for."""
    throttled: bool = False
    paused_at: float = 0.0
    shown_out: bool = False
    """Whether it was shown the door since it was too slow."""
    cut: set[str] = field(default_factory=set)
    """The sources of which its own copy has rows in front that have given way here (``core.retention``)."""
    held: list[tuple[int, int | None, Outgoing]] = field(default_factory=list)
    """Acknowledgements (seq, number, message) that wait with the patches before them until its socket drains.

    The number of an answer to ECHO is None, that of a message that is not kept is 0."""

    asked: list[Message] = field(default_factory=list)
    """Its requests for the document that wait for a copy on its way: what that brings must not come behind."""

    @property
    def name(self) -> str:
        """Its own id over reconnects; one that is good for this socket where it has said none."""
        return self.cursor.name

    @property
    def stock_program(self) -> bool:
        """Whether it is a ``bokeh.client``."""
        return self.kind == "program" and not self.ours


class Resume(msgspec.Struct, frozen=True):
    """Content of RESUME, the private first message of our browser script and client library."""

    client: str
    epoch: int | None = None
    seq: int | None = None
    answers: bool = False
    frames: bool = False
    """Whether one message a frame is enough: it shows no more."""


decode_resume = msgspec.json.Decoder(Resume).decode
