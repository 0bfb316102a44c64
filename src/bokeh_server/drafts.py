"""Drafts of snapshots become records, in a thread beside the event loop.

The thread sleeps for no time between two pieces: only so does the loop get the interpreter at once, which it would
otherwise wait 5 ms for, again and again (``sys.getswitchinterval``).
"""

from __future__ import annotations

import time
import zlib
from functools import partial
from io import BytesIO

from bokeh_server.core.log import Record
from bokeh_server.core.snapshot import Draft

others_first = partial(time.sleep, 0)


def written(draft: Draft) -> Record:
    """The record of a draft; ``BytesIO`` gives its bytes away without another copy."""
    body, crc = BytesIO(), 0
    for piece in draft.pieces(others_first):
        body.write(piece)
        crc = zlib.crc32(piece, crc)
    return draft.record(body.getvalue(), crc)
