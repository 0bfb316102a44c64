"""What waits has bounds: memory, then disk, and then rows give way, or the program waits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from bokeh_server.client import backlog, waiting
from bokeh_server.client.bounds import LEAST, LEAST_ON_DISK, Bounds, WhenFull
from bokeh_server.client.outbox import Outbox
from bokeh_server.client.rows import Rows, Values
from bokeh_server.client.spool import Spool

ROWS = 200
"""Of each call: 6,400 bytes, so that ten of them fill the memory."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of two calls, so that tests need not write megabytes."""
    for module in (backlog, waiting):
        monkeypatch.setattr(module, "BATCH", 2 * ROWS * 32)


def outbox(when_full: WhenFull = "oldest", spool: int = 0) -> Outbox:
    """An outbox with as little room as can be."""
    return Outbox(Bounds(memory=LEAST, spool=spool, when_full=when_full))


def stream(box: Outbox, first: int, count: int = ROWS) -> int:
    """Rows from ``first`` on."""
    values: list[Any] = list(range(first, first + count))
    rows = Rows("s", None, {"x": Values(values, {int})}, count)
    return box.put("PATCH-DOC", keys=frozenset({("s", "data")}), rows=rows, reach="part")


def fill(box: Outbox, calls: int) -> None:
    """Rows of so many calls: 0, 1, 2, …; disk is used as it would be by the other thread."""
    for call in range(calls):
        stream(box, call * ROWS)
        while box.shift():
            pass


def sent(box: Outbox) -> list[int]:
    """The rows that leave, in order."""
    found: list[int] = []
    while True:
        while box.shift():
            pass
        entry = box.take()
        if entry is None:
            return found
        box.acknowledge(entry.number)
        if entry.appended:
            found += dict(orjson.loads(entry.content)["events"][0]["data"]["entries"])["x"]


def test_what_memory_has_no_room_for_waits_on_disk_and_leaves_in_order() -> None:
    box = outbox(spool=LEAST_ON_DISK)
    fill(box, 60)
    assert box.memory <= 2 * LEAST
    assert box.on_disk > 0
    last = box.last
    assert not box.wait(last, 0)
    assert sent(box) == list(range(60 * ROWS))
    assert (box.dropped, box.on_disk, box.bytes) == (0, 0, 0)
    assert box.wait(last, 0)
    box.close()


def test_what_comes_while_older_rows_are_on_disk_leaves_after_them() -> None:
    box = outbox(spool=LEAST_ON_DISK)
    fill(box, 30)
    assert box.take() is not None
    stream(box, 30 * ROWS)
    box.interrupt()
    assert sent(box) == list(range(31 * ROWS))
    box.close()


@pytest.mark.parametrize("spool", [0, LEAST_ON_DISK])
def test_where_all_is_full_the_oldest_rows_give_way(spool: int) -> None:
    box = outbox("oldest", spool)
    fill(box, 1200)
    assert box.memory <= 2 * LEAST
    assert box.on_disk <= spool + 4 * ROWS * 32
    rows = sent(box)
    assert rows == list(range(1200 * ROWS))[-len(rows) :]
    assert box.dropped == 1200 * ROWS - len(rows) > 0
    assert box.acknowledged == box.settled == box.last
    box.close()


@pytest.mark.parametrize("spool", [0, LEAST_ON_DISK])
def test_where_all_is_full_the_newest_rows_give_way(spool: int) -> None:
    box = outbox("newest", spool)
    fill(box, 1200)
    assert box.memory <= 2 * LEAST
    rows = sent(box)
    assert rows == list(range(len(rows)))
    assert box.dropped == 1200 * ROWS - len(rows) > 0
    stream(box, 7)
    assert sent(box) == list(range(7, 7 + ROWS))
    box.close()


@pytest.mark.parametrize("spool", [0, LEAST_ON_DISK])
def test_where_all_is_full_the_program_waits_and_nothing_gives_way(spool: int) -> None:
    box = outbox("block", spool)
    calls = 0
    while not box.blocks:
        stream(box, calls * ROWS)
        calls += 1
        while box.shift():
            pass
    assert calls >= 10
    waits = threading.Thread(target=box.wait_for_room)
    waits.start()
    waits.join(0.05)
    assert waits.is_alive()
    assert sent(box) == list(range(calls * ROWS))
    waits.join(10)
    assert not waits.is_alive()
    box.close()


