"""Two y axes: the sine on the left one, its square in percent on the right one."""

import numpy as np
from bokeh.models import LinearAxis, Range1d

from bokeh_server.plotting import figure, output_server, show

x = np.linspace(-2 * np.pi, 2 * np.pi, 200)
BLUE, RED = "#4c72b0", "#c0504d"

output_server("twin_axis")

p = figure(width=600, height=400, title="Two axes", x_range=(-6.5, 6.5), y_range=(-1.1, 1.1))
p.line(x, np.sin(x), color=BLUE, line_width=2)
p.yaxis.axis_label = "sin x"
p.yaxis.axis_label_text_color = BLUE

p.extra_y_ranges["percent"] = Range1d(0, 110)
percent = p.scatter(x, 100 * np.sin(x) ** 2, size=4, color=RED, y_range_name="percent")
p.add_layout(LinearAxis(y_range_name="percent", axis_label="sin² x (%)", axis_label_text_color=RED), "right")

show(p)
