"""Linked brushing: both plots draw from one source, so a selection in one is a selection in the other."""

import numpy as np

from bokeh_server.plotting import ColumnDataSource, figure, gridplot, output_server, show

x = np.linspace(0, 4 * np.pi, 100)
source = ColumnDataSource(dict(x=x, sin=np.sin(x), cos=np.cos(x)))
TOOLS = "pan,wheel_zoom,box_zoom,reset,box_select,lasso_select"

output_server("linked_brushing")

left = figure(width=400, height=400, tools=TOOLS, active_drag="box_select", title="sin and x")
left.scatter("x", "sin", source=source, size=8, color="#4c72b0", nonselection_alpha=0.1)
right = figure(width=400, height=400, tools=TOOLS, active_drag="box_select", title="sin and cos")
right.scatter("sin", "cos", source=source, size=8, color="#c0504d", nonselection_alpha=0.1)

show(gridplot([[left, right]]))
