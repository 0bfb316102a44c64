"""What properties models have, learnt from the installed bokeh without importing it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import bokeh.plotting
import pytest
from bokeh.model import Model as BokehModel

from bokeh_server.core.document import Model
from bokeh_server.errors import NotFound
from bokeh_server.web import schema
from bokeh_server.web.schema import Schema, decode


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which the table has been made once."""
    found = tmp_path_factory.mktemp("schema")
    assert default(Schema(bokeh.__version__, found), "Slider", "step") == 1
    return found


def default(table: Schema, model: str, name: str) -> Any:
    found = asyncio.run(table.default(Model(model), name))
    return json.loads(bytes(found)) if found is not None else None


def test_the_table_has_every_model_and_property_of_the_installed_bokeh(folder: Path) -> None:
    table = decode((folder / f"properties-{bokeh.__version__}.json").read_bytes())
    assert len(table) > 400
    for name in ("Slider", "Figure", "ColumnDataSource", "DataTable", "CustomJS"):
        assert set(table[name]) == BokehModel.model_class_reverse_map[name].properties()


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
    kept = folder / f"properties-{bokeh.__version__}.json"
    (tmp_path / kept.name).write_bytes(kept.read_bytes()[:1000])
    assert default(Schema(bokeh.__version__, tmp_path), "Slider", "step") == 1
    assert (tmp_path / kept.name).read_bytes() == kept.read_bytes()
    monkeypatch.setattr(sys, "executable", "/nothing")
    assert default(Schema(bokeh.__version__, folder), "Slider", "step") == 1


def test_where_no_table_can_be_made_all_properties_are_allowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", "/nothing")
    assert default(Schema("0", tmp_path), "Slider", "vale") is None
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    monkeypatch.setattr(schema, "SCRIPT", "print('no JSON')")
    assert default(Schema("0", None), "Slider", "vale") is None


def test_a_folder_that_takes_no_file_costs_nothing_but_the_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(schema, "SCRIPT", """print('{"A": {"b": [1]}}')""")
    assert default(Schema("0", tmp_path / "gone"), "A", "b") == 1


def test_many_first_questions_make_one_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    count = tmp_path / "count"
    monkeypatch.setattr(schema, "SCRIPT", f"open({str(count)!r}, 'a').write('x'); print('{{\"A\": {{\"b\": [1]}}}}')")
    table = Schema("0", None)

    async def main() -> None:
        await asyncio.gather(*(table.default(Model("A"), "b") for _ in range(5)))

    asyncio.run(main())
    assert count.read_text() == "x"
