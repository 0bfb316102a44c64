"""What a guided fuzz feeds: websocket fragments in a row, as one piece of bytes.

Each fragment has a head of four bytes: ``b`` for binary (anything else: text) and its length. Every piece of bytes is
some row of fragments, so nothing that a mutation makes is thrown away unread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Fragment = str | bytes

BINARY = ord("b")
LONGEST = 2**24 - 1


def pack(fragments: Iterable[Fragment]) -> bytes:
    """The bytes that ``unpack`` takes apart into these fragments."""
    return b"".join(_packed(fragment) for fragment in fragments)


def _packed(fragment: Fragment) -> bytes:
    kind, payload = (b"b", fragment) if isinstance(fragment, bytes) else (b"t", as_bytes(fragment))
    return kind + min(len(payload), LONGEST).to_bytes(3, "big") + payload[:LONGEST]


def unpack(data: bytes) -> Iterator[Fragment]:
    """The fragments; the last one is cut off where the bytes end. Bytes that are no UTF-8 become lone surrogates."""
    at = 0
    while at < len(data):
        begin = at + 4
        end = begin + int.from_bytes(data[at + 1 : begin], "big")
        payload = data[begin:end]
        yield payload if data[at] == BINARY else payload.decode("utf-8", "surrogateescape")
        at = end


def as_bytes(text: str) -> bytes:
    """The way back from the text of ``unpack``."""
    return text.encode("utf-8", "surrogateescape")
