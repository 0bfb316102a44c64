"""Selections drawn in your own way: while the mouse moves on the left, at the end on the right."""

import numpy as np
from bokeh.models import BoxSelectTool, Scatter

from bokeh_server.plotting import figure, gridplot, output_server, show

rng = np.random.default_rng(7)
x, y = rng.normal(0, 1, (2, 400))


def plot(title, continuous):
    p = figure(width=400, height=400, title=title, tools="pan,wheel_zoom,reset")
    points = p.scatter(x, y, size=9, color="#4c72b0", alpha=0.6, name="points")
    points.selection_glyph = Scatter(marker="circle", fill_color="#e0913a", line_color="#a0500a", size=9)
    points.nonselection_glyph = Scatter(marker="circle", fill_color="#4c72b0", fill_alpha=0.1, line_color=None, size=9)
    p.add_tools(BoxSelectTool(continuous=continuous))
    p.toolbar.active_drag = p.toolbar.tools[-1]
    return p


output_server("scatter_selection")

show(
    gridplot([[plot("While you drag", True), plot("When you let go", False)]], merge_tools=False, toolbar_location=None)
)
