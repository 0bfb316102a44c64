"""The lines for curl in README and docs, typed into a shell on real servers from nothing: each does what it says."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bokeh.core.types import ID
from bokeh.document import Document
from bokeh.models import ColumnDataSource, Plot

from tests.documented import blocks
from tests.running import RunningServer, environment
from tests.web.town import Town

CAREFUL = 'set -eu\ncurl() { command curl -sS --fail-with-body "$@" && echo; }\n'


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server without accounts."""
    with RunningServer(tmp_path_factory.mktemp("curl") / "data") as server:
        yield server


def typed(script: str, folder: Path, server: RunningServer, **variables: str) -> list[Any]:
    """The JSON that the server of a page's lines answers, request by request; each must succeed."""
    assert shutil.which("curl"), "no curl: install it"
    here = script.replace("https://plots.example.org", server.url).replace("localhost:5006", f"localhost:{server.port}")
    shell = ["bash", "-c", CAREFUL + here]
    done = subprocess.run(shell, cwd=folder, env={**environment(), **variables}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line]


def rows(answer: Any) -> dict[str, list[Any]]:
    """The columns of a source as the server tells them."""
    return dict(answer["entries"])


def test_the_plot_of_the_readme(alone: RunningServer, tmp_path: Path) -> None:
    (script,) = [code for code in blocks("README.md", "bash") if "curl" in code]
    made, appended = typed(script, tmp_path, alone)
    assert made["link"] == f"{alone.url}/bokeh/doc/{made['id']}"
    assert appended["rows"] == 2
    document = Document.from_json(alone.request("GET", f"/api/v1/documents/{made['id']}"))
    (plot,) = document.roots
    assert isinstance(plot, Plot)
    source = document.get_model_by_id(ID("readings"))
    assert isinstance(source, ColumnDataSource)
    assert source.data == {"t": [1, 2], "value": [20.5, 20.7]}


def test_the_page_about_curl(alone: RunningServer, tmp_path: Path) -> None:
    *scripts, _ = blocks("docs/howto/curl.md", "bash")
    answers = typed("".join(scripts), tmp_path, alone)
    made, csv, row, columns, ndjson, read, sized, size, listed, whole, info, renamed = answers
    assert [answer["rows"] for answer in (csv, row, columns, ndjson)] == [2, 1, 2, 2]
    nan = {"type": "number", "value": "nan"}
    assert rows(read) == {"t": [1, 2, 3, 4, 5, 6, 7], "value": [20.5, 20.7, 20.9, 21.2, nan, 21.4, 21.3]}
    assert (sized["seq"], size) == (info["seq"], 400)
    assert made["id"] in [document["id"] for document in listed]
    assert whole["roots"][0]["id"] == "plot"
    assert (renamed["id"], renamed["title"]) == (made["id"], "kitchen")
    assert alone.refused("GET", f"/api/v1/documents/{made['id']}")["code"] == "not-found"


def test_the_lines_for_a_server_with_accounts(tmp_path: Path) -> None:
    make, *_, append = blocks("docs/howto/curl.md", "bash")
    (of_team,) = [code for code in blocks("docs/howto/team-server.md", "bash") if "curl" in code]
    with RunningServer(tmp_path / "data", "-m") as server:
        owner = Town(server).root
        typed(make.partition("\ncurl")[0], tmp_path, server)
        made = owner("PUT", "/api/v1/documents/thermometer", (tmp_path / "thermometer.json").read_bytes()).json
        key = owner.token("stream", document=made["id"]).key
        answers = typed(append + of_team, tmp_path, server, BOKEH_SERVER_TOKEN=key, ID=made["id"])
        assert [answer["rows"] for answer in answers] == [1, 1]
        read = owner("GET", f"/api/v1/documents/{made['id']}/models/readings/data").json
        assert rows(read) == {"t": [8, 1], "value": [21.5, 20.5]}
