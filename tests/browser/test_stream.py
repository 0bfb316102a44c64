"""A fast stream in a page: no more than one message a frame, and in the end all that was sent, in the one order."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
from bokeh.document import Document
from bokeh.models import ColumnDataSource
from bokeh.models.widgets import Slider
from bokeh.plotting import figure

from bokeh_server import Session
from tests.browser.conftest import OpenPage, Screen, until
from tests.browser.server import Server

ROWS = 3000
KEPT = 1000
COUNT = """
globalThis.patches = 0;
sockets.at(-1).addEventListener("message", ({ data }) => {
  if (typeof data === "string" && data.includes('"PATCH-DOC"')) patches += 1;
});
"""


def test_a_page_gets_one_message_a_frame_and_everything(server: Server, open_page: OpenPage) -> None:
    arrays = ColumnDataSource({"t": np.array([0.0]), "y": np.array([0], np.int32)})
    lists = ColumnDataSource({"t": [0], "name": ["row 0"]})
    few = ColumnDataSource({"t": np.array([0.0]), "n": [0]})
    slider = Slider(start=0, end=ROWS, value=0)
    other = Slider(start=0, end=100, value=0)
    plot = figure(width=500, height=300)
    plot.line("t", "y", source=arrays)
    plot.scatter("t", "t", source=lists)
    plot.scatter("t", "n", source=few)
    document = Document()
    for root in (plot, slider, other):
        document.add_root(root)
    with Session(root_url=server.url) as session:
        session.use_doc("fast")
        session.store_document(document)
        screens = [Screen(open_page(session.link)) for _ in range(2)]
        for screen in screens:
            screen.do(COUNT)
        begin = time.monotonic()
        for n in range(1, ROWS):
            arrays.stream({"t": np.array([n / 2]), "y": np.array([n], np.int32)}, rollover=KEPT)
            lists.stream({"t": [n], "name": [f"row {n}"]}, rollover=KEPT)
            few.stream({"t": np.array([n / 4]), "n": [n]}, rollover=3)  # of which more come in a frame
            slider.value = n
            if n % 500 == 0:
                screens[0].set(other.id, "value", n // 100)  # its acknowledgement has its place among all these
        assert session.flush(30)
        until(lambda: other.value, lambda value: value == (ROWS - 1) // 500 * 5)
        last = list(range(ROWS - KEPT, ROWS))
        for screen in screens:
            screen.shows(slider.id, "value", ROWS - 1)
            screen.shows(other.id, "value", (ROWS - 1) // 500 * 5)
            until(partial(screen.column, arrays.id, "y"), lambda y: y == last)
            assert screen.column(arrays.id, "t") == [n / 2 for n in last]
            assert screen.column(lists.id, "t") == last
            assert screen.column(lists.id, "name") == [f"row {n}" for n in last]
            assert screen.column(few.id, "t") == [n / 4 for n in last[-3:]]
            assert screen.column(few.id, "n") == last[-3:]
        frames = 60 * (time.monotonic() - begin)
        for screen in screens:
            assert 10 < screen.ask("patches") < frames + 20
        assert ROWS > 2 * screens[1].ask("patches")
