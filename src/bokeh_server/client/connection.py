"""One live document of a program: its replica, what waits to be sent, the talk with the room, the socket under it.

The socket's thread only sorts: what others changed goes to the callback thread, acknowledgements to the outbox. The
program's own threads only write down what they changed. None of the three waits for another, except where somebody
asked to wait (``settled``, ``merged``). After ``over`` nothing is sent any more and nothing comes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from bokeh.document import Document
from bokeh.document.callbacks import invoke_with_curdoc
from bokeh.io.doc import _PATCHED_CURDOCS

from bokeh_server.client.bounds import Bounds
from bokeh_server.client.callbacks import Callbacks, run
from bokeh_server.client.changes import EnvelopeType, Key, Reach, Waits
from bokeh_server.client.clock import Clock
from bokeh_server.client.copies import Copies
from bokeh_server.client.dialogue import Dialogue, Live, Patched, Presence, Pulled, Refused, Resync
from bokeh_server.client.outbox import Outbox
from bokeh_server.client.porter import Porter
from bokeh_server.client.reconcile import reconcile
from bokeh_server.client.rest import away, busy
from bokeh_server.client.rows import Rows
from bokeh_server.client.steps import afterwards
from bokeh_server.client.sync import Callback, Replica
from bokeh_server.client.transport import Transport
from bokeh_server.core import Buffers
from bokeh_server.core.wire import Message, Outgoing
from bokeh_server.errors import BadMessage, BokehServerError, ClientError, NotFound, StoreFailed, TooLarge
from bokeh_server.limits import LIMITS, MIB

log = logging.getLogger("bokeh_server.client")

KEPT = 64 * MIB
"""Bytes of memory for patches that must be put on top of a copy; past it another one is pulled."""
PATIENCE = 10.0
"""Seconds without touch after which somebody who waits is told that the server is away."""
REMEMBERED = 10_000
"""Changes of ours that are looked up when a patch comes; past it the settled ones are forgotten."""
AGAIN, SELDOM = 0.2, 5.0
"""Seconds between two copies of the document that doubts cause: the first pause, doubled up to the longest."""
QUIET = 60.0
"""Seconds between two lines that say the same, while a program comes and goes at the same bound."""
LASTING = 10.0
"""Seconds after which a connection is a good one, though nothing of ours was acknowledged on it."""
GOODBYE = 1.0
"""Seconds that a socket has to close."""
BLAME = {1002, 1003, 1007, 1009}
"""Close codes that are about what we sent."""
STATUSES = range(100, 600)
"""Those of HTTP. What answers a handshake with one is named in the log, though the server was away before."""
TRIES = 3
"""How often that is sent again before it is given up."""


class Forked(ClientError):
    """This is a forked process, and the session belongs to the parent; make one here: output_server(title), or
    session.load_document(document) for what is stored."""


class Connection:
    """``document`` and the room behind ``url`` (``ws:``), once ``start`` is called. ``name`` is for log lines."""

    def __init__(
        self, url: str, headers: dict[str, str], document: Document, name: str, bounds: Bounds | None = None
    ) -> None:
        self.document = document
        self.name = name
        self.bounds = bounds or Bounds()
        self.outbox = Outbox(self.bounds, frame=LIMITS.frame)
        self.dialogue = Dialogue(self.outbox)
        self.replica = Replica(document, self._put, self._doubted)
        self.callbacks = Callbacks(self.pull)
        self.clock = Clock(document, self.callbacks.put_later, partial(run_in_curdoc, document))
        self.copies = Copies(self.outbox)
        self.transport = Transport(url, self, headers)
        self.porter = Porter(self.outbox, self._wake, self._gave_way)
        self.over: BokehServerError | None = None
        """Why nothing is sent any more."""
        self.presence = Presence(0, 0, 0)
        self.disconnected: list[Callable[[str], object]] = []
        self.merged = 0
        """How many copies of the document have come."""
        self.unmerged: Exception | None = None
        """Why the last of them is not what is here."""
        self._awaited = 0
        """Up to this one somebody waits for them: ``pulled`` raises what is wrong, the log is silent."""
        self._stored = True
        """Whether the server had everything at the end."""
        self._away_since: float | None = time.monotonic()
        self._trouble = away(name, "no answer")
        """What happened at the last try, to be told to somebody who waits."""
        self._complaints: set[int | None] = set()
        """What was logged since all was well: HTTP statuses, and None for a loss of touch, whatever else it is."""
        self._opened = (0.0, 0)
        self._dropping = False
        """Whether was logged that rows give way."""
        self._waited = -QUIET
        """When it was logged that the program waits (monotonic seconds)."""
        self._dropped = 0
        """Rows that had given way when all was well."""
        self._unfit = 0
        """Up to this number the whole document can't wait in the place of its changes."""
        self._first = 0
        """The number of what ``start`` has pushed: ``stored`` raises why that is refused, the log is silent."""
        self._doubting = threading.Lock()
        self._doubt: int | None = None
        self._pulls = (0.0, AGAIN)
        self._suspected: tuple[int | None, int] = (None, 0)

    # What the program wants

    def start(self, *, push: bool) -> int:
        """Watch the document and connect. With ``push`` it goes to the server as it is: returns the number of that."""
        self.replica.attach()
        self.clock.attach()
        number = self._first = self.replica.push() if push else 0
        if not push:
            self._awaited = 1
            self.dialogue.pull(asked=True)
        self.transport.start()
        self.porter.start()
        return number

    def settled(self, number: int, timeout: float | None) -> bool:
        """Wait until the server has all up to ``number``; False where that takes longer than ``timeout`` seconds,
        where it did not take one of them, or where the document is gone.

        Raises what the server said where it refused a whole document.
        """
        self.transport.hurry()
        self.transport.wake()
        if not self.outbox.wait(number, timeout):
            return False
        refused = self.outbox.refusal(number)
        if refused is not None and refused[0] == "PUSH-DOC":
            raise refused[1]
        return refused is None and self.over is None

    def stored(self, number: int) -> None:
        """Wait until the server has all up to ``number``; raises what it said where it did not take one of them, and
        ``ServerAway`` where touch with it is lost meanwhile."""
        self.transport.hurry()
        self.transport.wake()
        while not self.outbox.wait(number, 0.5):
            self._check()
            self.transport.hurry()
        refused = self.outbox.refusal(number)
        if refused is not None:
            raise refused[1]
        if self.over is not None:
            raise self.over

    def pull(self) -> None:
        """Have the document copied anew from the server."""
        self.dialogue.pull(asked=True)
        self.transport.wake()

    def pull_now(self) -> None:
        """Have the document copied anew, and wait until it is merged, as ``pulled`` does."""
        self._awaited = count = self.merged + 1
        self.pull()
        self.pulled(count)

    def pulled(self, count: int) -> None:
        """Wait until ``count`` copies have been merged; ``ServerAway`` where touch is lost meanwhile."""
        try:
            while not self.callbacks.wait(lambda: self.merged >= count or self.over is not None, 0.5):
                self._check()
        finally:
            self._awaited = 0
        self._check()
        if self.unmerged is not None:
            raise ClientError(f"This document can't be loaded: {self.unmerged}.") from self.unmerged

    def _check(self) -> None:
        """Whether it makes sense to wait on: not after a while in which no connection was a good one."""
        if self.over is not None:
            raise self.over
        if not self.live and self._away_since is not None and time.monotonic() - self._away_since > PATIENCE:
            raise self._trouble

    def hasten(self) -> None:
        """Send all that waits, now."""
        self.outbox.until = None
        self.transport.hurry()
        self.transport.wake()

    def close(self, timeout: float, *, goodbye: float = GOODBYE) -> bool:
        """Wait until the server has everything, at most ``timeout`` seconds, then let go; whether it has.

        The socket has ``goodbye`` seconds to close.
        """
        if self.over is None:
            self.outbox.wait(self.outbox.last, timeout)
            self._end(NotFound("This session is closed."))
            self.transport.stop(goodbye)
        return self._stored

    def abandon(self) -> None:
        """Let go at once: this is a forked process; the threads are in the other one, perhaps with locks in hand."""
        self.over = Forked()
        self.outbox = Outbox(self.bounds)
        self.transport.abandon()
        self.replica.abandon(self.over)
        self.clock.detach()

    def _detach(self) -> None:
        self.replica.detach()
        self.clock.detach()

    # What replica and socket tell

    def _put(
        self,
        msgtype: EnvelopeType,
        content: bytes = b"",
        buffers: Buffers = (),
        *,
        keys: frozenset[Key] = frozenset(),
        models: frozenset[str] = frozenset(),
        rows: Rows | None = None,
        reach: Reach = "any",
    ) -> int:
        if self.over is not None:
            return 0
        check(content, buffers, rows)
        number = self.outbox.put(msgtype, content, buffers, keys=keys, models=models, rows=rows, reach=reach)
        if msgtype == "PATCH-DOC" and self.outbox.overflows and self.outbox.acknowledged >= self._unfit:
            number = self._replace(number)
        self.porter.call()
        if self.outbox.blocks:
            afterwards(self._wait_for_room)
        return number

    def _wait_for_room(self) -> None:
        """Let the program wait, as it has chosen."""
        if not self.outbox.blocks:
            return
        if time.monotonic() - self._waited > QUIET:
            self._waited = time.monotonic()
            log.warning("%s: there is no room for what waits for the server; the program waits, too", self.name)
        self.transport.hurry()
        self.outbox.wait_for_room()

    def _gave_way(self) -> None:
        """Rows of ours have given way: say so once, and have the document here made the server's in the end."""
        self._doubted(self.outbox.last)
        if not self._dropping:
            self._dropping = True
            log.warning(
                "%s: there is no room for what waits for the server; the %s rows give way", self.name,
                self.bounds.when_full,
            )  # fmt: skip

    def _wake(self) -> None:
        self.transport.wake()

    def _replace(self, number: int) -> int:
        """Let the whole document wait in the place of its changes up to ``number``; the number of what waits then."""
        try:
            return self.replica.push()
        except Exception as error:  # noqa: BLE001 - bokeh raises anything; it is no fault of the change that came last
            log.warning(
                "%s: much waits for the server, and the whole document can not take its place: %s", self.name, error
            )
            self._unfit = number
            return number

    def _doubted(self, number: int) -> None:
        with self._doubting:
            self._doubt = max(self._doubt or 0, number)
        self.transport.wake()

    @property
    def live(self) -> bool:
        """Whether there is touch with the room."""
        return self.dialogue.live

    @property
    def proven(self) -> bool:
        """Whether this connection is a good one. A server whose disk is full closes it with each change of ours."""
        since, number = self._opened
        return self.live and (self.outbox.acknowledged > number or time.monotonic() - since > LASTING)

    def opened(self) -> None:
        """The socket is open."""
        self._opened = (time.monotonic(), self.outbox.acknowledged)
        self.dialogue.opened()
        self.dialogue.answer(self.replica.answers)

    def next(self) -> Outgoing | None:
        """What to send now."""
        self._resolve_doubt()
        message = self.dialogue.next()
        if self.outbox.on_disk or (message is None and self.outbox.rest):
            self.porter.call()
        return message

    def received(self, message: Message) -> None:
        """A message came."""
        match self.dialogue.received(message):
            case Live(writer):
                self._found(writer)
            case Patched(patch, acknowledged):
                self.callbacks.put(partial(self._apply, patch, acknowledged), patch.size)
            case Pulled() as copy:
                self.callbacks.put(partial(self._merge, self.copies.put(copy)))
            case Refused(entry, why):
                if entry.number != self._first:
                    log.error("%s: the server refused a change: %s", self.name, why)
            case Resync("replaced"):
                log.warning("%s: another program has replaced the document", self.name)
            case Presence() as presence:
                self.presence = presence
            case _:
                pass
        self._relieve()
        if self.outbox.kept > KEPT and self.copies.drop():
            self.callbacks.put(self.pull)  # when its turn comes: what runs before it may run for long

    def tick(self) -> None:
        """A second has passed."""
        self._relieve()
        self.dialogue.answer(self.replica.answers)
        if len(self.replica.own) > REMEMBERED:
            self.callbacks.put(partial(self.replica.forget, self.outbox.acknowledged))

    def lost(self, reason: str, code: int | None = None) -> None:
        """The socket is gone (with this close code), or could not be opened (what answered gave this HTTP status)."""
        self.dialogue.live = False
        self._trouble = busy(self.name, reason) if code == StoreFailed.close else away(self.name, reason)
        if code in BLAME:
            self._suspect(reason)
        if self._away_since is None:
            self._away_since = time.monotonic()
            for callback in self.disconnected:
                self.callbacks.put(partial(callback, reason))
        answered = code if code in STATUSES else None
        if answered not in self._complaints:
            self._complaints |= {answered, None}
            log.warning("%s: no touch with the server (%s); changes are kept and sent later", self.name, reason)

    def _suspect(self, reason: str) -> None:
        """The server closed the socket for what we sent. Again and again for the same: then that is not sent again."""
        number = self.outbox.under_way
        self._suspected = (number, self._suspected[1] + 1 if number == self._suspected[0] else 1)
        why = BadMessage(f"The server does not take this: {reason}.")
        entry = self.outbox.refuse(number, why) if number is not None and self._suspected[1] >= TRIES else None
        if entry is not None:
            if entry.number != self._first:
                log.error("%s: a change is not sent any more: %s", self.name, reason)
            self.dialogue.pull()

    def gone(self, reason: str) -> None:
        """The server will not have us."""
        log.error("%s: the document can't be reached any more (%s); changes are no longer sent", self.name, reason)
        for callback in self.disconnected:
            self.callbacks.put(partial(callback, reason))
        self._end(NotFound(f"{self.name} can't be reached any more ({reason})."), stop=False)

    def _end(self, why: BokehServerError, *, stop: bool = True) -> None:
        if self.over is not None:
            return
        self._stored = self.outbox.acknowledged == self.outbox.last
        self.over = why
        self._detach()
        self.outbox.clear()
        self.porter.stop()
        if stop:
            self.callbacks.stop()
        self.callbacks.notify()

    def _found(self, writer: bool) -> None:
        if not writer and not self.outbox.replaces:  # that is refused with more words
            log.warning("%s: you may not change this document, at most append rows", self.name)

    def _relieve(self) -> None:
        """Note that all is well again, where nothing of ours is in question any more, and say so after complaints."""
        idle = self.live and self.outbox.acknowledged == self.outbox.last
        if not (idle or self.proven):
            return
        self._away_since = None
        if self._complaints:
            self._complaints.clear()
            log.warning("%s: in touch with the server again", self.name)
        if idle:
            self._tell_dropped()

    def _tell_dropped(self) -> None:
        """All that could wait has arrived: say what could not."""
        rows, self._dropped = self.outbox.dropped - self._dropped, self.outbox.dropped
        if rows:
            log.warning("%s: %d rows gave way and were not sent", self.name, rows)
        self._dropping = False

    def _resolve_doubt(self) -> None:
        """Pull the document where its state is in doubt and all of ours that was under way then has arrived."""
        with self._doubting:
            if self._doubt is None or self.outbox.acknowledged < self._doubt or self.dialogue.pulling:
                return
            last, pause = self._pulls
            now = time.monotonic()
            if now - last < pause:
                return
            self._pulls = (now, min(2 * pause, SELDOM) if now - last < 4 * pause else AGAIN)
            self._doubt = None
            self.dialogue.pull()

    # In the callback thread

    def _apply(self, message: Message, acknowledged: int) -> None:
        if self.over is None:
            self._run(self.replica.apply(message, acknowledged))

    def _merge(self, number: int) -> None:
        copy = self.copies.take(number)
        if copy is None:
            return
        callbacks: list[Callback] = []
        self.unmerged = None
        try:
            if self.over is None:
                callbacks = reconcile(self.replica, copy.message, partial(self._under_way, copy.acknowledged))
        except Exception as error:  # noqa: BLE001 - bokeh raises anything on a document that it can't build
            level = logging.DEBUG if self._awaited > self.merged else logging.ERROR
            log.log(level, "%s: the server's copy of the document can't be taken over: %s", self.name, error)
            self.unmerged = error
        finally:
            self.outbox.release()
            self.merged += 1
            self.callbacks.notify()
        self._run(callbacks)

    def _under_way(self, acknowledged: int) -> list[Waits] | None:
        return None if self.outbox.replaces else self.outbox.after(acknowledged)

    def _run(self, callbacks: list[Callback]) -> None:
        for callback in callbacks:
            run(partial(run_in_curdoc, self.document, callback))


