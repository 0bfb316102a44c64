"""Changes on disk: read back as they were, seen by nobody else, gone when they are not needed."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from bokeh_server.client.changes import ROOTS, Entry
from bokeh_server.client.rows import Rows, Values
from bokeh_server.client.spool import Damaged, Spool


def entry(number: int, content: bytes = b"{}", **more: object) -> Entry:
    """A change with that number."""
    return Entry(number, "PATCH-DOC", content, since=number, **more)  # type: ignore[arg-type]


def rows(number: int) -> Entry:
    """Rows with that number."""
    return Entry(
        number, "PATCH-DOC", keys=frozenset({("s", "data")}), since=number - 1, reach="part",
        rows=Rows("s", None, {"x": Values([1, 2], {int})}, 2),
    )  # fmt: skip


def test_entries_are_read_as_they_were_written(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    many = [
        entry(1, "ü".encode(), buffers=(("a", b"\x00\xff"), ("b", memoryview(b"12"))), models=frozenset({"m"})),
        entry(2, b"{}", keys=frozenset({ROOTS})),
        rows(4),
    ]
    first, second = spool.write(many), spool.write([rows(6)])
    assert (first.number, first.since, first.rows, first.only_rows) == (4, 1, 2, False)
    assert (first.keys, first.models) == (frozenset({ROOTS, ("s", "data")}), frozenset({"m"}))
    assert (second.number, second.since, second.rows, second.only_rows) == (6, 5, 2, True)
    for _ in range(2):  # it may be read again
        read = spool.read(first)
        assert [(each.number, each.since, each.patch, each.keys, each.models, each.appended) for each in read] == [
            (each.number, each.since, (each.content, tuple((name, bytes(data)) for name, data in each.buffers)),
             each.keys, each.models, each.appended)
            for each in many
        ]  # fmt: skip
    assert spool.read(second)[0].content == rows(6).content
    spool.close()


def test_files_that_were_read_go_and_so_do_all_at_the_end(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    spool = Spool(tmp_path, segment=100)
    records = [spool.write([entry(number, b"x" * 60)]) for number in range(6)]
    files = {record.segment.file for record in records}
    assert len(files) == 3
    for record in records[:2]:
        spool.forget(record)
    assert [file.closed for file in sorted(files, key=lambda file: file is not records[0].segment.file)][0]  # noqa: RUF015
    assert spool.read(records[2])[0].content == b"x" * 60
    spool.close()
    assert all(file.closed for file in files)
    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(sys.platform == "win32", reason="files have no mode there")
def test_nobody_else_may_read_it_and_it_has_no_name(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    record = spool.write([entry(1)])
    found = os.fstat(record.segment.file.fileno())
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert list(tmp_path.iterdir()) == []
    spool.close()


@pytest.mark.parametrize("damage", ["bit", "cut"])
def test_what_is_not_what_was_written_is_not_sent(tmp_path: Path, damage: str) -> None:
    spool = Spool(tmp_path)
    record = spool.write([entry(1, b"12345678")])
    if damage == "bit":
        record.segment.file.seek(record.size - 8)
        record.segment.file.write(b"?")
    else:
        record.segment.file.truncate(3)
    with pytest.raises(Damaged):
        spool.read(record)
    spool.close()


def test_a_folder_that_is_not_there_any_more_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        Spool(tmp_path / "gone").write([entry(1)])
