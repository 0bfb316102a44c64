"""A grid of plots with a gap, one toolbar for all."""

import numpy as np

from bokeh_server.plotting import figure, gridplot, output_server, show

x = np.linspace(0, 4 * np.pi, 100)


def plot(marker, values, color, title):
    p = figure(width=300, height=300, title=title)
    p.scatter(x, values, marker=marker, color=color, fill_alpha=0.4)
    p.line(x, values, color=color)
    return p


output_server("grid")

show(
    gridplot(
        [
            [plot("circle", np.sin(x), "#4c72b0", "sin"), plot("square", np.cos(x), "#c0504d", "cos")],
            [None, plot("triangle", np.sin(x) * np.cos(x), "#5a9367", "sin × cos")],
        ]
    )
)
