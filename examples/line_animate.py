"""A sine wave that breathes: its source changes 20 times a second, in every browser that shows it.

The dashed line is a second source, which is sent once and stays.
"""

import time

import numpy as np

from bokeh_server.plotting import cursession, figure, output_server, show

x = np.linspace(0, 4 * np.pi, 200)
y = np.sin(x)

output_server("line_animate")

p = figure(width=600, height=400, title="A sine wave", x_axis_label="x", y_axis_label="amplitude × sin(x)")
p.line(x, y, color="#4c9c9b", line_width=3, name="sine")
p.line([0, 4 * np.pi], [-1, 1], color="#c06c5a", line_dash="dashed")

show(p)

source = p.select(dict(name="sine"))[0].data_source
while True:
    for amplitude in np.hstack((np.linspace(1, -1, 100), np.linspace(-1, 1, 100))):
        source.data["y"][:] = amplitude * y  # changed in place, so it has to be stored
        cursession().store_objects(source)
        time.sleep(0.05)
