"""The walls around the frame that are not the frame's own: our pages, the server, and the browser's processes."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from bokeh.document import Document
from bokeh.models import CustomJS
from bokeh.models.widgets import Div
from playwright.sync_api import Browser, expect

from tests.browser.conftest import FLAGS
from tests.isolation.attacks import Place, script
from tests.isolation.stage import Case, Stage, watch_dialogs
from tests.isolation.vectors import document, plot
from tests.web.asking import ask, handshake, token

MARKUPS = [
    "<img src=x onerror=alert(1)>",
    "</title><script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "\"'`><svg onload=alert(1)>",
    "{{ 7 * 7 }} ${7*7} <%= 7 %>",
    "javascript:alert(1)",
]
EMBED = """<!doctype html><title>elsewhere</title>
<iframe src="SHELL"></iframe><iframe src="FRAME"></iframe>
<object data="FRAME"></object><embed src="FRAME">"""


@pytest.mark.parametrize("markup", MARKUPS)
def test_markup_in_a_title_or_a_name_is_text_in_our_pages(markup: str, stage: Stage) -> None:
    kept = stage.server.request("POST", "/api/v1/documents", {"title": markup})["id"]
    stage.put(kept, document(Div(text="plain", name=markup), title=markup))
    page = stage.context.new_page()
    alerts: list[str] = []
    watch_dialogs(page, alerts)
    for path in ("/", f"/bokeh/doc/{kept}", f"/bokeh/doc/{kept}/{quote(markup, safe='')}"):
        answer = page.goto(stage.server.url + path)
        assert answer is not None
        if answer.ok:
            expect(page.locator("h1, a.name").filter(has_text=markup.strip()).first).to_be_visible()
        assert page.locator(":is(h1, .name, .by) :is(img, script, svg, title), [onload], [onerror]").count() == 0
    page.close()
    stage.server.request("DELETE", f"/api/v1/documents/{kept}")
    assert alerts == []


def test_a_frame_is_refused_as_a_page_of_its_own_and_below_any_other(stage: Stage) -> None:
    kept = stage.put("frame", document(plot()))
    frame = f"{stage.server.url}/bokeh/frame/{kept}"
    page = stage.context.new_page()
    answer = page.goto(frame)
    assert answer is not None
    assert answer.status == 403
    assert page.evaluate("typeof Bokeh") == "undefined"
    html = EMBED.replace("SHELL", stage.link(kept)).replace("FRAME", frame)
    page.route("**/elsewhere.html", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(f"{stage.outside.url}/elsewhere.html")
    page.wait_for_load_state("networkidle")
    assert [inner.url for inner in page.frames[1:] if inner.locator("#frame, #stage").count()] == []
    with page.expect_popup() as opened:
        page.evaluate("(url) => { open(url); }", frame)
    opened.value.wait_for_load_state()
    assert "shown only inside its page" in opened.value.locator("body").inner_text()
    opened.value.close()
    page.close()
    stage.server.request("DELETE", f"/api/v1/documents/{kept}")
    stage.outside.heard.clear()


def test_a_ticket_that_a_script_got_hold_of_opens_nothing_else(stage: Stage) -> None:
    """It tells its author the ticket, who comes with it from elsewhere."""
    body = """const mine = await port();
      mine.onmessage = async ({data}) => { tried.push(data.ticket); report(true); };
      mine.postMessage({kind: "ticket"}); tried.push("asked"); await new Promise(() => {});"""

    def make(place: Place) -> Document:
        made = plot()
        made.js_on_change("inner_width", CustomJS(code=script("ticket", place, body, "undefined")))
        return document(made)

    tried = stage.play(Case("ticket", make)).tried
    ticket = tried[-1]
    assert len(ticket) >= 22
    port, victim = stage.server.port, stage.victim

    def comes(path: str, origin: str | None = "null") -> int:
        headers = [("Sec-WebSocket-Protocol", f"bokeh, {token(victim, ticket)}")]
        return handshake(port, path, headers + ([("Origin", origin)] if origin else []))

    assert comes(f"/bokeh/ws/{victim}") == 401
    assert comes(f"/bokeh/ws/{victim}", stage.outside.url) == 403
    assert comes(f"/bokeh/doc/{victim}/ws") == 403
    assert comes("/bokeh/board") == 403
    for headers in ([("Origin", "null"), ("Authorization", f"Bearer {ticket}")], [("Origin", "null")]):
        assert ask(port, "DELETE", f"/api/v1/documents/{victim}", headers).status == 403


def test_a_document_that_never_ends_freezes_no_page_of_ours(
    chromium: Browser, chromium_path: str, tmp_path: Path
) -> None:
    """The browser may keep other documents' frames in the process that is busy, hence a browser of its own."""
    with (
        chromium.browser_type.launch(executable_path=chromium_path, args=FLAGS) as busy,
        Stage(busy, tmp_path) as stage,
    ):
        never_end(stage)


def never_end(stage: Stage) -> None:
    """Show a document that runs for ever, use our page around it, look at another, and delete it."""
    endless = plot()
    endless.js_on_change("inner_width", CustomJS(
        code="cb_obj.document.get_model_by_name('marker').text = 'began'; setTimeout(() => { while (true) {} }, 50)"
    ))  # fmt: skip
    kept = stage.put("endless", document(endless))
    page = stage.context.new_page()
    page.goto(stage.link(kept))
    while stage.marker(kept) != "began":
        page.wait_for_timeout(40)
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    took = page.evaluate("async () => { const t = performance.now(); await fetch(''); return performance.now() - t; }")
    assert took < 2_000
    other = stage.context.new_page()
    other.goto(stage.link(stage.put("calm", document(plot()))), wait_until="commit")
    expect(other.locator("#title")).to_have_text("calm")
    other.get_by_role("button", name="Rename").click()
    expect(other.get_by_role("dialog")).to_be_visible()
    other.close()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.wait_for_url(f"{stage.server.url}/")
    page.close()


def test_a_hostile_change_of_a_live_document_is_behind_the_same_wall(stage: Stage) -> None:
    kept = stage.put("live", document(plot()))
    page = stage.page()
    page.goto(stage.link(kept))
    expect(page.locator("#status")).to_have_text("Live")
    body = 'await attempt("cookie", async () => document.cookie); await attempt("out", () => fetch(out + "/live"));'
    attack = document(plot())
    attack.roots[0].js_on_change("inner_width", CustomJS(code=script("live", stage.place, body, "undefined")))
    stage.put("live", attack)
    report = stage.report(page, kept, Case("live", lambda _: attack))
    page.close()
    assert (report["tried"], report["leaks"]) == (["cookie", "out"], [])
    assert "canary" not in json.dumps(report)
    assert stage.outside.about("live", 0) == []
    stage.server.request("DELETE", f"/api/v1/documents/{kept}")
