"""A page of widgets whose callbacks run in this program: sliders, choices, text, a table, dates, buttons and taps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
from bokeh.events import Event, Tap
from bokeh.models import ColumnDataSource
from bokeh.models.ui import UIElement
from bokeh.models.widgets import (
    Button,
    CellEditor,
    DataTable,
    DateRangeSlider,
    NumberEditor,
    NumberFormatter,
    RadioButtonGroup,
    Select,
    Slider,
    TableColumn,
    TextInput,
)
from bokeh_sampledata.sea_surface_temperature import sea_surface_temperature

from . import look

WAVES: dict[str, Callable[[Any], Any]] = {
    "Sine": np.sin,
    "Square": lambda t: np.sign(np.sin(t)),
    "Triangle": lambda t: 2 / np.pi * np.arcsin(np.sin(t)),
    "Sawtooth": lambda t: 2 * ((t / (2 * np.pi)) % 1) - 1,
}
SHAPES: list[Any] = list(WAVES)
CITIES = {"Lisbon": 2806, "Marseille": 2858, "Berlin": 1625, "Stockholm": 1821, "Reykjavík": 1326}
"""Hours of sunshine in a year."""
SUMMER = (date(2016, 6, 1), date(2016, 8, 31))


class Widgets:
    """The document: four cards, each with its widgets and what the program answers."""

    title = "Widgets"

    def __init__(self) -> None:
        about = (
            "Everything here is answered by a Python program: move, choose, type, edit or tap, and it computes the "
            "answer. Open the page twice and both follow. End the program and the page stays, without answers."
        )
        self.root = look.page(
            look.text(f"<p>{about}</p>"),
            look.grid(
                *(look.card(*part, wide=6, narrow=12) for part in (wave(), table(), season(), fit())),
            ),
        )


def wave() -> list[UIElement]:
    """Sliders and a choice shape a curve, a text names it."""
    t = np.linspace(0, 4 * np.pi, 600)
    source = ColumnDataSource({"t": t, "y": np.sin(t)}, name="wave")
    shape = Select(title="Shape", options=SHAPES, value="Sine", name="shape")
    title = TextInput(title="Title", value="A wave", name="wave_title")
    amplitude = Slider(title="Amplitude", start=0, end=2, step=0.05, value=1, bar_color=look.BLUE, name="amplitude")
    frequency = Slider(title="Frequency", start=0.25, end=4, step=0.05, value=1, bar_color=look.BLUE, name="frequency")
    plot = look.chart(height=285, y_range=(-2.1, 2.1), x_range=(0, 4 * np.pi))
    plot.line("t", "y", source=source, color=look.BLUE, line_width=2.5)
    said = look.text("<h2>A wave</h2>", name="wave_said")

    def draw(attr: str, old: Any, new: Any) -> None:
        source.data["y"] = amplitude.value * WAVES[shape.value](frequency.value * t)

    def name(attr: str, old: str, new: str) -> None:
        said.text = f"<h2>{look.escaped(new) or 'A wave without a name'}</h2>"

    for widget in (shape, amplitude, frequency):
        widget.on_change("value", draw)
    title.on_change("value", name)
    return [said, plot, look.across(amplitude, frequency), look.across(shape, title)]


def table() -> list[UIElement]:
    """An editable table and bars share a source; the program sorts out the mean and the sunniest."""
    source = ColumnDataSource({"city": list(CITIES), "hours": [float(h) for h in CITIES.values()]}, name="sunshine")
    columns = [
        TableColumn(field="city", title="City", editor=CellEditor()),
        TableColumn(field="hours", title="Hours", formatter=NumberFormatter(format="0,0"), editor=NumberEditor()),
    ]
    size: look.Options = {"height": 160, "row_height": 26, "sizing_mode": "stretch_width", "index_position": None}
    sheet = DataTable(source=source, columns=columns, editable=True, reorderable=False, name="table", **size)
    plot = look.chart(height=190, x_range=list(CITIES), y_range=(0, 3200))
    plot.vbar("city", top="hours", width=0.6, source=source, color=look.AMBER, alpha=0.85, line_color=None)
    said = look.text(name="sunshine_said")

    def describe(attr: str, old: Any, new: Any) -> None:
        hours = np.asarray(source.data["hours"], dtype=float)
        sunniest = look.escaped(str(source.data["city"][int(hours.argmax())]))
        said.text = f"<p><b>{sunniest}</b> is the sunniest; the mean is <b>{hours.mean():,.0f}</b> hours a year.</p>"

    describe("data", None, None)
    source.on_change("data", describe)
    return [look.text("<h2>Hours of sunshine: edit a cell</h2>"), plot, said, sheet]


def season() -> list[UIElement]:
    """A range of dates is cut out of a year of the sea's temperature, and described."""
    daily = sea_surface_temperature.resample("D").mean().iloc[:, 0].dropna()
    days, degrees = np.array(daily.index.values, dtype="datetime64[D]"), daily.to_numpy()
    source = ColumnDataSource({"day": days, "degrees": degrees})
    chosen = ColumnDataSource({"day": days, "degrees": degrees}, name="season")
    first, last = days[0].item(), days[-1].item()
    size: look.Options = {"sizing_mode": "stretch_width", "margin": (5, 16, 5, 16), "bar_color": look.TEAL}
    dates = DateRangeSlider(title="Days", start=first, end=last, value=SUMMER, step=1, name="dates", **size)
    plot = look.chart(height=210, x_axis_type="datetime", y_range=(0, float(degrees.max()) * 1.08))
    plot.line("day", "degrees", source=source, color=look.TEAL, line_alpha=0.35)
    plot.varea("day", 0, "degrees", source=chosen, fill_color=look.TEAL, fill_alpha=0.18)
    plot.line("day", "degrees", source=chosen, color=look.TEAL, line_width=2.5)
    plot.yaxis.axis_label = "°C"
    said = look.text(name="season_said")

    def cut(attr: str, old: Any, new: Any) -> None:
        start, end = (np.datetime64(day, "D") for day in dates.value_as_date or SUMMER)
        part = (days >= start) & (days <= end)
        chosen.data = {"day": days[part], "degrees": degrees[part]}
        mean = f"a mean of <b>{degrees[part].mean():.1f} °C</b>" if part.any() else "nothing measured"
        said.text = f"<p><b>{part.sum()}</b> days, {mean}.</p>"

    cut("value", None, None)
    dates.on_change("value", cut)
    return [look.text("<h2>The sea near New Hampshire: choose a season</h2>"), plot, said, dates]


