"""The models of the plot that the server makes of rows, as Bokeh's JSON: nothing of bokeh is imported for them.

A figure as wide as its page, with a line and a name in the legend for each field; a click on the name hides the line,
and the axis then shows the others at their own height. What is left out has Bokeh's defaults.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bokeh_server.core.document import Document

Model = dict[str, Any]
PLOT, LEGEND, LEFT = "plot", "legend", "left"
COLOURS = ("#3f7fd6", "#d9606e", "#1f9e89", "#d99a2b", "#8a73cf", "#5fa8b8", "#b0863c", "#c2679f", "#6f9a3e", "#7c8794")
"""Told apart also by who sees few colours; after the last of them the lines are dashed, then dotted."""
DASHES = ("solid", "dashed", "dotted")
QUIET, HAIR = "#6b665d", "#e4ded2"
"""What is written around the lines, and what is drawn behind them."""
TIME = "%F %T"
"""How a time is told where a line is pointed at."""


@dataclass(frozen=True, slots=True)
class X:
    """The horizontal axis: of which column, whether it has numbers (otherwise times), and whether we made it."""

    name: str
    numbers: bool
    made: bool

    @property
    def label(self) -> str:
        """What is written below it."""
        return self.name if self.numbers else f"{self.name.rstrip('_') if self.made else self.name} (UTC)"


def model(kind: str, id: str, /, **attributes: Any) -> Model:
    """A model of a type, with the attributes that are not the default."""
    return {"type": "object", "name": kind, "id": id, "attributes": attributes}


def source(id: str, data: Any, tag: str) -> Model:
    """The source of all lines, under its id as name."""
    return model("ColumnDataSource", id, name=id, tags=[tag], data=data)


def plot(source: Model, x: X, names: Sequence[str]) -> Model:
    """The figure with its first lines; it defines the source where that is first named."""
    lines = [line(number, name, x.name, {"id": source["id"]}, f"line-{number}") for number, name in enumerate(names)]
    if lines:
        lines[0]["attributes"]["data_source"] = source
    below = axis("LinearAxis" if x.numbers else "DatetimeAxis", "below", x.label)
    if not x.numbers:
        below["attributes"]["formatter"] = formatter()
    left = axis("LinearAxis", LEFT, names[0] if len(names) == 1 else None)
    left["attributes"]["formatter"] = model("BasicTickFormatter", "number", power_limit_high=9)
    return model(
        "Figure",
        PLOT,
        sizing_mode="stretch_width",
        height=460,
        min_border_right=16,
        x_range=model("DataRange1d", "x-range", range_padding=0.01),
        y_range=model("DataRange1d", "y-range", only_visible=True),
        renderers=lines,
        below=[below],
        left=[left],
        center=[grid("grid-below", 0, "below"), grid("grid-left", 1, LEFT)],
        right=[legend(lines, names)],
        toolbar=toolbar(x),
        toolbar_location="above",
        outline_line_color=None,
        tags=[] if lines else [source],
    )


def axis(kind: str, id: str, label: str | None) -> Model:
    """An axis, quiet."""
    return model(
        kind,
        id,
        axis_label=label,
        axis_label_text_color=QUIET,
        axis_label_text_font_style="normal",
        axis_line_color=HAIR,
        major_label_text_color=QUIET,
        major_tick_line_color=HAIR,
        minor_tick_line_color=None,
    )


def formatter() -> Model:
    """How times are written, with the day where that is not told by each of them: what Python's figures have."""
    day = "%b %d, %Y"
    days = {"seconds": day, "minsec": day, "minutes": day, "hourmin": day, "hours": day, "days": "%Y"}
    short = {"microseconds": "%T", "milliseconds": "%T", "months": "", "years": ""}
    times = {"seconds": "%T", "minsec": "%T", "minutes": "%H:%M", "hours": "%H:%M", "days": "%b %d", "months": "%b %Y"}
    context = model("DatetimeTickFormatter", "day", **days, **short, boundary_scaling=False, hide_repeats=True)
    strip = ["microseconds", "milliseconds", "seconds"]
    more = {"strip_leading_zeros": strip, "boundary_scaling": False, "context": context, "context_which": "all"}
    return model("DatetimeTickFormatter", "time", **times, **more)


