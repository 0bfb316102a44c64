"""What every ledger must do: one suite, run on each by a subclass that says how to make one."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, insert, select, update

from bokeh_server.errors import Conflict, Forbidden
from bokeh_server.store import Ledger
from bokeh_server.store.schema import published, users


def with_a_ledger(scene: Callable[[Any, Ledger], Awaitable[None]]) -> Callable[[Any, Path], None]:
    """A test out of a coroutine that is given an open ledger."""

    def test(self: LedgerContract, tmp_path: Path) -> None:
        async def play() -> None:
            async with self.make_ledger(tmp_path) as ledger:
                await scene(self, ledger)

        asyncio.run(play())

    test.__name__, test.__doc__ = scene.__name__, scene.__doc__
    return test


def add(name: str) -> Callable[[Connection], None]:
    """A job that adds a user."""
    row = {"name": name, "password": "", "admin": False, "disabled": False, "created": 0.5}

    def job(connection: Connection) -> None:
        connection.execute(insert(users).values(**row))

    return job


def names(connection: Connection) -> list[str]:
    """A job that tells who is there."""
    return [name for (name,) in connection.execute(select(users.c.name).order_by(users.c.name))]


class LedgerContract(ABC):
    @abstractmethod
    def make_ledger(self, folder: Path) -> AbstractAsyncContextManager[Ledger]:
        """A ledger without rows."""

    @with_a_ledger
    async def test_what_a_job_changes_is_there_and_its_result_comes_back(self, ledger: Ledger) -> None:
        assert await ledger.look(names) == []
        await ledger.change(add("anna"))
        assert await ledger.look(names) == ["anna"]
        gone = delete(users).where(users.c.name == "anna")
        assert await ledger.change(lambda connection: connection.execute(gone).rowcount) == 1
        assert await ledger.look(names) == []

    @with_a_ledger
    async def test_a_row_that_is_taken_is_a_conflict_and_nothing_of_its_job_stays(self, ledger: Ledger) -> None:
        await ledger.change(add("anna"))

        def job(connection: Connection) -> None:
            add("ben")(connection)
            connection.execute(update(users).values(admin=True))
            add("anna")(connection)

        with pytest.raises(Conflict):
            await ledger.change(job)
        assert await ledger.look(names) == ["anna"]
        admins = select(func.count()).select_from(users).where(users.c.admin)
        assert await ledger.look(lambda connection: connection.scalar(admins)) == 0

    @with_a_ledger
    async def test_what_a_job_raises_comes_back_and_nothing_of_it_stays(self, ledger: Ledger) -> None:
        class Odd(Exception):
            """Not one of ours."""

        for error in (Forbidden("no"), Odd()):

            def job(connection: Connection, error: Exception = error) -> None:
                add("anna")(connection)
                raise error

            with pytest.raises(type(error)) as caught:
                await ledger.change(job)
            assert caught.value is error
        assert await ledger.look(names) == []
        await ledger.change(add("anna"))
        assert await ledger.look(names) == ["anna"]

    @with_a_ledger
    async def test_jobs_that_change_run_one_after_the_other(self, ledger: Ledger) -> None:
        def more(connection: Connection) -> float:
            found = connection.scalar(select(published.c.created)) or 0.0
            connection.execute(delete(published))
            connection.execute(insert(published).values(document="d", created=found + 1))
            return found

        assert sorted(await asyncio.gather(*(ledger.change(more) for _ in range(50)))) == [*map(float, range(50))]

    @with_a_ledger
    async def test_of_several_who_want_a_row_one_gets_it(self, ledger: Ledger) -> None:
        outcomes = await asyncio.gather(*(ledger.change(add("anna")) for _ in range(5)), return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict"] * 4 + ["NoneType"]

    @with_a_ledger
    async def test_a_job_does_not_hold_the_loop_up(self, ledger: Ledger) -> None:
        gate, here = threading.Event(), threading.get_ident()

        def job(connection: Connection) -> int:
            assert gate.wait(30)
            return threading.get_ident()

        waiting = asyncio.ensure_future(ledger.change(job))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        gate.set()
        assert await waiting != here
