"""Tooltips of many fields over a lattice of circles, each with its number on it."""

import numpy as np

from bokeh_server.plotting import ColumnDataSource, figure, output_server, show

xx, yy = (a.ravel() for a in np.meshgrid(np.arange(0, 101, 10.0), np.arange(0, 101, 10.0)))
rng = np.random.default_rng(5)
source = ColumnDataSource(
    dict(
        x=xx,
        y=yy,
        radius=rng.uniform(1, 5, xx.size),
        color=[(int(50 + 2 * x), int(30 + 2 * y), 150) for x, y in zip(xx, yy, strict=True)],
        number=[str(i) for i in range(xx.size)],
    )
)
TOOLTIPS = [
    ("index", "$index"),
    ("position", "($x{0.0}, $y{0.0})"),
    ("radius", "@radius{0.00}"),
    ("colour", "$color[hex, swatch]:color"),
]

output_server("hover")

p = figure(
    width=600, height=600, tools="pan,wheel_zoom,reset,hover", tooltips=TOOLTIPS, title="Put the mouse on a circle"
)
p.circle("x", "y", radius="radius", source=source, fill_color="color", fill_alpha=0.6, line_color=None)
p.text("x", "y", "number", source=source, text_font_size="10px", text_align="center", text_baseline="middle", alpha=0.6)

show(p)
