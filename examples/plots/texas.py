"""The counties of Texas as patches, coloured by unemployment in 2009, with tooltips."""

from bokeh.models import LogColorMapper
from bokeh.palettes import Viridis6
from bokeh_sampledata.unemployment import data as unemployment
from bokeh_sampledata.us_counties import data as counties

from bokeh_server.plotting import figure, output_server, show

texas = {code: county for code, county in counties.items() if county["state"] == "tx"}
data = dict(
    x=[county["lons"] for county in texas.values()],
    y=[county["lats"] for county in texas.values()],
    name=[county["name"] for county in texas.values()],
    rate=[unemployment[code] for code in texas],
)

output_server("texas")

p = figure(
    width=650,
    height=600,
    title="Unemployment in Texas, 2009 (%)",
    x_axis_type=None,
    y_axis_type=None,
    match_aspect=True,
    tools="pan,wheel_zoom,reset,hover",
    tooltips=[("county", "@name"), ("unemployed", "@rate %")],
)
p.hover.point_policy = "follow_mouse"
p.grid.grid_line_color = None
mapper = LogColorMapper(palette=tuple(reversed(Viridis6)))
patches = p.patches(
    "x",
    "y",
    source=data,
    fill_color={"field": "rate", "transform": mapper},
    fill_alpha=0.8,
    line_color="white",
    line_width=0.5,
)
p.add_layout(patches.construct_color_bar(), "right")

show(p)
