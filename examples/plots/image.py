"""A palette image of 250,000 numbers with a colour bar; the array travels as binary."""

import numpy as np

from bokeh_server.plotting import figure, output_server, show

x, y = np.meshgrid(np.linspace(0, 10, 500), np.linspace(0, 10, 500))

output_server("image")

p = figure(
    width=550,
    height=500,
    title="sin x · cos y",
    x_range=(0, 10),
    y_range=(0, 10),
    tooltips=[("x", "$x"), ("y", "$y"), ("value", "@image")],
)
image = p.image([np.sin(x) * np.cos(y)], x=0, y=0, dw=10, dh=10, palette="Spectral11", level="image")
p.add_layout(image.construct_color_bar(), "right")

show(p)
