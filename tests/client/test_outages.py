"""The server is killed and comes back; the program streams on, and no point is lost or doubled."""

from __future__ import annotations

import random
import threading
import time
from functools import partial
from typing import Any

import orjson
import pytest
from bokeh.document import Document
from bokeh.layouts import column
from bokeh.models import ColumnDataSource
from bokeh.models.widgets.markups import Div
from bokeh.models.widgets.sliders import Slider

from bokeh_server.client import connection
from bokeh_server.client import session as client_session
from bokeh_server.client.session import Session
from bokeh_server.errors import ServerAway, StoreFull
from bokeh_server.store.memory import MemoryStore
from tests.adapters import hosting
from tests.client.pages import until
from tests.client.test_convergence import differences
from tests.client.test_transport import Listener, answer
from tests.model.canonical import wire_flat
from tests.running import RunningServer


def stored(server: RunningServer, session: Session) -> list[float]:
    """The points that the server has."""
    found = server.request("GET", f"/api/v1/documents/{session.docid}/models/points/data")
    entries = found["entries"] if isinstance(found, dict) and "entries" in found else found
    return list(dict(entries)["x"])


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """When it is set, the disk under a hosted server is full."""
    event = threading.Event()

    def admit(records: object) -> None:
        if event.is_set():
            raise StoreFull

    monkeypatch.setattr(hosting, "MemoryStore", partial(MemoryStore, admit=admit))
    return event


def program(url: str, source: ColumnDataSource) -> Session:
    """A program that has stored a source."""
    document = Document()
    document.add_root(source)
    session = Session(root_url=url)
    session.use_doc("outage")
    session.store_document(document)
    return session


