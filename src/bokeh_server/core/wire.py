"""Bokeh's wire protocol: websocket fragments in, one message out, and back.

A message is three text fragments (header, metadata, content: JSON each) and then pairs of a text ``{"id": …}`` and a
binary payload for each buffer (bokeh 3.9 ``protocol/message.py``). ``Assembler`` puts fragments together within
bounds and raises ``BadMessage`` on anything else; ``Outgoing`` is a message ready to leave, with its websocket frames
made once for all receivers. The content is kept as the bytes that came: whoever forwards it never re-encodes it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum, auto
from typing import Annotated, Final

import msgspec

from bokeh_server.core import Buffers, Payload
from bokeh_server.errors import BadMessage, TooLarge
from bokeh_server.limits import LIMITS, Limits


class Header(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What server and client library read of a header; everything else in it is ignored."""

    msgid: str
    msgtype: str
    reqid: str | None = None
    num_buffers: Annotated[int, msgspec.Meta(ge=0)] = 0
    number: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] | None = None
    """Of a patch, as its sender counts; a store has 64 bits for it."""
    epoch: int | None = None
    seq: int | None = None
    since: int | None = None
    """Of a patch that stands for several: the first of them; ``seq`` is the last."""


class BufferHeader(msgspec.Struct, frozen=True, gc=False):
    """The text fragment in front of a binary payload."""

    id: str


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message as it came in: its header, the JSON bytes of its content, and its buffers."""

    header: Header
    content: bytes
    buffers: Buffers = ()

    @property
    def size(self) -> int:
        """Bytes of content and buffers."""
        return len(self.content) + sum([len(payload) for _, payload in self.buffers] if self.buffers else ())


_encode = msgspec.json.Encoder().encode
_decode_header = msgspec.json.Decoder(Header).decode
_decode_buffer_header = msgspec.json.Decoder(BufferHeader).decode


class Expected(IntEnum):
    """What the next fragment is."""

    HEADER = auto()
    METADATA = auto()
    CONTENT = auto()
    BUFFER_HEADER = auto()
    PAYLOAD = auto()


HEADER, METADATA, CONTENT, BUFFER_HEADER, PAYLOAD = Expected
WORDS: Final = {HEADER: "header of a message", METADATA: "metadata of a message", BUFFER_HEADER: "header of a buffer"}


class Assembler:
    """Puts the fragments of one socket together to messages.

    After an error it starts afresh; the socket should be closed with the error's ``close`` code, since what follows
    on it can't be trusted.
    """

    __slots__ = ("_buffers", "_content", "_expected", "_header", "_id", "_limits", "_longest", "_most", "_size")

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._most = limits.message
        self._longest = limits.header
        self._expected = HEADER
        self._size = 0
        self._header: Header
        self._content: bytes
        self._id: str
        self._buffers: list[tuple[str, bytes]]

    def messages(self, fragments: Sequence[str | bytes]) -> Iterator[Message]:
        """The messages that the next fragments complete; as ``receive``, which this does for each of them.

        Three fragments that are a whole message, as nearly all are, are read at once.
        """
        at, last = 0, len(fragments) - 2
        while at < len(fragments):
            message = self._whole(*fragments[at : at + 3]) if self._expected is HEADER and at < last else None
            at += 3
            if message is None:
                at -= 2
                message = self.receive(fragments[at - 1])
            if message is not None:
                yield message

    def _whole(self, header: str | bytes, metadata: str | bytes, content: str | bytes) -> Message | None:
        """The message of three fragments, where they are a good one."""
        if not (type(header) is type(metadata) is type(content) is str):
            return None
        size = len(header) + len(metadata)
        if len(header) > self._longest or len(metadata) > self._longest or 4 * len(content) + size > self._most:
            return None
        try:
            found = _decode_header(header)
            return Message(found, content.encode()) if not found.num_buffers else None
        except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
            return None

    def receive(self, fragment: str | bytes) -> Message | None:
        """Take the next fragment; return the message that it completes, or None.

        Raises ``BadMessage`` where text was expected and binary came (or the other way round), where a header is not
        what it must be, and ``TooLarge`` past ``limits.message``, ``limits.header`` or ``limits.buffers``.
        """
        expected, size = self._expected, len(fragment)
        self._expected = HEADER  # until this fragment has turned out to be a good one
        if expected is PAYLOAD:
            return self._take_payload(fragment)
        if not isinstance(fragment, str):
            raise BadMessage("A binary fragment came where text was expected.")
        if expected is CONTENT:
            content = encode_text(fragment)
            self._size += len(content)
            if self._size > self._most:
                raise TooLarge(f"The message is larger than {self._most} bytes; send it in smaller parts.")
            if not self._header.num_buffers:
                return Message(self._header, content)
            self._content, self._buffers, self._expected = content, [], BUFFER_HEADER
            return None
        if size > self._longest:
            raise TooLarge(f"The {WORDS[expected]} is too large.")
        if expected is METADATA:
            self._size += size
            self._expected = CONTENT
            return None
        self._take_header(expected, fragment)
        return None

    def _take_header(self, expected: Expected, fragment: str) -> None:
        try:
            if expected is BUFFER_HEADER:
                self._id = _decode_buffer_header(fragment).id
                self._size += len(fragment)
                self._expected = PAYLOAD
                return
            header = _decode_header(fragment)
        except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
            raise BadMessage(f"The {WORDS[expected]} is not valid: {error}.") from None
        if header.num_buffers > self._limits.buffers:
            raise TooLarge(f"A message may have at most {self._limits.buffers} buffers.")
        self._header, self._size, self._expected = header, len(fragment), METADATA

    def _take_payload(self, fragment: str | bytes) -> Message | None:
        if isinstance(fragment, str):
            raise BadMessage("A text fragment came where the payload of a buffer was expected.")
        self._size += len(fragment)
        if self._size > self._most:
            raise TooLarge(f"The message is larger than {self._most} bytes; send it in smaller parts.")
        buffers = self._buffers
        buffers.append((self._id, bytes(fragment)))
        if len(buffers) < self._header.num_buffers:
            self._expected = BUFFER_HEADER
            return None
        message = Message(self._header, self._content, tuple(buffers))
        self._content, self._buffers = b"", []
        return message


def encode_text(text: str) -> bytes:
    """UTF-8 bytes of ``text``; a lone surrogate is a ``BadMessage``."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadMessage("The text holds a lone surrogate, which is not valid Unicode.") from None


