"""Scenes on a real ledger, with a clock that tests turn, and passwords that cost nothing to hash.

    @on_memory
    async def test_a_sentence(ledger: Ledger, clock: Clock) -> None: ...

``on_both`` plays the scene on the ledger in memory and on the one of a database file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Table, func, insert, select

from bokeh_server.accounts.passwords import Passwords
from bokeh_server.accounts.users import Proof, User
from bokeh_server.store import Ledger
from bokeh_server.store.ledger import MemoryLedger
from bokeh_server.store.schema import users
from bokeh_server.store.sql import SqlStore

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
GOOD = "correct horse"


class Clock:
    """Seconds since 1970 that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


Scene = Callable[[Ledger, Clock], Awaitable[None]]
Test = TypeVar("Test", bound=Callable[..., None])


def on_memory(scene: Scene) -> Callable[[], None]:
    """A test out of a coroutine that is given a ledger in memory."""

    def test() -> None:
        play_in_memory(scene)

    return named(test, scene)


def on_both(scene: Scene) -> Callable[[str, Path], None]:
    """Two tests out of one scene."""

    @pytest.mark.parametrize("kind", ["memory", "sql"])
    def test(kind: str, tmp_path: Path) -> None:
        if kind == "memory":
            play_in_memory(scene)
        else:
            asyncio.run(play_on_disk(scene, tmp_path))

    return named(test, scene)


def play_in_memory(scene: Scene) -> None:
    """Play it on a ledger of its own."""
    ledger = MemoryLedger()
    try:
        asyncio.run(scene(ledger, Clock()))  # type: ignore[arg-type]
    finally:
        ledger._thread.stop()
        ledger._engine.dispose()


async def play_on_disk(scene: Scene, folder: Path) -> None:
    """Play it on a database file."""
    async with SqlStore(folder) as store:
        await scene(store, Clock())


def named(test: Test, scene: Scene) -> Test:
    """The test, called like its scene."""
    test.__name__, test.__doc__ = scene.__name__, scene.__doc__
    return test


def cheap() -> Passwords:
    """Real argon2id, with the least that it takes."""
    return Passwords(CHEAP)


async def add_user(ledger: Ledger, name: str, *, admin: bool = False, disabled: bool = False) -> None:
    """A user by its row, for tests that are not about users."""
    row = {"name": name, "password": "", "admin": admin, "disabled": disabled, "created": 0.0}
    await ledger.change(lambda connection: connection.execute(insert(users).values(**row)))


def proof_of(name: str) -> Proof:
    """What somebody has shown whom ``add_user`` made."""
    return Proof(User(name, False, False, 0.0), "")


async def count(ledger: Ledger, table: Table) -> int:
    """How many rows a table has."""
    found = await ledger.look(lambda connection: connection.scalar(select(func.count()).select_from(table)))
    return found or 0


async def dump(ledger: Ledger, table: Table) -> str:
    """All that a table holds, for tests that look for what must not be in it."""
    return repr(await ledger.look(lambda connection: connection.execute(select(table)).all()))
