"""Small records of one document that were kept together, as one row.

A row costs SQLite some microseconds, however short it is. So records that one transaction keeps, and that follow each
other in a document, are one row of the kind ``PACK``: its body is their MessagePack, its seq and epoch are those of the
last, and its number is the bytes of their bodies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, cast
from zlib import crc32

import msgspec

from bokeh_server.core.log import Kind, Record
from bokeh_server.limits import KIB

PACK: Final = cast("Kind", "pack")
LARGE: Final = 16 * KIB
"""Bytes of a record that is a row of its own."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Record]).decode


def packed(records: Iterable[Record]) -> list[Record]:
    """Records as rows, those of each document in their order."""
    rows: list[Record] = []
    small: dict[str, list[Record]] = {}
    for record in records:
        if len(record.body) < LARGE:
            small.setdefault(record.document, []).append(record)
        else:
            if before := small.pop(record.document, None):
                rows.append(_pack(before))
            rows.append(record)
    rows += map(_pack, small.values())
    return rows


def _pack(records: list[Record]) -> Record:
    if len(records) == 1:
        return records[0]
    body, last = _encode(records), records[-1]
    size = sum([len(record.body) for record in records])
    return Record(last.document, last.epoch, last.seq, PACK, "", "", size, body, crc32(body))


def unpacked(rows: Iterable[Record], after: int) -> Iterator[Record]:
    """The records of rows with a seq past ``after``; a row that is damaged comes as it is."""
    for row in rows:
        if row.kind == PACK and crc32(row.body) == row.crc:
            yield from (record for record in _decode(row.body) if record.seq > after)
        else:
            yield row
