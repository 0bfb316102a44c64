"""Dates and several lines: four stocks, each against its own price on the first day of Google."""

import numpy as np
from bokeh.models import NumeralTickFormatter
from bokeh_sampledata.stocks import AAPL, GOOG, IBM, MSFT

from bokeh_server.plotting import figure, output_server, show

STOCKS = {
    "Apple": (AAPL, "#4c72b0"),
    "Google": (GOOG, "#5a9367"),
    "IBM": (IBM, "#c0504d"),
    "Microsoft": (MSFT, "#e0913a"),
}
FIRST = np.datetime64("2004-08-19")

output_server("stocks")

p = figure(
    width=800,
    height=400,
    x_axis_type="datetime",
    y_axis_type="log",
    title="Growth since August 2004",
    y_axis_label="times the first price",
)
for name, (stock, color) in STOCKS.items():
    date, price = np.array(stock["date"], dtype="datetime64"), np.array(stock["adj_close"])
    since = date >= FIRST
    p.line(date[since], price[since] / price[since][0], color=color, line_width=1.5, legend_label=name)
p.yaxis.formatter = NumeralTickFormatter(format="0.0")
p.legend.location = "top_left"

show(p)
