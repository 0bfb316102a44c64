"""Pages of a real browser, in the event loop of the other viewers: what their sandboxed frames hold."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from playwright.async_api import Browser, Page, async_playwright

from tests.browser.conftest import FLAGS

PATIENCE = 30.0
"""Seconds until a page shows something, on a busy machine."""
READY = "globalThis.Bokeh?.documents?.length === 1 && Bokeh.documents[0].is_idle"


@asynccontextmanager
async def chromium(path: str) -> AsyncIterator[Browser]:
    """A browser; with it, how much memory its scripts take can be asked to the byte."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*FLAGS, "--enable-precise-memory-info"])
        try:
            yield browser
        finally:
            await browser.close()


class Screen:
    """A document as a page shows it. ``warnings`` is what the console said of trouble."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.warnings: list[str] = []
        page.on("pageerror", lambda error: self.warnings.append(str(error)))
        page.on("console", lambda message: self._note(message.text))

    @classmethod
    async def open(cls, browser: Browser, link: str) -> Screen:
        """Open a document's page, and wait until it is drawn."""
        context = await browser.new_context(viewport={"width": 1000, "height": 700})
        screen = cls(await context.new_page())
        await screen.page.goto(link)
        await screen.until(READY)
        return screen

    def _note(self, text: str) -> None:
        if "pulling the document again" in text:
            self.warnings.append(text)

    async def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression in the frame, in which ``doc`` is the document."""
        frames = [frame for frame in self.page.frames if "/bokeh/frame/" in frame.url]
        if not frames:
            return None
        look = f"const doc = globalThis.Bokeh?.documents?.at(-1); return {expression}"
        return await frames[0].evaluate(f"() => {{ {look} }}")

    async def column(self) -> list[int]:
        """The column ``n`` of its source."""
        found = "Array.from([...doc.all_models].find((m) => m.type === 'ColumnDataSource').get_column('n') ?? [])"
        return cast(list[int], await self.ask(found))

    async def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + PATIENCE
        while not await self.ask(expression):
            assert time.monotonic() < deadline, f"not in {PATIENCE:.0f} s: {expression}; {self.warnings}"
            await asyncio.sleep(0.05)
