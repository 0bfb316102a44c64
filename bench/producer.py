"""A program that updates a line as fast as it can: python -m bench.producer KIND PORT TITLE SECONDS.

It says the id of its document once that is there, waits for a line, updates for so many seconds, and says
``{"updates": …, "s": …}``: until the server has had all of it. Kinds: ``ours`` (``Session``, ``source.stream``,
``flush``), ``bokeh`` (``push_session``, ``source.stream``, a round trip every 16, without which it sends nothing),
``rows`` (a POST of one row each, to ours) and ``visdom`` (``vis.line(update="append")``, in visdom's own environment).
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Callable
from typing import Any

Work = tuple[str, Callable[[int], object], Callable[[], object]]
"""The id of the document, what makes an update of a number, and what waits for all of them."""

EVERY = 16  # patches to a round trip of bokeh's client
ROLLOVER = 1000


def plot(title: str) -> tuple[Any, Any]:
    """A document with a line of two columns, and their source."""
    from bokeh.document import Document
    from bokeh.models import ColumnDataSource
    from bokeh.plotting import figure

    values = [at / ROLLOVER for at in range(ROLLOVER)]
    source = ColumnDataSource({"x": values, "y": values}, name="rows")
    shown = figure(width=400, height=400)
    shown.line("x", "y", source=source)
    document = Document(title=title)
    document.add_root(shown)
    return document, source


def ours(port: int, title: str) -> Work:
    """Our client."""
    from bokeh_server.session import Session

    document, source = plot(title)
    session = Session(root_url=f"http://127.0.0.1:{port}/", load_from_config=False)
    session.use_doc(title)
    session.store_document(document)

    def update(number: int) -> None:
        source.stream({"x": [number / 7], "y": [number / 11]}, ROLLOVER)

    return str(session.docid), update, lambda: session.flush(60.0) or sys.exit("not everything has been taken")


def bokeh(port: int, title: str) -> Work:
    """bokeh's client."""
    from bokeh.client import push_session
    from bokeh.core.types import ID

    document, source = plot(title)
    session = push_session(document, session_id=ID(title), url=f"http://127.0.0.1:{port}/")

    def update(number: int) -> None:
        source.stream({"x": [number / 7], "y": [number / 11]}, ROLLOVER)
        if number % EVERY == EVERY - 1:
            session.force_roundtrip()

    return title, update, session.force_roundtrip


def rows(port: int, title: str) -> Work:
    """Ours by HTTP: the document by our client, the rows without it."""
    key, _, flush = ours(port, title)
    flush()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    path = f"/api/v1/documents/{key}/sources/rows/rows"

    def update(number: int) -> None:
        body = json.dumps({"x": [number / 7], "y": [number / 11]})
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            sys.exit(f"{answer.status} {text!r:.300}")

    return key, update, lambda: None


def visdom(port: int, title: str) -> Work:
    """visdom's client: it waits for the answer to each."""
    from visdom import Visdom  # type: ignore[import-not-found]

    client = Visdom(server="http://127.0.0.1", port=port, use_incoming_socket=False)
    values = [at / ROLLOVER for at in range(ROLLOVER)]
    window = client.line(X=values, Y=values)

    def update(number: int) -> None:
        client.line(X=[number / 7], Y=[number / 11], win=window, update="append")

    return window, update, lambda: None


def main() -> None:
    """Do what was asked for."""
    kind, port, title, seconds = sys.argv[1:]
    key, update, finish = {"ours": ours, "bokeh": bokeh, "rows": rows, "visdom": visdom}[kind](int(port), title)
    print(key, flush=True)
    sys.stdin.readline()
    count, begin = 0, time.perf_counter()
    end = begin + float(seconds)
    while time.perf_counter() < end:
        update(count)
        count += 1
    finish()
    print(json.dumps({"updates": count, "s": time.perf_counter() - begin}), flush=True)


if __name__ == "__main__":
    main()
