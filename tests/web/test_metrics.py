"""``/metrics`` of a real server: in the docs, for who may see it, and every figure moves when it should."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import flask
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from bokeh_server.adapters.asgi import Application, create_app, make_site
from bokeh_server.adapters.flask import blueprint
from bokeh_server.config import Config
from bokeh_server.core.tally import Tally
from bokeh_server.errors import StoreFailed
from bokeh_server.meters import STAGES, Figures, Histogram
from bokeh_server.web.metrics import COUNTERS, GAUGES, Seen, exposition, families
from tests.running import RunningServer
from tests.web.asking import ask, call, content, new_ticket, token
from tests.web.conftest import Shared
from tests.web.people import World, bearer
from tests.web.town import receive, send

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "watch.md"
LARGE = "x" * 2_000_000
NOTHING = Figures(0.0, [], 0, Tally(), 0, 0, False, {stage: Histogram() for stage in STAGES}, Histogram())
Samples = dict[str, float]


def read_openmetrics(text: str) -> list[Metric]:
    """What a page of OpenMetrics has."""
    return list(parse_openmetrics(text))  # type: ignore[no-untyped-call]


def scrape(port: int, headers: list[tuple[str, str]] | None = None) -> Samples:
    """Every sample without labels, and those of histograms as ``name{stage}``."""
    found = ask(port, "GET", "/metrics", headers)
    assert found.status == 200, found.body
    assert found.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = text_string_to_metric_families(found.body.decode())
    samples = [sample for family in families for sample in family.samples if "le" not in sample.labels]
    return {
        sample.name + (f"{{{sample.labels['stage']}}}" if "stage" in sample.labels else ""): sample.value
        for sample in samples
    }


def difference(before: Samples, after: Samples) -> Samples:
    """What has changed, without ``bokeh_server_``."""
    return {name.removeprefix("bokeh_server_"): value - before.get(name, 0.0) for name, value in after.items()}


def waited(port: int, holds: Callable[[Samples], bool]) -> Samples:
    """The samples, once this holds of them."""
    deadline = time.monotonic() + 30
    while not holds(found := scrape(port)):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


@contextmanager
def client(port: int, document: str, *, ours: bool = True, small: bool = False) -> Iterator[ClientConnection]:
    """A program's socket that has the document; a ``small`` one takes little that nobody reads."""
    raw = socket.socket()
    if small:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", port))
    url = f"ws://localhost:{port}/bokeh/doc/{document}/ws"
    with connect(
        url, sock=raw, compression=None, max_size=None, max_queue=1 if small else None, close_timeout=0.1
    ) as found:
        if ours:
            send(found, "RESUME", {"client": secrets.token_hex(8)})
            receive(found, "RESUMED")
        send(found, "PULL-DOC-REQ")
        receive(found, "PULL-DOC-REPLY")
        yield found


def patch(program: ClientConnection, number: int, value: object, attribute: str = "value") -> None:
    """Set something, until it is acknowledged."""
    event = {"kind": "ModelChanged", "model": {"id": "s1"}, "attr": attribute, "new": value}
    for part in ({"msgid": "1", "msgtype": "PATCH-DOC", "number": number}, {}, {"events": [event]}):
        program.send(json.dumps(part))
    receive(program, "OK", "ERROR")


def put(port: int, title: str = "") -> str:
    """A document of this title."""
    return str(ask(port, "PUT", f"/api/v1/documents/{title or secrets.token_hex(4)}", body=content()).json["id"])


# In the docs


