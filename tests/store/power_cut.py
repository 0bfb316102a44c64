"""Power cuts: run a history on a disk whose power can be cut, cut it anywhere, open what is left, and compare.

What is left must be the state after one of the operations, whole: with durability "disk" after the last one that was
acknowledged, or the one that was under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from bokeh_server.store import Durability
from bokeh_server.store.memory import MemoryStore
from bokeh_server.store.sql import SqlStore
from tests.store.disk import Acknowledged, Disk, Event, cuts
from tests.store.histories import Contents, contents, likely, perform

OPERATIONS = 150
CUTS_OF_A_RUN = 100
numbers = count()


def lost_operations(number: int, durability: Durability, seed: int) -> Iterator[int]:
    """Cut the power ``number`` times; for each, how many acknowledged operations were lost."""
    chance = Random(seed)
    while number > 0:
        points = min(number, CUTS_OF_A_RUN)
        number -= points
        with TemporaryDirectory() as folder:
            yield from asyncio.run(_run(Path(folder), durability, points, chance))


async def _run(folder: Path, durability: Durability, points: int, chance: Random) -> list[int]:
    history, states = await record(folder / "recorded", durability, chance)
    at = sorted(chance.sample(range(len(history)), points))
    lost = []
    for turn, (acknowledged, files) in enumerate(cuts(history, at, chance)):
        left = await reopened(folder / str(turn), files)
        possible = [number for number, state in enumerate(states) if state == left]
        assert possible, f"after the cut at {at[turn]} the store is in a state in which it never was"
        assert min(possible) <= acknowledged + 1, "an operation is there that was not even begun"
        lost.append(max(0, acknowledged - max(possible)))
    return lost


async def record(folder: Path, durability: Durability, chance: Random) -> tuple[list[Event], list[Contents]]:
    """A run of the store: what happened on its disk, and what it held after each operation."""
    disk, model = Disk(f"disk {next(numbers)}"), MemoryStore()
    states = [await contents(model)]
    async with SqlStore(folder, durability, database=disk.database) as store:
        for now, operation in enumerate(likely(chance, OPERATIONS), 1):
            assert await perform(store, operation, now) == await perform(model, operation, now) == ""
            disk.happens(Acknowledged(now))
            states.append(await contents(model))
    return disk.history, states


async def reopened(folder: Path, files: dict[str, bytes]) -> Contents:
    """What the product, as it is, finds in these files."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    async with SqlStore(folder) as store:
        return await contents(store)
