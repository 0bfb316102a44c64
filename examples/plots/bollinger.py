"""A Bollinger band: the 20-day mean of Apple's price, two standard deviations either side."""

import pandas as pd
from bokeh_sampledata.stocks import AAPL

from bokeh_server.plotting import figure, output_server, show

prices = pd.DataFrame({"date": pd.to_datetime(AAPL["date"]), "close": AAPL["adj_close"]}).tail(500)
mean = prices.close.rolling(20).mean()
deviation = prices.close.rolling(20).std()

output_server("bollinger")

p = figure(
    width=800, height=400, x_axis_type="datetime", title="Apple, with its Bollinger band", y_axis_label="dollars"
)
p.varea(
    prices.date[19:], (mean - 2 * deviation)[19:], (mean + 2 * deviation)[19:], fill_color="#3a5785", fill_alpha=0.2
)
p.line(prices.date, mean, color="#3a5785", line_dash="dashed", legend_label="20-day mean")
p.line(prices.date, prices.close, color="#c0504d", legend_label="close")
p.legend.location = "top_left"

show(p)
