"""What the demo's program does: store three documents, keep them live, and feed the first ten times a second."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from functools import partial
from typing import Protocol

from bokeh.document import Document
from bokeh.models.ui import UIElement

from bokeh_server.demo.machine import Machine
from bokeh_server.demo.stocks import Stocks
from bokeh_server.demo.widgets import Widgets
from bokeh_server.plotting import Session

TICK = 0.1
"""Seconds between two rows."""
LAST = 0.5
"""Seconds that the end waits for what is on its way: the server is ending as well."""


class Page(Protocol):
    """A document of the demo."""

    @property
    def title(self) -> str: ...
    @property
    def root(self) -> UIElement: ...


def show(page: Page, url: str) -> Session:
    """Store a page as the document of its title, in one step; its callbacks work from now on."""
    session = Session(url)
    session.use_doc(page.title)
    document = Document(title=page.title)
    document.add_root(page.root)
    session.store_document(document)
    print(f"{page.title}: {session.link}", flush=True)
    return session


def main(url: str, stop: threading.Event) -> None:
    """Show the documents at the server ``url`` and keep them live until ``stop`` is set.

    Raises ``ServerAway`` where no server answers at first; later the sessions wait for it to come back.
    """
    machine = Machine()
    with ExitStack() as stack:
        for page in (machine, Stocks(), Widgets()):
            stack.callback(partial(show(page, url).close, LAST))
        run(machine, stop)


def run(machine: Machine, stop: threading.Event) -> None:
    """Step at every tick; ticks that were missed are left out."""
    at = time.monotonic()
    while not stop.wait(max(0.0, at - time.monotonic())):
        machine.step()
        at = max(at + TICK, time.monotonic())
