"""A TCP proxy that is as bad as a network can be, by the numbers of a seed.

Each connection through it gets a ``Fate``: after some bytes or seconds it is cut, by a reset (RST) or politely (FIN, or
FIN of one direction only), or it is half open for a while: what either side sends is swallowed, and nobody is told.
Before that it may delay what it carries, or dribble it, a few bytes at a time. ``Proxy.cut`` cuts one that is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Literal, Self

Ending = Literal["reset", "end", "half", "swallow"]
ENDINGS: tuple[Ending, ...] = ("reset", "end", "half", "swallow")
PIECE = 64 * 1024
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes ``close`` a reset."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one connection: delays in seconds, sizes in bytes."""

    ending: Ending
    delay: float
    dribble: int | None
    """The most bytes that go on at a time; None: as they come."""
    swallowing: float
    """Seconds for which it is half open before it is reset."""

    @classmethod
    def drawn(cls, choose: random.Random, swallowing: float) -> Fate:
        """Any fate; one connection in four is slow, one in eight dribbles."""
        delay = choose.uniform(0.001, 0.05) if choose.random() < 0.25 else 0.0
        dribble = choose.randint(1, 2_000) if choose.random() < 0.125 else None
        return cls(choose.choice(ENDINGS), delay, dribble, choose.uniform(0.2, swallowing))


class Passage:
    """One connection: the socket of the client, and ours to the server."""

    def __init__(self, client: socket.socket, server: socket.socket, fate: Fate) -> None:
        self.fate = fate
        self.carried = 0
        """Bytes so far, both ways."""
        self.over = asyncio.Event()
        self._sockets = (client, server)
        self._swallows = False

    async def carry(self) -> None:
        """Carry both ways, until one side ends it or ``end`` does."""
        client, server = self._sockets
        try:
            async with asyncio.TaskGroup() as group:
                ways = [group.create_task(self._carry(client, server)), group.create_task(self._carry(server, client))]
                await self.over.wait()
                for way in ways:
                    way.cancel()
        finally:
            client.close()
            server.close()

    async def _carry(self, source: socket.socket, target: socket.socket) -> None:
        loop, fate = asyncio.get_running_loop(), self.fate
        with contextlib.suppress(OSError):
            while data := await loop.sock_recv(source, PIECE):
                if fate.delay:
                    await asyncio.sleep(fate.delay)
                step = fate.dribble or len(data)
                for at in range(0, len(data), step):
                    if not self._swallows:
                        await loop.sock_sendall(target, data[at : at + step])
                        self.carried += step
                    if fate.dribble:
                        await asyncio.sleep(0)
            if self._swallows:
                return
        self.over.set()

    async def end(self) -> None:
        """Let its fate come true."""
        _, server = self._sockets
        with contextlib.suppress(OSError):
            match self.fate.ending:
                case "reset":
                    self._reset()
                case "half":
                    server.shutdown(socket.SHUT_WR)  # the server hears that the client says no more
                    await asyncio.sleep(self.fate.swallowing / 10)
                case "swallow":
                    self._swallows = True
                    await asyncio.sleep(self.fate.swallowing)
                    self._reset()
                case "end":
                    """Closing both is enough."""
        self.over.set()

    def _reset(self) -> None:
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


class Proxy:
    """Listens on a free ``port`` of this machine, and carries all to its port ``target``, once it is used as a context.

    ``swallowing`` is how many seconds a connection may be half open at most.
    """

    def __init__(self, seed: int, *, swallowing: float = 2.0) -> None:
        self.target = 0
        self.passages: set[Passage] = set()
        self.cuts: dict[str, int] = dict.fromkeys(ENDINGS, 0)
        """How many connections it has ended so far, in each way."""
        self._choose = random.Random(seed)
        self._swallowing = swallowing
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]

    async def __aenter__(self) -> Self:
        self._spawn(self._listen())
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._listener.close()

    def cut(self) -> bool:
        """End one of the connections that are there and have carried something; False where there is none."""
        there = [passage for passage in self.passages if passage.carried > 0]
        if not there:
            return False
        chosen = self._choose.choice(sorted(there, key=lambda passage: passage.carried))
        self.passages.discard(chosen)
        self.cuts[chosen.fate.ending] += 1
        self._spawn(chosen.end())
        return True

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(self._listener)
            client.setblocking(False)
            self._spawn(self._serve(client))

    async def _serve(self, client: socket.socket) -> None:
        server = socket.socket()
        server.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(server, ("127.0.0.1", self.target))
        except OSError:
            client.close()
            server.close()
            return
        passage = Passage(client, server, Fate.drawn(self._choose, self._swallowing))
        self.passages.add(passage)
        try:
            await passage.carry()
        finally:
            self.passages.discard(passage)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
