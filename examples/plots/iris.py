"""Fisher's irises: three species by the size of their petals."""

from bokeh.transform import factor_cmap, factor_mark
from bokeh_sampledata.iris import flowers

from bokeh_server.plotting import figure, output_server, show

species = ["setosa", "versicolor", "virginica"]

output_server("iris")

p = figure(
    width=550, height=450, title="Fisher's irises", x_axis_label="petal length (cm)", y_axis_label="petal width (cm)"
)
p.scatter(
    "petal_length",
    "petal_width",
    source=dict(flowers),
    legend_group="species",
    size=10,
    fill_alpha=0.3,
    color=factor_cmap("species", ["#c0504d", "#5a9367", "#4c72b0"], species),
    marker=factor_mark("species", ["circle", "square", "triangle"], species),
)
p.legend.location = "top_left"

show(p)
