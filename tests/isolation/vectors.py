"""Documents whose models carry code: one function for each kind, which makes the code run without anybody's doing.

Two kinds wait for the mouse (``GESTURES``). ``result`` of each is what its code must return for BokehJS to go on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from bokeh.core.properties import expr, value
from bokeh.document import Document
from bokeh.models import (
    CDSView,
    ColumnDataSource,
    CustomAction,
    CustomJS,
    CustomJSCompare,
    CustomJSExpr,
    CustomJSFilter,
    CustomJSHover,
    CustomJSTicker,
    CustomJSTickFormatter,
    CustomJSTransform,
    CustomLabelingPolicy,
    HoverTool,
    Model,
)
from bokeh.models.textures import CanvasTexture
from bokeh.models.widgets import DataTable, Div, HTMLTemplateFormatter, TableColumn
from bokeh.plotting import figure
from bokeh.transform import transform

Make = Callable[[str], Model]


@dataclass(frozen=True)
class Vector:
    """A way for code to run: what the code returns, and the model that carries it."""

    result: str
    make: Make


def plot() -> figure:
    """A small plot of three points."""
    made = figure(width=300, height=200, name="plot")
    made.scatter([1, 2, 3], [1, 2, 3], size=40)
    return made


def source() -> ColumnDataSource:
    return ColumnDataSource({"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 3.0]})


def callback(code: str) -> Model:
    made = plot()
    made.js_on_change("inner_width", CustomJS(code=code))
    return made


def module(code: str) -> Model:
    return callback(f"export default (args, obj, data, context) => {{\n{code}\n}}")


def action(code: str) -> Model:
    made = plot()
    made.add_tools(CustomAction(callback=None, active_callback=CustomJS(code=code)))
    return made


def marker(code: str) -> Model:
    made = figure(width=300, height=200)
    made.scatter([1, 2], [1, 2], marker=value(cast(Any, "@own")), defs={"@own": CustomJS(code=code)})
    return made


def expression(code: str) -> Model:
    made = figure(width=300, height=200)
    made.scatter(x=expr(CustomJSExpr(code=code)), y="y", source=source())
    return made


def transformed(code: str) -> Model:
    made = figure(width=300, height=200)
    made.scatter(x=transform("x", CustomJSTransform(func="return x", v_func=code)), y="y", source=source())
    return made


def filtered(code: str) -> Model:
    made = figure(width=300, height=200)
    made.scatter("x", "y", source=source(), view=CDSView(filter=CustomJSFilter(code=code)))
    return made


def ticker(code: str) -> Model:
    made = plot()
    made.xaxis.ticker = CustomJSTicker(major_code=code)
    return made


def tick_formatter(code: str) -> Model:
    made = plot()
    made.xaxis.formatter = CustomJSTickFormatter(code=code)
    return made


def policy(code: str) -> Model:
    made = plot()
    made.xaxis.major_label_policy = CustomLabelingPolicy(code=code)
    return made


def texture(code: str) -> Model:
    made = figure(width=300, height=200)
    made.vbar(
        [1, 2],
        top=[1, 2],
        width=0.5,
        hatch_pattern=value(cast(Any, "own")),
        hatch_extra={"own": CanvasTexture(code=code)},
    )
    return made


def template(code: str) -> Model:
    columns = [
        TableColumn(field="x", formatter=HTMLTemplateFormatter(template=f"<% (() => {{ {code} }})() %><b>1</b>"))
    ]
    return DataTable(source=source(), columns=columns, width=300, height=150)


def compare(code: str) -> Model:
    columns = [TableColumn(field="x", title="sort me", sorter=CustomJSCompare(code=code)), TableColumn(field="y")]
    return DataTable(source=source(), columns=columns, width=300, height=150)


def hover(code: str) -> Model:
    made = plot()
    made.add_tools(HoverTool(tooltips=[("x", "@x{own}")], formatters={"@x": CustomJSHover(code=code)}))
    return made


VECTORS = {
    "CustomJS": Vector("undefined", callback),
    "CustomJS-module": Vector("undefined", module),
    "CustomJS-active": Vector("true", action),
    "CustomJS-marker": Vector("undefined", marker),
    "CustomJSExpr": Vector("[1, 2, 3]", expression),
    "CustomJSTransform": Vector("xs", transformed),
    "CustomJSFilter": Vector("null", filtered),
    "CustomJSTicker": Vector("[1, 2, 3]", ticker),
    "CustomJSTickFormatter": Vector("`${tick}`", tick_formatter),
    "CustomLabelingPolicy": Vector("indices", policy),
    "CanvasTexture": Vector("undefined", texture),
    "HTMLTemplateFormatter": Vector("undefined", template),
    "CustomJSCompare": Vector("0", compare),
    "CustomJSHover": Vector("`${value}`", hover),
}
GESTURES = {"CustomJSCompare": "click", "CustomJSHover": "hover"}
"""What the mouse must do for the code to run: click the head of the table, or hover over a point."""
SELVES = [name for name in VECTORS if name not in GESTURES]
"""The kinds whose code runs by itself."""


def document(*roots: Model, title: str = "Hostile") -> Document:
    """A document with the marker, a property of which tells what its scripts did."""
    made = Document(title=title)
    for root in roots:
        made.add_root(root)
    made.add_root(Div(name="marker", text="", visible=False))
    return made
