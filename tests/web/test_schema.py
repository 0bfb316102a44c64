"""What models there are and what they take, learnt from the installed bokeh without importing it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import bokeh.plotting
import pytest
from bokeh.model import Model as BokehModel

from bokeh_server.core.document import Document, Model
from bokeh_server.errors import BadMessage, NotFound, TypeClash
from bokeh_server.web import schema
from bokeh_server.web.schema import Schema, Table, copied, decode

TINY = """print('{"kinds": [["int"]], "models": {"A": {"is": ["A"], "has": {"b": [0, 1]}}}}')"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which the table has been made once."""
    found = tmp_path_factory.mktemp("schema")
    assert default(Schema(bokeh.__version__, found), "Slider", "step") == 1
    return found


@pytest.fixture(scope="module")
def table(folder: Path) -> Table:
    """The table of the installed bokeh."""
    return decode((folder / f"models-{bokeh.__version__}.json").read_bytes())


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is run in place of the script that asks bokeh; it writes a table of one model."""
    path = tmp_path_factory.mktemp("script") / "catalogue.py"
    path.write_text(TINY)
    monkeypatch.setattr(schema, "SCRIPT", path)
    return path


def default(schema: Schema, model: str, name: str) -> Any:
    found = asyncio.run(schema.default(Model(model), name))
    return json.loads(bytes(found)) if found is not None else None


def model(name: str, id: str = "m", **attributes: Any) -> dict[str, Any]:
    """A model as Bokeh writes it."""
    return {"type": "object", "name": name, "id": id, "attributes": attributes}


def document(*roots: Any, **more: Any) -> Document:
    """The document of some models."""
    return Document.decode(json.dumps({"roots": roots, **more}).encode())


def test_the_table_has_every_model_and_property_of_the_installed_bokeh(table: Table) -> None:
    assert len(table.models) > 400
    for name in ("Slider", "Figure", "ColumnDataSource", "DataTable", "CustomJS"):
        kind = BokehModel.model_class_reverse_map[name]
        assert set(table.models[name].has) == kind.properties()
        assert {name, "Model"} <= table.models[name].bases


def test_a_default_is_told_where_json_can_tell_it(folder: Path) -> None:
    table = Schema(bokeh.__version__, folder)
    assert default(table, "Slider", "orientation") == "horizontal"
    assert default(table, "Slider", "width") == 300
    assert default(table, "Slider", "title") == ""
    assert default(table, "Slider", "value") is None  # it has none
    assert default(table, "Figure", "x_range") is None  # it is a model


def test_a_property_that_there_is_not_is_refused_with_names_that_are_like_it(folder: Path) -> None:
    table = Schema(bokeh.__version__, folder)
    with pytest.raises(NotFound, match=r"Slider has no property 'vale'; perhaps 'value'"):
        default(table, "Slider", "vale")
    with pytest.raises(NotFound, match=r"no property 'qqqqqq'\.$"):
        default(table, "Slider", "qqqqqq")


def test_a_model_of_an_extension_may_have_any_property(folder: Path) -> None:
    assert default(Schema(bokeh.__version__, folder), "my_extension.Knob", "angle") is None


def test_the_kept_table_is_used_again_and_a_damaged_one_made_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = folder / f"models-{bokeh.__version__}.json"
    (tmp_path / kept.name).write_bytes(kept.read_bytes()[:1000])
    assert default(Schema(bokeh.__version__, tmp_path), "Slider", "step") == 1
    assert (tmp_path / kept.name).read_bytes() == kept.read_bytes()
    monkeypatch.setattr(sys, "executable", "/nothing")
    assert default(Schema(bokeh.__version__, folder), "Slider", "step") == 1


def test_where_no_table_can_be_made_everything_is_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: Path
) -> None:
    monkeypatch.setattr(sys, "executable", "/nothing")
    assert default(Schema("0", tmp_path), "Slider", "vale") is None
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    monkeypatch.setattr(schema, "SCRIPT", script)
    script.write_text("print('no JSON')")
    assert default(Schema("0", None), "Slider", "vale") is None
    none = asyncio.run(Schema("0", None).table())
    none.check(document(model("Plott", widht=3), model("Slider", "s", value="x")))
    none.check_value(copied(document(model("Slider"))), "m", "value", "x")


def test_a_folder_that_takes_no_file_costs_nothing_but_the_time(script: Path, tmp_path: Path) -> None:
    assert default(Schema("0", tmp_path / "gone"), "A", "b") == 1


def test_many_first_questions_make_one_table(script: Path, tmp_path: Path) -> None:
    count = tmp_path / "count"
    script.write_text(f"open({str(count)!r}, 'a').write('x')\n{TINY}")
    table = Schema("0", None)

    async def main() -> None:
        await asyncio.gather(*(table.default(Model("A"), "b") for _ in range(5)))

    asyncio.run(main())
    assert count.read_text() == "x"


# What is refused, and what is let through


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (model("Plott"), "There is no model 'Plott'; perhaps 'Plot'?"),
        (model("Sldier"), "There is no model 'Sldier'; perhaps 'Slider'"),
        (model("columndatasource"), "There is no model 'columndatasource'; perhaps 'ColumnDataSource'"),
        (model("Plot", widht=3), "Plot has no property 'widht'; perhaps 'width'"),
        (model("Column", children=[model("Div", "d", txet="x")]), "Div has no property 'txet'; perhaps 'text'"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_model_or_property_that_there_is_not_is_refused(table: Table, found: Any, words: str) -> None:
    with pytest.raises(BadMessage) as refused:
        table.check(document(found))
    assert words in str(refused.value)


def test_many_strange_models_take_no_time(table: Table) -> None:
    strange = document(*(model(f"Knob{at % 3000}", f"m{at}") for at in range(9000)))
    begin = time.process_time()
    table.check(strange)
    assert time.process_time() - begin < 1


WRONG: list[tuple[Any, str, Any, str]] = [
    (model("Figure"), "width", "wide", "Figure 'm' takes null or a whole number as its width, not \"wide\"."),
    (model("Figure"), "width", 1.5, "not 1.5."),
    (model("Slider"), "value", [1, 2], "Slider 'm' takes a number as its value, not a list."),
    (model("Slider"), "value", "bad", "Slider 'm' takes a number as its value, not \"bad\"."),
    (model("Slider"), "value", True, "not true."),
    (model("Slider"), "value", None, "not null."),
    (model("Slider"), "orientation", "diagonal", "takes one of 'horizontal', 'vertical' as its orientation"),
    (model("RangeSlider"), "value", [1], "takes a list of 2 as its value, not a list."),
    (model("RangeSlider"), "value", [1, "x"], 'a list with "x".'),
    (model("ColumnDataSource"), "selected", model("Div", "d"), "takes a Selection as its selected, not a Div."),
    (model("ColumnDataSource"), "selected", "d", 'not "d".'),
    (model("ColumnDataSource"), "data", {"t": 5}, "takes a map (of a list) as its data, not a map with 5."),
    (model("ColumnDataSource"), "data", [1], "not a list."),
    (model("ColumnDataSource"), "data", {"type": "map", "entries": [[5, [1]]]}, "not a map with 5."),
    (
        model("Plot"),
        "renderers",
        [model("Div", "d")],
        "(of a Renderer) as its renderers, not a list with a Div.",
    ),
    (model("Select"), "options", ["a", 5], "not a list with 5."),
    (model("Scatter"), "x", [1, 2], "as its x, not a list."),
    (model("Scatter"), "fill_color", {"type": "slice"}, "not a slice."),
    (model("Plot"), "sizing_mode", "huge", "takes null or one of 'stretch_width', "),
    (model("Toggle"), "active", 1, "takes true or false as its active, not 1."),
    (model("DatePicker"), "value", "tomorrow", 'not "tomorrow".'),
    (model("FactorRange"), "factors", [*map(str, range(2000)), 5], "not a list with 5."),
    (model("Model"), "subscribed_events", ["x"], "takes a set (of text) as its subscribed_events, not a list."),
]


@pytest.mark.parametrize(("owner", "name", "value", "words"), WRONG)
def test_a_value_of_another_kind_is_refused_with_what_is_taken(
    table: Table, owner: dict[str, Any], name: str, value: Any, words: str
) -> None:
    with pytest.raises(TypeClash) as whole:
        table.check(document({**owner, "attributes": {name: value}}))
    found = document(owner, model("Div", "d"))
    before = found.encode()
    with pytest.raises(TypeClash) as single:
        table.check_value(copied(found), "m", name, value)
    assert found.encode() == before
    assert str(whole.value) == str(single.value)
    assert words in str(single.value)


def test_what_a_value_defines_is_checked_too(table: Table) -> None:
    found, line = copied(document(model("Plot"))), model("Line", "l", lien_width=1)
    with pytest.raises(BadMessage, match="Line has no property 'lien_width'; perhaps 'line_width'"):
        table.check_value(found, "m", "renderers", [model("GlyphRenderer", "g", glyph=line)])
    with pytest.raises(TypeClash, match=r"Plot 'm' takes .* as its width"):
        table.check_value(copied(document(model("Plot"))), "m", "tags", [model("Plot", width="x")])


KNOB = {"type": "model", "name": "Slidr", "properties": [{"name": "angle", "kind": "Float", "default": 0}]}
RIGHT: list[tuple[Any, dict[str, Any]]] = [
    (model("my_extension.Slider", value="x", extends=[1]), {}),
    (model("Slidr", angle="x"), {"defs": [KNOB]}),
    (model("MySlider", value="x"), {}),
    (model("IonRangeSlider", range=[1]), {}),
    (model("DrawTool", source={}), {}),
    (model("Surface3d", x="x"), {}),
    (model("Strange1"), {}),
    (model("Plot", toolbar=model("my_extension.Bar", "t"), renderers=[model("MyRenderer", "b")]), {}),
    (model("Slider", value={"type": "number", "value": "nan"}), {}),
    (model("Slider", width=300.0), {}),
    (model("Scatter", x="t", y=5, size={"field": "s"}, angle={"type": "expr", "expr": model("Stack", "s")}), {}),
    (model("Scatter", fill_color=[1, 2, 3], line_dash="4 4", line_color={"value": "red"}), {}),
    (model("Range1d", start="2026-01-02", end=1e12, bounds=[None, 5]), {}),
    (model("Div", tags=[1, None, {"a": [{"type": "map"}]}]), {}),
]


@pytest.mark.parametrize(("found", "more"), RIGHT, ids=lambda each: each.get("name", ""))
def test_what_bokeh_or_an_extension_may_take_is_let_through(
    table: Table, found: dict[str, Any], more: dict[str, Any]
) -> None:
    table.check(document(found, **more))
    for name, value in found["attributes"].items():
        table.check_value(copied(document({**found, "attributes": {}}, **more)), "m", name, value)
