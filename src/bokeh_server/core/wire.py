"""Bokeh's wire protocol: websocket fragments in, one message out, and back.

A message is three text fragments (header, metadata, content: JSON each) and then pairs of a text ``{"id": …}`` and a
binary payload for each buffer (bokeh 3.9 ``protocol/message.py``). ``Assembler`` puts fragments together within
bounds and raises ``BadMessage`` on anything else; ``Outgoing`` is a message ready to leave, with its websocket frames
made once for all receivers. The content is kept as the bytes that came: whoever forwards it never re-encodes it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from bokeh_server.core import Buffers
from bokeh_server.errors import BadMessage, TooLarge
from bokeh_server.limits import LIMITS, Limits


class Header(msgspec.Struct, frozen=True):
    """What server and client library read of a header; everything else in it is ignored."""

    msgid: str
    msgtype: str
    reqid: str | None = None
    num_buffers: int = 0
    number: int | None = None
    epoch: int | None = None
    seq: int | None = None


class BufferHeader(msgspec.Struct, frozen=True):
    """The text fragment in front of a binary payload."""

    id: str


class Message(msgspec.Struct, frozen=True):
    """One message as it came in: its header, the JSON bytes of its content, and its buffers."""

    header: Header
    content: bytes
    buffers: Buffers = ()

    @property
    def size(self) -> int:
        """Bytes of content and buffers."""
        return len(self.content) + sum(len(payload) for _, payload in self.buffers)


_decode_header = msgspec.json.Decoder(Header).decode
_decode_buffer_header = msgspec.json.Decoder(BufferHeader).decode


class Assembler:
    """Puts the fragments of one socket together to messages.

    After an error it starts afresh; the socket should be closed with the error's ``close`` code, since what follows
    on it can't be trusted.
    """

    __slots__ = ("_buffers", "_content", "_header", "_id", "_limits", "_metadata", "_size")

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._reset()

    def _reset(self) -> None:
        self._header: Header | None = None
        self._metadata = False
        self._content: bytes | None = None
        self._id: str | None = None
        self._buffers: list[tuple[str, bytes]] = []
        self._size = 0

    def receive(self, fragment: str | bytes) -> Message | None:
        """Take the next fragment; return the message that it completes, or None.

        Raises ``BadMessage`` where text was expected and binary came (or the other way round), where a header is not
        what it must be, and ``TooLarge`` past ``limits.message``, ``limits.header`` or ``limits.buffers``.
        """
        try:
            return self._receive(fragment)
        except BadMessage:
            self._reset()
            raise

    def _receive(self, fragment: str | bytes) -> Message | None:
        size = len(fragment)
        if self._size + size > self._limits.message:
            raise TooLarge(f"The message is larger than {self._limits.message} bytes; send it in smaller parts.")
        self._size += size
        if self._id is not None:
            return self._payload(fragment)
        if not isinstance(fragment, str):
            raise BadMessage("A binary fragment came where text was expected.")
        if self._content is None and self._metadata:
            return self._take_content(fragment)
        if size > self._limits.header:
            what = "header of a buffer" if self._metadata else "metadata of a message" if self._header else None
            raise TooLarge(f"The {what or 'header of a message'} is too large.")
        if self._header is None:
            self._header = self._parse_header(fragment)
        elif not self._metadata:
            self._metadata = True
        else:
            self._id = self._parse_buffer_header(fragment)
        return None

    def _take_content(self, fragment: str) -> Message | None:
        header = self._header
        assert header is not None
        content = encode_text(fragment)
        self._size += len(content) - len(fragment)
        if self._size > self._limits.message:
            raise TooLarge(f"The message is larger than {self._limits.message} bytes; send it in smaller parts.")
        if header.num_buffers:
            self._content = content
            return None
        self._header, self._metadata, self._size = None, False, 0
        return Message(header, content)

    def _parse_header(self, fragment: str) -> Header:
        try:
            header = _decode_header(fragment)
        except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
            raise BadMessage(f"The header of a message is not valid: {error}.") from None
        if header.num_buffers < 0:
            raise BadMessage("A message can't have fewer than no buffers.")
        if header.num_buffers > self._limits.buffers:
            raise TooLarge(f"A message may have at most {self._limits.buffers} buffers.")
        return header

    def _parse_buffer_header(self, fragment: str) -> str:
        try:
            return _decode_buffer_header(fragment).id
        except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
            raise BadMessage(f"The header of a buffer is not valid: {error}.") from None

    def _payload(self, fragment: str | bytes) -> Message | None:
        if isinstance(fragment, str):
            raise BadMessage("A text fragment came where the payload of a buffer was expected.")
        assert self._id is not None
        assert self._header is not None
        assert self._content is not None
        self._buffers.append((self._id, bytes(fragment)))
        self._id = None
        if len(self._buffers) < self._header.num_buffers:
            return None
        message = Message(self._header, self._content, tuple(self._buffers))
        self._reset()
        return message


def encode_text(text: str) -> bytes:
    """UTF-8 bytes of ``text``; a lone surrogate is a ``BadMessage``."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadMessage("The text holds a lone surrogate, which is not valid Unicode.") from None