def test_a_program_that_waits_for_room_goes_on_when_the_document_is_gone() -> None:
    box = outbox("block")
    fill(box, 20)
    waits = threading.Thread(target=box.wait_for_room)
    waits.start()
    box.clear()
    waits.join(10)
    assert not waits.is_alive()
    assert not box.blocks


@pytest.mark.parametrize("when_full", ["oldest", "newest"])
@pytest.mark.parametrize("spool", [0, LEAST_ON_DISK])
def test_changes_that_are_no_rows_never_give_way(when_full: WhenFull, spool: int) -> None:
    box = outbox(when_full, spool)
    for number in range(300):
        box.put("PATCH-DOC", b"%d" % number)
        fill(box, 5)
    others = []
    while True:
        while box.shift():
            pass
        entry = box.take()
        if entry is None:
            break
        if not entry.appended:
            others.append(int(entry.content))
    assert others == list(range(300))
    assert box.dropped > 0
    box.close()


def test_much_of_what_never_gives_way_is_said_to_overflow() -> None:
    box, overflows = outbox(), list[bool]()
    fill(box, 100)
    overflows.append(box.overflows)
    for _ in range(200):
        box.put("PATCH-DOC", b"x")
    overflows.append(box.overflows)
    box.put("PUSH-DOC", b"whole")
    overflows.append(box.overflows)
    assert overflows == [False, True, False]


def test_a_whole_document_takes_the_place_of_what_is_on_disk() -> None:
    box = outbox(spool=LEAST_ON_DISK)
    fill(box, 40)
    assert box.on_disk
    number = box.put("PUSH-DOC", b"whole")
    assert box.on_disk == 0
    assert sent(box) == []
    assert box.settled == number
    box.close()


def test_a_whole_document_that_comes_while_rows_are_on_their_way_to_disk_replaces_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    box = outbox(spool=LEAST_ON_DISK)
    during: list[Callable[[], object]] = [lambda: box.put("PUSH-DOC", b"whole")]
    write, read = Spool.write, Spool.read

    def while_written(spool: Spool, entries: Any) -> Any:
        if during:
            during.pop()()
        return write(spool, entries)

    def while_read(spool: Spool, record: Any) -> Any:
        if during:
            during.pop()()
        return read(spool, record)

    monkeypatch.setattr(Spool, "write", while_written)
    fill(box, 10)
    assert sent(box) == []
    fill(box, 30)
    monkeypatch.setattr(Spool, "read", while_read)
    during.append(lambda: box.put("PUSH-DOC", b"whole"))
    assert sent(box) == list(range(2 * ROWS))  # which had come back from disk already
    box.close()


def test_a_disk_that_is_full_is_said_once_and_memory_is_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    box = outbox(spool=LEAST_ON_DISK)
    write = Spool.write

    def fails(spool: Spool, entries: Any) -> Any:
        raise OSError("No space left on device")

    monkeypatch.setattr(Spool, "write", fails)
    fill(box, 12)
    monkeypatch.setattr(backlog, "AGAIN", 0.0)
    assert caplog.text.count("No space left on device") == 1
    assert box.dropped > 0
    box.backlog._again = 0.0
    monkeypatch.setattr(Spool, "write", write)
    dropped = box.dropped
    fill(box, 20)
    assert box.on_disk
    assert box.dropped == dropped
    box.close()


def test_what_can_not_be_read_from_disk_is_counted_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    box = outbox(spool=LEAST_ON_DISK)
    fill(box, 60)
    box.backlog._records[0].segment.file.truncate(0)
    records = list(box.backlog._records)
    lost = sum(record.rows for record in records)
    rows = sent(box)
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * len(records)
    assert box.dropped == lost
    assert len(rows) == 60 * ROWS - lost
    assert box.settled == box.last
    box.close()


def test_with_autopush_off_nothing_past_the_last_push_leaves_from_disk_either() -> None:
    box = outbox(spool=LEAST_ON_DISK)
    box.until = stream(box, 0)
    fill(box, 30)
    taken = box.take()
    while taken is None and box.shift():
        taken = box.take()
    assert taken is not None
    assert taken.number == 1
    while box.shift():
        pass
    assert box.take() is None
    box.until = None
    assert len(sent(box)) == 30 * ROWS
    box.close()
