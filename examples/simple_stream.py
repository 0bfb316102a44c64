"""A line that grows by one point every half second; the axes follow.

Only the new point travels, and ``rollover`` keeps the last 200.
"""

import itertools
import time

import numpy as np

from bokeh_server.plotting import ColumnDataSource, figure, output_server, show

rng = np.random.default_rng(2015)
source = ColumnDataSource(dict(x=[0], y=[0.0]))

output_server("simple_stream")

p = figure(width=700, height=350, title="A random walk", x_axis_label="step", y_axis_label="position")
p.line("x", "y", source=source, line_width=2, color="#4c72b0")
p.scatter("x", "y", source=source, size=5, color="#4c72b0")

show(p)

for step in itertools.count(1):
    time.sleep(0.5)
    source.stream(dict(x=[step], y=[source.data["y"][-1] + rng.normal()]), rollover=200)
