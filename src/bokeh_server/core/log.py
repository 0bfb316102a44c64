"""Records: what the log keeps of a document, and how they become the document again.

A record is one step in the order of a document: ``(epoch, seq)``, who sent it, and a body with its checksum. The body
is the content of the patch as it was applied, with its buffers, so that what is kept is what went over the wire. A
``thin`` record says which old rows of a source the server has let go of (``core.thinning``). A
``replace`` record holds a whole document, and a snapshot is nothing but a ``replace`` record that the server wrote
itself: replay has one path. The log is the only truth; everything else is a cache of it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

import msgspec

from bokeh_server.core import Buffers, Payload
from bokeh_server.errors import StoreDamaged

Kind = Literal["patch", "replace", "thin"]


class Record(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One step of a document.

    ``client`` and ``number`` name the sender's own count of its patches (empty and 0 for clients that do not count),
    so that a patch that is sent again after a cut is applied once. ``crc`` is the CRC-32 of ``body``.
    """

    document: str
    epoch: int
    seq: int
    kind: Kind
    author: str
    client: str
    number: int
    body: bytes
    crc: int

    @classmethod
    def make(
        cls,
        document: str,
        epoch: int,
        seq: int,
        kind: Kind,
        content: bytes,
        buffers: Buffers = (),
        *,
        author: str = "",
        client: str = "",
        number: int = 0,
    ) -> Record:
        """A record of ``content`` (JSON) and ``buffers``."""
        body = pack(content, buffers)
        return cls(document, epoch, seq, kind, author, client, number, body, zlib.crc32(body))

    def open(self) -> tuple[bytes, Buffers]:
        """Content and buffers; ``StoreDamaged`` where the checksum does not match."""
        if zlib.crc32(self.body) != self.crc:
            raise StoreDamaged(
                f"Record {self.seq} of document {self.document} is damaged; restore a backup or delete the document."
            )
        return unpack(self.body)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a store has of one document: a snapshot (or None before the first), then the records after it, in order.

    ``clients`` maps a client to the number of its last patch that the snapshot holds.
    """

    snapshot: Record | None
    clients: dict[str, int]
    records: list[Record]


def pack(content: bytes, buffers: Buffers) -> bytes:
    """The body of a record: content, then id and payload of each buffer, each with its length in front."""
    if not buffers:
        return len(content).to_bytes(8, "little") + content
    pieces: list[Payload] = [len(content).to_bytes(8, "little"), content]
    for name, payload in buffers:
        for part in (name.encode(), payload):
            pieces += (len(part).to_bytes(8, "little"), part)
    return b"".join(pieces)


def unpack(body: bytes) -> tuple[bytes, Buffers]:
    """Content and buffers of a body; ``StoreDamaged`` where its lengths do not add up."""
    fragments, at, end = [], 0, len(body)
    while at < end:
        start = at + 8
        at = start + int.from_bytes(body[at:start], "little")
        fragments.append(body[start:at])
    if at != end or len(fragments) % 2 != 1:
        raise StoreDamaged("A stored record is cut off; restore a backup or delete the document.")
    content, *rest = fragments
    return content, tuple((name.decode(), payload) for name, payload in zip(rest[::2], rest[1::2], strict=True))
