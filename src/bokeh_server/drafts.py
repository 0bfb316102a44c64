"""What is long is done in a thread beside the event loop: the work of rooms, and the writing of snapshots.

The thread sleeps for no time between two pieces (``others_first``): only so does the loop get the interpreter at once,
which it would otherwise wait 5 ms for, again and again (``sys.getswitchinterval``).
"""

from __future__ import annotations

import asyncio
import time
import zlib
from functools import partial
from io import BytesIO

from bokeh_server.core.events import Done, TakeSnapshot, Work
from bokeh_server.core.log import Record
from bokeh_server.core.snapshot import Draft
from bokeh_server.store import Store

others_first = partial(time.sleep, 0)


async def beside(work: Work) -> Done:
    """Have the work done, and say what came of it."""
    outcome = asyncio.get_running_loop().run_in_executor(None, work.run, others_first)
    await asyncio.wait([outcome])
    return Done(work, outcome.result)


async def keep(store: Store, effect: TakeSnapshot) -> None:
    """Give a snapshot to the store, a draft once it is written."""
    record = effect.record
    record = await asyncio.to_thread(written, record) if isinstance(record, Draft) else record
    await store.snapshot(record, effect.clients)


def written(draft: Draft) -> Record:
    """The record of a draft; ``BytesIO`` gives its bytes away without another copy."""
    body, crc = BytesIO(), 0
    for piece in draft.pieces(others_first):
        body.write(piece)
        crc = zlib.crc32(piece, crc)
    return draft.record(body.getvalue(), crc)
