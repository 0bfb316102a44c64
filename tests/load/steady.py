"""An ordinary program that streams 0, 1, 2, … while its connection is cut under it: ``steady.py TITLE URL``.

It ends when its standard input does: it then flushes, and prints how many rows it has streamed, and the median and the
99th percentile of the time that ``stream()`` took, in microseconds.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time

from bokeh.models.sources import ColumnDataSource

from bokeh_server.plotting import cursession, figure, output_server, show

output_server(sys.argv[1], url=sys.argv[2])
source = ColumnDataSource({"n": []}, name="rows")
plot = figure(width=300, height=200)
plot.line("n", "n", source=source)
show(plot)
print("streaming", flush=True)

ended = threading.Event()


def listen() -> None:
    """Wait for the end."""
    sys.stdin.read()
    ended.set()


threading.Thread(target=listen, daemon=True).start()
row, taken = 0, []
while not ended.is_set():
    before = time.perf_counter()
    source.stream({"n": [row]})
    taken.append(time.perf_counter() - before)
    row += 1
    time.sleep(0.002)
session = cursession()
assert session is not None
assert session.flush(60), "the server does not have everything"
print(row, *(1e6 * statistics.quantiles(taken, n=100)[at] for at in (49, -1)), flush=True)
