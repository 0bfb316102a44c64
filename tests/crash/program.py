"""An ordinary program that streams 0, 1, 2, … while its server is killed under it: ``program.py TITLE URL``.

It ends when its standard input does: it then flushes, and prints how many rows the server has acknowledged.
"""

from __future__ import annotations

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
row = 0
while not ended.is_set():
    source.stream({"n": [row]})
    row += 1
    time.sleep(0.002)
session = cursession()
assert session is not None
print(row if session.flush(60) else "not flushed", flush=True)
