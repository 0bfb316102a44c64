"""Any history whatever, senseless ones too, gives the same errors and the same contents in memory and in SQL."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bokeh_server.store import Store
from bokeh_server.store.memory import MemoryStore
from bokeh_server.store.sql import SqlStore
from tests.store.histories import (
    DOCUMENTS,
    TITLES,
    Append,
    Contents,
    Create,
    Delete,
    Describe,
    Load,
    Operation,
    Part,
    Rename,
    Snapshot,
    contents,
    perform,
)

document, title, size = st.sampled_from(DOCUMENTS), st.sampled_from(TITLES), st.sampled_from((0, 300, 9_000))
part = st.builds(Part, document, size, skew=st.sampled_from((0,) * 20 + (-1, 1)), epoch=st.sampled_from((1, 1, 1, 2)))
operation: st.SearchStrategy[Operation] = st.one_of(
    st.builds(Create, document, st.sampled_from(("me", "you")), title),
    st.builds(Append, st.lists(part, max_size=6).map(tuple)),
    st.builds(Snapshot, document, size, st.integers(-1, 4)),
    st.builds(Rename, document, title),
    st.builds(Describe, document, st.sampled_from(("1 plot", ""))),
    st.builds(Delete, document),
    st.builds(Load, document),
)


async def outcome(store: Store, history: Sequence[Operation]) -> tuple[list[str], Contents]:
    async with store:
        return [await perform(store, each, now) for now, each in enumerate(history, 1)], await contents(store)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("histories")


numbers = count()


@given(st.lists(operation, min_size=1, max_size=40))
def test_memory_and_sql_agree_on_every_history(folders: Path, history: list[Operation]) -> None:
    folder = folders / str(next(numbers))

    async def play() -> None:
        told = await outcome(MemoryStore(), history)
        assert await outcome(SqlStore(folder, "process"), history) == told
        async with SqlStore(folder) as store:
            assert await contents(store) == told[1]

    asyncio.run(play())
