"""A program in a process of its own and a page that stays open: what the viewer does is answered, run after run."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.acceptance.test_guide_of_2015 import STREAMING
from tests.browser.conftest import OpenPage
from tests.browser.stage import Script, Shown, Stage

Start = Callable[[str], Script]

ANSWERING = """
import os, signal
from bokeh_server.plotting import output_server, show
from bokeh.layouts import column
from bokeh.models import Button, Div, Slider

output_server("answers")
button, slider, said = Button(label="Go"), Slider(start=0, end=10, value=3), Div(text="", name="said")

def say(what):
    said.text = f"{os.getpid()} heard {what}"

button.on_click(lambda: say("a click"))
slider.on_change("value", lambda attr, old, new: say(new))
show(column(button, slider, said))
signal.pause()
"""

PICKING = """
import json, signal
from functools import partial
from bokeh_server.plotting import output_server, show
from bokeh.layouts import column
from bokeh.models import FileInput

output_server("files")
pickers = FileInput(name="one"), FileInput(name="many", multiple=True)

def heard(picker, attr, old, new):
    print(json.dumps([picker.name, attr, new, picker.value]))  # the content is there, whichever is heard of first

for picker in pickers:
    for attr in ("value", "filename", "mime_type"):
        picker.on_change(attr, partial(heard, picker))
show(column(*pickers))
signal.pause()
"""


@pytest.fixture(scope="module")
def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server for all scripts."""
    with Stage(browser, tmp_path_factory.mktemp("programs")) as stage:
        yield stage


@pytest.fixture
def start(stage: Stage, tmp_path: Path) -> Start:
    """Run a script with this text: ``with start(text) as script``."""
    file = tmp_path / "script.py"

    def run(text: str) -> Script:
        file.write_text(text)
        return stage.script(str(file))

    return run


def said(shown: Shown) -> str:
    return str(shown.of("named('said').text"))


def use(shown: Shown, script: Script) -> None:
    """Click and slide; the program that runs now answers in the page."""
    shown.find("button:text-is('Go')").click()
    shown.until(lambda: said(shown) == f"{script.process.pid} heard a click", "the click is answered")
    value = shown.of("all('Slider')[0].value")
    shown.find(".noUi-handle").press("ArrowRight")
    shown.until(lambda: said(shown) == f"{script.process.pid} heard {value + 1}", "the slider is answered")


def test_a_page_that_stays_open_is_answered_by_the_next_run_of_a_program(start: Start, page: Page) -> None:
    hint = page.get_by_role("button", name="No program answers")
    with start(ANSWERING) as first:
        link = first.line()
        shown = Shown(page, link)
        page.evaluate("globalThis.loaded = 'once'")
        use(shown, first)
        expect(hint).to_be_hidden()
    expect(hint).to_be_visible()
    with start(ANSWERING) as second:
        assert second.line() == link
        expect(hint).to_be_hidden()
        shown.becomes("named('said').text == ''")
        use(shown, second)
        expect(hint).to_be_hidden()
    expect(hint).to_be_visible()
    assert page.evaluate("globalThis.loaded") == "once"


def encoded(content: bytes) -> str:
    return b64encode(content).decode()


def test_files_that_are_picked_reach_the_program(start: Start, page: Page) -> None:
    table = FilePayload(name="rows.csv", mimeType="text/csv", buffer=b"a,b\n1,2\n")
    picture = FilePayload(name="dot ü.png", mimeType="image/png", buffer=bytes(range(256)))
    with start(PICKING) as script:
        shown = Shown(page, script.line())

        def pick(name: str, *files: FilePayload) -> dict[str, object]:
            with page.expect_file_chooser() as chooser:
                shown.find("input[type=file]").nth(("one", "many").index(name)).click()
            assert chooser.value.is_multiple() == (name == "many")
            chooser.value.set_files(files)
            heard = [json.loads(script.line()) for _ in range(3)]
            told = {attr: new for who, attr, new, value in heard}
            assert [(who, value) for who, _, _, value in heard] == [(name, told["value"])] * 3
            return told

        assert pick("one", table) == {
            "value": encoded(table["buffer"]), "filename": "rows.csv", "mime_type": "text/csv"
        }  # fmt: skip
        assert pick("many", table, picture) == {
            "value": [encoded(table["buffer"]), encoded(picture["buffer"])],
            "filename": ["rows.csv", "dot ü.png"],
            "mime_type": ["text/csv", "image/png"],
        }
        assert pick("one", picture)["value"] == encoded(picture["buffer"])


def test_two_pages_move_with_the_streaming_script_of_2015(start: Start, open_page: OpenPage) -> None:
    with start(STREAMING) as script:
        link = script.line()
        pages = [Shown(open_page(), link) for _ in range(2)]
        for _ in range(2):
            before = [shown.column("ex_line", "y") for shown in pages]
            assert [sorted(y) for y in before] == [[2, 4, 5, 6, 7]] * 2
            for shown, y in zip(pages, before, strict=True):
                shown.becomes(f"source('ex_line').data.y.join() != {','.join(map(str, y))!r}")
