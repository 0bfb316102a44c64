"""Two stocks side by side: select days in any plot, and this program describes the selected days.

The plots share one source, so BokehJS itself shows a selection everywhere; the histograms, the table and the sentence
are answers of the program, which sees the selected rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import (
    BasicTicker,
    BoxSelectTool,
    ColumnDataSource,
    DataRange1d,
    LassoSelectTool,
    NumeralTickFormatter,
)
from bokeh.models.annotations import LegendItem
from bokeh.models.ui import UIElement
from bokeh.models.widgets import Select
from bokeh.plotting import figure
from bokeh_sampledata import stocks as sample
from numpy.typing import NDArray

from . import look

NAMES = {"AAPL": "Apple", "GOOG": "Google", "IBM": "IBM", "MSFT": "Microsoft"}
CHOICES: list[Any] = list(NAMES.items())
BINS = 40
Column = NDArray[Any]


def prices(ticker: str) -> tuple[Column, Column]:
    """Days ``(n,)`` as datetime64 and the closing prices in dollars, corrected for splits and dividends."""
    stock = getattr(sample, ticker)
    return np.array(stock["date"], dtype="datetime64[ms]"), np.array(stock["adj_close"], dtype=float)


def together(first: str, second: str) -> dict[str, Column]:
    """The days on which both were traded: prices as multiples of the first one, and daily changes in percent."""
    days1, price1 = prices(first)
    days2, price2 = prices(second)
    days, at1, at2 = np.intersect1d(days1, days2, return_indices=True)
    data: dict[str, Column] = {"day": days[1:]}
    for name, price in (("first", price1[at1]), ("second", price2[at2])):
        data[name] = price[1:] / price[0]
        data[f"{name}_change"] = 100 * (price[1:] / price[:-1] - 1)
    return data


class Stocks:
    """The document: ``root`` is its page; its callbacks run where it was made."""

    title = "Stocks, 2000–2013"

    def __init__(self) -> None:
        self.first = Select(title="One stock", options=CHOICES, value="AAPL", name="first", width=180)
        self.second = Select(title="and another", options=CHOICES, value="GOOG", name="second", width=180)
        self.source = ColumnDataSource(together("AAPL", "GOOG"), name="stocks")
        self.counts = {name: ColumnDataSource(name=f"{name}_counts") for name in ("first", "second")}
        self.said = look.text(name="said")
        self.table = look.text(name="table")
        self.items: list[LegendItem] = []
        self.history = self.build_history()
        self.cloud = self.build_cloud()
        self.histograms = {name: self.build_histogram(name) for name in self.counts}
        self.root = self.build()
        self.first.on_change("value", self.choose)
        self.second.on_change("value", self.choose)
        self.source.selected.on_change("indices", self.describe)
        self.label()
        self.describe("indices", [], [])

    def choose(self, attr: str, old: str, new: str) -> None:
        self.source.selected.indices = []
        self.source.data = dict(together(self.first.value, self.second.value))
        self.label()
        self.describe("indices", [], [])

    def label(self) -> None:
        """Write the names of the chosen stocks wherever they appear."""
        names = {"first": NAMES[self.first.value], "second": NAMES[self.second.value]}
        self.cloud.xaxis.axis_label = f"{names['first']}, change of a day (%)"
        self.cloud.yaxis.axis_label = f"{names['second']}, change of a day (%)"
        for name, item in zip(names.values(), self.items, strict=True):
            item.label = {"value": name}
        for name, plot in self.histograms.items():
            plot.xaxis.axis_label = f"{names[name]}, change of a day (%)"

    def describe(self, attr: str, old: list[int], new: list[int]) -> None:
        """Histograms, table and sentence of the selected rows; of all rows when nothing is selected."""
        data = {name: np.asarray(column) for name, column in self.source.data.items()}
        rows = np.array([i for i in new if i < len(data["day"])], dtype=int)
        part = rows if len(rows) else np.arange(len(data["day"]))
        for name, source in self.counts.items():
            source.data = counted(data[f"{name}_change"], part)
        self.table.text = self.statistics(data, part)
        days = data["day"][part].astype("datetime64[D]")
        which = f"<b>{len(part):,}</b> selected days" if len(rows) else f"All <b>{len(part):,}</b> days"
        self.said.text = f"<p>{which} between {days.min()} and {days.max()}.</p>"

    def statistics(self, data: dict[str, Column], part: Column) -> str:
        rows = []
        for name, ticker in (("first", self.first.value), ("second", self.second.value)):
            change = data[f"{name}_change"][part]
            mean, spread, worst, best = change.mean(), change.std(), change.min(), change.max()
            cells = (
                f"<b>{NAMES[ticker]}</b>",
                f"{mean:+.2f} %",
                f"{spread:.2f} %",
                f"{worst:+.1f} %",
                f"{best:+.1f} %",
            )
            rows.append("<tr><td>" + "</td><td>".join(cells) + "</td></tr>")
        head = "<tr><th>Change of a day</th><th>mean</th><th>spread</th><th>worst</th><th>best</th></tr>"
        return f"<table>{head}{''.join(rows)}</table><p style='margin-top: 8px'>{together_sentence(data, part)}</p>"

    def build_history(self) -> figure:
        select = BoxSelectTool(dimensions="width")
        plot = look.chart(height=250, x_axis_type="datetime", y_axis_type="log", tools=[select], active_drag=select)
        for name, color in (("first", look.BLUE), ("second", look.AMBER)):
            line: look.Options = {"line_width": 1.5, "nonselection_line_alpha": 0.35, "legend_label": name}
            plot.line("day", name, source=self.source, color=color, **line)
            plot.scatter("day", name, source=self.source, size=3, color=None, selection_color=color)
        self.items.extend(item for item in plot.legend[0].items if isinstance(item, LegendItem))
        plot.yaxis.ticker = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50]
        plot.yaxis.formatter = NumeralTickFormatter(format="0.[0]")
        plot.yaxis.axis_label = "times the first price"
        look.legend(plot)
        return plot

    def build_cloud(self) -> figure:
        box, lasso = BoxSelectTool(), LassoSelectTool()
        plot = look.chart(height=470, tools=[box, lasso, "reset"], active_drag=box, toolbar_location="right")
        plot.toolbar.logo = None
        dots: look.Options = {"alpha": 0.45, "selection_alpha": 0.7, "nonselection_alpha": 0.14, "line_color": None}
        plot.scatter(
            "first_change", "second_change", source=self.source, size=5, color=look.TEAL, name="changes", **dots
        )
        plot.xgrid.visible = True
        return plot

    def build_histogram(self, name: str) -> figure:
        color = look.BLUE if name == "first" else look.AMBER
        plot = look.chart(height=140, y_range=DataRange1d(start=0))
        bars: look.Options = {"left": "left", "right": "right", "bottom": 0, "color": color, "line_color": None}
        plot.quad(top="every", source=self.counts[name], alpha=0.18, **bars)
        plot.quad(top="chosen", source=self.counts[name], alpha=0.85, **bars)
        plot.yaxis.axis_label = "days"
        plot.yaxis.ticker = BasicTicker(desired_num_ticks=3)
        return plot

    def build(self) -> UIElement:
        about = (
            "Drag a box over any plot. The page itself marks the same days in the other one; the histograms, the table "
            "and the correlation are the answer of the program that made the page."
        )
        choices = look.across(self.first, self.second)
        return look.page(
            look.text(f"<p>{about}</p>"),
            look.grid(
                look.card(choices, self.said, self.table, *self.histograms.values(), wide=6, narrow=12),
                look.card(look.text("<h2>One against the other, day by day</h2>"), self.cloud, wide=6, narrow=12),
                look.card(look.text("<h2>Prices</h2>"), self.history, wide=12, narrow=12),
            ),
        )


def counted(change: Column, rows: Column) -> dict[str, Column]:
    """The histogram of all changes and of those in ``rows``, over the same bins."""
    every, edges = np.histogram(change, bins=BINS)
    chosen, _ = np.histogram(change[rows], bins=edges)
    return {"left": edges[:-1], "right": edges[1:], "every": every, "chosen": chosen}


def together_sentence(data: dict[str, Column], part: Column) -> str:
    first, second = data["first_change"][part], data["second_change"][part]
    if len(part) < 3 or not first.std() or not second.std():
        return "Too few days for a correlation."
    return f"The correlation of the two is <b>{np.corrcoef(first, second)[0, 1]:.2f}</b>."
