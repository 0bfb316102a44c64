"""A plot and an editable table share one source; a button makes new data.

Edit a cell: the point moves in every open page, and this program answers with the new mean.
"""

import numpy as np
from bokeh.models import Button, DataTable, HoverTool, NumberEditor, NumberFormatter, TableColumn

from bokeh_server.plotting import ColumnDataSource, column, curdoc, cursession, figure, output_server, row, show

rng = np.random.default_rng(9)
source = ColumnDataSource(dict(x=np.arange(10), y=rng.integers(0, 100, 10).astype(float)))

output_server("widgets")

p = figure(width=500, height=400, x_axis_label="x", y_axis_label="y", y_range=(-5, 105))
p.line("x", "y", source=source, color="#9ab0c4")
points = p.scatter("x", "y", source=source, size=12, color="#3a5785")
p.add_tools(HoverTool(renderers=[points], tooltips=[("x", "@x"), ("y", "@y{0.0}")]))

table = DataTable(
    source=source,
    columns=[
        TableColumn(field="x"),
        TableColumn(field="y", formatter=NumberFormatter(format="0.0"), editor=NumberEditor()),
    ],
    editable=True,
    width=300,
    height=340,
)
button = Button(label="New data", button_type="primary", name="new_data")


def describe(attr, old, new):
    p.title.text = f"mean of y: {np.mean(source.data['y']):.2f}"


describe(None, None, None)
source.on_change("data", describe)
button.on_click(lambda: source.data.update(y=rng.integers(0, 100, 10).astype(float)))

show(row(p, column(button, table)))
cursession().poll_document(curdoc())
