"""The hub on a real store in memory: rooms, group commit, failures, the board. No sockets: a connection is a list."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from bokeh_server.core.authorise import ANONYMOUS, DEFAULT_USER, Access, Actor, Role
from bokeh_server.core.events import Close, Effect, Send
from bokeh_server.core.log import Record
from bokeh_server.core.room import Room
from bokeh_server.core.wire import Header, Message, Outgoing
from bokeh_server.errors import AccessRevoked, BadMessage, Conflict, Forbidden, NotFound, ServerFault, StoreFull
from bokeh_server.hub import MOMENT, REMEMBERED, Hub, gathered, new_id
from bokeh_server.limits import LIMITS, Limits
from bokeh_server.seat import Seat
from bokeh_server.store import Info
from bokeh_server.store.memory import MemoryStore

DOCUMENT = orjson.dumps(
    {
        "roots": [{"type": "object", "name": "Slider", "id": "s", "attributes": {"value": 0, "title": "a"}}],
        "title": "t",
        "version": "3.9.2",
    }
)


def change(value: object, attribute: str = "value") -> bytes:
    """The content of a patch that sets one attribute of the slider."""
    event = {"kind": "ModelChanged", "model": {"id": "s"}, "attr": attribute, "new": value}
    return orjson.dumps({"events": [event]})


class Line:
    """A connection that remembers what it was told."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.closed: tuple[int, str] | None = None
        self.reading = True

    def send(self, message: Outgoing) -> None:
        header, _, content = [orjson.loads(part) for part in (*message.parts, "{}", "{}")[:3]]
        self.messages.append((header.get("msgtype", "board"), content))

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    @property
    def types(self) -> list[str]:
        return [msgtype for msgtype, _ in self.messages]


def send(seat: Seat, msgtype: str, content: bytes = b"{}", number: int | None = None) -> None:
    seat.receive(Message(Header(msgid="m", msgtype=msgtype, number=number), content))


def run(test: Callable[[Hub], Coroutine[Any, Any, None]], store: MemoryStore | None = None, **limits: Any) -> None:
    """Run a test with a hub that is started and stopped."""

    async def main() -> None:
        hub = Hub(store or MemoryStore(), limits=Limits(**limits))
        await hub.start()
        try:
            await test(hub)
        finally:
            await hub.stop()

    asyncio.run(main())


async def settled() -> None:
    """Let commits happen."""
    for _ in range(10):
        await asyncio.sleep(0)


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
    full = False

    def admit(records: Sequence[Record]) -> None:
        if full:
            raise StoreFull

    async def test(hub: Hub) -> None:
        nonlocal full
        info = await hub.create("defaultuser", "line")
        await hub.replace(info.id, DOCUMENT, (), DEFAULT_USER)
        viewer = Line()
        send((await hub.open(info.id)).join(viewer, DEFAULT_USER, "viewer"), "PULL-DOC-REQ")
        full = True
        with pytest.raises(StoreFull, match="disk is full"):
            await hub.patch(info.id, change(1), (), DEFAULT_USER)
        assert viewer.types == ["ACK", "PULL-DOC-REPLY"]
        assert viewer.closed == (1013, "store-full")
        assert "full" in str(hub.failure)
        full = False
        assert await hub.patch(info.id, change(2), (), DEFAULT_USER) == 2
        assert hub.failure is None

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


@pytest.mark.parametrize("title", ["", "  ", "a\nb", "x" * 201])
def test_a_title_is_short_and_printable(title: str) -> None:
    async def test(hub: Hub) -> None:
        info = await hub.create("defaultuser", "good")
        with pytest.raises(BadMessage, match="printable"):
            await hub.create("defaultuser", title)
        with pytest.raises(BadMessage, match="printable"):
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


def test_what_goes_to_the_same_clients_goes_in_one_write_and_each_keeps_its_order() -> None:
    a, b, c, d = (Outgoing((text,)) for text in (b"a", b"b", b"c", b"d"))
    effects: list[Effect] = [
        Send((1, 2), a),
        Send((9,), b),
        Send((1, 2), c),
        Close(9, 1000, ""),
        Send((1, 2), d),
        Send((2, 3), a),
        Send((1,), b),
    ]
    done = [(e.clients, e.message.parts) if isinstance(e, Send) else e for e in gathered(effects)]
    assert done == [
        ((1, 2), ("a", "c")),
        ((9,), ("b",)),
        Close(9, 1000, ""),
        ((1, 2), ("d",)),
        ((2, 3), ("a",)),
        ((1,), ("b",)),
    ]


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


