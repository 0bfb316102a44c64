"""How the demo looks: one set of colours, light and dark, for widgets and canvas alike.

Everything is CSS variables: the widgets of BokehJS read ``--color``, ``--border-color`` and so on, its canvas reads
``--bk-…`` for axes, grids, titles and legends. ``dress`` hands one shared stylesheet to every element of a root, so
a page follows the reader's colour scheme without asking the program.
"""

from __future__ import annotations

import html
from typing import Any

from bokeh.models import Column, GlobalInlineStyleSheet, InlineStyleSheet, NoOverlap, Row
from bokeh.models.layouts import LayoutDOM
from bokeh.models.ui import UIElement
from bokeh.models.widgets import Div, RadioButtonGroup
from bokeh.plotting import figure

Options = dict[str, Any]
"""Keyword arguments of a glyph or model."""

BLUE, TEAL, AMBER, ROSE, VIOLET = "#3f7fd6", "#1f9e89", "#d99a2b", "#d9606e", "#8a73cf"
CORES = ("#3f7fd6", "#1f9e89", "#d99a2b", "#d9606e", "#8a73cf", "#5fa8b8", "#b0863c", "#7c95c4")
"""Cores beyond these have a bar, but no line."""

SKIN = """
:host {
  --ink: #211e1a; --soft: #655f55; --hair: #e4ded2; --card: #ffffff; --field: #ffffff; --shade: #f5f2ec;
}
@media (prefers-color-scheme: dark) {
  :host { --ink: #edeae3; --soft: #a9a398; --hair: #32363e; --card: #1e2127; --field: #15171b; --shade: #282c33; }
}
:host {
  --bokeh-base-font: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; --bokeh-font-size: 13px;
  --color: var(--ink); --background-color: var(--field); --hover-color: var(--shade); --border-color: var(--hair);
  --divider-color: var(--hair); --surface-background-color: var(--shade); --inactive-bg: var(--shade);
  --disabled-background-color: var(--shade); --placeholder-color: var(--soft); --icon-color: var(--soft);
  --active-bg: color-mix(in srgb, #3f7fd6 22%, var(--field)); --border-radius: 6px;
  --special: var(--shade); --odd: var(--shade); --muted-text: var(--soft);
  --selected: color-mix(in srgb, #3f7fd6 16%, var(--card));
  --tooltip-color: var(--card); --tooltip-text: var(--ink);
  --bk-text-color: var(--ink); --bk-title-text-color: var(--ink);
  --bk-axis-label-text-color: var(--soft); --bk-major-label-text-color: var(--soft);
  --bk-axis-line-color: var(--hair); --bk-major-tick-line-color: var(--hair); --bk-grid-line-color: var(--hair);
  --bk-label-text-color: var(--soft); color: var(--ink);
}
.bk-input, .bk-btn { color: var(--ink) }
.bk-btn, .bk-input { background-color: var(--field); border-color: var(--hair) }
.bk-btn.bk-active { background-color: var(--active-bg); color: var(--ink); box-shadow: none }
select:not([multiple]).bk-input { appearance: auto; background-image: none; color-scheme: light dark }
.noUi-target { background: var(--shade); border-color: var(--hair); box-shadow: none }
.noUi-handle { background: var(--card); border-color: var(--soft); box-shadow: none }
.slick-header-column, .slick-row { background: var(--card); color: var(--ink) }
.slick-header-column.ui-state-default { border-color: var(--hair) }
"""

SHEET = ".layer { background: none; box-shadow: none; padding: 0; border-radius: 0; color-scheme: light dark }"
"""The sheet that the server's page lays under a document goes: the cards lie on the page itself."""

PAGE = ":host { max-width: 1320px; margin: 0 auto; gap: 14px } @media (max-width: 640px) { :host { padding: 0 8px } }"

GRID = """
:host { display: grid !important; grid-template-columns: repeat(12, minmax(0, 1fr)); gap: 14px }
"""

ROW = ":host { flex-wrap: wrap; gap: 10px; align-items: end }"