def test_every_metric_is_in_the_docs_and_every_one_in_the_docs_is_there() -> None:
    there = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in families(Seen(NOTHING, (0, 0), {}))
    }
    page = PAGE.read_text()
    rows = set(re.findall(r"^\| `(bokeh_server_\w+)", page, re.MULTILINE))
    assert rows == there
    named = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bbokeh_server_\w+", page)}
    assert named - there <= {"bokeh_server_"}


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    panels = json.loads((PAGE.parents[2] / "deploy" / "grafana.json").read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    there = {sample.name for family in families(Seen(NOTHING, (0, 0), {})) for sample in family.samples}
    named = {name for expression in asked for name in re.findall(r"\bbokeh_server_\w+", expression)}
    assert len(named) > 10
    assert named - there == set()


def test_the_docs_say_of_each_metric_what_the_metric_says_of_itself() -> None:
    page = PAGE.read_text()
    missing = [words for words, _ in [*COUNTERS.values(), *GAUGES.values()] if words.rstrip(".") not in page]
    assert missing == []


# For whom


def test_without_accounts_the_only_user_may_scrape(shared: Shared) -> None:
    assert scrape(shared.port)["bokeh_server_store_failing"] == 0


def test_a_page_of_another_site_may_not(shared: Shared) -> None:
    for headers in ([("Origin", "https://elsewhere.example")], [("Sec-Fetch-Site", "cross-site")]):
        assert ask(shared.port, "GET", "/metrics", headers).status == 403


def test_a_token_to_scrape_with_is_good_for_nothing_else(world: World) -> None:
    key, _ = world.new_token("root", "watch", seconds=None)
    assert "bokeh_server_patches_total" in scrape(world.port, [bearer(key)])
    document = world.shown(published=False)
    for method, path in (
        ("GET", "/api/v1/documents"),
        ("GET", f"/api/v1/documents/{document}"),
        ("DELETE", f"/api/v1/documents/{document}"),
        ("GET", "/api/v1/users"),
        ("POST", "/api/v1/documents"),
    ):
        refused = ask(world.port, method, path, [bearer(key)])
        assert (refused.status, refused.json["code"]) == (403, "forbidden"), path


def test_a_token_to_scrape_with_is_of_no_use_to_who_is_no_administrator(world: World) -> None:
    key, _ = world.new_token("anna", "watch")
    assert ask(world.port, "GET", "/metrics", [bearer(key)]).json["detail"] == "Only an administrator may do this."


def test_with_the_one_token_of_a_server_without_accounts_one_may_scrape(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", "--token") as server:
        assert ask(server.port, "GET", "/metrics").status == 401
        assert scrape(server.port, [bearer(server.token)])["bokeh_server_documents"] == 0


def test_no_title_no_name_and_no_id_is_told(world: World) -> None:
    title = f"secret-{secrets.token_hex(8)}"
    document = world.call("anna", "PUT", f"/api/v1/documents/{title}", json.loads(content()))["id"]
    body = ask(world.port, "GET", "/metrics", [bearer(world.keys["root"])]).body.decode()
    assert "bokeh_server_documents" in body
    assert [word for word in (title, document, "anna", "readings") if word in body] == []


def test_the_number_of_series_does_not_grow_with_the_documents(shared: Shared) -> None:
    def series() -> int:
        return len(ask(shared.port, "GET", "/metrics").body.decode().splitlines())

    before = series()
    for _ in range(20):
        put(shared.port)
    assert series() == before


# In which form


def test_openmetrics_is_spoken_to_who_asks_for_it(shared: Shared) -> None:
    found = ask(
        shared.port, "GET", "/metrics", [("Accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")]
    )
    assert found.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    names = {family.name for family in read_openmetrics(found.body.decode())}
    assert {"bokeh_server_patches", "bokeh_server_stage_seconds", "process_resident_memory_bytes"} <= names


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "text/html", "application/openmetrics-text", "x" * 5_000, ";=,;version", "text/plain;version=1.0.0"],
)
def test_whatever_is_accepted_can_be_read(accept: str) -> None:
    body, content_type = exposition(Seen(NOTHING, None, {"bokeh-server": '0 "x"\\\n', "python": "3"}), accept[:500])
    read = read_openmetrics if "openmetrics" in content_type else text_string_to_metric_families
    families = {family.name: family for family in read(body.decode())}
    assert "bokeh_server_stored_documents" not in families
    assert families["bokeh_server_info"].samples[0].labels == {"bokeh_server": '0 "x"\\\n', "python": "3"}


