"""A document in the sandboxed frame: live in both directions, and the same everywhere after whatever happened."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable
from functools import partial
from operator import eq

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, CustomJS, OpenDialog, OpenURL, TapTool
from bokeh.models.annotations import Title
from bokeh.models.ui.dialogs import Dialog
from bokeh.models.widgets import Button, Div, Slider, TextInput
from bokeh.plotting import figure
from playwright.sync_api import Request, expect

from tests.browser.conftest import LOST, OpenPage, Screen, until
from tests.browser.producer import Producer
from tests.browser.server import Server

Watch = Callable[..., Screen]
Produce = Callable[..., Producer]
pytestmark = pytest.mark.common_server


class Example:
    """A plot over a source, a slider and a button, stored on a server."""

    def __init__(self, server: Server, title: str = "example") -> None:
        self.source = ColumnDataSource({"x": np.arange(20.0), "y": np.zeros(20)})
        self.title = Title(text="Before")
        self.plot = figure(width=500, height=300, title=self.title)
        self.plot.line("x", "y", source=self.source)
        self.slider = Slider(start=0, end=10, value=3, title="Amount")
        self.button = Button(label="Go", subscribed_events={"button_click"})
        self.root = column(self.plot, self.slider, self.button)
        self.id = server.put(title, self.root)


@pytest.fixture
def example(server: Server) -> Example:
    return Example(server)


def test_what_a_program_sends_is_seen_without_a_reload(example: Example, watch: Watch, produce: Produce) -> None:
    screen, program = watch(example.id), produce(example.id)
    program.set(example.slider.id, "value", 8)
    program.stream(example.source.id, {"x": [20.0, 21.0], "y": [1.0, 2.0]}, rollover=21)
    program.set(example.title.id, "text", "After")
    screen.shows(example.slider.id, "value", 8)
    screen.shows(example.title.id, "text", "After")
    until(lambda: screen.column(example.source.id, "y")[-2:], lambda y: y == [1.0, 2.0])
    assert len(screen.column(example.source.id, "x")) == 21


def test_a_slider_that_is_dragged_moves_in_the_other_page_and_in_the_program(
    example: Example, watch: Watch, produce: Produce
) -> None:
    here, there, program = watch(example.id), watch(example.id), produce(example.id)
    box = here.page.frame_locator("#frame").locator(".noUi-handle").bounding_box()
    assert box is not None
    mouse = here.page.mouse
    mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    mouse.down()
    mouse.move(box["x"] + 90, box["y"] + box["height"] / 2, steps=12)
    mouse.up()
    value = here.get(example.slider.id, "value")
    assert value > 3
    there.shows(example.slider.id, "value", value)
    heard: list[object] = []
    while not heard or heard[-1] != value:
        _, content = program.receive()
        heard += [e["new"] for e in content.get("events", ()) if e.get("attr") == "value"]


def test_a_click_reaches_the_program_and_not_the_other_page(example: Example, watch: Watch, produce: Produce) -> None:
    here, there, program = watch(example.id), watch(example.id), produce(example.id, answers=True)
    here.page.frame_locator("#frame").get_by_role("button", name="Go").click()
    events: list[str] = []
    while "button_click" not in events:
        _, content = program.receive()
        events += [e["msg_data"]["name"] for e in content.get("events", ()) if e["kind"] == "MessageSent"]
    assert there.get(example.button.id, "label") == "Go"


def test_roots_come_and_go_live_and_keep_their_order(example: Example, watch: Watch, produce: Produce) -> None:
    screen, program = watch(example.id), produce(example.id)
    texts = (
        "[...document.querySelectorAll('.layer > *')].map((el) => el.shadowRoot?.textContent.match(/root \\d/)?.[0])"
    )

    def root(name: str) -> dict[str, object]:
        return {"type": "object", "name": "Div", "id": name, "attributes": {"text": name}}

    program.patch(*({"kind": "RootAdded", "model": root(f"root {n}")} for n in range(4)))
    program.patch({"kind": "RootRemoved", "model": {"id": "root 1"}})
    until(lambda: [t for t in screen.ask(texts) if t], lambda seen: seen == ["root 0", "root 2", "root 3"])
    program.patch(*({"kind": "RootRemoved", "model": {"id": f"root {n}"}} for n in (0, 2, 3)))
    until(lambda: [t for t in screen.ask(texts) if t], lambda seen: seen == [])
    assert screen.ask("doc.roots().length") == 1


def test_a_new_run_of_a_program_takes_the_place_of_the_old_one_in_open_pages(
    example: Example, server: Server, watch: Watch
) -> None:
    screen = watch(example.id)
    document = Document()
    plot, name = figure(width=400, height=200, title="Second run"), TextInput(title="Name", value="new")
    plot.scatter([1, 2, 3], [3, 2, 1])
    document.add_root(plot)
    document.add_root(name)
    text = json.dumps(document.to_json(deferred=False))
    for old, new in ((name, example.slider), (plot, example.plot)):  # the ids of the first run, with other models
        text = text.replace(f'"{old.id}"', f'"{new.id}"')
    assert server.put_json("example", json.loads(text)) == example.id
    until(lambda: screen.ask("doc.get_model_by_id(arg)?.type", example.slider.id), lambda name: name == "TextInput")
    until(lambda: screen.ask("document.querySelectorAll('.layer').length"), lambda count: count == 1)
    assert screen.ask("[Bokeh.documents.length, doc.roots().length]") == [1, 2]
    expect(screen.page.frame_locator("#frame").get_by_label("Name")).to_have_value("new")
    expect(screen.page.frame_locator("#frame").locator(".noUi-handle")).to_have_count(0)


def test_an_open_page_catches_up_after_kill_9_without_a_reload(
    example: Example, server: Server, watch: Watch, produce: Produce, expected_errors: list[str]
) -> None:
    expected_errors += LOST
    screen = watch(example.id)
    screen.do("globalThis.loaded = 'once'")
    server.kill()
    expect(screen.page.locator("#status")).to_have_text("Reconnecting")
    screen.set(example.slider.id, "value", 7)  # moved while nobody listens
    server.start()
    program = produce(example.id)
    program.set(example.title.id, "text", "After the fall")
    expect(screen.page.locator("#status")).to_have_text("Live", timeout=20_000)
    screen.shows(example.title.id, "text", "After the fall")
    assert screen.ask("globalThis.loaded") == "once"
    watch(example.id).shows(example.slider.id, "value", 7)


@pytest.mark.timeout(180)
def test_a_connection_that_died_without_a_word_is_noticed_when_the_device_wakes_up(
    example: Example, server: Server, open_page: OpenPage, watch: Watch, expected_errors: list[str]
) -> None:
    expected_errors += LOST
    page = open_page()
    page.clock.install()
    page.goto(server.link(example.id))
    screen = Screen(page)
    os.kill(server.pid, signal.SIGSTOP)
    page.clock.fast_forward(6_000)
    screen.do("dispatchEvent(new Event('online'))")
    page.clock.fast_forward(10_000)  # as long as it waits for an answer
    expect(page.locator("#status")).to_have_text("Reconnecting", timeout=10_000)  # silence alone would take 19 s
    screen.set(example.slider.id, "value", 9)
    os.kill(server.pid, signal.SIGCONT)
    expect(page.locator("#status")).to_have_text("Live", timeout=40_000)
    watch(example.id).shows(example.slider.id, "value", 9)


def test_a_copy_may_take_its_time_to_come(
    example: Example, server: Server, open_page: OpenPage, expected_errors: list[str]
) -> None:
    expected_errors.append("pulling the document again")
    page = open_page()
    page.clock.install()
    page.goto(server.link(example.id))
    screen = Screen(page)
    os.kill(server.pid, signal.SIGSTOP)  # as slow as can be
    event = {"kind": "ModelChanged", "model": {"id": "nobody"}, "attr": "value", "new": 1}
    wrong = ['{"msgid": "x", "msgtype": "PATCH-DOC"}', "{}", json.dumps({"events": [event]})]
    screen.do("doc.old = true; arg.forEach((data) => sockets.at(-1).onmessage({data}))", wrong)
    for seconds in (1, 30, 15, 15):
        page.clock.fast_forward(1000 * seconds)
        page.wait_for_timeout(200)
    os.kill(server.pid, signal.SIGCONT)
    until(lambda: screen.ask("Bokeh.documents.every((doc) => !doc.old)"))
    assert screen.ask("sockets.length") == 1


def test_a_page_that_was_cut_off_gets_only_what_it_missed(
    example: Example, watch: Watch, produce: Produce, expected_errors: list[str]
) -> None:
    expected_errors += LOST
    screen, program = watch(example.id), produce(example.id)
    screen.do("doc.marked = true")
    for value in range(4, 8):
        with screen.cut_off():
            program.set(example.slider.id, "value", value)
            screen.set(example.title.id, "text", f"edit {value}")
        screen.shows(example.slider.id, "value", value)
        while program.receive()[1].get("events", [{}])[0].get("new") != f"edit {value}":
            pass
        screen.page.wait_for_timeout(500)  # it is acknowledged at the same time as the program hears of it
    assert screen.ask("doc.marked"), "the document was not pulled anew"


def test_an_edit_whose_acknowledgement_was_lost_is_applied_once(
    example: Example, watch: Watch, produce: Produce, expected_errors: list[str]
) -> None:
    expected_errors += LOST
    here, there, program = watch(example.id), watch(example.id), produce(example.id)
    for turn in range(1, 5):
        here.page.route("**/ticket", lambda route: route.abort())
        here.do(
            "doc.get_model_by_id(arg[0]).stream({x: [arg[2]], y: [arg[2]]}, null);"
            "doc.get_model_by_id(arg[1]).value = arg[2];"
            "sockets.at(-1).close();",  # what was sent leaves, the answer is not heard
            [example.source.id, example.slider.id, turn],
        )
        there.shows(example.slider.id, "value", turn)
        program.set(example.slider.id, "value", turn + 5)
        here.page.unroute("**/ticket")
        here.shows(example.slider.id, "value", turn + 5)
        rows = [0.0] * 20 + list(range(1, turn + 1))
        until(lambda: [s.column(example.source.id, "y") for s in (here, there)], partial(eq, [rows, rows]))


def test_a_click_and_an_edit_made_while_cut_off_arrive_when_the_page_is_back(
    example: Example, server: Server, watch: Watch, produce: Produce, expected_errors: list[str]
) -> None:
    expected_errors += LOST
    screen, program = watch(example.id), produce(example.id, answers=True)
    with screen.cut_off():
        screen.page.frame_locator("#frame").get_by_role("button", name="Go").click()
        screen.set(example.slider.id, "value", 9)
        server.put("example", example.root)  # so that the page must pull, and put its own on top
        program = produce(example.id, answers=True)
    heard: list[str] = []
    while len(heard) < 2:
        _, content = program.receive()
        heard += [e.get("attr", e["kind"]) for e in content.get("events", ()) if e["kind"] != "MessageSent"]
        heard += ["click" for e in content.get("events", ()) if e.get("msg_data", {}).get("name") == "button_click"]
    assert heard == ["click", "value"]
    screen.shows(example.slider.id, "value", 9)
    assert screen.ask("Bokeh.documents.length") == 1


def test_a_click_made_in_a_long_outage_is_let_go_and_an_edit_is_not(
    example: Example, server: Server, open_page: OpenPage, produce: Produce, expected_errors: list[str]
) -> None:
    expected_errors += LOST
    page = open_page()
    page.clock.install()
    page.goto(server.link(example.id))
    screen, program = Screen(page), produce(example.id, answers=True)
    with screen.cut_off():
        expect(page.locator("#status")).to_have_text("Reconnecting")
        page.frame_locator("#frame").get_by_role("button", name="Go").click()
        screen.set(example.slider.id, "value", 9)
        page.clock.fast_forward(11_000)
        page.wait_for_timeout(300)
    page.clock.fast_forward(15_000)
    heard: list[str] = []
    while "value" not in heard:
        _, content = program.receive(seconds=20)
        heard += [e.get("attr", e["kind"]) for e in content.get("events", ())]
    assert heard == ["value"]


def test_a_fresh_copy_takes_the_place_of_the_old_one_without_a_flash(
    example: Example, server: Server, watch: Watch
) -> None:
    screen = watch(example.id)
    screen.do("""
        globalThis.lowest = Infinity;
        const look = () => {
          const shown = [...document.querySelectorAll(".layer:not(.coming)")].map((layer) => layer.offsetHeight);
          lowest = Math.min(lowest, Math.max(0, ...shown));
          requestAnimationFrame(look);
        };
        look();
    """)
    for value in (5, 6, 7):
        example.slider.value = value
        server.put("example", example.root)
        screen.shows(example.slider.id, "value", value)
    until(lambda: screen.ask("document.querySelectorAll('.layer').length"), lambda layers: layers == 1)
    assert screen.ask("lowest") > 300


def test_a_page_that_the_browser_does_not_paint_keeps_no_old_copies(
    example: Example, server: Server, watch: Watch
) -> None:
    screen = watch(example.id)
    screen.do("globalThis.requestAnimationFrame = () => 0")  # as in a tab in the background
    for value in (5, 6):
        example.slider.value = value
        server.put("example", example.root)
        screen.shows(example.slider.id, "value", value)
    until(
        lambda: screen.ask("[Bokeh.documents.length, document.querySelectorAll('.layer').length]"), partial(eq, [1, 1])
    )


def test_nothing_can_be_done_in_a_copy_that_is_being_replaced(example: Example, server: Server, watch: Watch) -> None:
    screen = watch(example.id)
    layers = "[...document.querySelectorAll('.layer')].map((layer) => layer.inert)"
    screen.do("globalThis.requestAnimationFrame = () => 0")  # so that it takes a while
    example.slider.value = 5
    server.put("example", example.root)
    until(lambda: screen.ask(layers), partial(eq, [True, False]))
    until(lambda: screen.ask(layers), partial(eq, [False]))


def test_a_refused_patch_is_told_and_taken_back(example: Example, watch: Watch) -> None:
    here, there = watch(example.id), watch(example.id)
    here.do(
        "const { ColumnsStreamedEvent } = Bokeh.require('document');"
        "doc._trigger_on_change(new ColumnsStreamedEvent(doc, doc.get_model_by_id(arg), 'data', {nope: [1]}))",
        example.source.id,
    )
    expect(here.page.get_by_role("alert")).to_contain_text("no column 'nope'")
    here.set(example.slider.id, "value", 6)
    there.shows(example.slider.id, "value", 6)
    here.shows(example.slider.id, "value", 6)
    until(
        lambda: here.ask("[Bokeh.documents.length, document.querySelectorAll('.layer').length]"), lambda n: n == [1, 1]
    )


def test_a_change_that_is_too_large_for_the_server_is_told_and_taken_back(
    example: Example, server: Server, open_page: OpenPage
) -> None:
    page = open_page()
    page.add_init_script("""
        const { parse } = JSON;
        JSON.parse = (...all) => { const value = parse(...all); if (value?.most) value.most = 1e5; return value; };
    """)
    page.goto(server.link(example.id))
    screen = Screen(page)
    screen.do(
        "doc.get_model_by_id(arg).data = {x: new Float64Array(20_000), y: new Float64Array(20_000)}", example.source.id
    )
    expect(page.get_by_role("alert")).to_contain_text("too large")
    until(lambda: len(screen.column(example.source.id, "x")), partial(eq, 20))
    screen.set(example.slider.id, "value", 8)
    path = f"/api/v1/documents/{example.id}/models/{example.slider.id}/value"
    until(lambda: server.request("GET", path), partial(eq, 8))
    assert screen.ask("sockets.length") == 1


def test_a_connection_over_which_a_large_patch_leaves_is_not_taken_for_dead(
    example: Example, server: Server, open_page: OpenPage
) -> None:
    page = open_page()
    page.clock.install()
    page.goto(server.link(example.id))
    screen = Screen(page)
    expect(page.locator("#status")).to_have_text("Live")
    screen.do("""
        Object.assign(globalThis, { unsent: 1e9, pace: 1e3 });
        sockets.at(-1).send = () => {};
        Object.defineProperty(sockets.at(-1), "bufferedAmount", { get: () => (unsent -= pace) });
    """)
    page.clock.run_for(60_000)
    assert screen.ask("sockets.length") == 1
    screen.do("globalThis.pace = 0")
    page.clock.run_for(40_000)
    until(lambda: screen.ask("sockets.length"), partial(eq, 2))


def test_a_patch_that_a_page_can_not_apply_makes_it_pull_the_document_again(
    example: Example, watch: Watch, produce: Produce, expected_errors: list[str]
) -> None:
    expected_errors.append("pulling the document again: Error: reference .* isn't known")
    screen, program = watch(example.id), produce(example.id)
    screen.do("doc._all_models.delete(arg)", example.slider.id)  # as if BokehJS had forgotten it
    program.set(example.slider.id, "value", 9)
    screen.shows(example.slider.id, "value", 9)


def test_pan_and_zoom_of_a_viewer_outlive_a_fresh_copy_and_are_nobody_elses(
    example: Example, server: Server, watch: Watch, expected_errors: list[str]
) -> None:
    expected_errors += [*LOST, "pulling the document again: Error: reference .* isn't known"]
    here, there = watch(example.id), watch(example.id)
    plot = here.page.frame_locator("#frame").locator(".bk-Figure").bounding_box()
    assert plot is not None
    mouse = here.page.mouse
    mouse.move(plot["x"] + 200, plot["y"] + 150)
    mouse.down()
    mouse.move(plot["x"] + 120, plot["y"] + 150, steps=5)
    mouse.up()
    panned = here.get(example.plot.x_range.id, "start")
    assert panned != there.get(example.plot.x_range.id, "start")
    here.do("doc._all_models.delete(arg)", example.slider.id)
    there.set(example.slider.id, "value", 5)
    here.shows(example.slider.id, "value", 5)
    assert here.get(example.plot.x_range.id, "start") == panned
    assert watch(example.id).get(example.plot.x_range.id, "start") != panned


@pytest.mark.timeout(180)
def test_three_pages_that_edit_at_the_same_time_all_end_up_the_same(
    example: Example, watch: Watch, produce: Produce
) -> None:
    screens, program = [watch(example.id) for _ in range(3)], produce(example.id)
    dice = random.Random(20)
    burst = """for (let i = 0; i < 40; i++) setTimeout(() => {
        const now = (id) => doc.get_model_by_id(id);
        now(arg.slider).value = Math.random() * 10;
        if (i % 3 === 0) now(arg.title).text = `${arg.name} ${i}`;
        if (i % 5 === 0) now(arg.source).stream({x: [i], y: [arg.number]}, 60);
        if (i % 7 === 0) now(arg.source).patch({y: [[i % 10, arg.number + i]]});
        if (i % 11 === 0) now(arg.source).selected.indices = [i % 10, arg.number];
    }, arg.pause * i)"""
    for number, screen in enumerate(screens):
        names = {"slider": example.slider.id, "title": example.title.id, "source": example.source.id}
        screen.do(burst, {**names, "name": "abc"[number], "number": number, "pause": dice.randint(3, 9)})
    for i in range(30):
        program.stream(example.source.id, {"x": [float(i)], "y": [9.0]}, rollover=60)
        program.set(example.slider.id, "value", dice.random() * 10)

    def copies() -> list[object]:
        return [
            [
                screen.get(example.slider.id, "value"),
                screen.get(example.title.id, "text"),
                screen.get(example.source.selected.id, "indices"),
                screen.column(example.source.id, "x"),
                screen.column(example.source.id, "y"),
            ]
            for screen in [*screens, fresh]
        ]

    screens[0].page.wait_for_timeout(1_000)
    fresh = watch(example.id)
    until(copies, lambda seen: all(one == seen[0] for one in seen), seconds=20)


def test_one_model_of_a_document_has_a_link_of_its_own(
    example: Example, server: Server, open_page: OpenPage, produce: Produce
) -> None:
    frame = open_page(f"{server.link(example.id)}/{example.plot.id}").frame_locator("#frame")
    expect(frame.locator(".bk-Figure")).to_have_count(1)
    expect(frame.locator(".noUi-handle")).to_have_count(0)
    gone = open_page(f"{server.link(example.id)}/there-is-none")
    program = produce(example.id)
    expect(gone.get_by_text("This plot is not in the document")).to_be_visible()
    other, model = (
        {"type": "object", "name": "Div", "id": name, "attributes": {"text": "Here I am"}}
        for name in ("other", "there-is-none")
    )
    program.patch({"kind": "RootAdded", "model": other})
    gone.wait_for_timeout(500)
    expect(gone.get_by_text("This plot is not in the document")).to_be_visible()
    program.patch({"kind": "RootAdded", "model": model})
    expect(gone.frame_locator("#frame").get_by_text("Here I am")).to_be_visible()
    expect(gone.get_by_text("This plot is not in the document")).to_be_hidden()


def test_a_page_of_one_plot_shows_it_as_long_as_it_is_in_the_document(
    example: Example, server: Server, open_page: OpenPage, produce: Produce
) -> None:
    page = open_page(f"{server.link(example.id)}/{example.plot.id}")
    program = produce(example.id)
    plot = page.frame_locator("#frame").locator(".bk-Figure")
    expect(plot).to_be_visible()
    div = {"type": "object", "name": "Div", "id": "other", "attributes": {"text": "Something else"}}
    program.patch({"kind": "RootAdded", "model": div})
    program.patch({"kind": "RootRemoved", "model": {"id": "other"}})
    page.wait_for_timeout(800)
    expect(plot).to_be_visible()
    root = server.request("GET", f"/api/v1/documents/{example.id}")["roots"][0]
    for _ in range(2):
        program.patch({"kind": "RootRemoved", "model": {"id": example.root.id}})
        expect(page.get_by_text("This plot is not in the document")).to_be_visible()
        expect(plot).to_have_count(0)
        program.patch({"kind": "RootAdded", "model": root})
        expect(plot).to_be_visible()
        expect(page.get_by_text("This plot is not in the document")).to_be_hidden()


def test_an_open_dialog_stays_open_when_a_root_comes(server: Server, watch: Watch, produce: Produce) -> None:
    opener = Button(label="Open")
    opener.js_on_event("button_click", OpenDialog(dialog=Dialog(title="Details", content="All of them")))
    document = server.put("dialog", opener)
    screen, program = watch(document), produce(document)
    frame = screen.page.frame_locator("#frame")
    frame.get_by_role("button", name="Open").click()
    expect(frame.get_by_text("All of them")).to_be_visible()
    program.patch(
        {"kind": "RootAdded", "model": {"type": "object", "name": "Div", "id": "d", "attributes": {"text": "New"}}}
    )
    expect(frame.get_by_text("New")).to_be_visible()
    screen.page.wait_for_timeout(300)
    expect(frame.get_by_text("All of them")).to_be_visible()


def test_mathematical_text_is_drawn_and_its_library_loaded_only_then(
    server: Server, open_page: OpenPage, produce: Produce
) -> None:
    text = Div(text="plain")
    document = server.put("math", text)
    page = open_page()
    asked: list[str] = []

    def remember(request: Request) -> None:
        asked.append(request.url)

    page.on("request", remember)
    page.goto(server.link(document))
    Screen(page)
    formula = page.frame_locator("#frame").locator(".bk-Div svg")
    assert not any("mathjax" in url for url in asked)
    produce(document).set(text.id, "text", "now with $$x^2$$")
    expect(formula).to_have_count(1, timeout=20_000)
    page.reload()
    expect(formula).to_have_count(1, timeout=20_000)


def test_links_out_of_a_document_are_asked_about_by_the_shell(server: Server, open_page: OpenPage) -> None:
    away = Div(text='<a href="https://example.org/there">away</a> <a href="javascript:alert(1)">script</a>')
    opener = Button(label="Open")
    opener.js_on_event("button_click", CustomJS(code="window.open('https://example.net/opened')"))
    plot = figure(width=300, height=300, tools=[TapTool(callback=OpenURL(url="https://example.com/tapped"))])
    plot.scatter([1], [1], size=200)
    page = open_page(server.link(server.put("links", column(away, opener, plot))))
    frame, dialog = page.frame_locator("#frame"), page.get_by_role("dialog")
    for place, host in (
        (frame.get_by_text("away"), "example.org"),
        (frame.get_by_role("button", name="Open"), "example.net"),
        (frame.locator(".bk-Figure"), "example.com"),
    ):
        place.click()
        expect(dialog.get_by_role("heading")).to_have_text(f"Open {host}?")
        dialog.get_by_role("button", name="Cancel").click()
    with page.context.expect_page() as opened:
        frame.get_by_text("away").click()
        dialog.get_by_role("button", name="Open in a new tab").click()
    assert opened.value.evaluate("window.opener") is None


def test_no_link_ends_a_document(server: Server, open_page: OpenPage) -> None:
    links = {
        "mail": "mailto:someone@example.org",
        "call": "tel:+100",
        "down": "#below",
        "saved": 'data:text/plain,x" download="x.txt',
        "file": 'https://example.org/x.txt" download="x.txt',
    }
    text = " ".join(f'<a href="{href}">{name}</a>' for name, href in links.items())
    page = open_page(server.link(server.put("links", Div(text=text))))
    frame, dialog = page.frame_locator("#frame"), page.get_by_role("dialog")
    frame.get_by_text("mail").click()
    expect(dialog.get_by_role("heading")).to_have_text("Write a mail?")
    dialog.get_by_role("button", name="Cancel").click()
    frame.get_by_text("call").click()
    expect(page.get_by_role("alert")).to_contain_text("“tel:”")
    frame.get_by_text("down").click()
    with page.expect_download() as saved:
        frame.get_by_text("saved").click()
    assert saved.value.suggested_filename == "x.txt"
    expect(dialog).to_be_hidden()
    frame.get_by_text("file").click()
    expect(dialog.get_by_role("heading")).to_have_text("Open example.org?")
    dialog.get_by_role("button", name="Cancel").click()
    page.wait_for_timeout(1_500)
    expect(frame.get_by_text("mail")).to_be_visible()
    expect(page.locator("#toasts")).not_to_contain_text("tried to leave")


def test_links_of_any_kind_are_asked_about(server: Server, watch: Watch) -> None:
    text = """
        <svg width="300" height="20">
          <a href="https://example.org/svg"><text y="15">drawn</text></a>
          <a xlink:href="https://example.net/old"><text x="90" y="15">before</text></a>
        </svg>
        <img usemap="#map" width="40" height="40" alt="map" src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">
        <map name="map"><area shape="rect" coords="0,0,40,40" href="https://example.com/area" alt="area"></map>
        <p class="deaf"><a href="https://example.edu/deaf">unheard</a></p>
    """
    screen = watch(server.put("links", Div(text=text)))
    frame, dialog = screen.page.frame_locator("#frame"), screen.page.get_by_role("dialog")
    frame.locator(".deaf").evaluate("(deaf) => deaf.addEventListener('click', (event) => event.stopPropagation())")
    for place, host in (
        (frame.get_by_text("drawn"), "example.org"),
        (frame.get_by_text("before"), "example.net"),
        (frame.get_by_alt_text("map"), "example.com"),
        (frame.get_by_text("unheard"), "example.edu"),
    ):
        place.click(force=True)
        expect(dialog.get_by_role("heading")).to_have_text(f"Open {host}?")
        dialog.get_by_role("button", name="Cancel").click()


def test_hundreds_of_patches_a_second_reach_a_page_in_order(example: Example, watch: Watch, produce: Produce) -> None:
    screen, program = watch(example.id), produce(example.id)
    for i in range(500):
        program.stream(example.source.id, {"x": [float(i)], "y": [1.0]}, rollover=50)
    until(lambda: screen.column(example.source.id, "x"), lambda x: x == [float(i) for i in range(450, 500)], seconds=20)