class Outgoing:
    """A message ready to leave, or several in a row: the fragments, and their frames made once for all receivers."""

    __slots__ = ("_frames", "_pieces", "size")

    def __init__(self, texts: tuple[bytes, ...], buffers: Buffers = ()) -> None:
        pairs = [pair for name, payload in buffers for pair in ((True, orjson.dumps({"id": name})), (False, payload))]
        self._pieces: list[tuple[bool, bytes]] = [*((True, text) for text in texts), *pairs]
        self._frames: bytes | None = None
        self.size = sum([len(piece) for _, piece in self._pieces])
        """Bytes of the fragments."""

    @classmethod
    def joined(cls, messages: Sequence[Outgoing]) -> Outgoing:
        """Messages that go to the same receivers, one after the other, as one write."""
        if len(messages) == 1:
            return messages[0]
        joined = cls(())
        joined._pieces = [piece for message in messages for piece in message._pieces]
        joined._frames = b"".join([message.frames for message in messages])
        joined.size = sum([message.size for message in messages])
        return joined

    @property
    def parts(self) -> tuple[str | bytes, ...]:
        """The fragments in order: ``str`` for text, ``bytes`` for payloads (for senders that make their own frames)."""
        return tuple(piece.decode() if text else piece for text, piece in self._pieces)

    @property
    def frames(self) -> bytes:
        """All fragments as unmasked, final websocket frames (RFC 6455, section 5.2), one after the other."""
        if self._frames is None:
            self._frames = b"".join(self.pieces)
        return self._frames

    @property
    def pieces(self) -> list[bytes]:
        """What ``frames`` joins: for a large message it is cheaper to hand the pieces on than to copy them."""
        return [part for text, piece in self._pieces for part in (_head(0x81 if text else 0x82, len(piece)), piece)]


def outgoing(
    msgtype: str,
    content: bytes,
    *,
    msgid: str,
    buffers: Buffers = (),
    reqid: str | None = None,
    **more: int | str | None,
) -> Outgoing:
    """A message of type ``msgtype`` with the JSON bytes ``content`` and ``buffers``; ``more`` goes into the header."""
    header: dict[str, Any] = {"msgid": msgid, "msgtype": msgtype}
    if reqid is not None:
        header["reqid"] = reqid
    if buffers:
        header["num_buffers"] = len(buffers)
    for key, value in more.items():
        if value is not None:
            header[key] = value
    return Outgoing((orjson.dumps(header), b"{}", content), buffers)


def _head(first: int, size: int) -> bytes:
    if size < 126:
        return struct.pack("!BB", first, size)
    if size < 65536:
        return struct.pack("!BBH", first, 126, size)
    return struct.pack("!BBQ", first, 127, size)
