"""A live plot in the cells of JupyterLab with a real kernel: shown, streamed into, answered, and not in the file."""

from __future__ import annotations

import json

from playwright.sync_api import Page, expect

from tests.browser.conftest import until
from tests.browser.server import Server
from tests.documented import blocks
from tests.notebook.conftest import PLOTS, Hub, Lab, Notebook

CELLS = blocks("docs/howto/notebook.md", "python")


def only_model(server: Server, typename: str) -> str:
    """The id of the one model of a type in the stored document."""
    document = server.request("GET", "/api/v1/documents/Random%20walk")
    found: list[str] = []

    def look(value: object) -> None:
        if isinstance(value, dict):
            if value.get("name") == typename and "id" in value:
                found.append(value["id"])
            value = list(value.values())
        for item in value if isinstance(value, list) else ():
            look(item)

    look(document["roots"])
    (id,) = found
    return id


def test_what_the_page_about_notebooks_says_works(page: Page, lab: Lab, plots: Server) -> None:
    notebook = Notebook(page, lab.url, lab.write("walk.ipynb", CELLS))
    output = notebook.run(0)
    expect(output.locator("iframe")).to_have_count(1)
    expect(output.locator("script")).to_have_count(0)
    plot = notebook.screen(0)
    source, glyph = only_model(plots, "ColumnDataSource"), "doc.get_model_by_id(arg).renderers[0].glyph"
    figure = only_model(plots, "Figure")
    assert plot.column(source, "t") == [0]
    assert notebook.frame(0).evaluate("document.documentElement.scrollHeight - innerHeight") <= 0
    notebook.run(1)
    until(lambda: len(plot.column(source, "t")), lambda rows: rows == 200, seconds=30)
    notebook.run(2)
    handle = notebook.frame(2).frame_locator("#frame").locator(".noUi-handle")
    for _ in range(3):
        handle.press("ArrowRight")
    until(lambda: plot.ask(f"{glyph}.size.value ?? {glyph}.size", figure), lambda size: size == 8, seconds=30)
    plot.do("doc.get_model_by_id(arg).selected.indices = [3, 5]", source)
    until(
        lambda: notebook.run(3).last.inner_text().strip(),
        lambda printed: printed == "[3, 5] 8",
        seconds=30,
    )
    walked = plot.column(source, "value")
    outputs = json.dumps([cell["outputs"] for cell in json.loads(notebook.saved())["cells"]])
    assert "bokeh/linked/" in outputs
    assert "<script" not in outputs
    assert "Figure" not in outputs
    assert not any(str(value) in outputs for value in walked[1:])


def test_behind_a_hub_the_notebook_and_the_server_are_paths_of_one_origin(
    page: Page, lab: Lab, plots: Server, hub: Hub
) -> None:
    where = f'output_notebook(url="{plots.url}/", browser_url="{PLOTS}/", docname="Behind a hub")'
    code = CELLS[0].replace('output_notebook(url="default", docname="Random walk")', where)
    assert where in code
    notebook = Notebook(page, hub.url, lab.write("hub.ipynb", [code, CELLS[2]]))
    source = notebook.run(0).locator("iframe").get_attribute("src")
    assert source is not None
    assert source.startswith(f"{PLOTS}/bokeh/linked/")
    assert notebook.frame(0).url.startswith(f"{hub.url}{PLOTS}/bokeh/linked/")
    notebook.run(0)
    notebook.run(1)
    for number, drawn in enumerate((".bk-Figure", ".noUi-handle")):
        expect(notebook.frame(number).frame_locator("#frame").locator(drawn)).to_be_visible()
