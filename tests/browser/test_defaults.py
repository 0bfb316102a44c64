"""What a stored document leaves out BokehJS makes itself, in each page anew: nobody else has it or needs it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.browser.conftest import Screen, until
from tests.browser.server import Server

Watch = Callable[..., Screen]
Json = dict[str, Any]


def model(name: str, id: str, **attributes: Any) -> Json:
    return {"type": "object", "name": name, "id": id, "attributes": attributes}


def plot(id: str, **attributes: Any) -> Json:
    """A plot of the source's rows without ranges, scales, title or toolbar, as one writes it by hand."""
    glyph = model("Line", f"{id}-glyph", x={"type": "field", "field": "t"}, y={"type": "field", "field": "v"})
    renderer = model("GlyphRenderer", f"{id}-line", data_source={"id": "rows"}, glyph=glyph)
    axis = model("LinearAxis", f"{id}-axis")
    return model("Plot", id, width=300, height=200, renderers=[renderer], below=[axis], **attributes)


def document(server: Server) -> str:
    """Two plots of one source."""
    columns = {"type": "map", "entries": [["t", [1, 2]], ["v", [3, 4]]]}
    rows = model("ColumnDataSource", "rows", data=columns)
    roots = [model("Div", "note", text="by hand", tags=[rows]), plot("a"), plot("b")]
    return server.put_json("By hand", {"version": "3.9", "title": "By hand", "roots": roots})


def test_ranges_that_only_a_page_has_are_never_told_and_the_page_stays_as_it_is(server: Server, watch: Watch) -> None:
    kept = document(server)
    screens = [watch(kept), watch(kept)]
    for screen in screens:
        screen.do("doc.mark = 'the first copy'")
    for at in range(3, 9):
        server.request("POST", f"/api/v1/documents/{kept}/sources/rows/rows", {"t": at, "v": at})
        for screen in screens:
            until(partial(screen.column, "rows", "t"), list(range(1, at + 1)).__eq__)
    for screen in screens:
        screen.do("doc.get_model_by_id('a').x_range.have_updated_interactively = true")  # as a pan does
        screen.do("doc.get_model_by_id('a').x_range.setv({start: -5, end: 5})")
        screen.set("note", "text", "seen")
        until(lambda: server.request("GET", f"/api/v1/documents/{kept}/models/note/text"), lambda text: text == "seen")
        assert screen.ask("doc.mark") == "the first copy"
        assert screen.ask("doc.get_model_by_id('a').x_range.start") == -5
    stored = server.request("GET", f"/api/v1/documents/{kept}")
    assert "x_range" not in next(root for root in stored["roots"] if root["id"] == "a")["attributes"]


def test_a_range_of_a_page_that_is_given_to_others_is_defined_for_them(server: Server, watch: Watch) -> None:
    kept = document(server)
    here, there = watch(kept), watch(kept)
    here.do("doc.get_model_by_id('b').x_range = doc.get_model_by_id('a').x_range")
    shared = here.ask("doc.get_model_by_id('a').x_range.id")
    until(lambda: there.ask("doc.get_model_by_id('b').x_range.id"), lambda seen: seen == shared)
    here.do("doc.get_model_by_id('b').x_range.tags = [1]")
    until(lambda: there.ask("doc.get_model_by_id('b').x_range.tags"), lambda seen: seen == [1])
    assert there.ask("doc.get_model_by_id('a').x_range.id") != shared, "its own is still its own"


def test_a_plot_that_a_script_adds_is_everywhere_and_its_defaults_are_each_pages_own(
    server: Server, watch: Watch
) -> None:
    kept = document(server)
    here, there = watch(kept), watch(kept)
    here.do(
        "doc.mark = 1; doc.add_root(new (doc.get_model_by_id('a').constructor)({width: 200, height: 200, name: 'new'}))"
    )
    until(lambda: there.ask("doc.get_model_by_name('new')?.width"), lambda seen: seen == 200)
    for screen in (here, there):
        screen.do("doc.get_model_by_name('new').x_range.setv({start: 1, end: 2})")
    here.do("doc.get_model_by_name('new').width = 210")
    until(lambda: there.ask("doc.get_model_by_name('new').width"), lambda seen: seen == 210)
    assert here.ask("doc.mark") == 1
