"""A logarithmic axis over 16 powers of ten."""

import numpy as np

from bokeh_server.plotting import figure, output_server, show

x = np.array([0.1, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0])

output_server("logplot")

p = figure(
    width=600, height=500, y_axis_type="log", y_range=(1e-3, 1e10), title="Growth", x_axis_label="x", y_axis_label="y"
)
p.line(x, x, color="#8a8a8a", legend_label="x")
p.scatter(x, x, color="#8a8a8a", size=6, legend_label="x")
p.line(x, x**2, color="#4c72b0", line_width=2, legend_label="x²")
p.line(x, 10**x, color="#c0504d", line_width=2, legend_label="10ˣ")
p.line(x, 10 ** (x**2), color="#e0913a", line_width=2, line_dash="dashed", legend_label="10^x²")
p.legend.location = "top_left"

show(p)
