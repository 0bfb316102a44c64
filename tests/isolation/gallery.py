"""Ordinary Bokeh documents, which the wall must not be in the way of: one function each, named by what is shown.

Those with scripts of their own (``SCRIPTED``) say what their script does: an expression over the document that is true
when it has run, and what the mouse must do before. ``without`` must be true where scripts are off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from bokeh.core.properties import expr, value
from bokeh.layouts import column, gridplot, layout, row
from bokeh.models import (
    BooleanFilter,
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
    DatetimeTickFormatter,
    FactorRange,
    HoverTool,
    LinearColorMapper,
    LogColorMapper,
    Model,
    Plot,
    Range1d,
    StaticLayoutProvider,
    TabPanel,
    Tabs,
)
from bokeh.models.annotations import Band, ColorBar, Label, Span, Whisker
from bokeh.models.dom import HTML, ValueRef
from bokeh.models.dom import Div as DomDiv
from bokeh.models.renderers import GraphRenderer
from bokeh.models.textures import CanvasTexture
from bokeh.models.widgets import (
    AutocompleteInput,
    Button,
    CheckboxGroup,
    ColorPicker,
    DataTable,
    DatePicker,
    DateSlider,
    Div,
    Dropdown,
    HTMLTemplateFormatter,
    MultiChoice,
    NumberEditor,
    NumberFormatter,
    RadioButtonGroup,
    RangeSlider,
    ScientificFormatter,
    Select,
    SelectEditor,
    Slider,
    Spinner,
    StringFormatter,
    Switch,
    TableColumn,
    TextInput,
    Toggle,
)
from bokeh.plotting import figure
from bokeh.transform import cumsum, dodge, factor_cmap, jitter, linear_cmap, stack, transform

X = np.linspace(0, 6, 40)
FRUITS = ["apples", "pears", "plums"]
Make = Callable[[], Model]


def plot(**more: Any) -> figure:
    """A figure of a small size."""
    return figure(width=320, height=220, **more)


def table_source() -> ColumnDataSource:
    return ColumnDataSource({"x": [3.0, 1.0, 2.0], "name": ["c", "a", "b"], "when": [1e12, 1.1e12, 1.2e12]})


def lines() -> Model:
    made = plot(title="lines", x_axis_label="x", toolbar_location="above")
    made.line(X, np.sin(X), legend_label="sin", line_dash="dashed")
    made.step(X, np.cos(X), legend_label="cos", mode="center")
    made.multi_line([[0, 1], [2, 3]], [[0, 1], [1, 0]], color=["red", "blue"])
    made.legend.click_policy = "hide"
    return made


def markers() -> Model:
    made = plot(tools="pan,lasso_select,box_select,wheel_zoom")
    for i, marker in enumerate(["circle", "square", "triangle", "star", "hex", "plus", "inverted_triangle"]):
        made.scatter([i, i + 1], [1, 2], marker=marker, size=12, alpha=0.6)
    return made


def areas() -> Model:
    made = plot()
    made.varea(X, 0, np.sin(X), alpha=0.4)
    made.varea_stack(["a", "b"], x="x", color=["red", "blue"], source=ColumnDataSource({"x": X, "a": X, "b": 2 * X}))
    made.harea([0, 1, 0], [2, 3, 2], [0, 1, 2], alpha=0.3)
    return made


def bars() -> Model:
    made = plot(x_range=FactorRange(factors=[*FRUITS]))
    source = ColumnDataSource({"fruit": FRUITS, "n": [3, 1, 2]})
    made.vbar("fruit", top="n", width=0.8, source=source, fill_color=factor_cmap("fruit", "Category10_3", FRUITS))
    return made


def nested_bars() -> Model:
    factors = [(fruit, year) for fruit in FRUITS for year in ("2025", "2026")]
    made = plot(x_range=FactorRange(factors=[*factors]))
    made.vbar(x=cast(Any, factors), top=[1, 2, 3, 2, 1, 3], width=0.9)
    return made


def stacked_bars() -> Model:
    made = plot(y_range=FactorRange(factors=[*FRUITS]))
    source = ColumnDataSource({"fruit": FRUITS, "a": [1, 2, 3], "b": [2, 1, 1]})
    made.hbar_stack(["a", "b"], y="fruit", height=0.8, color=["navy", "orange"], source=source)
    made.hbar(y="fruit", left=stack("a"), right=stack("a", "b"), height=0.2, source=source)
    return made


def grouped_bars() -> Model:
    made = plot(x_range=FactorRange(factors=[*FRUITS]))
    source = ColumnDataSource({"fruit": FRUITS, "a": [1, 2, 3]})
    made.vbar(x=dodge("fruit", 0.2, range=made.x_range), top="a", width=0.3, source=source)
    return made


def pie() -> Model:
    made = plot(x_range=(-1, 1), match_aspect=True)
    source = ColumnDataSource({"angle": [1.0, 2.0, 3.28], "color": ["red", "green", "blue"]})
    made.wedge(0, 0, 0.8, start_angle=cumsum("angle", include_zero=True), end_angle=cumsum("angle"), color="color",
               source=source)  # fmt: skip
    made.annular_wedge([0], [0], 0.85, 0.95, 0, 4)
    return made


def rectangles() -> Model:
    made = plot()
    made.quad(left=[1, 2], right=[2, 3], top=[2, 3], bottom=[0, 1], hatch_pattern=["dot", "cross"])
    made.rect([4, 5], [1, 2], 0.5, 0.7, angle=0.4)
    made.block([6], [1], 1, 1)
    made.hex_tile([0, 1], [0, 1], fill_color="teal")
    return made


def patches() -> Model:
    made = plot()
    made.patches([[1, 2, 3], [3, 4, 5]], [[1, 3, 1], [2, 3, 1]], color=["red", "green"], alpha=0.5)
    made.multi_polygons(xs=[[[[1, 2, 2, 1]]]], ys=[[[[3, 3, 4, 4]]]])
    made.bezier(0, 0, 3, 3, 1, 2, 2, 1)
    made.arc(2, 2, 1, 0, 3)
    return made


def image() -> Model:
    made = plot()
    made.image([np.outer(X, X)], x=0, y=0, dw=10, dh=10, palette="Viridis256")
    return made


def image_rgba() -> Model:
    made = plot()
    picture = np.full((8, 8), 0xFF00FF00, dtype=np.uint32)
    made.image_rgba(image=cast(Any, [picture]), x=0, y=0, dw=10, dh=10)
    return made


def colour_bar() -> Model:
    mapper = LinearColorMapper(palette="Plasma256", low=0, high=6)
    made = plot()
    made.scatter("x", "x", color=linear_cmap("x", "Plasma256", 0, 6), source=ColumnDataSource({"x": X}))
    made.add_layout(ColorBar(color_mapper=mapper, title="value"), "right")
    made.add_layout(ColorBar(color_mapper=LogColorMapper(palette="Greys256", low=1, high=100)), "below")
    return made


def log_axes() -> Model:
    made = plot(x_axis_type="log", y_axis_type="log")
    made.line(X + 1, (X + 1) ** 3)
    return made


def dates() -> Model:
    made = plot(x_axis_type="datetime")
    made.line(np.arange("2026-01-01", "2026-02-10", dtype="datetime64[D]"), X)
    made.xaxis.formatter = DatetimeTickFormatter(days="%d %b")
    return made


def geo() -> Model:
    made = plot(x_axis_type="mercator", y_axis_type="mercator", x_range=(-2e6, 6e6), y_range=(-1e6, 7e6))
    made.scatter([0, 1e6], [5e6, 6e6], size=10)
    return made


def bands_and_labels() -> Model:
    made = cast(figure, lines())
    source = ColumnDataSource({"x": X, "lower": np.sin(X) - 0.2, "upper": np.sin(X) + 0.2})
    made.add_layout(Band(base="x", lower="lower", upper="upper", source=source))
    made.add_layout(Whisker(base="x", lower="lower", upper="upper", source=source))
    made.add_layout(Span(location=1, dimension="height"))
    made.add_layout(Label(x=1, y=0.5, text="here"))
    made.text([2], [0], text=["text"])
    return made


def mathematical_text() -> Model:
    made = plot(title=r"$$\sin(x)$$", x_axis_label=r"$$\alpha$$")
    made.line(X, np.sin(X))
    return column(made, Div(text=r"where $$x^2 = \frac{1}{2}$$"))


def webgl() -> Model:
    made = plot(output_backend="webgl")
    made.scatter(X, np.sin(X), size=8)
    made.line(X, np.cos(X))
    return made


def svg() -> Model:
    made = plot(output_backend="svg")
    made.scatter(X, np.sin(X), size=8)
    return made


def graph() -> Model:
    made = plot(x_range=(-2, 2), y_range=(-2, 2))
    renderer = GraphRenderer(layout_provider=StaticLayoutProvider(graph_layout={0: (0, 0), 1: (1, 1), 2: (-1, 1)}))
    cast(ColumnDataSource, renderer.node_renderer.data_source).data = {"index": [0, 1, 2]}
    cast(ColumnDataSource, renderer.edge_renderer.data_source).data = {"start": [0, 1], "end": [1, 2]}
    made.renderers.append(renderer)
    return made


def filtered() -> Model:
    made = plot()
    source = ColumnDataSource({"x": [1, 2, 3], "y": [1, 2, 3]})
    view = CDSView(filter=BooleanFilter(booleans=[True, False, True]))
    made.scatter("x", jitter("y", 0.1), size=20, source=source, view=view)
    return made


def tooltips() -> Model:
    made = plot(tooltips=[("x", "$x{0.00}"), ("name", "@name")])
    made.scatter("x", "x", size=60, source=table_source())
    return made


def tooltips_of_html() -> Model:
    made = plot(tooltips='<div><b style="color: red">@name</b> <i>@x{0.0}</i></div>')
    made.scatter("x", "x", size=60, source=table_source())
    return made


def tooltips_of_models() -> Model:
    made = plot()
    made.scatter("x", "x", size=60, source=table_source())
    made.add_tools(HoverTool(tooltips=DomDiv(children=["name: ", ValueRef(field="name"), HTML(html="<b>!</b>")])))
    return made


def inputs() -> Model:
    return column(
        Slider(start=0, end=1, value=0.5, step=0.1, title="s"), RangeSlider(start=0, end=9, value=(2, 5), title="r"),
        Spinner(value=3, title="n"), TextInput(value="x", title="t"), Select(options=["a", None], value="a", title="c"),
        Switch(active=True), Toggle(label="t"), Dropdown(label="d", menu=[("a", "a")]),
    )  # fmt: skip


def more_inputs() -> Model:
    return column(
        MultiChoice(options=["a", "b"], value=["a"]), AutocompleteInput(completions=["aa", "ab"]),
        CheckboxGroup(labels=["a", "b"], active=[0]), RadioButtonGroup(labels=["a", "b"], active=0), ColorPicker(),
        DatePicker(value="2026-11-25"), DateSlider(start="2026-01-01", end="2026-12-31", value="2026-06-01", title="d"),
    )  # fmt: skip


def markup() -> Model:
    return Div(text="<h2>Title</h2><ul><li>one</li></ul><table><tr><td style='color: red'>x</td></tr></table>",
               styles={"background": "#eee"}, stylesheets=[":host { padding: 4px }"])  # fmt: skip


def table() -> Model:
    columns = [
        TableColumn(field="x", title="x", formatter=NumberFormatter(format="0.00"), editor=NumberEditor()),
        TableColumn(field="x", title="y", formatter=ScientificFormatter(precision=2)),
        TableColumn(field="name", formatter=StringFormatter(font_style="bold"), editor=SelectEditor(options=["a"])),
    ]
    return DataTable(source=table_source(), columns=columns, editable=True, width=320, height=150)


def tabs() -> Model:
    return Tabs(tabs=[TabPanel(title="a", child=plot_of_points()), TabPanel(title="b", child=plot_of_points())])


def layouts() -> Model:
    return layout([[plot_of_points(), plot_of_points()], [row(Button(label="b"), Div(text="d"))]])


def plot_of_points() -> figure:
    made = plot()
    made.scatter([1, 2, 3], [1, 2, 3], size=10)
    return made


def grid() -> Model:
    return gridplot([[plot_of_points(), plot_of_points()], [None, plot_of_points()]], toolbar_location="right")


def themed() -> Model:
    made = plot(background_fill_color="#222", border_fill_color="#111", outline_line_color=None)
    made.line(X, np.sin(X), color="#fc0")
    made.axis.major_label_text_color = "white"
    return made


def bare_plot() -> Model:
    from bokeh.models.axes import LinearAxis
    from bokeh.models.glyphs import Scatter

    made = Plot(width=300, height=200, x_range=Range1d(start=0, end=4), y_range=Range1d(start=0, end=4))
    made.add_glyph(ColumnDataSource({"x": [1, 2], "y": [2, 3]}), Scatter(x="x", y="y", size=9))
    made.add_layout(LinearAxis(), "below")
    return made


def stretched() -> Model:
    made = figure(sizing_mode="stretch_width", height=200, title="wide")
    made.line(X, np.sin(X))
    return made


PLAIN: list[Make] = [
    lines, markers, areas, bars, nested_bars, stacked_bars, grouped_bars, pie, rectangles, patches, image, image_rgba,
    colour_bar, log_axes, dates, geo, bands_and_labels, mathematical_text, webgl, svg, graph, filtered, tooltips,
    tooltips_of_html, tooltips_of_models, inputs, more_inputs, markup, table, tabs, layouts, grid, themed, bare_plot,
    stretched,
]  # fmt: skip


@dataclass(frozen=True)
class Scripted:
    """A document with a script: what is true when it has run, and what where it may not; what the mouse does first."""

    make: Make
    ran: str
    without: str
    gesture: str | None = None


def button(code: str) -> Model:
    made = Button(label="press me", name="button")
    made.js_on_event("button_click", CustomJS(args={"button": made}, code=code))
    return made


def clicked() -> Model:
    return column(button("button.label = 'pressed'"), plot_of_points())


def clicked_module() -> Model:
    return column(button("export default ({button}) => { button.label = 'pressed' }"), plot_of_points())


def slid() -> Model:
    slider, shown = Slider(start=0, end=10, value=1, title="s", name="slider"), Div(text="1", name="shown")
    slider.js_on_change("value", CustomJS(args={"shown": shown}, code="shown.text = `${cb_obj.value}`"))
    return column(slider, shown, plot_of_points())


def linked() -> Model:
    slider, made = Slider(start=0, end=10, value=1, title="s", name="slider"), plot_of_points()
    slider.js_link("value", made.x_range, "start")
    made.x_range.name = "range"
    return column(slider, made)


def sized() -> Model:
    made, shown = plot_of_points(), Div(text="", name="shown")
    made.js_on_change("inner_width", CustomJS(args={"shown": shown}, code="shown.text = 'sized'"))
    return column(made, shown)


def tick_labels() -> Model:
    made = plot_of_points()
    made.xaxis.formatter = CustomJSTickFormatter(code="globalThis.ran = true; return `${tick} kg`")
    made.xaxis.name = "axis"
    return made


def factor_labels() -> Model:
    made = cast(figure, bars())
    made.xaxis.formatter = CustomJSTickFormatter(code="globalThis.ran = true; return `${tick}!`")
    return made


def ticks() -> Model:
    made = plot_of_points()
    made.xaxis.ticker = CustomJSTicker(major_code="globalThis.ran = true; return [1, 3]", minor_code="return [2]")
    return made


def factor_ticks() -> Model:
    made = cast(figure, bars())
    made.xaxis.ticker = CustomJSTicker(major_code="globalThis.ran = true; return ['apples']")
    return made


def labelling() -> Model:
    made = plot_of_points()
    code = "globalThis.ran = true; for (const i of indices) if (i % 2 == 0) yield i"
    made.xaxis.major_label_policy = CustomLabelingPolicy(code=code)
    return made


def transformed() -> Model:
    made = plot()
    function = CustomJSTransform(func="return 2 * x", v_func="globalThis.ran = true; return xs.map((x) => 2 * x)")
    made.scatter(x=transform("x", function), y="x", size=9, source=table_source())
    return made


def calculated() -> Model:
    made = plot()
    code = "globalThis.ran = true; return this.data.x.map((x) => 3 * x)"
    made.scatter(x=expr(CustomJSExpr(code=code)), y="x", size=9, source=table_source())
    made.scatter("x", "x", source=table_source())
    return made


def chosen() -> Model:
    made = plot()
    view = CDSView(filter=CustomJSFilter(code="globalThis.ran = true; return [0, 2]"))
    made.scatter("x", "x", size=9, source=table_source(), view=view)
    return made


def textured() -> Model:
    made = plot()
    texture = CanvasTexture(code="globalThis.ran = true; ctx.fillRect(0, 0, scale / 2, scale / 2)")
    made.vbar([1, 2], top=[2, 3], width=0.5, hatch_pattern=value(cast(Any, "own")), hatch_extra={"own": texture})
    return made


def own_marker() -> Model:
    made = plot()
    code = "export default (args, obj, {ctx, r}) => { globalThis.ran = true; ctx.rect(-r, -r, r, r); ctx.fill() }"
    made.scatter([1, 2], [1, 2], size=20, marker=value(cast(Any, "@own")), defs={"@own": CustomJS(code=code)})
    made.scatter([1, 2], [2, 1], size=9)
    return made


def action() -> Model:
    made = plot_of_points()
    active = CustomJS(code="globalThis.ran = true; return true")
    made.add_tools(CustomAction(callback=CustomJS(code=""), active_callback=active, description="own"))
    return made


def hovered() -> Model:
    made = plot()
    made.scatter("x", "x", size=90, source=table_source())
    form = CustomJSHover(code="globalThis.ran = true; return `hovered ${value}`")
    made.add_tools(HoverTool(tooltips=[("x", "@x{own}")], formatters={"@x": form}))
    return made


def hovered_through_a_filter() -> Model:
    made = plot()
    made.scatter("x", "x", size=90, source=table_source())
    keep = CustomJS(code="export default () => { globalThis.ran = true; return true }")
    made.add_tools(HoverTool(tooltips=[("x", "@x")], filters={"x": [keep]}))
    return made


def hovered_models() -> Model:
    made = plot()
    made.scatter("x", "x", size=90, source=table_source())
    form = CustomJS(code="export default (args, obj, {value}) => { globalThis.ran = true; return `hovered ${value}` }")
    made.add_tools(HoverTool(tooltips=DomDiv(children=[ValueRef(field="x", format="own", formatter=form)])))
    return made


def cells() -> Model:
    template = "<% globalThis.ran = true %><b class=own><%= value %> kg</b>"
    columns = [TableColumn(field="x", formatter=HTMLTemplateFormatter(template=template)), TableColumn(field="name")]
    return DataTable(source=table_source(), columns=columns, width=320, height=150)


def sorted_cells() -> Model:
    compare = CustomJSCompare(code="globalThis.ran = true; return x - y")
    columns = [TableColumn(field="x", title="sort me", sorter=compare), TableColumn(field="name")]
    return DataTable(source=table_source(), columns=columns, width=320, height=150)


RAN = "globalThis.ran === true"
NOT = "globalThis.ran === undefined"
PRESSED = 'named("button").label'
CELLS = '[...found(".slick-cell")].some((cell) => cell.textContent'
TOOLTIP = '[...found(".bk-Tooltip")].some((tip) => tip.textContent'
LOOKS: dict[Make, tuple[str | None, str]] = {
    tooltips: ("hover", f"{TOOLTIP}.match(/x:.*name:/s))"),
    tooltips_of_html: ("hover", '[...found("b")].length > 0'),
    tooltips_of_models: ("hover", f"{TOOLTIP}.match(/name: .*!/s))"),
    table: (None, f"{CELLS} === '1.00')"),
    mathematical_text: (None, '[...found("mjx-container")].length > 0'),
    webgl: (None, "glyphs().length === 2 && glyphs().every(({has_webgl}) => has_webgl)"),
}
"""What there is to see of a document without scripts, beyond its being drawn; after what the mouse does first."""
LINKED = "named('slider').value > 1 && named('range').start === named('slider').value"
SCRIPTED = [
    Scripted(clicked, f"{PRESSED} === 'pressed'", f"{PRESSED} === 'press me'", "press"),
    Scripted(clicked_module, f"{PRESSED} === 'pressed'", f"{PRESSED} === 'press me'", "press"),
    Scripted(slid, "named('shown').text !== '1'", "named('slider').value > 1 && named('shown').text === '1'", "slide"),
    Scripted(linked, LINKED, "named('slider').value > 1 && named('range').start !== named('slider').value", "slide"),
    Scripted(sized, "named('shown').text === 'sized'", "named('shown').text === ''"),
    *(
        Scripted(make, RAN, NOT)
        for make in (tick_labels, factor_labels, ticks, factor_ticks, labelling, transformed, calculated, chosen,
                     textured, own_marker, action)
    ),
    Scripted(hovered, f"{RAN} && {TOOLTIP}.includes('hovered'))", f"{NOT} && {TOOLTIP}.length > 0)", "hover"),
    Scripted(hovered_through_a_filter, f"{RAN} && {TOOLTIP}.length > 0)", f"{NOT} && {TOOLTIP}.length > 0)", "hover"),
    Scripted(hovered_models, f"{RAN} && {TOOLTIP}.includes('hovered'))", f"{NOT} && {TOOLTIP}.match(/\\d/))", "hover"),
    Scripted(cells, f"{RAN} && {CELLS} === '3 kg')", f"{NOT} && {CELLS} === '3')"),
    Scripted(sorted_cells, f"{RAN} && {CELLS} === '1')", f"{NOT} && {CELLS} === '1')", "click"),
]  # fmt: skip
