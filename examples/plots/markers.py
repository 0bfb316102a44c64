"""All the markers there are."""

import numpy as np
from bokeh.core.enums import MarkerType

from bokeh_server.plotting import figure, output_server, show

rng = np.random.default_rng(6)
columns = 7

output_server("markers")

p = figure(
    width=850,
    height=520,
    title="Markers",
    x_range=(-0.8, columns - 0.2),
    y_range=(-4.0, 0.8),
    tools="",
    toolbar_location=None,
)
for i, marker in enumerate(MarkerType):
    x, y = i % columns, -(i // columns)
    p.scatter(
        x + rng.normal(0, 0.12, 12),
        y + rng.normal(0, 0.12, 12),
        marker=marker,
        size=13,
        line_color="#3a5785",
        fill_color="#e0913a",
        alpha=0.6,
    )
    p.text(x, y - 0.42, [marker], text_align="center", text_font_size="12px", text_color="#555555")
p.axis.visible = False
p.grid.visible = False

show(p)
