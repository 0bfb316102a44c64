"""What a program and the room of its document say to each other, without the socket: messages in, what they mean out.

    ACK ──▶ RESUME ──▶ RESUMED ──▶ [PULL-DOC-REQ ──▶ PULL-DOC-REPLY] ──▶ PATCH-DOC, PUSH-DOC with numbers ──▶ OK | ERROR

The dialogue remembers ``(epoch, seq)``, the newest patch that this program has seen, so that the next connection goes
on from there. It asks for a copy of the document whenever what it has can't be trusted: on a fresh start, when the
server says so (RESYNC), after a refused change, and when a cut leaves it open in which order this program and others
have changed things.
"""

from __future__ import annotations

import logging
import secrets
from collections import deque
from dataclasses import dataclass

import msgspec
import orjson

from bokeh_server.client.changes import Entry
from bokeh_server.client.outbox import Outbox
from bokeh_server.client.rest import error_of
from bokeh_server.core.wire import Message, Outgoing, outgoing
from bokeh_server.errors import BokehServerError

log = logging.getLogger("bokeh_server.client")


@dataclass(frozen=True, slots=True)
class Live:
    """The room and we know where we are; ``writer`` says whether we may change the document."""

    writer: bool


@dataclass(frozen=True, slots=True)
class Patched:
    """A patch of another client. The server had all of ours up to ``acknowledged`` before it."""

    message: Message
    acknowledged: int