def test_there_is_nothing_of_the_host_process_but_what_is_measured_of_it(shared: Shared) -> None:
    found = scrape(shared.port)
    assert found["process_resident_memory_bytes"] > 10e6
    assert found["process_open_fds"] > 3
    assert found["process_cpu_seconds_total"] > 0
    assert [name for name in found if not re.match(r"bokeh_server_|process_", name)] == []


def test_a_server_whose_store_fails_can_be_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails() -> tuple[int, int]:
        raise StoreFailed

    app = Application(make_site(Config(data=None)))
    monkeypatch.setattr(app.site.hub, "stored", fails)
    app.site.hub.failure = "The disk is full."
    found = asyncio.run(call(app, "GET", "/metrics"))
    assert found.status == 200
    assert b"bokeh_server_store_failing 1.0" in found.body
    assert b"stored" not in found.body


# When it moves


def test_a_patch_moves_what_is_counted_of_patches(shared: Shared) -> None:
    document = put(shared.port)
    with client(shared.port, document) as program, client(shared.port, document, ours=False):
        before = waited(shared.port, lambda found: found["bokeh_server_programs"] == 2)
        for number in (1, 2, 3):
            patch(program, number, number)
        moved = difference(
            before,
            waited(
                shared.port, lambda now: now["bokeh_server_patches_total"] >= before["bokeh_server_patches_total"] + 3
            ),
        )
    assert (moved["patches_total"], moved["replacements_total"], moved["refusals_total"]) == (3, 0, 0)
    assert moved["kept_bytes_total"] > 3 * 80
    assert moved["messages_total"] >= 6
    assert moved["sent_bytes_total"] > 6 * 50
    for stage in ("apply", "queue", "commit", "fanout"):
        assert moved[f"stage_seconds_count{{{stage}}}"] == 3
        assert moved[f"stage_seconds_sum{{{stage}}}"] > 0
    assert moved["stage_seconds_count{drain}"] == 0


def test_documents_pulls_and_refusals_are_counted(shared: Shared) -> None:
    before = scrape(shared.port)
    document = put(shared.port, "to-be-counted")
    with client(shared.port, document) as program:
        there = difference(before, scrape(shared.port))
        put(shared.port, "to-be-counted")
        assert receive(program, "RESYNC") == {"reason": "replaced"}
        send(program, "NONSENSE")
        receive(program, "ERROR")
        moved = difference(before, scrape(shared.port))
    assert (there["documents"], there["stored_documents"], there["pulls_total"]) == (1, 1, 1)
    assert (moved["replacements_total"], moved["resyncs_total"], moved["refusals_total"]) == (2, 1, 1)
    assert moved["stored_bytes"] >= len(content())


def test_the_event_loop_is_looked_at_all_the_time(shared: Shared) -> None:
    before = scrape(shared.port)
    waited(
        shared.port,
        lambda now: now["bokeh_server_loop_lag_seconds_count"] >= before["bokeh_server_loop_lag_seconds_count"] + 2,
    )


def test_boards_and_pages_are_counted_while_they_are_open(shared: Shared) -> None:
    here = [("Origin", f"http://localhost:{shared.port}")]
    with connect(f"ws://localhost:{shared.port}/bokeh/board", additional_headers=here):
        waited(shared.port, lambda now: now["bokeh_server_boards"] == 1)
    waited(shared.port, lambda now: now["bokeh_server_boards"] == 0)


