"""A bare process around a store, for tests that kill it or take its disk space away.

python -m tests.store.child append FOLDER     append batches for ever; print each document and seq once it is kept
python -m tests.store.child fill FOLDER       append until the disk is full, make room, append again; print how it went
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from random import Random

from bokeh_server.core.log import Record
from bokeh_server.errors import Conflict
from bokeh_server.store import Info, pieces
from bokeh_server.store.sql import SqlStore
from tests.store.histories import Append, Part, a_record, perform

ROOT = Path(__file__).parents[2]


def started(command: str, folder: Path, *, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
    """This program in a process of its own; what it prints is in ``stdout``."""
    program = [*prefix, sys.executable, "-m", "tests.store.child", command, str(folder)]
    return subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True)


async def append(folder: Path) -> None:
    chance = Random()
    async with SqlStore(folder) as store:
        for document in ("d1", "d2", "d3"):
            try:
                await store.create(Info(document, "me", document, 1.0, 1.0))
            except Conflict:
                pass
        seqs = {info.id: info.seq for info in await store.documents()}
        for now in count(1):
            batch: list[Record] = []
            for document in chance.choices([*seqs], k=chance.randint(1, 30)):
                seqs[document] += 1
                batch.append(a_record(document, seqs[document], chance.choice((20, 300, 6_000))))
            await store.append(batch, now=now)
            print(*(f"{document}:{seq}" for document, seq in seqs.items()), flush=True)
            if now % 20 == 0:
                document = chance.choice([*seqs])
                await store.snapshot(a_record(document, seqs[document], 50_000, kind="replace"), {})


async def fill(folder: Path) -> None:
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(400_000))
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))
    async with SqlStore(folder) as store:
        await store.create(Info("d1", "me", "line", 1.0, 1.0))
        seq, told = 0, ""
        while not told:
            told = await perform(store, Append((Part("d1", 30_000),)), 2)
            seq += not told
        print(told)
        stored = await store.load("d1")
        print(stored is not None and len(stored.records) == seq)
        ballast.unlink()
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await store.append([a_record("d1", seq + 1)], now=3.0)
    async with SqlStore(folder) as store:
        stored = await store.load("d1")
        print(stored is not None and len(stored.records) == seq + 1)


if __name__ == "__main__":
    vars(pieces).update(PIECE=8_000, SLICE=8_000)  # so that a snapshot takes several transactions
    asyncio.run({"append": append, "fill": fill}[sys.argv[1]](Path(sys.argv[2])))
