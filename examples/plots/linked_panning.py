"""Linked panning: the plots share ranges, so they move together."""

import numpy as np

from bokeh_server.plotting import figure, gridplot, output_server, show

x = np.linspace(0, 4 * np.pi, 100)
OPTIONS = dict(width=300, height=300, tools="pan,wheel_zoom,reset")

output_server("linked_panning")

first = figure(title="sin", **OPTIONS)
first.scatter(x, np.sin(x), size=7, color="#4c72b0", alpha=0.6)
second = figure(title="cos: both axes of sin", x_range=first.x_range, y_range=first.y_range, **OPTIONS)
second.scatter(x, np.cos(x), size=7, color="#c0504d", alpha=0.6)
third = figure(title="sin · cos: the x axis", x_range=first.x_range, **OPTIONS)
third.scatter(x, np.sin(x) * np.cos(x), size=7, color="#5a9367", alpha=0.6)

show(gridplot([[first, second, third]]))