# Rights that end

EVA = Actor("user", "eva", "login:1")


class Doorway:
    """Who is what to documents, as a test says; ``waits`` is how long it takes to find out."""

    def __init__(self, **roles: Role) -> None:
        self.roles: dict[str, Role] = roles
        self.links: dict[str, Role] = {}
        self.until: float | None = None
        self.waits: list[asyncio.Event] = []
        self.fault: ServerFault | None = None
        self.asked = 0
        self.waiting = asyncio.Event()

    async def __call__(self, info: Info) -> Access:
        self.asked += 1
        found = self.now(info)
        if self.waits:
            self.waiting.set()
            await self.waits.pop().wait()
        if self.fault is not None:
            raise self.fault
        return found

    def now(self, info: Info) -> Access:
        return Access(info.id, info.owner, grants=dict(self.roles), links=dict(self.links), until=self.until)


def guarded(
    test: Callable[[Hub, Info, Doorway], Coroutine[Any, Any, None]], doorway: Doorway, store: MemoryStore | None = None
) -> None:
    """Run a test with a hub that asks ``doorway``, and a document of the default user."""

    async def main() -> None:
        hub = Hub(store or MemoryStore(), access_of=doorway)
        await hub.start()
        try:
            info = await hub.create("defaultuser", "line")
            await hub.replace(info.id, DOCUMENT, (), DEFAULT_USER)
            hub._rooms.clear()
            await test(hub, info, doorway)
        finally:
            await hub.stop()

    asyncio.run(main())


REVOKED = (1008, "revoked")


def test_a_room_knows_who_is_what_before_anybody_is_in_it() -> None:
    async def test(hub: Hub, info: Info, doorway: Doorway) -> None:
        look = asyncio.Event()
        doorway.waits.append(look)
        first, second = (asyncio.create_task(hub.open(info.id)) for _ in range(2))
        await doorway.waiting.wait()
        third = asyncio.create_task(hub.open(info.id))
        await settled()
        assert not first.done()
        assert not third.done(), "the room is there, but does not know yet who may see it"
        look.set()
        rooms = await asyncio.gather(first, second, third)
        line = Line()
        send(rooms[2].join(line, EVA, "viewer"), "PULL-DOC-REQ")
        assert line.types == ["ACK", "PULL-DOC-REPLY"]
        assert len({id(room._live) for room in rooms}) == 1

    guarded(test, Doorway(eva=Role.VIEWER))


def test_a_room_that_could_not_find_out_who_is_what_is_not_kept() -> None:
    async def test(hub: Hub, info: Info, doorway: Doorway) -> None:
        doorway.fault = StoreFull()
        with pytest.raises(StoreFull):
            await hub.open(info.id)
        doorway.fault = None
        line = Line()
        send((await hub.open(info.id)).join(line, EVA, "viewer"), "PULL-DOC-REQ")
        assert line.types == ["ACK", "PULL-DOC-REPLY"]

    guarded(test, Doorway(eva=Role.VIEWER))


def test_rights_that_change_while_a_room_finds_out_are_not_undone_by_what_it_finds() -> None:
    async def test(hub: Hub, info: Info, doorway: Doorway) -> None:
        look = asyncio.Event()
        doorway.waits.append(look)
        opening = asyncio.create_task(hub.open(info.id))
        await doorway.waiting.wait()
        assert info.id in hub._rooms
        doorway.roles.clear()
        hub.rights(doorway.now(info))
        look.set()
        line = Line()
        send((await opening).join(line, EVA, "viewer"), "PULL-DOC-REQ")
        assert line.messages[-1][1]["code"] == "forbidden"

    guarded(test, Doorway(eva=Role.VIEWER))