def check(content: bytes, buffers: Buffers, rows: Rows | None) -> None:
    """``TooLarge`` where a change is more than a server takes."""
    size = len(content) + sum([len(payload) for _, payload in buffers]) if rows is None else rows.size
    arrays = len(buffers) if rows is None else len(rows.columns)
    if size > LIMITS.message:
        raise TooLarge(f"This is {size:,} bytes; a server takes {LIMITS.message:,} at once: send it in parts.")
    if arrays > LIMITS.buffers:
        raise TooLarge(f"These are {arrays:,} arrays; a server takes {LIMITS.buffers:,} at once.")


def run_in_curdoc(document: Document, callback: Callback) -> None:
    """Run a callback; after an error ``curdoc()`` is what it was (bokeh 3.9 leaves it patched, ``io/doc.py:68``)."""
    try:
        callback()
    except Exception as error:
        frame = error.__traceback__
        while frame is not None:
            if frame.tb_frame.f_code is invoke_with_curdoc.__code__:
                forget_curdoc(document)
            frame = frame.tb_next
        raise


def forget_curdoc(document: Document) -> None:
    """Take one mark of ``document`` as current away again."""
    for at in range(len(_PATCHED_CURDOCS) - 1, -1, -1):
        if _PATCHED_CURDOCS[at]() is document:
            del _PATCHED_CURDOCS[at]
            return
