"""The chemical elements: weight and density of each, by its symbol, coloured by its state."""

from bokeh.models import HoverTool
from bokeh.transform import factor_cmap
from bokeh_sampledata.periodic_table import elements

from bokeh_server.plotting import figure, output_server, show

elements["weight"] = elements["atomic mass"].astype(str).str.strip("[]").astype(float)
known = elements[elements.density.notna() & elements["standard state"].notna()]
states = ["solid", "liquid", "gas"]
data = {
    "number": known["atomic number"],
    "density": known.density,
    "symbol": known.symbol,
    "name": known["name"],
    "weight": known.weight,
    "state": known["standard state"],
}

output_server("elements")

p = figure(
    width=900,
    height=450,
    y_axis_type="log",
    title="Density of the elements",
    tools="pan,wheel_zoom,reset",
    x_axis_label="atomic number",
    y_axis_label="g/cm³",
)
colors = factor_cmap("state", ["#4a6b8a", "#4c9c6b", "#c0504d"], states)
points = p.scatter("number", "density", source=data, size=9, color=colors, alpha=0.7, legend_group="state")
p.text("number", "density", "symbol", source=data, x_offset=6, y_offset=-3, text_font_size="11px", text_color="#555555")
p.add_tools(
    HoverTool(renderers=[points], tooltips=[("element", "@name"), ("weight", "@weight"), ("density", "@density")])
)
p.legend.location = "bottom_right"

show(p)