def test_a_grant_that_is_taken_back_closes_the_sockets_of_its_user_at_once() -> None:
    async def test(hub: Hub, info: Info, doorway: Doorway) -> None:
        room = await hub.open(info.id)
        eva, owner = Line(), Line()
        room.join(eva, EVA, "viewer")
        room.join(owner, DEFAULT_USER, "viewer")
        hub.rights(Access(info.id, info.owner))
        assert (eva.closed, owner.closed) == (REVOKED, None)
        hub.rights(Access("another", "eva"))

    guarded(test, Doorway(eva=Role.VIEWER))


def test_a_login_that_ends_closes_its_sockets_in_all_rooms_and_at_the_board_and_no_others() -> None:
    async def test(hub: Hub, info: Info, doorway: Doorway) -> None:
        other = await hub.create("eva", "hers")
        lines = {name: Line() for name in ("first", "second", "board", "owner", "her other")}
        (await hub.open(info.id)).join(lines["first"], EVA, "viewer")
        (await hub.open(info.id)).join(lines["owner"], DEFAULT_USER, "viewer")
        (await hub.open(other.id)).join(lines["second"], EVA, "program")
        (await hub.open(other.id)).join(lines["her other"], replace(EVA, credential="login:2"), "program")
        hub.watch(lines["board"], EVA)
        hub.revoke(lambda actor: actor.credential == "login:1")
        assert {name for name, line in lines.items() if line.closed} == {"first", "second", "board"}
        assert {line.closed for line in lines.values() if line.closed} == {REVOKED}

    guarded(test, Doorway(eva=Role.VIEWER))


def test_who_is_on_his_way_in_while_his_login_ends_does_not_get_in_and_harms_nobody() -> None:
    async def test(hub: Hub, info: Info, doorway: Doorway) -> None:
        before, after = replace(EVA, since=time.time() - 1), replace(EVA, since=time.time() + 1)
        room, owner = await hub.open(info.id), Line()
        send(room.join(owner, DEFAULT_USER, "viewer"), "PULL-DOC-REQ")
        hub.revoke(lambda actor: actor.credential == "login:1")
        late, board, again = Line(), Line(), Line()
        seat = room.join(late, before, "viewer")
        send(seat, "PULL-DOC-REQ")
        seat.paused()
        seat.resumed()
        seat.leave()
        seat.leave()
        hub.watch(board, before)
        assert (late.closed, late.types, board.closed) == (REVOKED, [], REVOKED)
        send(room.join(again, after, "viewer"), "PULL-DOC-REQ")
        assert again.types == ["ACK", "PULL-DOC-REPLY"]
        assert (owner.closed, again.closed) == (None, None)
        assert await hub.patch(info.id, change(3), (), DEFAULT_USER) == 2

    guarded(test, Doorway(eva=Role.VIEWER))


def test_who_is_revoked_while_his_document_is_loaded_does_not_get_in() -> None:
    async def test(hub: Hub, info: Info, doorway: Doorway) -> None:
        look, actor = asyncio.Event(), replace(EVA, since=time.time())
        doorway.waits.append(look)
        opening = asyncio.create_task(hub.open(info.id))
        await settled()
        hub.revoke(lambda actor: actor.name == "eva")
        look.set()
        line = Line()
        (await opening).join(line, actor, "viewer")
        assert line.closed == REVOKED

    guarded(test, Doorway(eva=Role.VIEWER))


def test_a_request_that_took_its_time_is_refused_when_its_token_is_revoked_meanwhile() -> None:
    async def test(hub: Hub, info: Info, doorway: Doorway) -> None:
        actor = replace(EVA, since=time.time())
        assert await hub.patch(info.id, change(1), (), actor) == 2
        hub.revoke(lambda actor: actor.name == "eva")
        with pytest.raises(AccessRevoked):
            await hub.patch(info.id, change(2), (), actor)
        assert await hub.patch(info.id, change(3), (), replace(actor, since=time.time() + 1)) == 3

    guarded(test, Doorway(eva=Role.EDITOR))


def test_what_was_revoked_is_remembered_longer_than_a_ticket_lives() -> None:
    async def test(hub: Hub, info: Info, doorway: Doorway) -> None:
        actor, now = replace(EVA, since=time.time() - 1), time.time()
        hub.revoke(lambda actor: actor.name == "eva")
        await hub._end_rights(now + LIMITS.ticket + 10)
        assert hub.lately_revoked(actor)
        assert not hub.lately_revoked(replace(actor, name="ben"))
        await hub._end_rights(now + REMEMBERED + 10)
        assert not hub.lately_revoked(actor)

    guarded(test, Doorway(eva=Role.VIEWER))


