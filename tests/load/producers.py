"""A program that sends patches at a given rate, whatever happens, and knows when each left and was acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from tests.load.sockets import Fragments, Socket, texts


class Producer(Socket):
    """One program on a document's socket. ``sent`` has when the patch left that made the source so many rows long."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[int, float] = {}
        self.acknowledged = 0
        """How many patches the server has promised to keep."""
        self.number = 0
        self.refused: list[bytes] = []
        self._ready = asyncio.Event()
        self._settled = asyncio.Event()

    @classmethod
    async def join(cls, port: int, document: str) -> Producer:
        """Connect to a document."""
        producer = cls()
        await producer.open(port, f"/bokeh/doc/{document}/ws", f"localhost:{port}")
        await producer._ready.wait()
        return producer

    def message(self, header: dict[str, Any], fragments: Fragments) -> None:
        """Note what is acknowledged."""
        match header["msgtype"]:
            case "ACK":
                resume = '{"client":"the-producer-of-all","epoch":null,"seq":null,"answers":false}'
                self.send(*texts("RESUME", resume))
            case "RESUMED":
                self._ready.set()
            case "OK":
                self.acknowledged = header["number"]
                self._settled.set()
            case "ERROR":
                self.refused.append(fragments[2])

    async def stream(self, make: Callable[[int], tuple[str, int]], rate: float, seconds: float) -> float:
        """Send ``rate`` patches a second: ``make(number)`` gives the content, and how many rows there are then. What is
        late is made up for. Returns when every patch is acknowledged, with how many seconds that took in all."""
        begin = time.perf_counter()
        for count in range(int(rate * seconds)):
            wait = begin + count / rate - time.perf_counter()
            if wait > 0 or count % 50 == 0:
                await asyncio.sleep(max(wait, 0))
            content, until = make(self.number)
            self.number += 1
            self.sent[until] = time.perf_counter()
            self.send(*texts("PATCH-DOC", content, number=self.number))
        await self.settled()
        return time.perf_counter() - begin

    async def settled(self) -> None:
        """Wait until all is acknowledged."""
        while self.acknowledged < self.number:
            assert not self.refused, self.refused
            self._settled.clear()
            await asyncio.wait_for(self._settled.wait(), 60)
