"""Random Bokeh documents for the model tests, made by bokeh itself from a seeded ``random.Random``.

A document has one to three roots: figures with glyphs of several kinds over sources with every kind of column (lists
and arrays of all wire types, strings, nested lists, images, NaN and None), widgets, tables and layouts, sprinkled with
nested tags, maps and sets. Nothing here knows the server; ``tests.model.edits`` changes these documents afterwards.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.events import ButtonClick, DocumentReady
from bokeh.models import (  # type: ignore[attr-defined]
    Button,
    CheckboxGroup,
    Column,
    ColumnDataSource,
    CustomJS,
    DataTable,
    Div,
    GridBox,
    MultiSelect,
    NumberFormatter,
    RangeSlider,
    Row,
    Select,
    Slider,
    TableColumn,
    TabPanel,
    Tabs,
    TextInput,
    Toggle,
)
from bokeh.plotting import figure
from bokeh.settings import settings


@contextmanager
def counted_ids() -> Iterator[None]:
    """Ids of new models are counted (our client library sees to it that they are random): a seed says everything."""
    before = settings.simple_ids()
    settings.simple_ids.set_value(True)
    try:
        yield
    finally:
        settings.simple_ids.set_value(before)


Model = Any
"""A model: bokeh's own types can't say which kind fits where."""

DTYPES = ("float64", "float32", "int32", "uint8", "int16", "uint16", "bool")
WORDS = ("alpha", "beta", "gamma", "δέλτα", "naïve", "雪", "🙂", "", "a b", "</script>", "__proto__", "id", "type")


def number(rng: random.Random) -> float | int:
    """A number as plots have them, with the odd corner case."""
    roll = rng.random()
    if roll < 0.4:
        return rng.randint(-1000, 1000)
    if roll < 0.85:
        return rng.uniform(-1e3, 1e3)
    return rng.choice([0, -0.0, 1e-300, 1.5e300, 2.0**53, -(2.0**52), 0.1, math.nan, math.inf, -math.inf])


def finite(rng: random.Random) -> float:
    """A plain number between -100 and 100."""
    return round(rng.uniform(-100, 100), rng.choice([0, 2, 15]))


def json_value(rng: random.Random, models: list[Model], depth: int = 0) -> Any:
    """A value for ``tags`` or ``args``: anything that Bokeh can serialise, references to ``models`` included."""
    kinds = ["number", "word", "flag", "none"] + (
        ["list", "dict", "set", "array", "model", "bytes"] if depth < 3 else []
    )
    match rng.choice(kinds):
        case "number":
            return number(rng)
        case "word":
            return rng.choice(WORDS)
        case "flag":
            return rng.random() < 0.5
        case "list":
            return [json_value(rng, models, depth + 1) for _ in range(rng.randrange(4))]
        case "dict":
            keys = [rng.choice(WORDS), rng.randint(0, 9), *rng.sample(WORDS, rng.randrange(3))]
            return {key: json_value(rng, models, depth + 1) for key in keys[: rng.randrange(4)]}
        case "set":
            return {rng.choice([rng.randint(0, 9), rng.choice(WORDS)]) for _ in range(rng.randrange(4))}
        case "array":
            return array(rng, rng.randrange(5))
        case "bytes":
            return rng.randbytes(rng.randrange(9))
        case "model" if models:
            return rng.choice(models)
        case _:
            return None


def array(rng: random.Random, size: int, dtype: str | None = None) -> Any:
    """A 1-d array of ``size`` numbers in one of Bokeh's wire types."""
    dtype = dtype or rng.choice(DTYPES)
    if dtype == "bool":
        return np.array([rng.random() < 0.5 for _ in range(size)], np.bool_)
    if dtype.startswith("float"):
        values = np.array([number(rng) for _ in range(size)])
        with np.errstate(over="ignore"):
            return values.astype(dtype)
    info = np.iinfo(dtype)
    return np.array([rng.randint(int(info.min), int(info.max)) for _ in range(size)], dtype)


def numbers(rng: random.Random, size: int) -> list[Any]:
    """A list of numbers, with the odd NaN."""
    return [number(rng) for _ in range(size)]


def ints(rng: random.Random, size: int) -> list[Any]:
    """A list of small integers."""
    return [rng.randint(-9, 9) for _ in range(size)]


def words(rng: random.Random, size: int) -> list[Any]:
    """A list of strings."""
    return [rng.choice(WORDS) for _ in range(size)]


def mixed(rng: random.Random, size: int) -> list[Any]:
    """A list of anything that a cell of a table may hold."""
    return [rng.choice([None, True, 3, 2.5, math.nan, "x", [1, 2]]) for _ in range(size)]


def nested(rng: random.Random, size: int) -> list[Any]:
    """A list of lists, as ``multi_line`` and ``patches`` take them."""
    return [[finite(rng) for _ in range(rng.randrange(4))] for _ in range(size)]


def images(rng: random.Random, size: int) -> list[Any]:
    """A list of 2-d arrays, as ``image`` takes them."""
    dtype = rng.choice(["float64", "float32", "uint8", "int32"])
    return [array(rng, 12, dtype).reshape(3, 4) for _ in range(size)]


def lines(rng: random.Random, size: int) -> list[Any]:
    """A list of 1-d arrays of one length."""
    return [array(rng, 4, "float64") for _ in range(size)]


COLUMN_KINDS: tuple[Callable[[random.Random, int], list[Any]], ...] = (
    numbers, ints, words, mixed, nested, images, lines, array, array, array, numbers,
)  # fmt: skip


