"""The shell: what our page around a document tells, what it does, and what it does not let the document do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bokeh.layouts import column
from bokeh.models import CustomJS, FactorRange, LinearScale
from bokeh.models.widgets import Button, Div, Slider
from bokeh.plotting import figure
from playwright.sync_api import Dialog, Page, expect

from tests.browser.conftest import LOST, OpenPage, Screen, until
from tests.browser.producer import Producer
from tests.browser.server import Server

Watch = Callable[..., Screen]
Produce = Callable[..., Producer]
pytestmark = pytest.mark.common_server


def line() -> figure:
    plot = figure(width=400, height=300)
    plot.line([1, 2], [3, 4])
    return plot


@pytest.fixture
def document(server: Server) -> str:
    return server.put("Machine metrics", line())


@pytest.mark.parametrize("flags", [("--prefix", "/plots/deep"), ("--document-scripts", "off")])
def test_pages_work_below_a_prefix_and_without_the_scripts_of_documents(
    flags: tuple[str, str], serve: Callable[..., Server], open_page: OpenPage
) -> None:
    server = serve(*flags)
    server.put("Below", line())
    page = open_page(f"{server.url}/")
    page.get_by_role("link", name="Below").click()
    expect(page.locator("#status")).to_have_text("Live")
    expect(page.frame_locator("#frame").locator(".bk-Figure")).to_be_visible()


def test_the_shell_names_the_document_and_its_owner_as_text(server: Server, watch: Watch) -> None:
    title = "<img src=x onerror=alert(1)> & \"quoted\" 'too'"
    page = watch(server.put(title, line())).page
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.locator(".by")).to_have_text("content by defaultuser")
    assert title in page.title()


def test_viewers_are_counted(document: str, watch: Watch) -> None:
    here = watch(document).page
    expect(here.locator("#status")).to_have_text("Live")
    expect(here.locator("#viewers")).to_be_hidden()
    there = watch(document).page
    expect(here.locator("#viewers")).to_have_text("2 viewing")
    there.close()
    expect(here.locator("#viewers")).to_be_hidden()


def test_widgets_without_a_program_say_so_until_one_answers(server: Server, watch: Watch, produce: Produce) -> None:
    plain = watch(server.put("plain", line(), Div(text="no widget"))).page
    document = server.put(
        "asks", Button(label="Go", subscribed_events={"button_click"}), Slider(start=0, end=1, value=0)
    )
    page = watch(document).page
    hint = page.get_by_role("button", name="No program answers")
    expect(hint).to_be_visible()
    hint.click()
    expect(page.locator("#why")).to_contain_text("Run the program again")
    produce(document, answers=True)
    expect(hint).to_be_hidden()
    expect(plain.locator("#hint")).to_be_hidden()


def test_an_empty_document_says_so_until_something_is_in_it(server: Server, open_page: OpenPage) -> None:
    page = open_page(server.link(server.put("empty")))
    expect(page.get_by_text("This document is empty")).to_be_visible()
    server.put("empty", line())
    expect(page.frame_locator("#frame").locator(".bk-Figure")).to_be_visible()
    expect(page.get_by_text("This document is empty")).to_be_hidden()


def test_there_is_no_sheet_where_there_is_nothing_on_it(server: Server, watch: Watch, produce: Produce) -> None:
    text = Div(text="Something")
    document = server.put("sheet", text)
    page = watch(document).page
    sheet = page.frame_locator("#frame").locator(".layer")
    expect(sheet).to_be_visible()
    produce(document).patch({"kind": "RootRemoved", "model": {"id": text.id}})
    expect(page.get_by_text("This document is empty")).to_be_visible()
    expect(sheet).to_be_hidden()
    expect(watch(server.put("blank")).page.frame_locator("#frame").locator(".layer")).to_be_hidden()


def test_a_link_to_one_plot_is_not_concerned_with_widgets_elsewhere_in_the_document(
    server: Server, open_page: OpenPage
) -> None:
    plot, slider = line(), Slider(start=0, end=1, value=0)
    link = server.link(server.put("both", column(plot, slider)))
    expect(open_page(f"{link}/{slider.id}").locator("#hint")).to_be_visible()
    page = open_page(f"{link}/{plot.id}")
    expect(page.frame_locator("#frame").locator(".bk-Figure")).to_be_visible()
    expect(page.locator("#status")).to_have_text("Live")
    expect(page.locator("#hint")).to_be_hidden()


def test_on_a_phone_the_way_back_to_the_whole_document_leaves_room_for_the_names(
    server: Server, open_page: OpenPage
) -> None:
    plot = line()
    link = f"{server.link(server.put('Sea surface', plot))}/{plot.id}"
    page = open_page(link, viewport={"width": 390, "height": 844})
    expect(page.get_by_role("link", name="Whole document")).to_be_visible()
    for name in ("#title", ".by"):
        assert page.locator(name).evaluate("(element) => element.scrollWidth <= element.clientWidth"), name


def test_a_document_that_can_not_be_drawn_says_why_until_it_can(
    server: Server, open_page: OpenPage, expected_errors: list[str]
) -> None:
    expected_errors.append("pulling the document again: Error: could not resolve type 'Unheard'")
    root = {"type": "object", "name": "Unheard", "id": "u"}
    document = server.put_json("strange", {"version": "3.9.2", "title": "", "roots": [root]})
    page = open_page(server.link(document))
    notice = page.locator('.notice[data-for="broken"]')
    expect(notice).to_contain_text("could not resolve type 'Unheard'")
    page.wait_for_timeout(2_500)  # it is tried again meanwhile
    expect(page.locator("#toasts p")).to_have_count(0)
    server.put("strange", line())
    expect(page.frame_locator("#frame").locator(".bk-Figure")).to_be_visible()
    expect(notice).to_be_hidden()
    server.put_json("strange", {"version": "3.9.2", "title": "", "roots": [root]})
    expect(notice).to_be_visible()


@pytest.mark.parametrize("whole", [True, False])
def test_a_document_that_fails_while_it_is_drawn_is_shown_as_soon_as_a_program_puts_that_right(
    whole: bool, server: Server, open_page: OpenPage, produce: Produce, expected_errors: list[str]
) -> None:
    expected_errors += ["is incompatible", "pulling the document again: it could not be drawn"]
    plot = figure(width=400, height=300, x_range=FactorRange(factors=["a", "b"]))
    plot.x_scale = LinearScale()
    broken = server.put("broken", plot)
    root = server.request("GET", f"/api/v1/documents/{broken}")["roots"][0]
    document = broken if whole else server.put("late", Div(text="Wait"))
    page, program = open_page(server.link(document) + ("" if whole else f"/{plot.id}")), produce(document)
    if not whole:
        expect(page.locator('.notice[data-for="missing"]')).to_be_visible()
        program.patch({"kind": "RootAdded", "model": root})
    notice = page.locator('.notice[data-for="broken"]')
    expect(notice).to_contain_text("is incompatible")
    program.set(plot.id, "x_scale", {"type": "object", "name": "CategoricalScale", "id": "scale"})
    expect(page.frame_locator("#frame").locator(".bk-Figure")).to_be_visible()
    expect(notice).to_be_hidden()


def test_copy_link_puts_the_link_into_the_clipboard(document: str, server: Server, watch: Watch) -> None:
    page = watch(document, permissions=["clipboard-write"]).page
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#toasts")).to_contain_text("copied")
    page.get_by_role("button", name="Rename").click()
    page.keyboard.press("Control+V")
    expect(page.get_by_role("dialog").get_by_role("textbox")).to_have_value(server.link(document))


def test_a_document_is_renamed_and_a_taken_name_is_refused(
    document: str, server: Server, watch: Watch, expected_errors: list[str]
) -> None:
    expected_errors.append("status of 409")
    server.put("taken", line())
    page = watch(document).page
    dialog = page.get_by_role("dialog")
    for name in ("taken", "Better name"):
        page.get_by_role("button", name="Rename").click()
        dialog.get_by_role("textbox").fill(name)
        dialog.get_by_role("textbox").press("Enter")
        if name == "taken":
            expect(page.get_by_role("alert")).to_be_visible()
            expect(page.get_by_role("heading", level=1)).to_have_text("Machine metrics")
    expect(page.get_by_role("heading", level=1)).to_have_text("Better name")
    assert server.request("GET", f"/api/v1/documents/{document}/info")["title"] == "Better name"


def test_delete_asks_first_and_other_pages_learn_of_it(
    document: str, server: Server, watch: Watch, expected_errors: list[str]
) -> None:
    expected_errors += [*LOST, "status of 404"]
    here, there = watch(document).page, watch(document).page
    dialog = here.get_by_role("dialog")
    here.get_by_role("button", name="Delete").click()
    expect(dialog.get_by_role("heading")).to_have_text("Delete “Machine metrics”?")
    here.keyboard.press("Escape")
    assert document in {listed["id"] for listed in server.request("GET", "/api/v1/documents")}
    here.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    here.wait_for_url(f"{server.url}/")
    assert document not in {listed["id"] for listed in server.request("GET", "/api/v1/documents")}
    expect(there.get_by_text("This document was deleted")).to_be_visible()
    expect(there.locator("#status")).to_have_text("Deleted")
    expect(there.get_by_role("button")).to_have_count(0)
    there.keyboard.press("Tab")
    there.keyboard.press("Tab")
    expect(there.get_by_role("main").get_by_role("link", name="All documents")).to_be_focused()
    there.keyboard.press("Tab")
    assert there.evaluate("document.activeElement.id") != "frame", "nothing can be done in there any more"


def test_a_page_learns_that_its_document_was_renamed_elsewhere(
    document: str, server: Server, open_page: OpenPage
) -> None:
    page = open_page()
    page.clock.install()
    page.goto(server.link(document))
    expect(page.locator("#status")).to_have_text("Live")
    server.request("PATCH", f"/api/v1/documents/{document}", {"title": "Other name"})
    page.clock.fast_forward(15_000)
    expect(page.get_by_role("heading", level=1)).to_have_text("Other name")
    assert "Other name" in page.title()


def test_the_frame_is_as_high_as_its_content_and_fills_the_page_where_the_document_wants_that(
    server: Server, watch: Watch
) -> None:
    def height(page: Page) -> float:
        return float(page.locator("#frame").evaluate("(frame) => frame.offsetHeight"))

    tall = watch(server.put("tall", *(line() for _ in range(5)))).page
    until(lambda: height(tall), lambda high: 1500 < high < 1700)
    filling = figure(sizing_mode="stretch_both")
    filling.line([1, 2], [3, 4])
    full = watch(server.put("full", filling)).page
    full.set_viewport_size({"width": 1000, "height": 900})
    until(lambda: full.evaluate("document.documentElement.scrollHeight"), lambda high: high <= 900)
    full.set_viewport_size({"width": 1000, "height": 600})
    until(lambda: full.evaluate("document.documentElement.scrollHeight"), lambda high: high <= 600)
    assert height(full) > 450


def test_unacknowledged_edits_are_asked_about_before_a_page_is_left(
    server: Server, watch: Watch, expected_errors: list[str]
) -> None:
    expected_errors += LOST
    slider = Slider(start=0, end=10, value=0)
    screen = watch(server.put("edited", slider))
    asked: list[str] = []

    def agree(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    screen.page.on("dialog", agree)
    box = screen.page.frame_locator("#frame").locator(".noUi-handle").bounding_box()
    assert box is not None
    screen.page.mouse.click(box["x"] + 60, box["y"] + 5)  # a real gesture, without which no browser asks
    with screen.cut_off():
        screen.set(slider.id, "value", 7)
        screen.page.wait_for_timeout(300)
        screen.page.goto("about:blank")
    assert asked == ["beforeunload"]


def test_a_document_whose_script_leads_away_is_brought_back(
    server: Server, watch: Watch, expected_errors: list[str]
) -> None:
    expected_errors += ["violates the following Content Security Policy", "Framing 'http"]
    leave = Button(label="Leave")
    leave.js_on_event("button_click", CustomJS(code="location = 'https://example.org/'"))
    page = watch(server.put("away", leave)).page
    button = page.frame_locator("#frame").get_by_role("button", name="Leave")
    for _ in range(3):
        button.click()
        expect(page.locator("#toasts")).to_contain_text("tried to leave this page")
        expect(page.locator("#status")).to_have_text("Live")
        page.wait_for_timeout(500)
    button.click()
    expect(page.get_by_text("leaves its page again and again")).to_be_visible()


def test_a_document_that_asks_without_end_to_open_a_link_is_heard_no_more(server: Server, open_page: OpenPage) -> None:
    pester = Button(label="Pester")
    code = "let n = 0; const t = setInterval(() => n++ < 40 ? open('https://example.org/') : clearInterval(t), 50)"
    pester.js_on_event("button_click", CustomJS(code=code))
    document = server.put("pest", pester, Div(text='<a href="https://example.net/">a link</a>'))
    page = open_page()
    page.clock.install()
    page.goto(server.link(document))
    frame, dialog = page.frame_locator("#frame"), page.get_by_role("dialog")
    frame.get_by_role("button", name="Pester").click()
    expect(dialog).to_be_visible()
    page.wait_for_timeout(500)
    dialog.get_by_role("button", name="Cancel").click()
    page.wait_for_timeout(2_000)
    expect(dialog).to_be_hidden()
    page.clock.fast_forward(6_000)
    frame.get_by_text("a link").click()
    expect(dialog.get_by_role("heading")).to_have_text("Open example.net?")


def test_what_a_frame_says_is_checked_and_shown_as_text_only(document: str, watch: Watch) -> None:
    screen = watch(document)
    page = screen.page
    screen.do("""
        addEventListener("message", ({data, ports}) => {
          if (data.kind !== "port") return;
          const say = (message) => ports[0].postMessage(message);
          for (const junk of [null, 1, "x", [], {}, {kind: "nothing"}, {kind: "__proto__"}, {kind: "constructor"},
              {kind: "resize", height: "1px; background: red"}, {kind: "resize", height: -5}, {kind: "resize"},
              {kind: "status", state: "<b>", retry: 0, pending: 0}, {kind: "presence", viewers: 1e99},
              {kind: "open-link", url: "javascript:alert(1)"}, {kind: "open-link", url: "/relative"},
              {kind: "toast", level: "error", text: {}}]) say(junk);
          say({kind: "toast", level: "info", text: "<img src=x onerror=alert(1)>"});
          for (let i = 0; i < 50; i++) say({kind: "toast", level: "error", text: `flood ${i}`});
          say({kind: "resize", height: 999999});
        });
        parent.postMessage({kind: "hello"}, "*");
    """)
    expect(page.locator("#toasts")).to_have_text("<img src=x onerror=alert(1)>")
    expect(page.locator("#toasts img")).to_have_count(0)
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.locator("#frame").evaluate("(frame) => frame.offsetHeight") <= 50_000


def test_a_page_that_is_not_the_frame_can_not_get_a_ticket(document: str, server: Server, open_page: OpenPage) -> None:
    page = open_page(server.link(document))
    expect(page.locator("#status")).to_have_text("Live")
    got = page.evaluate("""async () => {
        const ports = [];
        addEventListener("message", ({ports: found}) => ports.push(...found));
        postMessage({kind: "hello"}, "*");
        await new Promise((resolve) => setTimeout(resolve, 500));
        return ports.length;
    }""")
    assert got == 0
