"""A stage for programs: one server and one browser, in which each program runs as a user runs it, and is used.

A program is a process of its own. It says the link of its document and runs until it is ended; what it writes to its
standard error, and what the console of its page complains of, fails the test.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from playwright.sync_api import Browser, ConsoleMessage, Frame, Locator, Page

from tests.running import RunningServer

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PATIENCE = 20.0
"""Seconds for an answer of a program; it takes a few milliseconds on an idle machine."""

READY = """() => {
  const doc = globalThis.Bokeh?.documents[0]
  return doc !== undefined && doc.roots().length > 0 && doc.is_idle
}"""
WORDS = """
  const doc = Bokeh.documents[0]
  const named = (name) => doc.get_model_by_name(name)
  const all = (type) => [...doc.all_models].filter((model) => model.type == type)
  const source = (name) => all("ColumnDataSource")[name] ?? named(name).data_source ?? named(name)
  const plot = (name) => all("Figure").find((p, i) => [i, p.name, ...p.renderers.map((r) => r.name)].includes(name))
  const place = (name, x, y) => {
    const {frame, canvas} = doc.views_manager.find_one(plot(name))
    const {left, top} = canvas.events_el.getBoundingClientRect()
    return [left + frame.x_scale.compute(x), top + frame.y_scale.compute(y)]
  }
"""
"""What expressions over a document may use. Plots and sources go by name (also of a renderer), or by place."""


class Script:
    """A program that runs. ``line()`` is the next line that it prints; ``show`` prints the link."""

    def __init__(self, command: list[str], url: str, errors: Path) -> None:
        self.errors = errors
        environment = {**os.environ, "BOKEH_SERVER_URL": url, "BOKEH_BROWSER": "none", "PYTHONUNBUFFERED": "1"}
        environment["PYTHONPATH"] = str(ROOT / "src")
        with errors.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, *command], stdout=subprocess.PIPE, stderr=file, env=environment, text=True
            )

    def line(self) -> str:
        """The next line on its standard output."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().rstrip("\n")
        assert line, f"it ended: {self.errors.read_text()}"
        return line

    def wait(self) -> None:
        """Wait until it has ended by itself, well."""
        assert self.process.wait(30) == 0, self.errors.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        if kind is None:
            assert self.errors.read_text() == ""


class Shown:
    """A document on a viewer's screen: its models in the frame, and a mouse and a keyboard to use it with."""

    def __init__(self, page: Page, link: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", self.heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(link)
        self.until(lambda: len(page.frames) > 1 and self.frame.evaluate(READY), "the document is drawn")

    def heard(self, message: ConsoleMessage) -> None:
        """Keep the errors that the console shows."""
        if message.type == "error":
            self.complaints.append(message.text)

    @property
    def frame(self) -> Frame:
        """The sandboxed page."""
        return self.page.frames[1]

    def of(self, expression: str) -> Any:
        """The value of an expression over the document, in the words of ``WORDS``."""
        return self.frame.evaluate(f"() => {{ {WORDS} return {expression} }}")

    def column(self, source: str | int, name: str) -> list[Any]:
        """A column of a source."""
        values = self.of(f"Array.from(source({source!r}).data[{name!r}])")
        assert isinstance(values, list)
        return values

    def title(self, plot: str | int = 0) -> str:
        """The title of a plot."""
        return str(self.of(f"plot({plot!r}).title.text"))

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """Wait until ``holds()`` is true; its value."""
        deadline = time.monotonic() + PATIENCE
        while not (value := holds()):
            assert time.monotonic() < deadline, f"not in {PATIENCE:.0f} s: {what}; the console: {self.complaints}"
            self.page.wait_for_timeout(40)
        return value

    def becomes(self, expression: str) -> None:
        """Wait until an expression (see ``of``) is true in the page."""
        self.until(lambda: self.of(expression), expression)

    def changes(self, look: Callable[[], Any]) -> Any:
        """Wait until ``look()`` is something else than now; what it is then."""
        before = look()
        self.until(lambda: look() != before, "it changes")
        return look()

    def find(self, selector: str) -> Locator:
        """An element in the frame, through all shadow roots."""
        return self.frame.locator(selector)

    def place(self, plot: str | int, x: float, y: float) -> tuple[float, float]:
        """Where on the screen a point of a plot is."""
        left, top = self.of(f"place({plot!r}, {x}, {y})")
        box = self.page.locator("iframe").bounding_box()
        assert box is not None
        return box["x"] + left, box["y"] + top

    def tap(self, plot: str | int, x: float, y: float) -> None:
        """Click on a point of a plot."""
        self.page.mouse.click(*self.place(plot, x, y))

    def drag(self, plot: str | int, start: tuple[float, float], *ends: tuple[float, float]) -> None:
        """Drag the mouse from one point of a plot to others, straight from each to the next."""
        self.page.mouse.move(*self.place(plot, *start))
        self.page.mouse.down()
        for end in ends:
            self.page.mouse.move(*self.place(plot, *end), steps=6)
        self.page.mouse.up()

    def hover(self, plot: str | int, x: float, y: float, *values: str) -> None:
        """Point at a point of a plot until its tooltip has these values."""
        self.page.mouse.move(*self.place(plot, x, y), steps=2)
        tooltip = self.find(".bk-tooltip-row-value >> visible=true")
        self.until(lambda: tooltip.all_inner_texts() == list(values), f"a tooltip says {values}")

    def cell(self, row: int, column: int) -> Locator:
        """A cell of the table."""
        return self.find(".slick-row").nth(row).locator(".slick-cell").nth(column)

    def edit(self, row: int, column: int, text: str, *, editor: str = "input") -> None:
        """Write into a cell of the table, or choose in it ("select"): double click, type, Enter."""
        cell = self.cell(row, column)
        field = cell.locator(editor)

        def opened() -> bool:
            cell.dblclick()
            self.page.wait_for_timeout(100)
            return field.count() > 0

        self.until(opened, "the cell can be edited")
        if editor == "select":
            field.select_option(text)
        else:
            field.fill(text)
        field.press("Enter")


class Stage:
    """A server of its own, and pages that share one profile, so that BokehJS is loaded once."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self.folder = folder
        self.server = RunningServer(folder / "data")
        self.profile = browser.new_context(viewport={"width": 1200, "height": 900})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.profile.close()
        self.server.stop()

    def script(self, name: str) -> Script:
        """Run a program of ``examples/``."""
        return Script([str(EXAMPLES / name)], self.server.url, self.folder / f"{Path(name).stem}.stderr")

    @contextmanager
    def open(self, link: str) -> Iterator[Shown]:
        """Show a document; at the end nothing may have complained."""
        page = self.profile.new_page()
        shown = Shown(page, link)
        yield shown
        page.close()
        assert shown.complaints == []

    @contextmanager
    def run(self, name: str) -> Iterator[Shown]:
        """Run a program of ``examples/`` and show its document, as long as it is used."""
        with self.script(name) as script, self.open(script.line()) as shown:
            yield shown