@dataclass(frozen=True, slots=True)
class Pulled:
    """A copy of the document, which holds all of ours up to ``acknowledged``."""

    message: Message
    acknowledged: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will not take ``entry``."""

    entry: Entry
    why: BokehServerError


@dataclass(frozen=True, slots=True)
class Resync:
    """The copy here is not the document any more (``reason``); another one has been asked for."""

    reason: str


@dataclass(frozen=True, slots=True)
class Presence:
    """Who is on the document."""

    programs: int
    answering: int
    viewers: int


Meaning = Live | Patched | Pulled | Refused | Resync | Presence


class Resumed(msgspec.Struct, frozen=True):
    """Content of RESUMED."""

    epoch: int
    seq: int
    number: int
    fresh: bool
    writer: bool = True


_decode_resumed = msgspec.json.Decoder(Resumed).decode


class Dialogue:
    """One client's side of the talk, over all its connections. Only the socket thread calls it, but for ``pull``."""

    def __init__(self, outbox: Outbox) -> None:
        self.client = secrets.token_urlsafe(16)
        self.epoch: int | None = None
        self.seq: int | None = None
        self.live = False
        """Whether RESUMED has come on this connection."""
        self.answers = False
        self._outbox = outbox
        self._epoch = 0
        self._ahead: set[int] = set()
        self._assumed = 0
        """Up to this place all since the last cut is taken to be ours."""
        self._requests: deque[Outgoing] = deque()
        self._wanted = False
        self._asked = False
        self._under_way = False

    def opened(self) -> None:
        """A new connection: ACK comes first."""
        self.live = False
        self._assumed = 0
        if self._under_way:
            self._under_way = False
            self._wanted = True
            self._outbox.release()
        self._requests.clear()
        self._outbox.interrupt()

    def pull(self, *, asked: bool = False) -> None:
        """Ask for a copy of the document as soon as may be (any thread).

        One that the program has ``asked`` for comes in any case; any other one is not needed any more when a whole
        document of ours has taken the place of what was in doubt.
        """
        self._asked = self._asked or asked
        self._wanted = True

    @property
    def pulling(self) -> bool:
        """Whether a copy is wanted or on its way."""
        return self._wanted or self._under_way

    def answer(self, answers: bool) -> None:
        """Say whether this program has callbacks."""
        if answers != self.answers:
            self.answers = answers
            if self.live:
                self._resume()

    def next(self) -> Outgoing | None:
        """What to send now, if anything."""
        if self._requests:
            return self._requests.popleft()
        if not self.live:
            return None
        if self._wanted and not self._outbox.replaces:
            self._wanted = False
            if not self._under_way:
                self._under_way = True
                self._outbox.keep()
                return _request("PULL-DOC-REQ")
        entry = self._outbox.take()
        return entry.message() if entry is not None else None

    def received(self, message: Message) -> Meaning | None:
        """Take a message; what it means to others, if anything."""
        header = message.header
        match header.msgtype:
            case "ACK":
                self._resume()
            case "RESUMED":
                return self._resumed(_decode_resumed(message.content))
            case "PATCH-DOC":
                return self._patched(message)
            case "PULL-DOC-REPLY":
                return self._pulled(message)
            case "OK":
                self._acknowledged(message)
            case "ERROR":
                return self._refused(message)
            case "RESYNC":
                self.pull()
                return Resync(orjson.loads(message.content).get("reason", ""))
            case "PRESENCE":
                content = orjson.loads(message.content)
                return Presence(*(content.get(name, 0) for name in ("programs", "answering", "viewers")))
            case unknown:
                log.debug("The server sent %s, which this version does not know", unknown)
        return None

    def _resume(self) -> None:
        content: dict[str, object] = {
            "client": self.client,
            "epoch": self.epoch,
            "seq": self.seq,
            "kind": "program",
            "answers": self.answers,
        }
        self._requests.append(_request("RESUME", content))

    def _resumed(self, resumed: Resumed) -> Live | None:
        if self.live:
            return None
        self.live = True
        self._epoch = resumed.epoch
        in_flight = self._outbox.acknowledge(resumed.number)
        if resumed.fresh:
            self.epoch = self.seq = None
            self._ahead.clear()
        # The place of ours among the others' is only known from an OK, and a refused one may be among them.
        if resumed.fresh or (in_flight and not self._are_alone(in_flight, resumed.seq)):
            self.pull()
        return Live(resumed.writer)

    def _are_alone(self, settled: list[Entry], seq: int) -> bool:
        """Whether nothing else than changes of ours has happened up to ``seq`` since what was seen.

        There are as many of them as places in the order. Should others have taken some of these, in the place of
        refused ones of ours, then their patches follow, and the document is asked for after all.
        """
        if self.seq is None or seq - self.seq != len(settled) + len(self._ahead):
            return False
        if any(entry.msgtype == "PUSH-DOC" for entry in settled):
            return False
        self.seq = self._assumed = seq
        self._ahead.clear()
        return True

    def _patched(self, message: Message) -> Patched | None:
        if self._outbox.replaces:
            return None  # it is about the document that ours is about to replace
        seq = message.header.seq
        if seq is not None:
            if self.seq is not None and (message.header.since or seq) <= self._assumed:
                self.pull()
                return None
            if self.seq is None or seq <= self.seq:
                return None
            self._advance(seq)
        return Patched(message, self._outbox.acknowledged)

    def _pulled(self, message: Message) -> Pulled | None:
        self._under_way = False
        if self._outbox.replaces:
            self._outbox.release()
            self._wanted = self._wanted or self._asked
            return None
        self._asked = False
        self.epoch, self.seq = message.header.epoch, message.header.seq
        self._assumed = 0
        self._ahead.clear()
        return Pulled(message, self._outbox.acknowledged)

    def _acknowledged(self, message: Message) -> None:
        number, seq = message.header.number, message.header.seq
        if number is None:
            return
        settled = self._outbox.acknowledge(number)
        if any(entry.msgtype == "PUSH-DOC" for entry in settled):
            self.epoch, self.seq = self._epoch, seq
            self._ahead.clear()
            self._wanted = self._asked
        elif seq is not None and self.seq is not None and seq > self.seq:
            self._ahead.add(seq)
            self._advance(self.seq)

    def _advance(self, seq: int) -> None:
        """All up to ``seq`` has been seen, and what follows it without a gap."""
        while seq + 1 in self._ahead:
            seq += 1
        self._ahead = {ahead for ahead in self._ahead if ahead > seq}
        self.seq = seq

    def _refused(self, message: Message) -> Refused | None:
        content = orjson.loads(message.content)
        why = error_of(str(content.get("code", "")), str(content.get("text", "")))
        number = message.header.number
        entry = self._outbox.refuse(number, why) if number is not None else None
        if entry is None:
            log.error("The server says: %s", why)
            return None
        self.pull()
        return Refused(entry, why)


def _request(msgtype: str, content: dict[str, object] | None = None) -> Outgoing:
    return outgoing(msgtype, orjson.dumps(content or {}), msgid=secrets.token_hex(8))
