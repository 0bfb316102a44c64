"""Tap a point in one plot: this program recolours the other plot by the distance to it. Reset clears both."""

import numpy as np
from bokeh.models import Button
from bokeh.palettes import Viridis256

from bokeh_server.plotting import ColumnDataSource, column, curdoc, cursession, figure, output_server, row, show

N = 100
PLAIN = ["#9aa7b5"] * N
rng = np.random.default_rng(11)


def scatter(title):
    source = ColumnDataSource(dict(x=rng.uniform(0, 10, N), y=rng.uniform(0, 10, N), color=PLAIN))
    p = figure(width=400, height=400, tools="tap", title=title, x_range=(-0.5, 10.5), y_range=(-0.5, 10.5))
    p.scatter(
        "x",
        "y",
        source=source,
        size=14,
        color="color",
        nonselection_fill_alpha=1,
        selection_line_color="black",
        selection_line_width=3,
    )
    return p, source


def recolour(tapped, other):
    def tap(attr, old, new):
        if new:
            x, y = tapped.data["x"][new[0]], tapped.data["y"][new[0]]
            near = np.hypot(np.array(other.data["x"]) - x, np.array(other.data["y"]) - y)
            other.data["color"] = [Viridis256[int(255 * d / near.max())] for d in near]

    return tap


def reset():
    for source in (source1, source2):
        source.selected.indices = []
        source.data["color"] = PLAIN


output_server("linked_tap")

plot1, source1 = scatter("Tap here to colour the right")
plot2, source2 = scatter("Tap here to colour the left")
source1.selected.on_change("indices", recolour(source1, source2))
source2.selected.on_change("indices", recolour(source2, source1))
button = Button(label="Reset", button_type="primary", width=100, name="reset")
button.on_click(reset)

show(column(button, row(plot1, plot2)))
cursession().poll_document(curdoc())