def grid(id: str, dimension: int, axis: str) -> Model:
    """The lines behind an axis."""
    return model("Grid", id, dimension=dimension, axis={"id": axis}, grid_line_color=HAIR, grid_line_alpha=0.7)


def legend(lines: Sequence[Model], names: Sequence[str]) -> Model:
    """The names of the lines, each of which shows or hides its line."""
    return model(
        "Legend",
        LEGEND,
        click_policy="hide",
        border_line_color=None,
        label_text_color=QUIET,
        label_text_font_size="12px",
        glyph_width=16,
        spacing=1,
        padding=10,
        items=[item(name, line["id"]) for line, name in zip(lines, names, strict=True)],
    )


def item(name: str, line: str) -> Model:
    """The name of one line."""
    return model("LegendItem", f"name-{line}", label={"type": "value", "value": name}, renderers=[{"id": line}])


def line(number: int, name: str, x: str, source: Model, id: str) -> Model:
    """The line of one field, the ``number``-th of the plot."""
    ways, columns = len(COLOURS), {"x": {"type": "field", "field": x}, "y": {"type": "field", "field": name}}
    look = {"line_color": COLOURS[number % ways], "line_dash": DASHES[number // ways % len(DASHES)]}
    glyph = model("Line", f"{id}-glyph", **columns, **look, line_width=2, line_join="round")
    return model("GlyphRenderer", id, name=name, data_source=source, glyph=glyph)


def toolbar(x: X) -> Model:
    """What a mouse can do."""
    told = [["", "$name"], ["", "@$name"], [x.label, "$snap_x" if x.numbers else f"$snap_x{{{TIME}}}"]]
    hover = model("HoverTool", "hover", tooltips=told, line_policy="nearest")
    if not x.numbers:
        hover["attributes"]["formatters"] = {"type": "map", "entries": [["$snap_x", "datetime"]]}
    tools = [
        model("PanTool", "pan"),
        model("WheelZoomTool", "wheel-zoom", dimensions="width"),
        model("BoxZoomTool", "box-zoom", overlay=model("BoxAnnotation", "box", **BOX)),
        hover,
        model("ResetTool", "reset"),
        model("SaveTool", "save"),
    ]
    return model("Toolbar", "toolbar", tools=tools, logo=None)


BOX: dict[str, Any] = {
    "visible": False,
    "syncable": False,
    "left_units": "canvas",
    "right_units": "canvas",
    "top_units": "canvas",
    "bottom_units": "canvas",
    "level": "overlay",
    "fill_color": "lightgrey",
    "fill_alpha": 0.5,
    "line_color": "black",
    "line_dash": [4, 4],
    "line_width": 2,
}
"""What a zoom box looks like, where Python makes it."""


def more_lines(document: Document, source: str, x: str, names: Sequence[str]) -> Iterator[Model]:
    """The events that draw more fields in the plot, as far as its parts are still there."""
    figure, names_of = document.models.get(PLOT), document.models.get(LEGEND)
    drawn = figure.attributes.get("renderers") if figure is not None else None
    if type(drawn) is not list:
        return
    ids = free_ids(document, len(names))
    lines = [
        line(len(drawn) + number, name, x, {"id": source}, id)
        for number, (name, id) in enumerate(zip(names, ids, strict=True))
    ]
    yield changed(PLOT, "renderers", [*drawn, *lines])
    listed = names_of.attributes.get("items") if names_of is not None else None
    if type(listed) is list:
        items = [item(name, line["id"]) for line, name in zip(lines, names, strict=True)]
        yield changed(LEGEND, "items", [*listed, *items])
    if LEFT in document.models and len(drawn) == 1:
        yield changed(LEFT, "axis_label", None)


def free_ids(document: Document, count: int) -> list[str]:
    """Ids of lines that nothing has."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        id = f"line-{number}"
        if id not in document.models:
            found.append(id)
        number += 1
    return found


def changed(id: str, attribute: str, new: Any) -> Model:
    """The event that sets an attribute."""
    return {"kind": "ModelChanged", "model": {"id": id}, "attr": attribute, "new": new}
