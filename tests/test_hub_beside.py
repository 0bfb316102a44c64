"""What is long is done beside the event loop: while a source is thinned and copied, all documents go on.

Another thread is held up here until the loop has done what it must not wait for: a hub that did the work by itself
would not come to that.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from bokeh_server.core.authorise import DEFAULT_USER, Access
from bokeh_server.core.copies import Copy, Whole
from bokeh_server.core.retention import Retention
from bokeh_server.core.room import Room
from bokeh_server.core.thinning import Choice
from bokeh_server.core.wire import Assembler, Message, Outgoing
from bokeh_server.hub import Hub
from bokeh_server.store.sql import SqlStore
from tests.core.playbook import data, doc, model, patch, streamed
from tests.hubs import DOCUMENT, Line, change, send, until
from tests.model.browser import Browser
from tests.model.canonical import server_flat

ROWS = 100_000
SOURCE = doc(model("ColumnDataSource", "s", data=data(y=[float(at % 99) for at in range(ROWS)])))


class Viewer(Line):
    """A connection that keeps its messages whole, and a page that gets them."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Message] = []

    def send(self, message: Outgoing) -> None:
        assembler = Assembler()
        self.got += [whole for part in message.parts if (whole := assembler.receive(part)) is not None]

    def page(self) -> Browser:
        first, *rest = [one for one in self.got if one.header.msgtype in ("PULL-DOC-REPLY", "PATCH-DOC")]
        browser = Browser(first.content, first.buffers)
        for message in rest:
            browser.apply(message.content, message.buffers)
        return browser


@contextmanager
def held_up(monkeypatch: pytest.MonkeyPatch, *kinds: Any) -> Iterator[threading.Event]:
    """Work of these kinds takes until the event is set."""
    go_on = threading.Event()

    def later(run: Callable[..., Any]) -> Callable[..., Any]:
        def wait(work: Any, pause: Callable[[], None]) -> Any:
            assert go_on.wait(20)
            return run(work, pause)

        return wait

    for kind in kinds:
        monkeypatch.setattr(kind, "run", later(kind.run))
    try:
        yield go_on
    finally:
        go_on.set()


class Place:
    """A hub on a store on disk, with a source whose rows are old, its viewers, and another document."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.viewers = [Viewer() for _ in range(3)]

    async def fill(self) -> None:
        self.ids = [(await self.hub.create("defaultuser", title)).id for title in ("long", "other")]
        for document, content in zip(self.ids, (SOURCE, DOCUMENT), strict=True):
            await self.hub.replace(document, content, (), DEFAULT_USER)
        room = await self.hub.open(self.ids[0])
        seats = [room.join(viewer, DEFAULT_USER, "viewer") for viewer in self.viewers]
        for number, seat in enumerate(seats[:2]):  # the last one is without our script
            resume = {"client": f"viewer-number-{number}", "frames": number == 0}
            send(seat, "RESUME", orjson.dumps(resume))
        for seat in seats:
            send(seat, "PULL-DOC-REQ")
        await self.stream(1.0)
        await until(lambda: all(viewer.got[-1].header.seq == 2 for viewer in self.viewers))
        self.room.keeper._looked -= 100
        self.room.document.models["s"].attributes["data"].history.marks[:] = [(ROWS, 1.0)]

    @property
    def room(self) -> Room:
        return self.hub._rooms[self.ids[0]].room

    async def stream(self, value: float) -> int:
        return await self.hub.patch(self.ids[0], patch(streamed("s", y=[value])), (), DEFAULT_USER)

    async def same(self) -> None:
        """Every page comes to what the log says."""
        stored = await self.hub._store.load(self.ids[0])
        assert stored is not None
        assert "thin" in {record.kind for record in stored.records}
        log = server_flat(Room.restore(Access(self.ids[0], "defaultuser"), stored).document)
        assert server_flat(self.room.document) == log
        for viewer in self.viewers:
            assert viewer.page().flat() == log


def on_disk(test: Callable[[Place], Any], folder: Path) -> None:
    async def main() -> None:
        hub = Hub(SqlStore(folder), retention=Retention(raw=3_600.0))
        await hub.start()
        try:
            place = Place(hub)
            await place.fill()
            await test(place)
        finally:
            await hub.stop()

    asyncio.run(main())


def test_while_a_source_is_thinned_all_documents_go_on_and_viewers_end_with_what_the_log_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def test(place: Place) -> None:
        with held_up(monkeypatch, Choice) as chosen, held_up(monkeypatch, Copy) as copied:
            await place.stream(2.0)
            assert place.room.keeper.choices
            await place.hub.patch(place.ids[1], change(5), (), DEFAULT_USER)
            await place.stream(3.0)
            chosen.set()
            await until(lambda: place.room.tally.copies == 0 and not place.room.keeper.choices)
            await place.hub.patch(place.ids[1], change(6), (), DEFAULT_USER)
            seq = await place.stream(4.0)
            assert all(viewer.got[-1].header.seq != seq for viewer in place.viewers)
            copied.set()
        await until(lambda: all(viewer.got[-1].header.seq == seq for viewer in place.viewers))
        assert place.room.document.models["s"].attributes["data"].rows < ROWS // 5
        await place.same()

    on_disk(test, tmp_path)


def test_while_a_long_document_is_written_for_a_page_all_documents_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def test(place: Place) -> None:
        late = Viewer()
        with held_up(monkeypatch, Whole):
            room = await place.hub.open(place.ids[0])
            send(room.join(late, DEFAULT_USER, "viewer"), "PULL-DOC-REQ")
            await place.hub.patch(place.ids[1], change(5), (), DEFAULT_USER)
            seq = await place.stream(2.0)
            assert [one.header.msgtype for one in late.got] == ["ACK"]
        await until(lambda: late.got[-1].header.seq == place.room.seq == seq + 1)  # the rows are thinned, too
        assert late.page().flat() == server_flat(place.room.document)

    on_disk(test, tmp_path)


def test_what_is_found_out_for_a_room_that_was_let_go_of_reaches_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def test(place: Place) -> None:
        with held_up(monkeypatch, Choice) as chosen:
            await place.stream(2.0)
            live = place.hub._rooms.pop(place.ids[0])  # as where everybody has left for a while
            chosen.set()
            await until(lambda: len(place.hub._tasks) == 2)
        assert live.room.keeper.choices
        assert live.room.seq == await place.stream(3.0) - 1

    on_disk(test, tmp_path)


def test_a_room_whose_work_fails_is_made_anew_from_the_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def test(place: Place) -> None:
        monkeypatch.setattr(Choice, "run", lambda *_: 1 / 0)
        with held_up(monkeypatch, Choice):
            await place.stream(2.0)
        await until(lambda: place.ids[0] not in place.hub._rooms)
        assert all(viewer.closed is not None for viewer in place.viewers)
        assert await place.stream(3.0) == 4

    on_disk(test, tmp_path)
