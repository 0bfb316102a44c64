"""Legends: several glyphs under one entry, and a click on an entry hides what it stands for."""

import numpy as np

from bokeh_server.plotting import figure, output_server, row, show

x = np.linspace(0, 4 * np.pi, 100)
y = np.sin(x)

output_server("legend")

hide = figure(width=450, height=400, title="Click an entry to hide it")
hide.line(x, y, color="#4c72b0", legend_label="sin x")
hide.scatter(x, 2 * y, color="#c0504d", legend_label="2 sin x")
hide.line(x, 2 * y, color="#c0504d", legend_label="2 sin x")
hide.scatter(x, 3 * y, marker="square", fill_color=None, line_color="#5a9367", legend_label="3 sin x")
hide.legend.click_policy = "hide"

outside = figure(width=500, height=400, title="A legend outside")
for i, color in enumerate(["#4c72b0", "#c0504d", "#5a9367", "#8a6fb0"], start=1):
    outside.line(x, y / i, color=color, line_width=2, muted_alpha=0.15, legend_label=f"sin x / {i}")
outside.legend.click_policy = "mute"
outside.add_layout(outside.legend[0], "right")

show(row(hide, outside))
