"""The callbacks of a document that the clock calls: periodic ones, timeouts, and those of the next tick.

bokeh runs them only in its own server. Here they run in the callback thread of whoever has the document live, between
the other callbacks. A periodic callback that takes longer than its period is called less often, never twice at once.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from bokeh.document import Document
from bokeh.document.events import SessionCallbackAdded, SessionCallbackRemoved

if TYPE_CHECKING:  # it loads tornado, which a program without such callbacks need not wait for
    from bokeh.server.callbacks import SessionCallback


class Later(Protocol):
    """Who runs a job some seconds from now."""

    def __call__(self, job: Callable[[], object], seconds: float) -> None: ...


Run = Callable[[Callable[[], object]], object]
"""How a callback is run."""


class Clock:
    """The session callbacks of ``document`` from ``attach`` to ``detach``: ``later`` waits, ``run`` calls them."""

    def __init__(self, document: Document, later: Later, run: Run) -> None:
        self._document = document
        self._later = later
        self._run = run
        self._ticking: set[SessionCallback] = set()
        self._attached = False

    def attach(self) -> None:
        """Call what is there, and what will be added."""
        self._attached = True
        self._document.callbacks.on_change_dispatch_to(self)
        for callback in self._document.session_callbacks:
            self._add(callback)

    def detach(self) -> None:
        """Call nothing any more."""
        if self._attached:
            self._attached = False
            self._document.callbacks.remove_on_change(self)
            self._ticking.clear()

    def _session_callback_added(self, event: SessionCallbackAdded) -> None:
        self._add(event.callback)

    def _session_callback_removed(self, event: SessionCallbackRemoved) -> None:
        self._ticking.discard(event.callback)

    def _add(self, callback: SessionCallback) -> None:
        self._ticking.add(callback)
        self._later(partial(self._tick, callback), seconds(callback, "period") or seconds(callback, "timeout"))

    def _tick(self, callback: SessionCallback) -> None:
        began = time.monotonic()
        if callback not in self._ticking:
            return
        try:
            self._run(partial(finish, callback.callback))
        finally:
            if hasattr(callback, "period"):
                taken = time.monotonic() - began
                self._later(partial(self._tick, callback), max(0.0, seconds(callback, "period") - taken))


def seconds(callback: SessionCallback, name: str) -> float:
    """A time of a callback (``period`` or ``timeout``, milliseconds in bokeh); 0 where it has none."""
    return float(getattr(callback, name, 0)) / 1000


def finish(callback: Callable[[], object]) -> None:
    """Call it; a coroutine is run to its end."""
    result = callback()
    if inspect.iscoroutine(result):
        asyncio.run(result)
