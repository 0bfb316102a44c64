"""A real JupyterLab with real kernels, in Chromium, and what a JupyterHub has in front of it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Frame, Locator, Page, expect

from tests.browser.conftest import Screen, browser, until
from tests.browser.server import Server
from tests.running import environment

__all__ = ["browser"]

TOKEN = "lab"
USER = "/user/ann/"
PLOTS = "/services/plots"
READY = 60.0
"""Seconds in which JupyterLab starts on a busy machine."""


class Hub:
    """What is in front of users' Jupyters: one origin. Paths stay as they are; ``/services/plots`` is the server's."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready, self._end = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._serve()])
        self._thread.start()  # the loop of Playwright is in the tests' own
        assert self._ready.wait(READY)
        self.url = f"http://127.0.0.1:{self.port}"

    async def _serve(self) -> None:
        async with await asyncio.start_server(self._relay, "127.0.0.1", 0) as server:
            self.port = int(server.sockets[0].getsockname()[1])
            self._ready.set()
            await self._end.wait()
            server.close()
            open_ones = asyncio.all_tasks() - {asyncio.current_task()}
            for task in open_ones:
                task.cancel()
            await asyncio.gather(*open_ones, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            place = head.split(b" ", 2)[1].decode()
            port = self.ports[PLOTS if place.startswith(f"{PLOTS}/") else USER]
            if b"\r\nupgrade:" not in head.lower():  # one request for one connection: the next may be the other's
                head = re.sub(rb"(?i)\r\nconnection: [^\r]*", b"\r\nConnection: close", head)
            there, back = await asyncio.open_connection("127.0.0.1", port)
            back.write(head)
            await asyncio.gather(splice(reader, back), splice(there, writer))
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    def close(self) -> None:
        """Stop."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()


async def splice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on all that comes until nothing more does."""
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


class Lab:
    """``jupyter lab`` below ``/user/ann/``, as a hub starts it, on a folder of its own."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder / "notebooks"
        self.folder.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://localhost:{self.port}"
        own = {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "DATA", "RUNTIME")}
        command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
            *(f"--port={self.port}", "--ServerApp.port_retries=0", f"--ServerApp.base_url={USER}"),
            *(f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={self.folder}"),
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            *("--LabApp.extension_manager=readonly", "--ServerApp.allow_remote_access=True"),
        ]
        settings = folder / "CONFIG" / "labconfig" / "page_config.json"
        settings.parent.mkdir(parents=True)
        news = "@jupyterlab/apputils-extension:announcements"  # it would ask, in front of the cells
        settings.write_text(json.dumps({"disabledExtensions": {news: True}}))
        self.log = folder / "lab.log"
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**environment(), **own, "IPYTHONDIR": str(folder / "ipython"), **variables},
            )
        end = time.monotonic() + READY
        while not self._answers():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}{USER}api", timeout=READY) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False

    def write(self, name: str, cells: list[str]) -> Path:
        """Put a notebook with these cells into the folder."""
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        made: list[dict[str, object]] = [
            {"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": cell, "outputs": [], "execution_count": None}
            for n, cell in enumerate(cells)
        ]
        file = self.folder / name
        file.write_text(json.dumps({"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
        return file

    def stop(self) -> None:
        """End it and its kernels."""
        self._process.terminate()
        self._process.wait(30)


class Notebook:
    """A notebook that is open in JupyterLab, at ``root``."""

    def __init__(self, page: Page, root: str, file: Path) -> None:
        self.page = page
        self.file = file
        page.goto(f"{root}{USER}lab/tree/{file.name}?reset&token={TOKEN}")
        expect(page.locator(".jp-Notebook .jp-CodeCell").first).to_be_visible()
        expect(page.locator(".jp-Notebook .jp-InputPrompt").first).to_have_text("[ ]:")
        expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible()

    def run(self, number: int) -> Locator:
        """Run a cell, as a user does, and wait until it has run; its outputs."""
        cell = self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)
        before = cell.locator(".jp-InputPrompt").inner_text()
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")
        until(
            lambda: cell.locator(".jp-InputPrompt").inner_text(),
            lambda prompt: prompt != before and re.fullmatch(r"\[\d+\]:", prompt) is not None,
            seconds=READY,
        )
        return cell.locator(".jp-OutputArea-output")

    def frame(self, number: int) -> Frame:
        """Our page in the output of a cell, once it is live."""
        element = self.page.locator(".jp-Notebook .jp-CodeCell").nth(number).locator("iframe")
        element.scroll_into_view_if_needed()  # Chromium draws no frame that is out of sight
        expect(element.content_frame.locator("#status")).to_have_text("Live")
        found = element.element_handle().content_frame()
        assert found is not None
        return found

    def screen(self, number: int) -> Screen:
        """The document in the output of a cell."""
        return Screen(self.frame(number))

    def saved(self) -> str:
        """Save it; the text of the file."""
        before = self.file.stat().st_mtime_ns
        self.page.keyboard.press("Control+s")
        until(lambda: self.file.stat().st_mtime_ns, lambda now: now != before)
        return until(self.file.read_text, lambda text: text.rstrip().endswith("}"))  # it is emptied, then written


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """One origin for both."""
    made = Hub()
    yield made
    made.close()


@pytest.fixture(scope="module")
def plots(tmp_path_factory: pytest.TempPathFactory, hub: Hub) -> Iterator[Server]:
    """A server as a hub's service: its prefix is the hub's path."""
    running = Server(tmp_path_factory.mktemp("plots") / "data", "--prefix", PLOTS)
    running.stop()  # it keeps its port, which it does not print when it has a public address
    running.flags += ("--public-url", hub.url)
    running.start()
    hub.ports[PLOTS] = running.port
    yield running
    running.stop()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, hub: Hub, plots: Server) -> Iterator[Lab]:
    """JupyterLab; kernels know where the server is."""
    made = Lab(tmp_path_factory.mktemp("lab"), BOKEH_SERVER_URL=f"{plots.url}/")
    hub.ports[USER] = made.port
    yield made
    made.stop()


@pytest.fixture
def page(browser: Browser, plots: Server, hub: Hub) -> Iterator[Page]:
    """A page in which nothing of ours complains."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    ours = (f"{plots.url}/", f"{hub.url}{PLOTS}/")
    page.on(
        "console",
        lambda m: errors.append(m.text) if m.type == "error" and m.location["url"].startswith(ours) else None,
    )
    yield page
    context.close()
    assert errors == []
