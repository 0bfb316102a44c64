"""kill -9 of a bare process that appends: what it said was kept is there. KILLS is how often."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from random import Random

import pytest

from bokeh_server.store.sql import SqlStore
from tests.store.child import started

KILLS = int(os.environ.get("KILLS", "20"))


async def seqs_of(folder: Path) -> dict[str, int]:
    """The last seq of each document; each is loaded and found whole."""
    async with SqlStore(folder) as store:
        found = {}
        for info in await store.documents():
            stored = await store.load(info.id)
            assert stored is not None
            found[info.id] = info.seq
        return found


@pytest.mark.timeout(60 + 10 * KILLS)
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    chance, acknowledged = Random(), 0
    for _ in range(KILLS):
        child = started("append", tmp_path)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(chance.uniform(0, 0.15))
        child.kill()
        *_, last = child.stdout.read().splitlines(keepends=True) or [""]
        child.stdout.close()
        child.wait()
        seqs = asyncio.run(seqs_of(tmp_path))
        for document, seq in (pair.split(":") for pair in last.split() if last.endswith("\n")):
            acknowledged += 1
            assert seqs[document] >= int(seq)
    assert acknowledged > 0
