"""The hub on a real store in memory: rooms, group commit, failures, the board. No sockets: a connection is a list."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from bokeh_server.core.authorise import ANONYMOUS, DEFAULT_USER
from bokeh_server.core.log import Record
from bokeh_server.core.room import Room
from bokeh_server.errors import BadValue, Conflict, Forbidden, NotFound, StoreFull
from bokeh_server.hub import Hub
from bokeh_server.ids import new_id
from bokeh_server.store.memory import MemoryStore
from tests.hubs import DOCUMENT, Line, add, change, remove, run, send, settled, until


class Disk:
    """What admits records to a store as long as it is not full."""

    def __init__(self, *, full: bool) -> None:
        self.full = full

    def admit(self, records: Sequence[Record]) -> None:
        if self.full:
            raise StoreFull


def test_a_patch_reaches_the_others_and_not_its_sender() -> None:
    async def test(hub: Hub) -> None:
        info = await hub.create("defaultuser", "line")
        await hub.replace(info.id, DOCUMENT, (), DEFAULT_USER)
        room = await hub.open(info.id)
        mine, theirs = Line(), Line()
        seats = [room.join(line, DEFAULT_USER, "program") for line in (mine, theirs)]
        for seat in seats:
            send(seat, "PULL-DOC-REQ")
        send(seats[0], "PATCH-DOC", change(3))
        await settled()
        assert mine.types == ["ACK", "PULL-DOC-REPLY"]
        assert theirs.types == ["ACK", "PULL-DOC-REPLY", "PATCH-DOC"]
        assert room.document.models["s"].attributes["value"] == 3

    run(test)


def test_what_waits_goes_to_the_store_in_one_batch() -> None:
    batches: list[int] = []
    store = MemoryStore(admit=lambda records: batches.append(len(records)))

    async def test(hub: Hub) -> None:
        ids = [(await hub.create("defaultuser", title)).id for title in "ab"]
        for document in ids:
            await hub.replace(document, DOCUMENT, (), DEFAULT_USER)
        batches.clear()
        await asyncio.gather(*(hub.patch(d, change(v), (), DEFAULT_USER) for d in ids for v in range(1, 6)))
        assert batches == [10]

    run(test, store)


def test_a_document_is_loaded_from_the_log_as_it_was() -> None:
    store = MemoryStore()

    async def first(hub: Hub) -> None:
        info = await hub.create("defaultuser", "kept")
        await hub.replace(info.id, DOCUMENT, (), DEFAULT_USER)
        assert await hub.patch(info.id, change(7), (), DEFAULT_USER) == 2

    async def second(hub: Hub) -> None:
        info = await hub.find("defaultuser", "kept")
        assert (await hub.open(info.id)).document.models["s"].attributes["value"] == 7
        assert info.kind == "1 widget"

    run(first, store)
    run(second, store)


def test_when_the_disk_is_full_the_sender_is_told_nobody_sees_the_patch_and_the_room_recovers() -> None:
    disk = Disk(full=False)

    async def test(hub: Hub) -> None:
        info = await hub.create("defaultuser", "line")
        await hub.replace(info.id, DOCUMENT, (), DEFAULT_USER)
        viewer = Line()
        send((await hub.open(info.id)).join(viewer, DEFAULT_USER, "viewer"), "PULL-DOC-REQ")
        disk.full = True
        with pytest.raises(StoreFull, match="disk is full"):
            await hub.patch(info.id, change(1), (), DEFAULT_USER)
        assert viewer.types == ["ACK", "PULL-DOC-REPLY"]
        assert viewer.closed == (1013, "store-full")
        assert "full" in str(hub.failure)
        disk.full = False
        assert await hub.patch(info.id, change(2), (), DEFAULT_USER) == 2
        assert hub.failure is None

    run(test, MemoryStore(admit=disk.admit))


def test_a_store_that_keeps_something_again_is_found_out_without_a_patch() -> None:
    disk = Disk(full=True)

    async def test(hub: Hub) -> None:
        info = await hub.create("defaultuser", "line")
        with pytest.raises(StoreFull):
            await hub.replace(info.id, DOCUMENT, (), DEFAULT_USER)
        await asyncio.sleep(0.3)
        assert "full" in str(hub.failure)
        disk.full = False
        await until(lambda: hub.failure is None)

    run(test, MemoryStore(admit=disk.admit), idle_room=0.1)


def test_deleting_what_could_not_be_kept_ends_the_failure_too() -> None:
    async def test(hub: Hub) -> None:
        info = await hub.create("defaultuser", "line")
        with pytest.raises(StoreFull):
            await hub.replace(info.id, DOCUMENT, (), DEFAULT_USER)
        await hub.delete(info.id)
        await until(lambda: hub.failure is None)

    run(test, MemoryStore(admit=Disk(full=True).admit), idle_room=0.1)


def test_what_is_deleted_while_the_store_is_tried_does_not_stop_the_time() -> None:
    class Deleting(MemoryStore):
        deleted = False

        async def describe(self, document: str, kind: str) -> None:
            if not self.deleted:
                self.deleted = True
                raise NotFound
            await super().describe(document, kind)

    disk = Disk(full=True)

    async def test(hub: Hub) -> None:
        info = await hub.create("defaultuser", "line")
        with pytest.raises(StoreFull):
            await hub.replace(info.id, DOCUMENT, (), DEFAULT_USER)
        disk.full = False
        await until(lambda: hub.failure is None)

    run(test, Deleting(admit=disk.admit), idle_room=0.1)


def test_lists_say_what_a_document_shows_also_where_it_grew_by_patches() -> None:
    store = MemoryStore()

    async def test(hub: Hub) -> None:
        info = await hub.create("defaultuser", "grows")

        async def shows(*patches: bytes) -> str:
            for patch in patches:
                await hub.patch(info.id, patch, (), DEFAULT_USER)
            await settled()
            return (await hub.find("defaultuser", "grows")).kind

        assert await shows(add("s", "Slider")) == "1 widget"
        assert await shows(add("b", "Figure"), add("c", "Slider")) == "1 plot, 2 widgets"
        assert await shows(change(3)) == "1 plot, 2 widgets"
        assert await shows(*(remove(key) for key in "sb")) == "1 widget"

    run(test, store)


def test_what_could_not_be_noted_of_a_document_is_noted_after_the_next_patch() -> None:
    full = False

    def admit(records: Sequence[Record]) -> None:
        if full and not records:
            raise StoreFull

    async def test(hub: Hub) -> None:
        nonlocal full
        info = await hub.create("defaultuser", "line")
        full = True
        await hub.replace(info.id, DOCUMENT, (), DEFAULT_USER)
        await settled()
        assert (await hub.find("defaultuser", "line")).kind == ""
        full = False
        await hub.patch(info.id, change(2), (), DEFAULT_USER)
        await settled()
        assert (await hub.find("defaultuser", "line")).kind == "1 widget"

    run(test, MemoryStore(admit=admit))


def test_one_rooms_failed_append_is_not_the_others() -> None:
    bad: list[str] = []

    def admit(records: Sequence[Record]) -> None:
        if any(record.document in bad for record in records):
            raise StoreFull

    async def test(hub: Hub) -> None:
        ids = [(await hub.create("defaultuser", title)).id for title in "ab"]
        for document in ids:
            await hub.replace(document, DOCUMENT, (), DEFAULT_USER)
        bad.append(ids[0])
        patches = [hub.patch(document, change(5), (), DEFAULT_USER) for document in ids]
        failed, kept = await asyncio.gather(*patches, return_exceptions=True)
        assert isinstance(failed, StoreFull)
        assert kept == 2

    run(test, MemoryStore(admit=admit))


def test_deleting_shows_everybody_the_door() -> None:
    async def test(hub: Hub) -> None:
        info = await hub.create("defaultuser", "line")
        viewer = Line()
        (await hub.open(info.id)).join(viewer, DEFAULT_USER, "viewer")
        await hub.delete(info.id)
        assert viewer.closed == (1008, "deleted")
        with pytest.raises(NotFound):
            await hub.open(info.id)
        with pytest.raises(NotFound):
            await hub.find("defaultuser", "line")

    run(test)


def test_who_may_not_edit_can_neither_patch_nor_replace() -> None:
    async def test(hub: Hub) -> None:
        info = await hub.create("defaultuser", "line")
        await hub.replace(info.id, DOCUMENT, (), DEFAULT_USER)
        with pytest.raises(Forbidden):
            await hub.patch(info.id, change(1), (), ANONYMOUS)
        stranger = Line()
        seat = (await hub.open(info.id)).join(stranger, ANONYMOUS, "program")
        send(seat, "PATCH-DOC", change(1))
        assert stranger.messages[-1][1]["code"] == "forbidden"

    run(test)


@pytest.mark.parametrize("title", ["", "  ", "a\nb", "a\n", "x" * 201, "x" * 200 + " ", "\x1c" + "x" * 200])
def test_a_title_is_short_and_printable(title: str) -> None:
    async def test(hub: Hub) -> None:
        info = await hub.create("defaultuser", "good")
        with pytest.raises(BadValue, match="printable"):
            await hub.create("defaultuser", title)
        with pytest.raises(BadValue, match="printable"):
            await hub.rename(info.id, title)

    run(test)


def test_a_title_is_taken_once() -> None:
    async def test(hub: Hub) -> None:
        await hub.create("defaultuser", "line")
        with pytest.raises(Conflict):
            await hub.create("defaultuser", " line ")

    run(test)


def test_the_board_hears_of_new_renamed_and_deleted_documents_once_in_a_while() -> None:
    async def test(hub: Hub) -> None:
        board = Line()
        hub.watch(board, DEFAULT_USER)
        info = await hub.create("defaultuser", "a")
        await hub.rename(info.id, "b")
        await asyncio.sleep(1)
        assert len(board.messages) == 1
        await hub.delete(info.id)
        await asyncio.sleep(1)
        assert len(board.messages) == 2
        hub.unwatch(board)
        await hub.create("defaultuser", "c")
        await asyncio.sleep(1)
        assert len(board.messages) == 2

    run(test)


def test_lists_say_how_many_are_there() -> None:
    async def test(hub: Hub) -> None:
        info = await hub.create("defaultuser", "line")
        room = await hub.open(info.id)
        seats = [room.join(Line(), DEFAULT_USER, "viewer") for _ in range(2)]
        for seat in seats:
            send(seat, "PULL-DOC-REQ")
        (listing,) = map(hub.listing, await hub.documents("defaultuser"))
        assert (listing.programs, listing.viewers) == (0, 2)
        seats[0].leave()
        seats[0].leave()
        assert hub.listing(info).viewers == 1

    run(test)


def test_a_room_without_clients_leaves_memory_and_comes_back() -> None:
    async def test(hub: Hub) -> None:
        info = await hub.create("defaultuser", "line")
        await hub.replace(info.id, DOCUMENT, (), DEFAULT_USER)
        room = await hub.open(info.id)
        await asyncio.sleep(1)
        again = await hub.open(info.id)
        assert again.document is not room.document
        assert again.document.models["s"].attributes["value"] == 0

    run(test, idle_room=0.1)


def test_a_viewer_that_never_drains_is_shown_the_door() -> None:
    async def test(hub: Hub) -> None:
        info = await hub.create("defaultuser", "line")
        line = Line()
        seat = (await hub.open(info.id)).join(line, DEFAULT_USER, "viewer")
        seat.paused()
        await asyncio.sleep(1)
        assert line.closed == (1013, "too slow")

    run(test, idle_room=0.1, pause=0.1)


def test_stopping_closes_sockets_so_that_they_come_back() -> None:
    viewer, board = Line(), Line()

    async def test(hub: Hub) -> None:
        info = await hub.create("defaultuser", "line")
        (await hub.open(info.id)).join(viewer, DEFAULT_USER, "viewer")
        hub.watch(board, DEFAULT_USER)

    run(test)
    assert viewer.closed == (1012, "restart")
    assert board.closed == (1012, "restart")


def test_an_id_has_128_bits_in_26_characters() -> None:
    assert new_id(lambda count: b"\xff" * count) == "7" * 25 + "4"
    assert len({new_id() for _ in range(1000)}) == 1000


def test_a_fault_of_ours_in_one_room_closes_that_room_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(hub: Hub) -> None:
        ids = [(await hub.create("defaultuser", title)).id for title in "ab"]
        lines = [Line(), Line()]
        rooms = [await hub.open(document) for document in ids]
        seats = [room.join(line, DEFAULT_USER, "viewer") for room, line in zip(rooms, lines, strict=True)]
        monkeypatch.setattr(Room, "_pull", lambda *_: 1 / 0)
        send(seats[0], "PULL-DOC-REQ")
        assert lines[0].closed == (1011, "server-fault")
        assert lines[1].closed is None
        monkeypatch.undo()
        assert await hub.replace(ids[0], DOCUMENT, (), DEFAULT_USER) == 1

    run(test)


def test_a_page_that_comes_back_at_once_does_not_find_a_document_that_is_being_deleted() -> None:
    class Slow(MemoryStore):
        async def delete(self, document: str) -> None:
            await asyncio.sleep(0.05)
            await super().delete(document)

    async def test(hub: Hub) -> None:
        info = await hub.create("defaultuser", "line")
        viewer = Line()
        (await hub.open(info.id)).join(viewer, DEFAULT_USER, "viewer")
        deleting = asyncio.create_task(hub.delete(info.id))
        await asyncio.sleep(0.01)
        assert viewer.closed == (1008, "deleted")
        with pytest.raises(NotFound):
            await hub.open(info.id)
        await deleting
        with pytest.raises(NotFound):
            await hub.open(info.id)

    run(test, Slow())


def test_the_more_are_there_the_more_seldom_they_hear_who_came(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def test(hub: Hub) -> None:
        loop = asyncio.get_running_loop()
        later = loop.call_later

        def noted(delay: float, call: Any, *given: Any) -> asyncio.TimerHandle:
            if call == hub._tick:
                pauses.append(delay)
            return later(min(delay, 0.01), call, *given)

        monkeypatch.setattr(loop, "call_later", noted)
        info = await hub.create("defaultuser", "crowded")
        room = await hub.open(info.id)
        send(room.join(Line(), DEFAULT_USER, "program"), "PULL-DOC-REQ")
        await until(lambda: len(pauses) == 1)
        await asyncio.sleep(0.05)
        for _ in range(999):
            room.join(Line(), DEFAULT_USER, "program")
        send(room.join(Line(), DEFAULT_USER, "program"), "PULL-DOC-REQ")
        await until(lambda: len(pauses) == 2)

    run(test)
    assert pauses == [pytest.approx(0.2, abs=0.01), pytest.approx(0.4, abs=0.01)]
