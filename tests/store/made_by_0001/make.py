"""Make the fixture beside this file: what a server from before accounts (schema 0001) left when it was killed.

It is made by the code of that time, the last commit whose schema was 0001:

    git worktree add OLD 13a6e9a
    PYTHONPATH=OLD/src python tests/store/made_by_0001/make.py

``data.tar.xz`` is its data folder (the database, and the WAL that the kill left beside it), ``answers.json.xz`` what it
answered just before: the list of its documents, and the content of each. One document has binary columns that were
streamed and patched, one an image and text that is not ASCII, one only a property that was set, one nothing at all.
Snapshots are taken after 20 records, not 10,000, so that there are some with records after them.
"""

from __future__ import annotations

import json
import lzma
import re
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from bokeh.models.sources import ColumnDataSource
from bokeh.models.widgets.sliders import Slider

from bokeh_server.plotting import cursession, figure, output_server, show

HERE = Path(__file__).parent
SERVER = """
import sys
from bokeh_server import limits
limits.LIMITS = limits.Limits(snapshot_records=20)
from bokeh_server.cli import main
main()
"""


def fill(url: str) -> None:
    """Documents as programs of that time made them."""
    output_server("readings", url=url)
    times = np.arange(5.0)
    source = ColumnDataSource({"t": times, "n": np.arange(5, dtype="int32"), "who": list("abcde")}, name="readings")
    plot = figure(width=300, height=200)
    plot.line("t", "n", source=source)
    show(plot)
    for at in range(5, 50):
        row = {"t": np.array([at + 0.5]), "n": np.array([at], dtype="int32"), "who": [f"row {at}"]}
        source.stream(row, rollover=40)
    source.patch({"t": [(3, 1e300), (4, float("nan"))], "who": [(0, "patched")]})
    flush()
    output_server("Größe 📈", url=url)
    image: Any = np.random.default_rng(1).integers(0, 255, (32, 48), dtype="uint8")
    picture = figure(title="täglich", width=300, height=200)
    picture.image([image], x=0, y=0, dw=1, dh=1)
    show(picture)
    flush()
    output_server("knob", url=url)
    knob = Slider(start=0, end=10, value=5, name="speed")
    show(knob)
    knob.value = 7
    flush()


def flush() -> None:
    """Wait until the server has acknowledged everything."""
    session = cursession()
    assert session is not None
    assert session.flush(10)


def ask(url: str, path: str, body: Any = None) -> Any:
    """What the server answers."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url + path, data, {"Content-Type": "application/json"})) as got:
        return json.loads(got.read())


def main() -> None:
    """Run the server, fill it, ask it, kill it, and keep what it leaves."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", SERVER, "--data", folder, "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            found = re.search(r"http://localhost:\d+/", server.stdout.readline())
            assert found
            url = found[0]
            fill(url)
            ask(url, "api/v1/documents", {"title": "empty"})
            documents = ask(url, "api/v1/documents")
            contents = {one["id"]: ask(url, f"api/v1/documents/{one['id']}") for one in documents}
            server.kill()
        with tarfile.open(HERE / "data.tar.xz", "w:xz") as archive:
            for file in sorted(Path(folder).glob("documents.sqlite*")):
                if not file.name.endswith(("-shm", "-lock")):
                    archive.add(file, file.name)
    answers = {"url": url, "documents": documents, "contents": contents}
    (HERE / "answers.json.xz").write_bytes(lzma.compress(json.dumps(answers).encode()))


if __name__ == "__main__":
    main()
