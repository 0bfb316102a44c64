"""A session in an event loop: it does what ``Session`` does, and the loop goes on while the server is slow or away."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource
from bokeh.models.widgets.sliders import Slider

import bokeh_server
from bokeh_server.client.asyncsession import AsyncSession
from bokeh_server.client.session import Session
from bokeh_server.errors import BadSetting, NotFound, ServerAway
from tests.client.pages import until
from tests.documented import blocks
from tests.running import RunningServer


async def beside(work: Awaitable[Any]) -> Any:
    """What the work, which takes half a second, gives; the loop goes on meanwhile."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticker = asyncio.create_task(tick())
    given = await work
    ticker.cancel()
    assert ticks > 4
    return given


@contextmanager
def stopped(server: RunningServer) -> Iterator[None]:
    """The server answers nothing meanwhile."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def document_of(*roots: Any) -> Document:
    """A document with these roots."""
    document = Document()
    for root in roots:
        document.add_root(root)
    return document


def test_it_has_all_that_a_session_has() -> None:
    assert bokeh_server.AsyncSession is AsyncSession
    assert str(inspect.signature(AsyncSession)) == str(inspect.signature(Session))
    for name, method in vars(Session).items():
        twin = vars(AsyncSession).get(name)
        if not name.startswith("_"):
            assert inspect.getdoc(twin), name
        if not name.startswith("_") and inspect.isfunction(method):
            assert twin is not None
            assert inspect.signature(twin) == inspect.signature(method), name
            assert inspect.iscoroutinefunction(twin) or name in ("object_link", "on_disconnect")


def test_a_document_is_live_in_both_directions(live: RunningServer, title: str) -> None:
    slider = Slider(start=0, end=10, value=0)
    source = ColumnDataSource({"x": [1]})

    async def main() -> None:
        loop, heard = asyncio.get_running_loop(), asyncio.Queue[float]()
        document = document_of(slider, source)

        def hear(attr: str, old: float, new: float) -> None:
            loop.call_soon_threadsafe(heard.put_nowait, new)

        slider.on_change("value", hear)
        async with AsyncSession(live.url) as session, AsyncSession(live.url) as other:
            await session.use_doc(title)
            await session.store_document(document)
            assert session.document is document
            assert session.connected
            assert session.link == session.object_link() == session.session.link
            assert title not in repr(session)
            assert repr(session).startswith("<AsyncSession http")
            source.stream({"x": [2]})
            assert await session.flush()
            await other.use_doc(docid=session.session.docid)
            await other.load_document(copy := Document())
            there: Any = copy.get_model_by_id(slider.id)
            there.value = 7
            assert await asyncio.wait_for(heard.get(), 10) == 7
            there_source: Any = copy.get_model_by_id(source.id)
            assert list(there_source.data["x"]) == [1, 2]
            session.autopush = False
            assert not session.autopush
            assert (await session.pull("ColumnDataSource"))[0]["id"] == source.id
        assert session.document is None

    asyncio.run(main())


def test_the_loop_goes_on_while_the_server_is_slow_or_away(server: RunningServer) -> None:
    source = ColumnDataSource({"x": [1]})
    reasons: list[str] = []

    async def main() -> None:
        async with AsyncSession(server.url) as session:
            with stopped(server):
                binding = asyncio.create_task(session.use_doc("slow"))
                assert await beside(asyncio.wait({binding}, timeout=0.5)) == (set(), {binding})
            await binding
            await session.store_document(document_of(source))
            session.on_disconnect(reasons.append)
            with stopped(server):
                source.stream({"x": [2]})
                assert not await beside(session.flush(0.5))
            assert await session.flush(10)
            server.kill()
            source.stream({"x": [3]})
            assert not await beside(session.push(0.5))
            server.start()
            assert await session.flush(10)

    asyncio.run(main())
    assert len(reasons) == 1


def test_what_goes_wrong_is_raised_where_it_is_awaited(live: RunningServer) -> None:
    async def main() -> None:
        session = AsyncSession(live.url)
        with pytest.raises(NotFound, match="no such document"):
            await session.use_doc(docid="no such document")
        with pytest.raises(BadSetting, match="No document is live"):
            await session.push()
        with pytest.raises(ServerAway):
            await AsyncSession("http://localhost:9").use_doc("title")

    asyncio.run(main())


def test_a_program_that_is_cancelled_waits_for_no_server(server: RunningServer) -> None:
    source = ColumnDataSource({"x": [1]})
    session = AsyncSession(server.url)

    async def main() -> None:
        await session.use_doc("away")
        await session.store_document(document_of(source))
        server.kill()
        source.stream({"x": [2]})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.flush(None), 0.3)

    began = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - began < 10
    server.start()
    assert session.session.flush(10)
    assert session.session.close()


def test_a_program_lives_for_its_callbacks_until_the_document_is_gone(live: RunningServer, title: str) -> None:
    async def main() -> None:
        async with AsyncSession(live.url) as session:
            await session.use_doc(title)
            document = document_of(Slider(start=0, end=10, value=0))
            await session.store_document(document)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(session.poll_document(document, 0.05), 0.3)
            await session.close()
            polling = asyncio.create_task(session.poll_document(document, 0.05))  # loads it first
            await asyncio.to_thread(until, lambda: session.connected)
            await asyncio.to_thread(live.request, "DELETE", f"/api/v1/documents/{session.session.docid}")
            await asyncio.wait_for(polling, 10)

    asyncio.run(main())


def test_the_program_of_the_page_runs(
    live: RunningServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BOKEH_SERVER_URL", live.url)
    (program,) = blocks("docs/howto/asyncio.md", "python")
    exec(compile(program.replace("0.1 / step", "0.001"), "asyncio.md", "exec"), {})
    assert "/bokeh/doc/" in capsys.readouterr().out
    with Session(live.url) as session:
        session.use_doc("waves")
        (source,) = session.pull("ColumnDataSource")
        assert len(dict(source["attributes"]["data"]["entries"])["x"]) == 100
