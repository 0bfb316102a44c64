"""Cell ``open``: a document of 8 MB columns and 675 models is pushed (PUSH-DOC to OK) and opened (PULL-DOC-REQ to the
last byte of the reply) by a fresh socket: just after a change of the document, and once more unchanged. Ours answers
the push when the document is flushed to disk.

No other client is connected: bokeh sends a pushed document to each, and stops where one does not read. Beyond bokeh,
which has nothing of the kind, ours is also opened *cold*: by the first client after a new start.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.client import Address, Client
from bench.material import BIG_POINTS, Fragments, ask_version, big, pull, push, retitle
from bench.servers import Bokeh, Ours, Server

COLUMNS = 2 * 8 * BIG_POINTS  # bytes
PULLS = 3  # in each round


def timed_pull(address: Address, title: str | None = None) -> float:
    """Milliseconds from PULL-DOC-REQ to the whole reply, on a socket that is open already.

    The document is given a new ``title`` first, so that no copy of it made earlier will do; None leaves it as it is.
    """
    request = pull()
    with Client(address) as client:
        if title is not None:
            client.send(retitle(title))
            client.answer(ask_version())
        begin = time.perf_counter()
        header, fragments = client.answer(request)
        spent = time.perf_counter() - begin
    if header["msgtype"] != "PULL-DOC-REPLY" or sum(map(len, fragments)) < COLUMNS:
        raise RuntimeError(f"not the document: {header} of {sum(map(len, fragments))} bytes")
    return 1000 * spent


def timed_push(address: Address, content: Fragments) -> float:
    """Milliseconds from the first byte of PUSH-DOC to its OK."""
    with Client(address) as client:
        begin = time.perf_counter()
        header, fragments = client.answer(content)
        spent = time.perf_counter() - begin
    if header["msgtype"] != "OK":
        raise RuntimeError(f"the document was refused: {fragments!r:.300}")
    return 1000 * spent


class Opening:
    """The cell: push, pull and (ours) pull after a restart, once each in each round."""

    def __init__(self) -> None:
        self.content = push(big())

    def round(self) -> Iterator[dict[str, object]]:
        """Measure both servers."""
        for kind in (Ours, Bokeh):
            with kind() as server:
                address = server.address("big")
                yield row("push 8 MB", server, timed_push(address, self.content))
                for number in range(PULLS):
                    yield row("open 8 MB", server, timed_pull(address, f"title {number}"))
                    yield row("open 8 MB, unchanged", server, timed_pull(address))
                if isinstance(server, Ours):
                    server.stop()
                    server.start()
                    yield row("open 8 MB, cold", server, timed_pull(address))


def row(work: str, server: Server, milliseconds: float) -> dict[str, object]:
    """One figure."""
    return {"work": work, "server": server.name, "ms": milliseconds}
