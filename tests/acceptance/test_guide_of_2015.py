"""The two scripts of the user guide of 2015 ("Deploying the Bokeh Server"), as README and the page about it have them,
run with only their import line changed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bokeh_server.client.session import Session
from tests.client.pages import Page, until
from tests.documented import blocks
from tests.running import RunningServer, environment

STORING = next(code for code in blocks("docs/howto/from-2015.md", "python") if '"line"' in code)
STREAMING = next(code for code in blocks("README.md", "python") if '"animated_line"' in code)


@contextmanager
def running(server: RunningServer, folder: Path, text: str) -> Iterator[subprocess.Popen[str]]:
    """A script under way."""
    file = folder / "script.py"
    file.write_text(text)
    variables = {**environment(), "BOKEH_SERVER_URL": server.url}
    with subprocess.Popen([sys.executable, str(file)], env=variables, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_storing(server: RunningServer, tmp_path: Path) -> None:
    with running(server, tmp_path, STORING) as script:
        link, _ = script.communicate(timeout=60)
    assert script.returncode == 0
    session = Session(root_url=server.url)
    session.use_doc("line")
    assert link == f"{session.link}\n"
    (plot,) = session.pull("Figure")
    assert (plot["attributes"]["width"], plot["attributes"]["height"]) == (400, 400)
    (glyph,) = [line for line in session.pull("Line") if line["attributes"].get("line_alpha") is None]
    assert glyph["attributes"]["line_width"] == 2
    (listed,) = server.request("GET", "/api/v1/documents")
    assert (listed["title"], listed["link"]) == ("line", session.link)


@pytest.mark.timeout(180)
def test_streaming_moves_every_open_page_also_after_the_server_was_killed(
    server: RunningServer, tmp_path: Path
) -> None:
    with running(server, tmp_path, STREAMING) as script:
        assert script.stdout is not None
        document = script.stdout.readline().strip().rsplit("/", 1)[1]
        pages = [Page(server.port, document) for _ in range(2)]
        for page in pages:
            until(lambda page=page: len(page.events) >= 3)  # type: ignore[misc]
            columns = [dict(event["data"]["entries"]) for event in page.events]
            assert {event["kind"] for event in page.events} == {"ColumnDataChanged"}
            assert all(sorted(data["y"]) == [2, 4, 5, 6, 7] and data["x"] == [1, 2, 3, 4, 5] for data in columns)
            assert len({tuple(data["y"]) for data in columns}) > 1
        server.kill()
        server.start()
        for page in pages:
            page.close()
        page = Page(server.port, document)
        until(lambda: len(page.events) >= 2, timeout=30)
        page.close()
        assert script.poll() is None
