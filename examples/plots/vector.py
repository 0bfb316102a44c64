"""A vector field: segments for its direction, streamlines as one multi-line."""

import numpy as np
from bokeh.palettes import Viridis256

from bokeh_server.plotting import figure, gridplot, output_server, show


def field(x, y):
    return -1 - x**2 + y, 1 + x - y**2


x, y = (a.ravel() for a in np.meshgrid(np.linspace(-3, 3, 25), np.linspace(-3, 3, 25)))
u, v = field(x, y)
speed = np.hypot(u, v) + 1e-9
colors = [Viridis256[i] for i in (255 * np.sqrt(speed / speed.max())).astype(int)]


def streamline(px, py, steps=80, length=0.04):
    xs, ys = [px], [py]
    for _ in range(steps):
        du, dv = field(px, py)
        n = np.hypot(du, dv) or 1.0
        px, py = px + length * du / n, py + length * dv / n
        xs.append(px)
        ys.append(py)
    return xs, ys


starts = np.random.default_rng(10).uniform(-3, 3, (120, 2))
lines = [streamline(px, py) for px, py in starts]

output_server("vector")

left = figure(width=400, height=400, title="Directions", x_range=(-3.2, 3.2), y_range=(-3.2, 3.2))
left.segment(x, y, x + 0.2 * u / speed, y + 0.2 * v / speed, color=colors, line_width=2)
right = figure(width=400, height=400, title="Streamlines", x_range=left.x_range, y_range=left.y_range)
right.multi_line([xs for xs, _ in lines], [ys for _, ys in lines], color="#3a5785", line_alpha=0.5, line_width=1.5)

show(gridplot([[left, right]]))
