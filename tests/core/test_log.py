"""Records: what the log keeps, and that damage is noticed before anything is made of it."""

from __future__ import annotations

import zlib

import pytest
from msgspec import structs

from bokeh_server.core import Buffers
from bokeh_server.core.log import Record, Stored, pack, unpack
from bokeh_server.errors import StoreDamaged

BUFFERS: Buffers = (("p1", b"\x00\x01\x02"), ("é", b""))


@pytest.mark.parametrize("buffers", [(), BUFFERS, (("same", b"1"), ("same", b"2"))])
@pytest.mark.parametrize("content", [b"", b'{"events":[]}', b"x" * 70_000])
def test_a_body_gives_back_content_and_buffers_in_their_order(content: bytes, buffers: Buffers) -> None:
    assert unpack(pack(content, buffers)) == (content, buffers)


def test_a_record_opens_to_what_was_put_in() -> None:
    record = Record.make("doc", 2, 7, "patch", b"{}", BUFFERS, author="anna", client="c1", number=3)
    assert record.open() == (b"{}", BUFFERS)
    assert (record.document, record.epoch, record.seq, record.kind) == ("doc", 2, 7, "patch")
    assert (record.author, record.client, record.number) == ("anna", "c1", 3)
    assert record.crc == zlib.crc32(record.body)


def test_a_record_of_a_client_that_does_not_count_has_no_client_and_number_0() -> None:
    record = Record.make("doc", 1, 1, "replace", b"{}")
    assert (record.author, record.client, record.number) == ("", "", 0)


@pytest.mark.parametrize("at", [0, 8, -1])
def test_one_changed_byte_is_noticed(at: int) -> None:
    record = Record.make("doc", 1, 5, "patch", b'{"events":[]}', BUFFERS)
    body = bytearray(record.body)
    body[at] ^= 1
    with pytest.raises(StoreDamaged, match="Record 5 of document doc is damaged"):
        structs.replace(record, body=bytes(body)).open()


@pytest.mark.parametrize("left", [left for left in range(37) if left != 18])
def test_a_body_that_is_cut_off_within_a_fragment_is_damaged(left: int) -> None:
    body = pack(b"0123456789", (("a", b"12"),))
    assert len(body) == 37
    with pytest.raises(StoreDamaged, match="cut off"):
        unpack(body[:left])


def test_a_body_with_a_name_and_no_payload_is_damaged() -> None:
    with pytest.raises(StoreDamaged, match="cut off"):
        unpack(pack(b"{}", ()) + (1).to_bytes(8, "little") + b"a")


def test_what_a_store_has_begins_with_a_snapshot_or_with_nothing() -> None:
    first = Record.make("doc", 1, 1, "replace", b"{}")
    assert Stored(None, {}, [first]).snapshot is None
    assert Stored(first, {"c": 3}, []).clients == {"c": 3}
