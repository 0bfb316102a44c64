"""The board: the user's documents, live, by mouse, touch and keyboard."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import closing

import pytest
from bokeh.models import ColumnDataSource
from bokeh.models.widgets import DataTable, Div, Slider, TableColumn
from bokeh.plotting import figure
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import LOST, OpenPage, Screen, until
from tests.browser.producer import Producer
from tests.browser.server import Server

Watch = Callable[..., Screen]
Produce = Callable[..., Producer]
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
JSON = {"Content-Type": "application/json"}
EMPTY = {"version": "3.9.2", "title": "", "roots": []}


def plot() -> figure:
    made = figure(width=200, height=200)
    made.line([1, 2], [3, 4])
    return made


def names(page: Page) -> list[str]:
    """Titles of the rows that are shown, from top to bottom."""
    return page.locator(".row:not([hidden]) a.name").all_inner_texts()


def row(page: Page, title: str) -> Locator:
    return page.locator(".row").filter(has=page.get_by_role("link", name=title, exact=True))


@pytest.fixture
def board(server: Server, open_page: OpenPage) -> Page:
    """A board with three documents, "three" the newest."""
    for title in ("one", "two", "three"):
        server.put(title, plot())
    page = open_page(server.url)
    expect(page.locator(".row")).to_have_count(3)
    return page


@pytest.mark.timeout(180)
def test_a_board_whose_connection_died_without_a_word_notices_and_comes_back(
    server: Server, open_page: OpenPage, expected_errors: list[str]
) -> None:
    expected_errors += LOST
    server.put("before", plot())
    board = open_page()
    board.clock.install()
    board.goto(server.url)
    expect(board.locator(".row")).to_have_count(1)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        board.clock.fast_forward(20_000)  # when it looks by itself
        expect(board.locator("#lost")).to_be_visible(timeout=60_000)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    expect(board.locator("#lost")).to_be_hidden(timeout=40_000)
    server.put("after", plot())
    expect(row(board, "after")).to_be_visible()


def test_an_empty_board_teaches_the_two_lines(server: Server, open_page: OpenPage) -> None:
    page = open_page(server.url, permissions=["clipboard-write"])
    expect(page.get_by_role("heading", name="Two lines make a plot a document")).to_be_visible()
    expect(page.locator("mark")).to_have_text(
        [f'output_server("first steps", url="http://localhost:{server.port}/")', "show(p)"]
    )
    expect(page.get_by_role("searchbox")).to_be_hidden()
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#toasts")).to_contain_text("Copied")
    server.put("first", plot())
    expect(page.get_by_role("link", name="first", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Two lines")).to_be_hidden()


def test_documents_are_listed_newest_first_with_what_they_are(board: Page, server: Server) -> None:
    assert names(board) == ["three", "two", "one"]
    table = DataTable(source=ColumnDataSource({"a": [1]}), columns=[TableColumn(field="a")])
    server.put("mixed", plot(), plot(), table, Slider(start=0, end=1, value=0))
    expect(row(board, "mixed").locator(".meta")).to_contain_text("2 plots, 1 table, 1 widget")
    assert names(board) == ["mixed", "three", "two", "one"]
    server.put("words", Div(text="A few words"))
    expect(row(board, "words").locator(".meta")).to_contain_text("text")
    expect(row(board, "words").locator(".tile")).to_have_attribute("data-glyph", "text")
    expect(row(board, "one").locator("time")).to_have_text("just now")
    expect(row(board, "one").locator(".meta")).to_contain_text("1 plot")


def test_programs_and_viewers_show_in_the_list_while_they_are_there(
    board: Page, server: Server, open_page: OpenPage, produce: Produce
) -> None:
    document = server.put("two", plot())
    live = row(board, "two").locator(".live")
    expect(live).to_be_hidden()
    produce(document)
    expect(live).to_have_text("Live")
    page = open_page(server.link(document))
    expect(live).to_have_text("Live · 1 viewing")
    page.close()
    expect(live).to_have_text("Live")


def test_a_document_opens_by_click_on_its_row(board: Page, server: Server) -> None:
    row(board, "two").click(position={"x": 30, "y": 30})
    expect(board.get_by_role("heading", level=1)).to_have_text("two")
    board.go_back()
    expect(board.locator(".row")).to_have_count(3)


def test_search_as_you_type_finds_words_in_any_order_and_without_accents(board: Page, server: Server) -> None:
    server.put("Weather in Reykjavík, 2026", plot())
    expect(board.locator(".row")).to_have_count(4)
    search = board.get_by_role("searchbox")
    search.press_sequentially("2026 reykjavik")
    assert names(board) == ["Weather in Reykjavík, 2026"]
    expect(board.locator("#count")).to_have_text("1 of 4")
    search.fill("nothing like this")
    expect(board.locator("#nothing")).to_be_visible()
    search.press("Escape")
    expect(board.locator(".row:not([hidden])")).to_have_count(4)


def test_the_order_can_be_chosen(board: Page) -> None:
    board.get_by_label("Order").select_option("Name")
    assert names(board) == ["one", "three", "two"]


def test_rename_in_place_keeps_the_link_and_refuses_a_taken_name(
    board: Page, server: Server, expected_errors: list[str]
) -> None:
    expected_errors.append("status of 409")
    link = row(board, "two").get_by_role("link").get_attribute("href")
    board.get_by_role("button", name="Rename “two”").click()
    field = board.get_by_label("New name of “two”")
    field.fill("three")
    field.press("Enter")
    expect(board.get_by_role("alert")).to_be_visible()
    field.fill("second")
    field.press("Enter")
    expect(row(board, "second")).to_be_visible()
    expect(row(board, "second").get_by_role("link")).to_be_focused()
    assert row(board, "second").get_by_role("link").get_attribute("href") == link
    assert {info["title"] for info in server.request("GET", "/api/v1/documents")} == {"one", "second", "three"}


def test_delete_asks_first_and_then_really_deletes(
    board: Page, server: Server, open_page: OpenPage, expected_errors: list[str]
) -> None:
    expected_errors.append("status of 404")
    link = row(board, "two").get_by_role("link").get_attribute("href")
    assert link is not None
    dialog = board.get_by_role("dialog")
    board.get_by_role("button", name="Delete “two”").click()
    dialog.get_by_role("button", name="Cancel").click()
    expect(row(board, "two")).to_be_visible()
    board.get_by_role("button", name="Delete “two”").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(row(board, "two")).to_have_count(0)
    assert len(server.request("GET", "/api/v1/documents")) == 2
    expect(open_page(server.url + link).get_by_role("heading", level=1)).to_have_text("Nothing is in focus here")


def test_everything_works_by_keyboard_alone(board: Page, server: Server) -> None:
    keyboard = board.keyboard
    keyboard.press("/")
    expect(board.get_by_role("searchbox")).to_be_focused()
    keyboard.type("t")
    keyboard.press("ArrowDown")
    expect(row(board, "three").get_by_role("link")).to_be_focused()
    keyboard.press("ArrowDown")
    expect(row(board, "two").get_by_role("link")).to_be_focused()
    keyboard.press("F2")
    keyboard.type("zwei")
    keyboard.press("Enter")
    expect(row(board, "zwei").get_by_role("link")).to_be_focused()
    keyboard.press("Delete")
    expect(board.get_by_role("dialog").get_by_role("button", name="Cancel")).to_be_focused()
    keyboard.press("Tab")
    keyboard.press("Enter")
    expect(row(board, "zwei")).to_have_count(0)
    board.get_by_role("searchbox").fill("")
    keyboard.press("ArrowDown")
    keyboard.press("End")
    expect(row(board, "one").get_by_role("link")).to_be_focused()
    keyboard.press("Enter")
    expect(board.get_by_role("heading", level=1)).to_have_text("one")


def test_everything_works_by_touch_on_a_phone(server: Server, open_page: OpenPage, expected_errors: list[str]) -> None:
    expected_errors.append("404")  # of the document that its own page deletes
    long = "two, with a name that is longer than the screen of any phone has room for"
    for title in ("one", long, "three"):
        server.put(title, plot())
    page = open_page(server.url, **PHONE)
    question = page.get_by_role("dialog")

    def tap(button: str, inside: Page | Locator = page) -> None:
        inside.get_by_role("button", name=button).tap()
        sizes = page.evaluate("[innerWidth, document.documentElement.scrollWidth, visualViewport.scale]")
        assert sizes == [390, 390, 1], "nothing is wider than the screen"

    row(page, "three").get_by_role("link").tap()
    expect(page.locator("#status")).to_have_text("Live")
    tap("Rename")
    question.get_by_role("textbox").fill("third")
    tap("Rename", question)
    expect(page.get_by_role("heading", level=1)).to_have_text("third")
    page.get_by_role("link", name="All documents").tap()
    expect(row(page, "third")).to_be_visible()
    tap(f"Rename “{long}”")
    page.get_by_label("New name of").fill("zwei")
    page.locator("#count").tap()  # whoever has no Enter goes on elsewhere
    expect(row(page, "zwei")).to_be_visible()
    tap("Delete “zwei”")
    tap("Cancel", question)
    tap("Delete “zwei”")
    tap("Delete", question)
    expect(page.locator(".row")).to_have_count(2)
    row(page, "one").get_by_role("link").tap()
    expect(page.locator("#status")).to_have_text("Live")
    tap("Delete")
    tap("Delete", question)
    expect(page.locator(".row")).to_have_count(1)
    assert [info["title"] for info in server.request("GET", "/api/v1/documents")] == ["third"]


def test_updates_keep_what_is_typed_the_focus_and_the_places_of_rows(board: Page, server: Server) -> None:
    board.get_by_role("button", name="Rename “two”").click()
    field = board.get_by_label("New name of “two”")
    field.fill("half a na")
    server.put("one", plot(), plot())
    expect(row(board, "one").locator(".meta")).to_contain_text("2 plots")
    server.put("four", plot())
    expect(row(board, "four")).to_be_visible()
    assert names(board) == ["four", "three", "two", "one"], "nothing but the new document moved"
    expect(field).to_be_focused()
    expect(field).to_have_value("half a na")
    field.press("Escape")
    board.get_by_role("searchbox").focus()
    board.mouse.move(2, 2)  # nobody points at the list any more
    assert names(board) == ["four", "one", "three", "two"]


def test_the_board_comes_back_by_itself_after_kill_9(board: Page, server: Server, expected_errors: list[str]) -> None:
    expected_errors += LOST
    server.kill()
    expect(board.locator("#lost")).to_be_visible()
    expect(row(board, "two")).to_be_visible()
    server.start()
    server.put("after", plot())
    expect(row(board, "after")).to_be_visible(timeout=20_000)
    expect(board.locator("#lost")).to_be_hidden()


@pytest.mark.timeout(180)
def test_two_thousand_documents_stay_fast(server: Server, open_page: OpenPage) -> None:
    with closing(http.client.HTTPConnection("localhost", server.port)) as connection:
        for number in range(2000):
            connection.request("POST", "/api/v1/documents", json.dumps({"title": f"run {number:04d}"}), JSON)
            assert connection.getresponse().read()
    page = open_page()
    page.add_init_script("""
        globalThis.slow = [];
        new PerformanceObserver((list) => slow.push(...list.getEntries().map((entry) => entry.duration)))
            .observe({type: "longtask", buffered: true});
    """)
    page.goto(server.url)
    expect(page.locator(".row")).to_have_count(2000)
    page.wait_for_timeout(500)
    page.evaluate("slow.length = 0")
    began = time.monotonic()
    page.get_by_role("searchbox").press_sequentially("run 19")
    expect(page.locator("#count")).to_have_text("139 of 2000")
    page.get_by_role("searchbox").fill("")
    server.put_json("fresh", EMPTY)
    until(lambda: page.locator("a.name").first.inner_text(), lambda title: title == "fresh")
    assert time.monotonic() - began < 15
    assert max(page.evaluate("slow"), default=0) < 500, "milliseconds for which nothing else could happen"