def test_a_login_or_token_that_ends_in_time_closes_its_sockets_within_a_moment() -> None:
    async def test(hub: Hub, info: Info, doorway: Doorway) -> None:
        now = time.time()
        brief, board, longer, owner = Line(), Line(), Line(), Line()
        room = await hub.open(info.id)
        room.join(brief, replace(EVA, until=now + 0.2), "viewer")
        room.join(longer, replace(EVA, until=now + 60), "viewer")
        room.join(owner, DEFAULT_USER, "viewer")
        hub.watch(board, replace(EVA, until=now + 0.2))
        lines = (brief, board, longer, owner)
        assert [line.closed for line in lines] == [None] * 4
        await asyncio.sleep(MOMENT + 0.5)
        assert [line.closed for line in lines] == [REVOKED, REVOKED, None, None]

    guarded(test, Doorway(eva=Role.VIEWER))


def test_a_link_that_ends_in_time_closes_the_sockets_of_those_who_came_by_it() -> None:
    async def test(hub: Hub, info: Info, doorway: Doorway) -> None:
        doorway.until, doorway.links = 1000.0, {"l1": Role.VIEWER, "l2": Role.VIEWER}
        lines = [Line(), Line()]
        for line, link in zip(lines, ("l1", "l2"), strict=True):
            visitor = Actor("anonymous", "", f"login:{link}", links=frozenset({link}))
            (await hub.open(info.id)).join(line, visitor, "viewer")
        asked = doorway.asked
        await hub._end_rights(999.0)
        assert doorway.asked == asked
        doorway.until, doorway.links = None, {"l2": Role.VIEWER}
        await hub._end_rights(1000.5)
        assert [line.closed for line in lines] == [REVOKED, None]
        await hub._end_rights(2000.0)
        assert doorway.asked == asked + 1

    guarded(test, Doorway())


def test_rights_end_although_the_store_failed_for_a_moment() -> None:
    class Failing(MemoryStore):
        failing = False

        async def info(self, document: str) -> Info | None:
            if self.failing:
                raise StoreFull
            return await super().info(document)

    store = Failing()

    async def test(hub: Hub, info: Info, doorway: Doorway) -> None:
        doorway.until, doorway.links = time.time() + 0.1, {"l1": Role.VIEWER}
        line = Line()
        (await hub.open(info.id)).join(line, Actor("anonymous", "", "login:1", links=frozenset({"l1"})), "viewer")
        store.failing = True
        doorway.until, doorway.links = None, {}
        await asyncio.sleep(MOMENT + 0.5)
        assert line.closed is None
        store.failing = False
        await asyncio.sleep(MOMENT + 0.5)
        assert line.closed == REVOKED

    guarded(test, Doorway(), store)


def test_rights_of_a_document_that_was_deleted_are_not_looked_up() -> None:
    async def test(hub: Hub, info: Info, doorway: Doorway) -> None:
        doorway.until = 1000.0
        await hub.open(info.id)
        asked = doorway.asked
        await hub._store.delete(info.id)
        await hub._end_rights(2000.0)
        assert doorway.asked == asked

    guarded(test, Doorway())


def test_a_document_is_looked_up_by_id_and_by_title_whether_it_is_there_or_not() -> None:
    class Counting(MemoryStore):
        asked = 0

        async def info(self, document: str) -> Info | None:
            self.asked += 1
            return await super().info(document)

        async def find(self, owner: str, title: str) -> Info | None:
            self.asked += 1
            return await super().find(owner, title)

    store = Counting()

    async def test(hub: Hub, info: Info, doorway: Doorway) -> None:
        work = []
        for owner, name, by_id, by_title in (
            ("defaultuser", info.id, info.id, None),
            ("defaultuser", "line", None, info.id),
            ("eva", "line", None, None),
            ("", "none", None, None),
        ):
            before = store.asked
            assert [each and each.id for each in await hub.look(owner, name)] == [by_id, by_title]
            work.append(store.asked - before)
        assert len(set(work)) == 1

    guarded(test, Doorway(), store)