def test_who_does_not_read_is_seen_and_gets_what_it_missed_as_one_message(shared: Shared) -> None:
    document = put(shared.port)
    before = scrape(shared.port)
    with client(shared.port, document) as program, client(shared.port, document, small=True) as slow:
        patch(program, 1, LARGE, "title")
        stalled = waited(shared.port, lambda now: now["bokeh_server_stalled_clients"] == 1)
        assert stalled["bokeh_server_unsent_bytes"] > 0
        for number in range(2, 6):
            patch(program, number, number)
        later = waited(shared.port, lambda now: now["bokeh_server_slowest_client_seconds"] > 0.2)
        assert difference(before, later)["stalls_total"] == 1
        assert receive(slow, "PATCH-DOC")["events"][0]["new"] == LARGE
        assert receive(slow, "PATCH-DOC")["events"][0]["new"] == 5, "it missed four patches, and gets one"
        moved = difference(before, waited(shared.port, lambda now: now["bokeh_server_stalled_clients"] == 0))
    assert (moved["conflations_total"], moved["stage_seconds_count{drain}"]) == (1, 1)
    assert moved["stage_seconds_sum{drain}"] > 0.2
    assert moved["unsent_bytes"] == moved["slowest_client_seconds"] == 0


def test_who_is_further_behind_than_patches_are_kept_gets_a_copy(shared: Shared) -> None:
    document = put(shared.port)
    before = scrape(shared.port)
    with client(shared.port, document) as program, client(shared.port, document, small=True) as slow:
        for number in range(1, 6):
            patch(program, number, f"{number}{LARGE}", "title")
        waited(shared.port, lambda now: now["bokeh_server_stalled_clients"] == 1)
        while not receive(slow, "PATCH-DOC")["events"][0]["new"].startswith("5"):
            pass
        moved = difference(before, scrape(shared.port))
    assert moved["copies_total"] >= 1


def test_messages_for_the_patches_of_a_frame_are_counted_apart(shared: Shared) -> None:
    document = put(shared.port)
    url = f"ws://localhost:{shared.port}/bokeh/ws/{document}"
    protocols = [Subprotocol("bokeh"), Subprotocol(token(document, new_ticket(shared.port, document)))]
    before = scrape(shared.port)
    with (
        connect(url, origin=Origin("null"), subprotocols=protocols, compression=None) as page,
        client(shared.port, document) as program,
    ):
        send(page, "RESUME", {"client": "a-page-of-ours", "frames": True})
        send(page, "PULL-DOC-REQ")
        receive(page, "PULL-DOC-REPLY")
        waited(shared.port, lambda now: now["bokeh_server_viewers"] == 1)
        event = {"kind": "ModelChanged", "model": {"id": "s1"}, "attr": "value"}
        parts: list[object] = []
        for number in range(1, 60):
            parts += [
                {"msgid": "1", "msgtype": "PATCH-DOC", "number": number},
                {},
                {"events": [{**event, "new": number}]},
            ]
        for part in parts:
            program.send(json.dumps(part))
        while receive(page, "PATCH-DOC")["events"][-1]["new"] != 59:
            pass
        moved = difference(before, scrape(shared.port))
    assert moved["frame_merges_total"] >= 1
    assert moved["conflations_total"] == 0


# Within another application


def test_below_a_prefix_it_is_there_and_nowhere_else(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", "--prefix", "/plots") as server:
        assert ask(server.port, "GET", "/metrics").status == 404
        found = ask(server.port, "GET", "/plots/metrics")
        assert (found.status, b"bokeh_server_documents 0.0" in found.body) == (200, True)


def test_within_flask_it_is_below_where_the_blueprint_is() -> None:
    app = flask.Flask("host")
    app.register_blueprint(blueprint(), url_prefix="/plots")
    host = app.test_client()
    found = host.get("/plots/metrics", base_url="http://localhost")
    assert (found.status_code, found.content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b"bokeh_server_documents 0.0" in found.data
    assert host.get("/metrics", base_url="http://localhost").status_code == 404


def test_within_an_asgi_application_it_is_for_the_administrators_that_this_names() -> None:
    async def status(name: str | None) -> int:
        app = create_app(identify=lambda scope: name, admins=("ann",))
        return (await call(app, "GET", "/metrics")).status

    found = [asyncio.run(status(name)) for name in ("ann", "bob", None)]
    assert found == [200, 403, 401]
