"""The smallest case: a line that stays at its link after this program has ended."""

from bokeh_server.plotting import figure, output_server, show

output_server("line")  # the only line that differs from a static file

p = figure(width=400, height=400, title="A line")
p.line([1, 2, 3, 4, 5], [6, 7, 2, 4, 5], line_width=2)

show(p)