CARD = """
:host { background: var(--card); border: 1px solid var(--hair); border-radius: 10px; padding: 12px 14px; gap: 6px;
        grid-column: span %(wide)d; height: 100%% !important; width: auto !important; min-width: 0 }
@media (max-width: 1000px) { :host { grid-column: span %(narrow)d } }
@media (max-width: 600px) { :host { grid-column: span %(phone)d } }
"""

LEGEND = """
:host { background: color-mix(in srgb, var(--card) 85%, transparent) !important }
.bk-label { color: var(--soft) !important }
"""
"""Grid lines go on behind its words, faintly."""

HEAD = """
.bk-clearfix { width: 100% }
h2 { font-size: 14px; font-weight: 600; margin: 0 }
p { margin: 0; color: var(--soft); max-width: 80ch; line-height: 1.45 }
b { color: var(--ink); font-weight: 600 }
.label { color: var(--soft); font-size: 12px }
.value { font-size: 25px; font-weight: 600; line-height: 1.25; font-variant-numeric: tabular-nums }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
td, th { padding: 5px 8px; text-align: right; border-bottom: 1px solid var(--hair); font-weight: 400 }
th { color: var(--soft) } td:first-child, th:first-child { text-align: left; padding-left: 0 }
"""


def text(content: str = "", **options: Any) -> Div:
    """A piece of HTML of ours in the demo's type."""
    return Div(text=content, stylesheets=[HEAD], sizing_mode="stretch_width", disable_math=True, **options)


def card(*children: UIElement, wide: int = 4, narrow: int = 6, phone: int = 12) -> Column:
    """A framed column: how many of the page's twelve columns it takes on a wide and a narrow screen, and on a phone."""
    size = {"wide": wide, "narrow": narrow, "phone": phone}
    return Column(children=list(children), stylesheets=[CARD % size], sizing_mode="stretch_width")


def across(*widgets: LayoutDOM) -> Row:
    """Widgets side by side that share the width, and wrap where it is narrow."""
    for widget in widgets:
        least = 180 if isinstance(widget, RadioButtonGroup) else 100
        widget.update(sizing_mode="stretch_width", min_width=least, width=None)
    return Row(children=list(widgets), stylesheets=[ROW], sizing_mode="stretch_width")


def escaped(words: str) -> str:
    """What somebody typed, as text that HTML takes as text."""
    return html.escape(words)


def chart(**options: Any) -> figure:
    """An empty figure without frame, toolbar and minor ticks, as wide as its card."""
    defaults: Options = {
        "height": 220,
        "sizing_mode": "stretch_width",
        "toolbar_location": None,
        "tools": "",
        "min_border": 6,
        "outline_line_color": None,
        "background_fill_color": None,
        "border_fill_color": None,
    }
    plot = figure(**(defaults | options))
    plot.axis.minor_tick_line_color = None
    plot.axis.axis_label_text_font_style = "normal"
    plot.axis.major_tick_out = 3
    plot.axis.major_tick_in = 0
    plot.axis.major_label_policy = NoOverlap(min_distance=8)
    plot.xgrid.visible = False
    return plot


def legend(plot: figure) -> None:
    """Make the legend of ``plot`` small and quiet."""
    plot.legend.location = "top_left"
    plot.legend.orientation = "horizontal"
    plot.legend.background_fill_alpha = 0
    plot.legend.border_line_color = None
    plot.legend.label_text_font_size = "12px"
    plot.legend.stylesheets = [LEGEND]
    plot.legend.glyph_width = 14
    plot.legend.spacing = 12


def page(*children: UIElement) -> Column:
    """The root of a demo document: its children below each other, in the demo's colours."""
    sheets: list[Any] = [PAGE, GlobalInlineStyleSheet(css=SHEET)]
    root = Column(children=list(children), stylesheets=sheets, sizing_mode="stretch_width")
    dress(root)
    return root


def grid(*cards: UIElement) -> Column:
    return Column(children=list(cards), stylesheets=[GRID], sizing_mode="stretch_width")


def dress(root: UIElement) -> None:
    """Give every element below ``root`` the shared colours, before its own stylesheets."""
    skin = InlineStyleSheet(css=SKIN)
    for model in root.references():
        if isinstance(model, LayoutDOM):
            model.stylesheets = [skin, *model.stylesheets]
