"""The open boards: whose list has changed is told so once, and who may not see a document hears nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from bokeh_server.boards import MOMENT
from bokeh_server.core.authorise import ANONYMOUS, DEFAULT_USER, Access, Actor, Role
from bokeh_server.hub import Hub
from bokeh_server.store import Info
from bokeh_server.store.memory import MemoryStore
from tests.hubs import DOCUMENT, Line

ANNA, BEN, SAM = (Actor("user", name, f"login:{name}") for name in ("anna", "ben", "sam"))
ROOT = Actor("user", "root", "login:root", admin=True)
OPENER = replace(SAM, credential="login:opener", links=frozenset({"l1"}))
PEOPLE = {"anna": ANNA, "ben": BEN, "sam": SAM, "root": ROOT, "opener": OPENER}
SHARED = {"anna", "ben", "opener"}


class Hall:
    """A hub, the boards of some people, and a document of anna's that ben was granted and a link leads to."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.lines = {name: Line() for name in PEOPLE}
        for name, line in self.lines.items():
            hub.watch(line, PEOPLE[name])

    async def told(self) -> set[str]:
        """Whose boards have been told of a change, each once, since the last time."""
        for _ in range(100):  # a change may take its time on a busy machine
            if any(line.messages for line in self.lines.values()):
                break
            await asyncio.sleep(0.02)
        await asyncio.sleep(MOMENT + 0.1)
        found = {name for name, line in self.lines.items() if line.messages}
        assert all(line.messages in ([], [("board", {})]) for line in self.lines.values())
        for line in self.lines.values():
            line.messages.clear()
        return found


async def access_of(info: Info) -> Access:
    return Access(info.id, info.owner, grants={"ben": Role.VIEWER}, links={"l1": Role.VIEWER})


def scene(play: Callable[[Hall], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A test out of what happens in a hall."""

    async def whole() -> None:
        hub = Hub(MemoryStore(), access_of=access_of)
        await hub.start()
        try:
            await play(Hall(hub))
        finally:
            await hub.stop()

    def test() -> None:
        asyncio.run(whole())

    test.__name__, test.__doc__ = play.__name__, play.__doc__
    return test


@scene
async def test_what_happens_to_a_document_is_told_to_those_who_may_see_it(hall: Hall) -> None:
    info = await hall.hub.create("anna", "a")
    assert await hall.told() == {"anna"}
    await hall.hub.rename(info.id, "b")
    assert await hall.told() == SHARED
    await hall.hub.replace(info.id, DOCUMENT, (), ANNA)
    room = await hall.hub.open(info.id)
    await hall.told()
    room.join(Line(), BEN, "viewer")
    assert await hall.told() == SHARED
    await hall.hub.delete(info.id)
    assert await hall.told() == SHARED


@scene
async def test_what_changes_within_a_moment_is_told_once(hall: Hall) -> None:
    for title in "abc":
        await hall.hub.create("anna", title)
        await hall.hub.create("sam", title)
    assert await hall.told() == {"anna", "sam", "opener"}
    assert await hall.told() == set()


@pytest.mark.parametrize("live", [True, False])
def test_who_loses_a_document_is_told_as_well_as_who_gets_it(live: bool) -> None:
    @scene
    async def test_it(hall: Hall) -> None:
        info = await hall.hub.create("anna", "a")
        if live:
            await hall.hub.open(info.id)
        await hall.told()
        before, alone = await access_of(info), Access(info.id, "anna")
        hall.hub.rights(alone, before)
        assert await hall.told() == SHARED
        hall.hub.rights(replace(alone, grants={"sam": Role.EDITOR}), alone)
        assert await hall.told() == {"anna", "sam", "opener"}
        hall.hub.rights(replace(alone, published=True), alone)
        assert await hall.told() == set(PEOPLE)

    test_it()


@scene
async def test_administrators_hear_of_documents_from_before_there_were_accounts(hall: Hall) -> None:
    await hall.hub.create(DEFAULT_USER.name, "old")
    assert await hall.told() == {"root"}


@scene
async def test_who_looks_at_what_is_public_or_is_nobody_hears_of_nothing_else(hall: Hall) -> None:
    lines = [Line(), Line()]
    for line, actor in zip(lines, (replace(ANNA, public=True), ANONYMOUS), strict=True):
        hall.hub.watch(line, actor)
    info = await hall.hub.create("anna", "a")
    await hall.told()
    assert [line.messages for line in lines] == [[], []]
    hall.hub.rights(Access(info.id, "anna", published=True))
    await hall.told()
    assert [len(line.messages) for line in lines] == [1, 1]


@scene
async def test_a_board_that_is_closed_hears_nothing_and_one_that_opens_late_hears_what_comes(hall: Hall) -> None:
    await hall.hub.create("anna", "a")
    for line in hall.lines.values():
        hall.hub.unwatch(line)
    assert await hall.told() == set()
    await hall.hub.create("anna", "b")
    hall.hub.watch(hall.lines["anna"], ANNA)
    await hall.hub.create("anna", "c")
    assert await hall.told() == {"anna"}
