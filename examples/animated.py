"""Annular wedges that turn: two columns of one source are assigned ten times a second."""

import time

import numpy as np
from bokeh.palettes import YlGnBu9

from bokeh_server.plotting import figure, output_server, show

n = 20
angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
radius = np.linspace(2, 8, n)
colors = [YlGnBu9[i * 7 // n] for i in range(n)]

output_server("animated")

p = figure(width=500, height=500, title="Animated wedges", x_range=(-9, 9), y_range=(-9, 9))
p.annular_wedge(
    0,
    0,
    inner_radius=1,
    outer_radius=radius,
    start_angle=angle,
    end_angle=angle + 2 * np.pi / n,
    fill_color=colors,
    line_color="white",
    name="wedges",
)

show(p)

source = p.select_one(dict(name="wedges")).data_source
while True:
    radius = np.roll(radius, 1)
    colors = colors[-1:] + colors[:-1]
    source.data.update(outer_radius=radius, fill_color=colors)
    time.sleep(0.1)
