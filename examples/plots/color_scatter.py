"""4,000 circles, each with its own size and colour, and all the ways to select some of them."""

import numpy as np

from bokeh_server.plotting import figure, output_server, show

rng = np.random.default_rng(4)
x, y = rng.uniform(0, 100, (2, 4000))
radii = rng.uniform(0, 1.5, 4000)
colors = [(int(30 + 2 * a), int(30 + 2 * b), 150) for a, b in zip(x, y, strict=True)]
TOOLS = "hover,crosshair,pan,wheel_zoom,box_zoom,undo,redo,reset,tap,save,box_select,poly_select,lasso_select"

output_server("color_scatter")

p = figure(width=600, height=600, tools=TOOLS, title="4,000 circles")
p.circle(x, y, radius=radii, fill_color=colors, fill_alpha=0.6, line_color=None)

show(p)
