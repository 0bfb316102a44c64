"""The Lorenz attractor in seven colours: one multi-line of seven parts."""

import numpy as np
from bokeh.palettes import Blues9

from bokeh_server.plotting import figure, output_server, show


def speed(p):
    x, y, z = p
    return np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])


def runge_kutta(p, dt):
    a = speed(p)
    b = speed(p + a * dt / 2)
    c = speed(p + b * dt / 2)
    return p + dt / 6 * (a + 2 * b + 2 * c + speed(p + c * dt))


path = [np.array([-10.0, -7.0, 35.0])]
for _ in range(7000):
    path.append(runge_kutta(path[-1], 0.007))
x, y, z = np.array(path).T
across = x * np.cos(3.3) + y * np.sin(3.3)

output_server("lorenz")

p = figure(width=700, height=500, title="The Lorenz attractor", background_fill_color="#fafafa")
p.multi_line(np.array_split(across, 7), np.array_split(z, 7), line_color=Blues9[:7], line_alpha=0.8, line_width=1.2)

show(p)