def exact(text: bytes) -> bytes:
    """The same bytes in no more memory than they need: ``orjson.dumps`` gives 4 KiB to the shortest text, which counts
    where thousands of them are kept."""
    return bytes(memoryview(text))


class Outgoing:
    """A message ready to leave, or several in a row: the fragments, and their frames made once for all receivers."""

    __slots__ = ("_buffers", "_joined", "_texts", "frames", "size")
    frames: bytes
    """All fragments as unmasked, final websocket frames (RFC 6455, section 5.2), one after the other, made once."""

    def __init__(self, texts: tuple[bytes, ...], buffers: Buffers = ()) -> None:
        self._texts = texts
        self._buffers = [(_encode(BufferHeader(name)), payload) for name, payload in buffers] if buffers else ()
        self._joined: Sequence[Outgoing] = ()
        size = 0
        for text in texts:
            size += len(text)
        for head, payload in self._buffers:
            size += len(head) + len(payload)
        self.size = size
        """Bytes of the fragments."""

    @classmethod
    def joined(cls, messages: Sequence[Outgoing]) -> Outgoing:
        """Messages that go to the same receivers, one after the other, as one write."""
        if len(messages) == 1:
            return messages[0]
        joined = cls(())
        joined._joined = messages
        joined.size = sum([message.size for message in messages])
        return joined

    @property
    def parts(self) -> tuple[str | bytes, ...]:
        """The fragments in order: ``str`` for text, ``bytes`` for payloads (for senders that make their own frames)."""
        if self._joined:
            return tuple(part for message in self._joined for part in message.parts)
        rest = [part for head, payload in self._buffers for part in (head.decode(), bytes(payload))]
        return (*(text.decode() for text in self._texts), *rest)

    def __getattr__(self, name: str) -> bytes:
        if name != "frames":
            raise AttributeError(name)
        self.frames = b"".join(self.pieces)
        return self.frames

    @property
    def pieces(self) -> list[Payload]:
        """What ``frames`` joins: for a large message it is cheaper to hand the pieces on than to copy them."""
        if self._joined:
            return [piece for message in self._joined for piece in message.pieces]
        pieces: list[Payload] = []
        for text in self._texts:
            size = len(text)
            pieces.append(SHORT[size] if size < 126 else _head(0x81, size))
            pieces.append(text)
        for head, payload in self._buffers:
            pieces += (_head(0x81, len(head)), head, _head(0x82, len(payload)), payload)
        return pieces


def outgoing(
    msgtype: str,
    content: bytes,
    *,
    msgid: str,
    buffers: Buffers = (),
    reqid: str | None = None,
    number: int | None = None,
    epoch: int | None = None,
    seq: int | None = None,
    since: int | None = None,
) -> Outgoing:
    """A message of type ``msgtype`` with the JSON bytes ``content`` and ``buffers``; None is left out."""
    header = Header(msgid, msgtype, reqid, len(buffers), number, epoch, seq, since)
    return Outgoing((_encode(header), b"{}", content), buffers)


def _head(first: int, size: int) -> bytes:
    if size < 126:
        return struct.pack("!BB", first, size)
    if size < 65536:
        return bytes((first, 126, size >> 8, size & 0xFF))
    return struct.pack("!BBQ", first, 127, size)


SHORT: Final = [_head(0x81, size) for size in range(126)]
"""The heads of short texts."""