def test_a_server_that_is_killed_while_points_stream_in_has_each_of_them_once(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    source = ColumnDataSource({"x": []}, name="points")
    with program(server.url, source) as session:
        ended = threading.Event()

        def stream() -> None:
            for number in range(600):
                source.stream({"x": [number]})
                time.sleep(0.005)
            ended.set()

        threading.Thread(target=stream, daemon=True).start()
        for _ in range(2):
            time.sleep(0.7)
            server.kill()
            time.sleep(0.3)
            server.start()
        assert ended.wait(60)
        assert session.flush(30)
        assert stored(server, session) == list(range(600))
        assert list(source.data["x"]) == list(range(600))
    lines = [record.getMessage() for record in caplog.records if "touch" in record.getMessage()]
    assert ["no touch" in line for line in lines] == [True, False] * (len(lines) // 2)
    assert 2 <= len(lines) <= 4


def test_what_a_proxy_answers_while_the_server_is_away_ends_no_program(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    source = ColumnDataSource({"x": []}, name="points")
    with program(server.url, source) as session:
        server.kill()
        statuses = ["404 Not Found", "403 Forbidden", "401 Unauthorized", "502 Bad Gateway"]
        proxy = Listener(*map(answer, statuses), port=server.port)
        for number in range(200):
            source.stream({"x": [number]})
        until(lambda: proxy.count > len(statuses))
        proxy.close()
        server.start()
        assert session.flush(30)
        assert stored(server, session) == list(range(200))
    assert [caplog.text.count(f"says HTTP {status[:3]})") for status in statuses] == [1] * len(statuses)


def test_callbacks_and_a_second_program_go_on_after_an_outage(server: RunningServer) -> None:
    slider = Slider(start=0, end=10, value=0)
    reasons: list[str] = []
    document = Document()
    document.add_root(slider)
    with Session(root_url=server.url) as session, Session(root_url=server.url) as other:
        session.use_doc("outage")
        session.store_document(document)
        session.on_disconnect(reasons.append)
        other.use_doc("outage")
        copy = Document()
        other.load_document(copy)
        there = copy.get_model_by_id(slider.id)
        values: list[float] = []
        slider.on_change("value", lambda attr, old, new: values.append(new))
        server.kill()
        until(lambda: reasons)
        assert not session.connected
        slider.end = 20  # both change something while the server is away
        there.value = 5  # type: ignore[union-attr]
        server.start()
        until(lambda: values == [5])
        until(lambda: there.end == 20)  # type: ignore[union-attr]
        assert session.connected


def test_a_long_outage_costs_no_more_than_what_rolls_over(server: RunningServer) -> None:
    source = ColumnDataSource({"x": []}, name="points")
    with program(server.url, source) as session:
        server.kill()
        for number in range(2000):
            source.stream({"x": [number]}, rollover=50)
        assert session._connection is not None
        assert session._connection.outbox.bytes <= 100 * 32
        assert session.dropped == 0
        server.start()
        assert session.flush(30)
        assert stored(server, session) == list(range(1950, 2000))


class Naps(threading.Event):
    """No pauses between the tries of a transport, but a count of their seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.total = self.longest = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.total += timeout
        self.longest = max(self.longest, timeout)
        return super().wait(0.0)


def test_a_program_streams_on_after_an_hour_without_its_server(server: RunningServer) -> None:
    source = ColumnDataSource({"x": []}, name="points")
    with program(server.url, source) as session:
        assert session._connection is not None
        session._connection.transport._hurry = naps = Naps()
        server.kill()
        streamed = 0
        while naps.total < 3600:
            source.stream({"x": [streamed]}, rollover=300)
            streamed += 1
            time.sleep(0.01)
        assert naps.longest <= 5
        server.start()
        until(lambda: session.connected)
        source.stream({"x": [-1]}, rollover=300)
        assert session.flush(30)
        assert stored(server, session) == [*range(streamed)[-299:], -1]


def test_a_server_whose_disk_is_full_is_asked_less_and_less_often(
    full: threading.Event, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loads, load = list[str](), MemoryStore.load

    async def counted(store: MemoryStore, docid: str) -> Any:
        loads.append(docid)
        return await load(store, docid)

    monkeypatch.setattr(MemoryStore, "load", counted)
    source, document = ColumnDataSource({"x": [1]}), Document()
    document.add_root(source)
    with hosting.hosted() as port, Session(root_url=f"http://localhost:{port}") as session:
        session.use_doc("full")
        session.store_document(document)
        full.set()
        loads.clear()
        source.stream({"x": [2]})
        time.sleep(3)
        assert 1 <= len(loads) <= 6
        full.clear()
        assert session.flush(10)
        until(lambda: "in touch" in caplog.text)
    assert caplog.text.count("no touch") == caplog.text.count("in touch") == 1


def test_who_waits_for_a_server_whose_disk_is_full_is_told_so_and_nothing_is_lost(
    full: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 0.3)
    source, document = ColumnDataSource({"x": [1]}), Document()
    document.add_root(source)
    with hosting.hosted() as port, Session(root_url=f"http://localhost:{port}") as session:
        session.use_doc("full")
        full.set()
        with pytest.raises(ServerAway, match=r"can take nothing now .*1013, The disk is full; .*free some space"):
            session.store_document(document)
        full.clear()
        session.store_document(document)
        full.set()
        source.stream({"x": [2]})
        with pytest.raises(ServerAway, match="The disk is full"):
            session.store_document(document)
        full.clear()
        assert session.flush(10)
        assert session.pull("ColumnDataSource")[0]["attributes"]["data"]["entries"] == [["x", [1, 2]]]


def test_data_is_sent_again_without_a_wait_for_the_server_with_autopush_off_too(server: RunningServer) -> None:
    source = ColumnDataSource({"x": [1]}, name="points")
    with program(server.url, source) as session:
        session.autopush = False
        server.kill()
        data: Any = source.data
        data["x"][0] = 2
        began = time.monotonic()
        session.store_objects(source)
        assert time.monotonic() - began < 10  # push() waits for 30 s
        server.start()
        until(lambda: stored(server, session) == [2])


def test_a_session_that_tries_again_leaves_the_random_numbers_of_its_program_alone(server: RunningServer) -> None:
    with program(server.url, ColumnDataSource({"x": []}, name="points")) as session:
        assert session._connection is not None
        session._connection.transport._hurry = naps = Naps()
        random.seed(2015)
        before = random.getstate()
        server.kill()
        until(lambda: naps.total > 20)
        assert random.getstate() == before


def test_what_waits_at_the_end_of_a_session_is_said(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    source = ColumnDataSource({"x": []}, name="points")
    session = program(server.url, source)
    server.kill()
    source.stream({"x": [1]})
    assert not session.close(0.3)
    assert "changes were not stored" in caplog.text


def test_at_the_end_of_a_program_a_server_that_is_away_takes_no_time_from_the_others(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BOKEH_SERVER_AT_EXIT", "3")
    sources = [ColumnDataSource({"x": []}, name="points") for _ in range(2)]
    with hosting.hosted() as port:
        sessions = [program(f"http://localhost:{port}", sources[0])]
    sessions.append(program(server.url, sources[1]))
    sessions[1].autopush = False
    for source in sources:
        source.stream({"x": [1]})
    with monkeypatch.context() as patch:
        patch.setattr(client_session, "OPEN", [session._connection for session in sessions])
        began = time.monotonic()
        client_session.end()
        assert time.monotonic() - began < 5
    assert stored(server, sessions[1]) == [1]
    assert caplog.text.count("changes were not stored") == 1
    for session in sessions:
        session.close()


def test_two_programs_at_work_end_equal_though_the_server_was_killed(server: RunningServer) -> None:
    source, slider, layout = ColumnDataSource({"x": []}, name="points"), Slider(start=0, end=10_000, value=0), column()
    documents = Document(), Document()
    for root in (source, slider, layout):
        documents[0].add_root(root)
    with Session(root_url=server.url) as one, Session(root_url=server.url) as other:
        for session in (one, other):
            session.use_doc("outage")
        one.store_document(documents[0])
        other.load_document(documents[1])

        def work(document: Document, first: int) -> None:
            models: list[Any] = [document.get_model_by_id(model.id) for model in (source, slider, layout)]
            points, knob, box = models
            for number in range(first, 400, 2):
                points.stream({"x": [number]})
                knob.value = number
                if number % 20 == first:
                    box.children = [*box.children[-2:], Div(text=f"{number}")]
                time.sleep(0.004)

        threads = [threading.Thread(target=work, args=(document, first)) for first, document in enumerate(documents)]
        for thread in threads:
            thread.start()
        time.sleep(0.6)
        server.kill()
        server.start()
        for thread in threads:
            thread.join()
        assert one.flush(30)
        assert other.flush(30)

        def equal() -> bool:
            content = server.request("GET", f"/api/v1/documents/{one.docid}")
            flat = wire_flat(orjson.dumps(content), ())
            return not any(differences(flat, document) for document in documents)

        until(equal, timeout=30)
        assert sorted(stored(server, one)) == list(range(400))
