"""Small records become one row, and are the same again."""

from __future__ import annotations

from msgspec import structs

from bokeh_server.store.packs import LARGE, PACK, packed, unpacked
from tests.store.contract import several
from tests.store.histories import a_record


def test_small_records_of_a_document_are_one_row_and_come_out_as_they_were() -> None:
    first, second = several("d1", 3, 9), several("d2", 1, 2)
    rows = packed(record for pair in zip(first, second + first[2:], strict=True) for record in dict.fromkeys(pair))
    assert {(row.document, row.seq, row.kind) for row in packed([*first, *second])} == {
        ("d1", 9, PACK),
        ("d2", 2, PACK),
    }
    assert [record for row in packed([*first, *second]) for record in unpacked([row], 0)] == [*first, *second]
    assert all(row.kind == PACK for row in rows)


def test_a_record_alone_and_a_large_one_are_rows_of_their_own_in_their_place() -> None:
    alone, large = a_record("d2", 1), a_record("d1", 3, LARGE)
    records = [*several("d1", 1, 2), large, *several("d1", 4, 5)]
    rows = packed([*records, alone])
    assert alone in rows
    assert large in rows
    assert [row.seq for row in rows if row.document == "d1"] == [2, 3, 5]
    assert [*unpacked([row for row in rows if row.document == "d1"], 0)] == records


def test_only_those_past_a_seq_are_wanted() -> None:
    rows = packed(several("d1", 1, 9))
    assert [*unpacked(rows, 7)] == several("d1", 8, 9)


def test_a_row_says_how_many_bytes_its_records_have() -> None:
    (row,) = packed(several("d1", 1, 9))
    assert row.number == sum(len(record.body) for record in several("d1", 1, 9))


def test_a_damaged_row_comes_as_it_is_for_its_checksum_to_be_told() -> None:
    (row,) = packed(several("d1", 1, 9))
    damaged = structs.replace(row, body=row.body[:-1])
    assert [*unpacked([damaged], 0)] == [damaged]
