"""Select points with the lasso or the box: this program recomputes the histograms beside the axes."""

import numpy as np

from bokeh_server.plotting import ColumnDataSource, curdoc, cursession, figure, gridplot, output_server, show

rng = np.random.default_rng(8)
x = np.hstack((rng.normal(0, 2, 4000), rng.normal(5, 1, 2000), rng.normal(3, 1, 2000)))
y = np.hstack((rng.normal(0, 2, 4000), rng.normal(5, 1, 2000), rng.normal(-3, 1, 2000)))
xs, ys = np.linspace(x.min(), x.max(), 41), np.linspace(y.min(), y.max(), 41)
SELECTED, ALL = "#3a5785", "#c9d2e0"

output_server("selection_histogram")

p = figure(width=500, height=500, tools="pan,wheel_zoom,box_select,lasso_select,reset", title="Select some points")
points = p.scatter(x, y, size=3, color=SELECTED, alpha=0.6, name="points").data_source

above = figure(width=500, height=130, x_range=p.x_range, toolbar_location=None, min_border_left=40)
above.quad(left=xs[:-1], right=xs[1:], bottom=0, top=np.histogram(x, xs)[0], color=ALL, line_color="white")
chosen_x = ColumnDataSource(dict(left=xs[:-1], right=xs[1:], count=np.zeros(40)), name="chosen_x")
above.quad("left", "right", "count", 0, source=chosen_x, color=SELECTED, alpha=0.8)

beside = figure(width=150, height=500, y_range=p.y_range, toolbar_location=None)
beside.quad(bottom=ys[:-1], top=ys[1:], left=0, right=np.histogram(y, ys)[0], color=ALL, line_color="white")
chosen_y = ColumnDataSource(dict(bottom=ys[:-1], top=ys[1:], count=np.zeros(40)), name="chosen_y")
beside.quad(0, "count", "top", "bottom", source=chosen_y, color=SELECTED, alpha=0.8)


def update(attr, old, new):
    chosen_x.data["count"] = np.histogram(x[new], xs)[0]
    chosen_y.data["count"] = np.histogram(y[new], ys)[0]
    p.title.text = f"{len(new)} of {len(x)} points selected"


points.selected.on_change("indices", update)

show(gridplot([[above, None], [p, beside]], merge_tools=False, toolbar_location=None))
cursession().poll_document(curdoc())
