"""Five filters drive a table and a scatter plot of 234 cars; select rows or points, edit the consumption."""

from bokeh.models import (
    DataTable,
    HoverTool,
    IntEditor,
    NumberFormatter,
    Select,
    SelectEditor,
    StringFormatter,
    TableColumn,
)
from bokeh_sampledata.autompg2 import autompg2 as cars

from bokeh_server.plotting import ColumnDataSource, column, curdoc, cursession, figure, output_server, row, show

FILTERS = {"manufacturer": "Manufacturer", "model": "Model", "trans": "Transmission", "drv": "Drive", "class": "Class"}

source = ColumnDataSource(cars)

output_server("data_tables")

p = figure(
    width=800,
    height=280,
    tools="pan,wheel_zoom,xbox_select,reset",
    active_drag="xbox_select",
    x_axis_label="car",
    y_axis_label="miles per gallon",
)
city = p.scatter("index", "cty", source=source, size=7, color="#3288bd", alpha=0.6, legend_label="city")
highway = p.scatter("index", "hwy", source=source, size=7, color="#d53e4f", alpha=0.6, legend_label="highway")
CAR = [("car", "@manufacturer @model @year"), ("city", "@cty"), ("highway", "@hwy")]
p.add_tools(HoverTool(renderers=[city], tooltips=CAR), HoverTool(renderers=[highway], tooltips=CAR))
p.legend.orientation = "horizontal"

bold = StringFormatter(font_style="bold")
table = DataTable(
    source=source,
    columns=[
        TableColumn(
            field="manufacturer",
            title="Manufacturer",
            formatter=bold,
            editor=SelectEditor(options=sorted(cars.manufacturer.unique())),
        ),
        TableColumn(field="model", title="Model"),
        TableColumn(field="displ", title="Displacement", formatter=NumberFormatter(format="0.0")),
        TableColumn(field="year", title="Year", editor=IntEditor()),
        TableColumn(field="trans", title="Transmission"),
        TableColumn(field="drv", title="Drive"),
        TableColumn(field="class", title="Class"),
        TableColumn(field="cty", title="City", editor=IntEditor()),
        TableColumn(field="hwy", title="Highway", editor=IntEditor()),
    ],
    editable=True,
    width=800,
    height=300,
)

selects = {
    name: Select(title=title, value="All", options=["All", *sorted(cars[name].unique())], width=150, name=name)
    for name, title in FILTERS.items()
}


def update(attr, old, new):
    rows = cars
    for name, select in selects.items():
        if select.value != "All":
            rows = rows[rows[name] == select.value]
    source.selected.indices = []
    source.data = ColumnDataSource.from_df(rows)


def describe(attr, old, new):
    chosen = source.data["cty"] if not new else [source.data["cty"][i] for i in new]
    p.title.text = f"{len(chosen)} cars, {sum(chosen) / max(len(chosen), 1):.1f} miles per gallon in the city"


for select in selects.values():
    select.on_change("value", update)
source.selected.on_change("indices", describe)
source.on_change("data", lambda attr, old, new: describe("indices", None, source.selected.indices))
describe("indices", None, [])

show(column(row(*selects.values()), p, table))
cursession().poll_document(curdoc())