def source(rng: random.Random) -> ColumnDataSource:
    """A source with up to five columns of one length; now and then without columns or without rows."""
    size = rng.choice([0, 1, 2, 5, 5, 8, 30])
    names = rng.sample(["x", "y", "z", "top", "image", "text"], rng.choice([0, 1, 2, 3, 5]))
    return ColumnDataSource({name: rng.choice(COLUMN_KINDS)(rng, size) for name in names}, name=rng.choice([None, "s"]))


def plain_source(rng: random.Random) -> ColumnDataSource:
    """A source with ``x`` and ``y`` of numbers, in lists or arrays, as nearly every script has it."""
    size = rng.choice([3, 10, 40])
    kind = rng.choice([numbers, ints, array])
    return ColumnDataSource({"x": kind(rng, size), "y": rng.choice([numbers, array])(rng, size)}, tags=[rng.random()])


def plot(rng: random.Random, models: list[Model]) -> Model:
    """A figure with one to three glyph renderers."""
    made = figure(
        width=rng.randint(100, 900), height=300, title=rng.choice(WORDS), tools=rng.choice(["", "pan,tap", "hover"])
    )
    for _ in range(rng.randint(1, 3)):
        data = plain_source(rng)
        match rng.choice(["line", "scatter", "vbar", "multi_line", "image", "text", "share"]):
            case "line":
                made.line("x", "y", source=data, name="ex_line", line_width=rng.choice([1, 2.5]))
            case "scatter":
                made.scatter(
                    "x", "y", source=data, size=rng.randint(1, 9), color=rng.choice(["red", "#00ff00", "navy"])
                )
            case "vbar":
                made.vbar(x="x", top="y", width=0.5, source=data, legend_label=rng.choice(WORDS) or "bar")
            case "multi_line":
                made.multi_line(nested(rng, 2), nested(rng, 2))
            case "image":
                made.image([array(rng, 12, "uint8").reshape(3, 4)], x=0, y=0, dw=1, dh=1)
            case "text":
                made.text("x", "y", text={"value": "label"}, source=data)
            case _:
                shared = [m for m in models if isinstance(m, ColumnDataSource) and {"x", "y"} <= set(m.data)]
                made.line("x", "y", source=rng.choice([*shared, data]))
    return made


def widget(rng: random.Random, models: list[Model]) -> Model:
    """One widget, a table or a piece of HTML."""
    tags = [json_value(rng, models) for _ in range(rng.randrange(3))]
    match rng.randrange(11):
        case 0:
            return Slider(start=0, end=10, step=0.1, value=rng.randint(0, 10), title=rng.choice(WORDS), tags=tags)
        case 1:
            return Select(options=words(rng, 3), value=rng.choice(WORDS), tags=tags)
        case 2:
            button = Button(label=rng.choice(WORDS), tags=tags)
            button.on_event(ButtonClick, lambda event: None)
            return button
        case 3:
            return CheckboxGroup(labels=words(rng, 4), active=rng.sample(range(4), rng.randrange(4)), tags=tags)
        case 4:
            return table(rng)
        case 5:
            return MultiSelect(options=words(rng, 4), value=words(rng, 1), tags=tags)
        case 6:
            return RangeSlider(start=0, end=9, value=(1, rng.randint(2, 9)), tags=tags)
        case 7:
            return Toggle(active=rng.random() < 0.5, tags=tags)
        case 8:
            callback = CustomJS(args={"a": json_value(rng, models), "m": json_value(rng, models)}, code="return 1")
            return TextInput(value=rng.choice(WORDS), tags=tags, js_property_callbacks={"change:value": [callback]})
        case 9:
            return Div(text=rng.choice(WORDS), styles={"color": "red"}, tags=tags)
        case _:
            return Div(text="<b>x</b>", tags=[source(rng), *tags])


def table(rng: random.Random) -> Model:
    """A data table with one to three columns, one of them with a formatter."""
    columns = [TableColumn(field=name, title=rng.choice(WORDS)) for name in ("x", "y", "z")[: rng.randint(1, 3)]]
    columns[0].formatter = NumberFormatter(format="0.0")
    return DataTable(source=source(rng), columns=columns, editable=rng.random() < 0.5)


def layout(rng: random.Random, models: list[Model]) -> Model:
    """A row, column, grid or tabs of one to three things."""
    children = [piece(rng, models, small=True) for _ in range(rng.randint(1, 3))]
    match rng.randrange(4):
        case 0:
            return Row(children=children)
        case 1:
            return Column(children=children, sizing_mode="stretch_width")
        case 2:
            return GridBox(children=[(child, 0, at) for at, child in enumerate(children)])
        case _:
            return Tabs(tabs=[TabPanel(child=child, title=rng.choice(WORDS)) for child in children])


def piece(rng: random.Random, models: list[Model], *, small: bool = False) -> Model:
    """Anything that can be a root or a child of a layout; ``small`` leaves out figures most of the time."""
    roll = rng.random()
    if roll < (0.1 if small else 0.4):
        return plot(rng, models)
    if roll < (0.2 if small else 0.6):
        return layout(rng, models)
    return widget(rng, models)


def document(rng: random.Random) -> Document:
    """A random document; its title is set, and half of the time it has a callback of its own."""
    made = Document()
    made.title = rng.choice(WORDS) or "untitled"
    for _ in range(rng.randint(1, 3)):
        made.add_root(piece(rng, list(made.models)))
    if not any(isinstance(model, ColumnDataSource) for model in made.models):
        made.add_root(plot(rng, list(made.models)))
    if rng.random() < 0.5:
        made.js_on_event(DocumentReady, CustomJS(args={"root": made.roots[0]}, code="1"))
    return made
