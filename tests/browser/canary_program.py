"""A program that logs in with the password on its first line of input, shows a plot, and stays until the input ends."""

from __future__ import annotations

import sys

from bokeh_server import Session
from bokeh_server.plotting import figure, output_server, show

Session(root_url=sys.argv[1]).login("ann", sys.stdin.readline().strip())
output_server("canary", url=sys.argv[1])
plot = figure(width=300, height=200)
plot.line([1, 2], [1, 2])
show(plot)
print("shown", flush=True)
sys.stdin.read()
