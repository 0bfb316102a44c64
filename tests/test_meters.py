"""What a hub measures: every figure moves when it should, and none is lost when a room leaves memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from bokeh_server.core.authorise import DEFAULT_USER
from bokeh_server.core.events import Kind
from bokeh_server.core.log import Record
from bokeh_server.errors import StoreFull
from bokeh_server.hub import Hub
from bokeh_server.meters import BOUNDS, STAGES, Histogram
from bokeh_server.seat import Seat
from bokeh_server.store.memory import MemoryStore
from tests.hubs import DOCUMENT, Line, change, run, send, settled, until


async def joined(hub: Hub, document: str, line: Line, kind: Kind = "program") -> Seat:
    """A seat in the room of a document."""
    return (await hub.open(document)).join(line, DEFAULT_USER, kind)


async def stored(hub: Hub) -> str:
    """A document."""
    info = await hub.create("defaultuser", "line")
    await hub.replace(info.id, DOCUMENT, (), DEFAULT_USER)
    return info.id


def test_a_value_is_counted_up_to_its_bound_and_above_all_of_them() -> None:
    histogram = Histogram()
    for value in (0.0, BOUNDS[0], BOUNDS[0] * 1.01, BOUNDS[-1], BOUNDS[-1] + 1):
        histogram.observe(value)
    assert (histogram.counts[0], histogram.counts[1], histogram.counts[-2], histogram.counts[-1]) == (2, 1, 1, 1)
    copied = histogram.copy()
    histogram.observe(0.0)
    assert (sum(copied.counts), sum(histogram.counts)) == (5, 6)
    assert histogram.total == pytest.approx(sum((BOUNDS[0], BOUNDS[0] * 1.01, 2 * BOUNDS[-1], 1)))


def test_patches_and_documents_that_were_kept_are_counted_with_their_bytes() -> None:
    async def test(hub: Hub) -> None:
        document = await stored(hub)
        for value in (1, 2, 3):
            await hub.patch(document, change(value), (), DEFAULT_USER)
        totals = hub.figures().totals
        assert (totals.documents, totals.patches) == (1, 3)
        assert totals.kept > len(DOCUMENT) + 3 * len(change(1))

    run(test)


def test_every_stage_of_a_commit_is_measured_once() -> None:
    async def test(hub: Hub) -> None:
        document = await stored(hub)
        for value in (1, 2, 3):
            await hub.patch(document, change(value), (), DEFAULT_USER)
        stages = hub.figures().stages
        assert tuple(stages) == STAGES
        assert {stage: sum(stages[stage].counts) for stage in STAGES} == {
            **dict.fromkeys(("apply", "queue", "commit", "fanout"), 4),
            "drain": 0,
        }

    run(test)


def test_what_is_sent_is_counted_for_each_of_its_receivers() -> None:
    async def test(hub: Hub) -> None:
        document = await stored(hub)
        lines = [Line(), Line()]
        for line in lines:
            send(await joined(hub, document, line), "PULL-DOC-REQ")
        await until(lambda: all("PULL-DOC-REPLY" in line.types for line in lines))
        before = hub.figures().totals
        await hub.patch(document, change(1), (), DEFAULT_USER)
        await until(lambda: all("PATCH-DOC" in line.types for line in lines))
        after = hub.figures().totals
        assert (before.pulls, after.messages - before.messages) == (2, 2)
        assert after.sent - before.sent > 2 * len(change(1))

    run(test)


def test_who_reads_slowly_is_seen_until_he_reads_and_how_long_that_took_is_kept() -> None:
    async def test(hub: Hub) -> None:
        document, line = await stored(hub), Line()
        seat = await joined(hub, document, line, "viewer")
        line.unsent = 1_000
        seat.paused()
        await asyncio.sleep(0.02)
        figures = hub.figures()
        assert (figures.sum("full"), figures.sum("unsent"), figures.totals.stalls) == (1, 1_000, 1)
        assert figures.lag >= 0.02
        assert figures.rooms[0].lag == figures.lag
        seat.resumed()
        seat.resumed()
        figures = hub.figures()
        assert (figures.sum("full"), figures.lag) == (0, 0.0)
        assert sum(figures.stages["drain"].counts) == 1
        assert figures.stages["drain"].total >= 0.02
        seat.paused()
        seat.leave()
        assert hub.figures().sum("full") == 0

    run(test)


def test_who_is_shown_the_door_is_counted() -> None:
    async def test(hub: Hub) -> None:
        document, line = await stored(hub), Line()
        seat = await joined(hub, document, line, "viewer")
        seat.paused()
        await until(lambda: line.closed is not None)
        assert line.closed == (1013, "too slow")
        assert hub.figures().totals.doors == 1

    run(test, pause=0.01, idle_room=0.02)


def test_pages_programs_and_boards_are_counted_while_they_are_there() -> None:
    async def test(hub: Hub) -> None:
        document = await stored(hub)
        seats = [await joined(hub, document, Line(), kind) for kind in ("viewer", "viewer", "program")]
        for seat in seats:
            send(seat, "PULL-DOC-REQ")
        await settled()
        hub.watch(Line(), DEFAULT_USER)
        figures = hub.figures()
        assert (len(figures.rooms), figures.sum("viewers"), figures.sum("programs"), figures.boards) == (1, 2, 1, 1)
        seats[0].leave()
        assert hub.figures().sum("viewers") == 1

    run(test)


def test_counts_stay_when_a_room_leaves_memory_and_are_not_doubled_when_it_comes_back() -> None:
    async def test(hub: Hub) -> None:
        document = await stored(hub)
        await hub.patch(document, change(1), (), DEFAULT_USER)
        before = hub.figures().totals
        await until(lambda: not hub.figures().rooms)
        assert hub.figures().totals == before
        await hub.patch(document, change(2), (), DEFAULT_USER)
        assert hub.figures().totals.patches == before.patches + 1
        await hub.delete(document)
        assert hub.figures().totals.patches == before.patches + 1
        assert hub.figures().totals.documents == 1

    run(test, idle_room=0.05)


def test_what_waits_for_the_store_is_counted_and_what_it_can_not_keep_is_a_failure() -> None:
    full: list[bool] = []

    def admit(records: Sequence[Record]) -> None:
        if full:
            raise StoreFull

    class Slow(MemoryStore):
        async def append(self, records: Sequence[Record], *, now: float) -> None:
            await asyncio.sleep(0.5)
            await super().append(records, now=now)

    async def test(hub: Hub) -> None:
        document = await stored(hub)
        first = asyncio.create_task(hub.patch(document, change(1), (), DEFAULT_USER))
        await asyncio.sleep(0.01)
        one = hub.figures().waiting
        second = asyncio.create_task(hub.patch(document, change(2), (), DEFAULT_USER))
        await asyncio.sleep(0.01)
        assert (one > len(change(1)), hub.figures().waiting) == (True, 2 * one)
        await asyncio.gather(first, second)
        assert hub.figures().waiting == 0
        assert hub.figures().stages["commit"].total >= 1
        full.append(True)
        with pytest.raises(StoreFull):
            await hub.patch(document, change(3), (), DEFAULT_USER)
        figures = hub.figures()
        assert (figures.failures, figures.failing, figures.waiting, figures.totals.patches) == (1, True, 0, 2)

    run(test, Slow(admit=admit))


def test_how_late_the_event_loop_is_is_measured_all_the_time() -> None:
    async def test(hub: Hub) -> None:
        await until(lambda: sum(hub.figures().loop.counts) >= 2)
        assert hub.figures().loop.total >= 0.0

    run(test)