def fit() -> list[UIElement]:
    """Every tap adds a point; the program fits a polynomial through them all."""
    start = {"x": [1.0, 2.5, 4.0, 6.0, 8.0], "y": [2.0, 3.5, 3.0, 6.5, 7.0]}
    points = ColumnDataSource(start, name="points")
    curve = ColumnDataSource({"x": [], "y": []}, name="fit")
    degree = RadioButtonGroup(labels=["Line", "Parabola", "Cubic"], active=0, name="degree")
    undo = Button(label="Take one back", name="undo")
    clear = Button(label="Clear", name="clear")
    plot = look.chart(height=210, x_range=(0, 10), y_range=(0, 10), name="tap_here")
    plot.xgrid.visible = True
    plot.line("x", "y", source=curve, color=look.ROSE, line_width=2.5)
    plot.scatter("x", "y", source=points, size=9, color=look.ROSE, alpha=0.75, line_color=None)
    said = look.text(name="fit_said")

    def draw(attr: str, old: Any, new: Any) -> None:
        x, y = (np.asarray(points.data[axis], dtype=float) for axis in "xy")
        order = (degree.active or 0) + 1
        if len(np.unique(x)) <= order:
            curve.data = {"x": [], "y": []}
            said.text = f"<p>Tap {order + 1} places for this curve.</p>"
            return
        line = np.polynomial.Polynomial.fit(x, y, order)
        xs = np.linspace(0, 10, 100)
        curve.data = {"x": xs, "y": line(xs)}
        off = np.sqrt(np.mean((line(x) - y) ** 2))
        said.text = f"<p>{len(x)} points, <b>{off:.2f}</b> off the curve on average.</p>"

    def tapped(event: Event) -> None:
        if isinstance(event, Tap):
            points.stream({"x": [event.x], "y": [event.y]}, rollover=200)

    def taken_back() -> None:
        points.data = {axis: list(points.data[axis])[:-1] for axis in "xy"}

    draw("data", None, None)
    points.on_change("data", draw)
    degree.on_change("active", draw)
    plot.on_event(Tap, tapped)
    undo.on_click(taken_back)
    clear.on_click(lambda: points.update(data={"x": [], "y": []}))
    return [look.text("<h2>A fit: tap in the plot</h2>"), plot, said, look.across(degree, undo, clear)]
