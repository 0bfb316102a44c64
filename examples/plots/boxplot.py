"""Box plots over categories: the consumption of cars by their class, outliers as points."""

import pandas as pd
from bokeh.models import Whisker
from bokeh.palettes import Set2_7
from bokeh.transform import factor_cmap
from bokeh_sampledata.autompg2 import autompg2 as cars

from bokeh_server.plotting import ColumnDataSource, figure, output_server, show

kinds = sorted(cars["class"].unique())
quartiles = cars.groupby("class").hwy.quantile([0.25, 0.5, 0.75]).unstack().set_axis(["q1", "q2", "q3"], axis="columns")
reach = 1.5 * (quartiles.q3 - quartiles.q1)
boxes = quartiles.assign(lower=quartiles.q1 - reach, upper=quartiles.q3 + reach)
outliers = pd.merge(cars, boxes, left_on="class", right_index=True).query("hwy < lower or hwy > upper")
source = ColumnDataSource({name: boxes[name].to_numpy() for name in boxes} | {"kind": list(boxes.index)})

output_server("boxplot")

p = figure(width=700, height=400, x_range=kinds, title="Highway consumption by class", y_axis_label="miles per gallon")
whiskers = Whisker(base="kind", upper="upper", lower="lower", source=source)
whiskers.upper_head.size = whiskers.lower_head.size = 20
p.add_layout(whiskers)
colors = factor_cmap("kind", Set2_7, kinds)
p.vbar("kind", 0.7, "q2", "q3", source=source, color=colors, line_color="black")
p.vbar("kind", 0.7, "q1", "q2", source=source, color=colors, line_color="black")
p.scatter(list(outliers["class"]), list(outliers.hwy), size=6, color="black", alpha=0.3)
p.xgrid.grid_line_color = None

show(p)
