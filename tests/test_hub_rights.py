"""Rights that change or end while the hub has rooms and connections open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from bokeh_server.core.authorise import DEFAULT_USER, Access, Actor, Role
from bokeh_server.errors import AccessRevoked, ServerFault, StoreFull
from bokeh_server.hub import MOMENT, REMEMBERED, Hub
from bokeh_server.limits import LIMITS
from bokeh_server.store import Info
from bokeh_server.store.memory import MemoryStore
from tests.hubs import DOCUMENT, Line, change, send, settled

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


def test_a_room_that_is_still_being_loaded_is_not_put_away_as_empty() -> None:
    doorway = Doorway(eva=Role.VIEWER)

    async def play(hub: Hub, info: Info, _: Doorway) -> None:
        hub._rooms.clear()  # as after a restart
        doorway.waits.append(asyncio.Event())
        slow = doorway.waits[0]
        opening = asyncio.create_task(hub.open(info.id))
        await asyncio.sleep(MOMENT + 0.2)
        slow.set()
        line = Line()
        (await opening).join(line, EVA, "viewer")
        hub.revoke(lambda actor: actor == EVA)
        await settled()
        assert line.closed == (AccessRevoked.close, AccessRevoked.code)

    guarded(play, doorway)
