"""Long outages: an open page catches up by itself, without a reload, also after an hour."""

from __future__ import annotations

from functools import partial
from operator import eq, lt

from bokeh.models import ColumnDataSource
from bokeh.models.widgets import Div, Slider
from bokeh.plotting import figure
from playwright.sync_api import Request, expect

from tests.browser.conftest import LOST, OpenPage, Screen, until
from tests.browser.server import Server
from tests.browser.test_frame import Produce


def test_a_page_catches_up_with_a_server_that_was_away_for_an_hour(
    server: Server, open_page: OpenPage, produce: Produce, expected_errors: list[str]
) -> None:
    expected_errors += LOST
    source, slider, text = ColumnDataSource({"x": [0.0], "y": [0.0]}), Slider(start=0, end=10, value=3), Div(text="one")
    plot = figure(width=300, height=200)
    plot.line("x", "y", source=source)
    document = server.put("outage", plot, slider, text)
    page = open_page()
    page.clock.install()
    page.goto(server.link(document))
    screen, status = Screen(page), page.locator("#status")
    expect(status).to_have_text("Live")
    for window in (page, screen.frame):
        window.evaluate("globalThis.loaded = 'once'")
    tries: list[str] = []

    def remember(request: Request) -> None:
        if request.url.endswith("/ticket"):
            tries.append(request.url)

    def later(seconds: int) -> int:
        page.clock.fast_forward(1000 * seconds)
        page.wait_for_timeout(20)
        return len(tries)

    page.on("requestfailed", remember)
    server.kill()
    for _ in range(12):  # five minutes at least each, and it has not given up
        until(partial(later, 300), partial(lt, len(tries)))
    expect(status).to_have_text("Reconnecting")
    screen.set(slider.id, "value", 7)
    server.start()
    program = produce(document)
    program.stream(source.id, {"x": [1.0, 2.0], "y": [5.0, 6.0]})
    program.set(text.id, "text", "two")
    until(lambda: later(5) and status.inner_text(), partial(eq, "Live"))
    screen.shows(text.id, "text", "two")
    program.stream(source.id, {"x": [3.0], "y": [7.0]})
    until(lambda: screen.column(source.id, "y"), partial(eq, [0.0, 5.0, 6.0, 7.0]))
    path = f"/api/v1/documents/{document}/models/{slider.id}/value"
    until(lambda: server.request("GET", path), partial(eq, 7))
    assert [window.evaluate("globalThis.loaded") for window in (page, screen.frame)] == ["once", "once"]
