"""Two plots in one document: the prices of two stocks over time, and one against the other."""

import numpy as np
import pandas as pd
from bokeh_sampledata.stocks import AAPL, GOOG

from bokeh_server.plotting import figure, gridplot, output_server, show

apple = pd.Series(AAPL["adj_close"], pd.to_datetime(AAPL["date"]), name="AAPL")
google = pd.Series(GOOG["adj_close"], pd.to_datetime(GOOG["date"]), name="GOOG")
both = pd.concat([apple, google], axis="columns", sort=True).dropna()
slope, offset = np.polyfit(both.AAPL, both.GOOG, 1)

output_server("correlation")

lines = figure(width=500, height=400, x_axis_type="datetime", title="Prices", y_axis_label="dollars")
lines.line(both.index, both.AAPL, color="#1f78b4", legend_label="Apple")
lines.line(both.index, both.GOOG, color="#c0504d", legend_label="Google")
lines.legend.location = "top_left"

cloud = figure(width=500, height=400, title="One against the other", x_axis_label="Apple", y_axis_label="Google")
cloud.scatter(both.AAPL, both.GOOG, color="#5a9367", alpha=0.3, size=5)
ends = np.array([both.AAPL.min(), both.AAPL.max()])
cloud.line(ends, slope * ends + offset, color="black", line_width=2)

show(gridplot([[lines, cloud]]))
