"""An ordinary program that streams 0, 1, 2, … while its connection is cut under it: ``steady.py TITLE URL``.

It ends when its standard input does: it then flushes, and prints how many rows it has streamed, and the median and the
99th percentile of the time that ``stream()`` took, in microseconds; and the same of a document that nobody shows, to
which it streams in turn: what bokeh itself takes, in the same program, at the same pace.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time

from bokeh.document import Document
from bokeh.models.sources import ColumnDataSource

from bokeh_server.plotting import cursession, figure, output_server, show

output_server(sys.argv[1], url=sys.argv[2])
source = ColumnDataSource({"n": []}, name="rows")
plot = figure(width=300, height=200)
plot.line("n", "n", source=source)
show(plot)
alone = ColumnDataSource({"n": []})
document = Document()
document.add_root(alone)
print("streaming", flush=True)

ended = threading.Event()


def listen() -> None:
    """Wait for the end."""
    sys.stdin.read()
    ended.set()


threading.Thread(target=listen, daemon=True).start()
row = 0
taken: list[float] = []
by_bokeh: list[float] = []


def timed(stream: ColumnDataSource, times: list[float]) -> None:
    """Stream the next row, and wait for a while."""
    before = time.perf_counter()
    stream.stream({"n": [row]})
    times.append(time.perf_counter() - before)
    time.sleep(0.002)


while not ended.is_set():
    timed(source, taken)
    timed(alone, by_bokeh)
    row += 1
session = cursession()
assert session is not None
assert session.flush(60), "the server does not have everything"
print(row, *(1e6 * statistics.quantiles(each, n=100)[at] for each in (taken, by_bokeh) for at in (49, -1)), flush=True)
