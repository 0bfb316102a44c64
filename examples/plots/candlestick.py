"""Candles: Microsoft's prices of two months, one candle a day."""

import pandas as pd
from bokeh_sampledata.stocks import MSFT

from bokeh_server.plotting import figure, output_server, show

df = pd.DataFrame(MSFT)[:50]
df["date"] = pd.to_datetime(df["date"])
up, down = df[df.close > df.open], df[df.close <= df.open]
DAY = pd.Timedelta(hours=16)

output_server("candlestick")

p = figure(width=800, height=400, x_axis_type="datetime", title="Microsoft, spring 2000", y_axis_label="dollars")
p.segment(df.date, df.high, df.date, df.low, color="black")
p.vbar(up.date, DAY, up.open, up.close, color="#4c9c6b", line_color="black")
p.vbar(down.date, DAY, down.open, down.close, color="#d0564a", line_color="black")
p.grid.grid_line_alpha = 0.4
p.xaxis.major_label_orientation = 0.8

show(p)
