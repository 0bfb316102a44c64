"""An ordinary program that streams points as fast as it is told: ``flood.py TITLE URL ROWS RATE SECONDS ROLLOVER``.

It prints what its own loop noticed of that: the 99th percentile of the time that ``stream()`` took, in microseconds,
and how long it was at work in all, in seconds.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import numpy as np
from bokeh.models.sources import ColumnDataSource

from bokeh_server.plotting import cursession, figure, output_server, show

title, url = sys.argv[1:3]
size, rate, seconds, kept = map(int, sys.argv[3:])
output_server(title, url=url)
source = ColumnDataSource({"n": np.arange(0, 1.0), "y": np.zeros(1)})
plot = figure(width=300, height=200)
plot.line("n", "y", source=source)
show(plot)
print("ready", flush=True)
sys.stdin.readline()

values = np.random.default_rng(1).random(size)
begin, taken, row = time.perf_counter(), [], 1
for count in range(rate * seconds):
    wait = begin + count / rate - time.perf_counter()
    if wait > 0:
        time.sleep(wait)
    rows: dict[str, Any] = {"n": np.arange(row, row + size, dtype=float), "y": values}
    before = time.perf_counter()
    source.stream(rows, rollover=kept)
    taken.append(time.perf_counter() - before)
    row += size
session = cursession()
assert session is not None
assert session.flush(60), "the server does not have everything"
print(row, 1e6 * statistics.quantiles(taken, n=100)[-1], time.perf_counter() - begin, flush=True)
