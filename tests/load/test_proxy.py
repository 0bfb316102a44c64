"""The bad network itself: what it carries is what came, and each ending is what it is called."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.load.proxy import ENDINGS, Ending, Fate, Proxy


@asynccontextmanager
async def echo(proxy: Proxy) -> AsyncIterator[None]:
    """A server behind the proxy that says again what it hears."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        proxy.target = server.sockets[0].getsockname()[1]
        async with proxy:
            yield


def fated(monkeypatch: pytest.MonkeyPatch, ending: Ending, *, dribble: int | None = None, delay: float = 0.0) -> Proxy:
    """A proxy all of whose connections have this fate."""
    monkeypatch.setattr(Fate, "drawn", lambda choose, swallowing: Fate(ending, delay, dribble, 0.3))
    return Proxy(1)


async def ended(reader: asyncio.StreamReader) -> str:
    """How a connection ends on which nothing comes any more."""
    try:
        assert await asyncio.wait_for(reader.read(), 20) == b""
    except ConnectionResetError:
        return "reset"
    return "end"


@pytest.mark.parametrize(("dribble", "delay"), [(None, 0.0), (7, 0.0), (None, 0.01)])
def test_what_is_carried_is_what_came(monkeypatch: pytest.MonkeyPatch, dribble: int | None, delay: float) -> None:
    said = random.Random(1).randbytes(20_000)

    async def talk() -> None:
        proxy = fated(monkeypatch, "end", dribble=dribble, delay=delay)
        async with echo(proxy):
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(said)
            assert await asyncio.wait_for(reader.readexactly(len(said)), 20) == said
            writer.close()

    asyncio.run(talk())


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_cut_is_what_it_is_called(monkeypatch: pytest.MonkeyPatch, ending: Ending) -> None:
    async def talk() -> None:
        proxy = fated(monkeypatch, ending)
        async with echo(proxy):
            assert not proxy.cut(), "nobody is there"
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(b"before")
            assert await asyncio.wait_for(reader.readexactly(6), 20) == b"before"
            assert proxy.cut()
            await asyncio.sleep(0.05)
            if ending == "swallow":
                writer.write(b"into the void")
            assert await ended(reader) == ("reset" if ending in ("reset", "swallow") else "end")
            writer.close()
            assert proxy.cuts[ending] == 1

    asyncio.run(talk())


def test_the_same_seed_gives_the_same_fates() -> None:
    drawn = [[Fate.drawn(random.Random(seed), 2.0) for _ in range(50)] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
