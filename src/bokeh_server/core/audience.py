"""Who is in a room, and what each of them has been given of its document.

There is no queue for anybody. Who keeps up gets each message as it is released. A page gets no more than one message a
frame, since its screen shows no more: the first at once, what comes within the frame at its end. Who is behind, by a
frame or because his socket was full, gets what the ring has after his cursor, merged into one message where that can be
(``core.merge``); where the ring has let go of it, a fresh copy of what has changed, or of the whole document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
import orjson

from bokeh_server.core import Buffers, Patch
from bokeh_server.core.client import Client
from bokeh_server.core.copies import Copy
from bokeh_server.core.events import Close, Effect, NextFrame, Noticed, Reading, Send, Wake
from bokeh_server.core.fanout import Ring, receivers
from bokeh_server.core.merge import merged
from bokeh_server.core.tally import Tally
from bokeh_server.core.wire import Header, Message, Outgoing, outgoing
from bokeh_server.limits import Limits

RESTART, TRY_AGAIN = 1012, 1013
PATCH = b'{"msgid":"%d","msgtype":"PATCH-DOC","seq":%d}'
"""The header of nearly all messages, as ``outgoing`` would make it."""
HELD, SMALL = 100, 64 * 1024
"""Messages that are not kept, or ask for the document, and wait behind a copy: how many of a client, and the bytes of
one, at most."""


class Release(msgspec.Struct, gc=False):
    """A patch that the others are given when the store has it, and its sender's acknowledgement."""

    seq: int
    message: Outgoing
    patch: Patch
    key: int | None = None
    """Who has it already: its sender's socket; None where nobody has it as it is now."""
    name: str = ""
    """The same, over reconnects."""
    sender: int | None = None
    ok: Header | None = None
    """That of the sender's message, where it is acknowledged, and has not been."""
    size: int = 0
    """Bytes of its sender that wait for the store."""
    stock: Outgoing | None = None
    """What a bokeh.client gets of it, where that is something else."""

    def joins(self, other: Release) -> bool:
        """Whether ``other``, the next in line, goes to the same clients, so that both may leave together."""
        return (
            other.sender == self.sender
            and other.key == self.key
            and other.name == self.name
            and other.stock is None
            and self.stock is None
            and (self.key is not None or self.ok is None)
        )


class Later(msgspec.Struct, gc=False):
    """What else is done when the store has the patch ``seq``."""

    seq: int
    act: Callable[[], Iterable[Effect]]


Missed = list[Release]


class Audience:
    """The clients of one room. ``_released`` is the newest patch that they have been given."""

    def __init__(self, limits: Limits) -> None:
        self.clients: dict[int, Client] = {}
        self.tally = Tally()
        self._limits = limits
        self._released = 0
        self._ring: Ring[Release] = Ring(limits.ring)
        self._frame_ends = 0.0
        self._frame_waits = False
        """Whether somebody is told when the frame ends."""
        self._now = 0.0
        self._messages = 0
        self._told: tuple[int, int, int] | None = None
        self._woken = False
        self._merged_last: tuple[int, int, list[Outgoing], int] = 0, 0, [], 0
        """What was merged last: those who stalled at one time catch up at one time."""

    @property
    def presence(self) -> tuple[int, int, int]:
        """Programs, programs that answer widgets, and viewers."""
        there = [client for client in self.clients.values() if client.cursor.subscribed]
        programs = [client for client in there if client.kind == "program"]
        answering = sum(client.answers or not client.ours for client in programs)
        return len(programs), answering, len(there) - len(programs)

    def _release(self, run: Sequence[Release]) -> list[Effect]:
        """Give patches that ``join`` to all who keep up, and tell their sender that they are kept."""
        effects = self._deliver(run)
        key = run[0].sender
        client = self.clients.get(key) if key is not None else None
        if key is None or client is None:
            return effects
        size = 0
        for one in run:
            size += one.size
            if one.ok is not None:
                effects += self._ok(key, one.ok, one.seq)()
                one.ok = None
        return effects + self._let_go(key, client, size) if size else effects

    def _deliver(self, run: Sequence[Release]) -> list[Effect]:
        """Give patches to all who keep up, but their sender: each of them, or to pages what they come to."""
        first, last = run[0], run[-1]
        for one in run:
            self._ring.push(one)
        within = self._now < self._frame_ends
        cursors = [(key, client.cursor) for key, client in self.clients.items()]
        due, framed = receivers(cursors, first.seq, last.seq, first.key, first.name, within=within)
        effects: list[Effect] = []
        if first.stock is not None:
            plain = tuple(key for key in due if self.clients[key].stock_program)
            due = [key for key in due if key not in plain]
            effects += [Send(plain, first.stock)] if plain else []
        if len(run) == 1:
            due += framed
        elif framed:
            effects += [Send(tuple(framed), message) for message in self._merged(run, to=len(framed), late=False)]
        if due:
            to = tuple(due)
            effects += [Send(to, one.message) for one in run]
        if within:
            effects += self._wait_for_frame()
        else:
            self._frame_ends = self._now + self._limits.frame
        return effects

    def _wait_for_frame(self) -> Iterable[Effect]:
        if not self._frame_waits and any(client.cursor.framed for client in self.clients.values()):
            self._frame_waits = True
            yield NextFrame(self._frame_ends - self._now)

    def _frame(self, now: float) -> Iterable[Effect]:
        """A frame has ended: pages get what came within it."""
        self._frame_waits = False
        self._now, self._frame_ends = now, now + self._limits.frame
        behind = [(key, client) for key, client in self.clients.items() if client.cursor.framed and client.cursor.ready]
        alike: dict[int, list[int]] = {}
        for key, client in behind:
            seq = client.cursor.seq
            if client.held or (seq < self._released and self._ring.has(seq, client.cursor.name)):
                yield from self._catch_up(key, late=False)
            elif seq < self._released:
                alike.setdefault(seq, []).append(key)
        for seq, keys in alike.items():
            missed = self._ring.after(seq, self._released, "")
            if missed is None:
                yield from (effect for key in keys for effect in self._catch_up(key))
                continue
            for key in keys:
                self.clients[key].cursor.seq = self._released
            yield from (Send(tuple(keys), message) for message in self._merged(missed, to=len(keys), late=False))

    def _catch_up(self, key: int, *, late: bool = True) -> list[Effect]:
        """What a client has not been given yet, in the one order, acknowledgements included.

        ``late`` says whether that is more than the patches of a frame.
        """
        client = self.clients[key]
        cursor = client.cursor
        if cursor.copying:
            return []
        missed: Missed | None = []
        if cursor.subscribed and cursor.seq < self._released:
            missed = self._ring.after(cursor.seq, self._released, cursor.name)
            if client.stock_program and any(b'"cols"' in entry.patch[0] for entry in missed or []):
                missed = None  # it would get them in a form of its own, of the document as it was then
        if missed is None:
            return self._anew(key, copied=client.ours)
        cursor.seq = max(cursor.seq, self._released)
        held, client.held = client.held, []
        messages: list[Outgoing] = []
        for seq, _, ok in held:
            before = [entry for entry in missed if entry.seq <= seq]
            messages += [*self._merged(before, late=late), ok]
            missed = missed[len(before) :]
        messages += self._merged(missed, late=late)
        return [Send((key,), message) for message in messages]

    def _all_caught_up(self) -> Iterable[Effect]:
        """Give what waits for the end of a frame."""
        for key, client in self.clients.items():
            if client.cursor.ready:
                yield from self._catch_up(key, late=False)

    def _thinned(self) -> Iterable[Effect]:
        """Nobody gets past a record of thinned rows but by a copy: who has all before it waits for one."""
        self._ring.clear()
        for key, client in self.clients.items():
            if client.cursor.ready and client.cursor.seq < self._released:
                yield from self._anew(key, copied=True)

    def _anew(self, key: int, *, copied: bool) -> list[Effect]:
        """What a client lacks and the ring has not: a copy, where it may be ``copied``, or else it must pull."""
        copy = self._copy_for(key) if copied else None
        if copy is not None:
            return copy
        self.clients[key].cursor.subscribed = False
        return list(self._resync([key], "too far behind"))

    def _copy_for(self, key: int) -> list[Effect] | None:
        """Have a client wait for a fresh copy of just what it lacks, as the ring can't help; None where it must pull
        the whole.

        Here nothing is known of the document.
        """
        return None

    def _give(self, copy: Copy) -> Iterable[Effect]:
        """A copy is written, and the store has what is in it: who waits for it gets it, and then what came after it."""
        assert copy.message is not None
        for key, client in self.clients.items():
            cursor = client.cursor
            if cursor.copying != copy.span:
                continue
            cursor.copying = None
            if cursor.paused:  # what it lacks when it drains is looked at then
                continue
            if cursor.subscribed and cursor.seq < copy.since:
                self.tally.copies += 1
                yield from self._held(key, copy.seq)  # before it: what others did after these is in it
                yield Send((key,), copy.message)
                cursor.seq = copy.seq
            yield from self._go_on(key)

    def _go_on(self, key: int) -> Iterable[Effect]:
        """Nothing holds a client up any more: what it lacks, and the document, if it has asked for that meanwhile."""
        yield from self._catch_up(key)
        client = self.clients[key]
        if not client.cursor.copying:
            asked, client.asked = client.asked, []
            yield from self._received(key, asked, self._now)

    def _received(self, key: int, messages: Sequence[Message], now: float) -> list[Effect]:
        """What to do about messages of a client; here nothing is known of that."""
        return []

    def _merged(self, entries: Missed | Sequence[Release], *, to: int = 1, late: bool = True) -> Sequence[Outgoing]:
        """The messages of these patches ``to`` so many clients, or fewer that come to the same; ``since`` is the first
        that one stands for. ``late`` says whether they are more than those of a frame."""
        if len(entries) < 2:
            return [entry.message for entry in entries]
        first, last = entries[0].seq, entries[-1].seq
        whole = len(entries) == last - first + 1  # nobody's own are left out
        made = self._merged_last if whole and (first, last) == self._merged_last[:2] else self._merge(entries)
        if whole:
            self._merged_last = made
        _, _, messages, fewer = made
        if late:
            self.tally.conflated += to * fewer
        else:
            self.tally.framed += to * fewer
        return messages

    def _merge(self, entries: Sequence[Release]) -> tuple[int, int, list[Outgoing], int]:
        """The first and last of these patches, the messages, and how many of those stand for several."""
        messages: list[Outgoing] = []
        at = fewer = 0
        for number, (content, buffers) in merged(entry.patch for entry in entries):
            begin, end = entries[at], entries[at + number - 1]
            at += number
            if number == 1:
                messages.append(begin.message)
            else:
                fewer += 1
                messages.append(self._message("PATCH-DOC", content, buffers, seq=end.seq, since=begin.seq))
        return entries[0].seq, entries[-1].seq, messages, fewer

    def _relay(self, message: Outgoing, to: list[int]) -> Iterable[Effect]:
        """A message that is not kept: to those who had the document when it came, and keep up."""
        clients = ((key, self.clients.get(key)) for key in to)
        there = [(key, client) for key, client in clients if client and not client.cursor.paused]
        for _, client in there:
            if client.cursor.copying and message.size < SMALL and len(client.held) < HELD:
                client.held.append((self._released, 0, message))
        due = [key for key, client in there if client.cursor.ready]
        for key in due:
            if self.clients[key].cursor.framed:
                yield from self._catch_up(key, late=False)
        due = [key for key in due if self.clients[key].cursor.ready]
        if due:
            yield Send(tuple(due), message)

    def _resync(self, keys: list[int], reason: str) -> Iterable[Effect]:
        """Have clients pull again: ours are asked to, stock ones come back by themselves when they are cut off."""
        content = orjson.dumps({"reason": reason})
        there = [key for key in keys if key in self.clients]
        self.tally.resyncs += len(there)
        for key in there:
            yield from self._held(key, self._released)
            self.clients[key].held.clear()
        ours = tuple(key for key in there if self.clients[key].ours)
        if ours:
            yield Send(ours, self._message("RESYNC", content))
        for key in there:
            if not self.clients[key].ours:
                yield Close(key, RESTART, reason)

    def _held(self, key: int, seq: int) -> Iterable[Effect]:
        """The acknowledgements up to ``seq`` that were held, without theirs: the client does not get what was before
        them one by one."""
        client = self.clients[key]
        acknowledged = [(at, number) for at, number, _ in client.held if number and at <= seq]
        for _, number in acknowledged[-1:]:
            yield Send((key,), self._message("OK", b"{}", number=number))
        client.held = [one for one in client.held if not (one[1] and one[0] <= seq)]

    def _tick(self, now: float) -> list[Effect]:
        self._woken = False
        effects: list[Effect] = []
        for key, client in self.clients.items():
            if client.cursor.paused and now - client.paused_at > self._limits.pause:
                effects.append(Close(key, TRY_AGAIN, "too slow"))
                self.tally.doors += not client.shown_out
                client.shown_out = True
        told = self.presence
        if told != self._told:
            self._told = told
            ours = tuple(key for key, client in self.clients.items() if client.ours and client.cursor.subscribed)
            if ours:
                content = dict(zip(("programs", "answering", "viewers"), told, strict=True))
                effects.append(Send(ours, self._message("PRESENCE", orjson.dumps(content))))
            effects.append(Noticed())
        return effects

    def _presence(self) -> list[Effect]:
        self._told = None
        if self._woken:
            return []
        self._woken = True
        return [Wake()]

    def _hold(self, key: int, client: Client, size: int) -> list[Effect]:
        """So many bytes of a client wait for the store: it is not read from while that is too much."""
        client.waiting += size
        if client.throttled or client.waiting <= self._limits.unacknowledged:
            return []
        client.throttled = True
        return [Reading(key, False)]

    def _let_go(self, key: int, client: Client, size: int) -> list[Effect]:
        """So many bytes of a client do not wait for the store any more: it may be read from again."""
        client.waiting -= size
        if not client.throttled or client.waiting > self._limits.unacknowledged // 2 or key not in self.clients:
            return []
        client.throttled = False
        return [Reading(key, True)]

    def _ok(self, key: int, header: Header, seq: int) -> Callable[[], list[Effect]]:
        return self._reply(key, "OK", b"{}", header.msgid, seq=seq, number=header.number)

    def _reply(
        self,
        key: int,
        msgtype: str,
        content: bytes,
        reqid: str,
        buffers: Buffers = (),
        *,
        number: int | None = None,
        epoch: int | None = None,
        seq: int = 0,
    ) -> Callable[[], list[Effect]]:
        """The answer to a request, if its sender is still there when it may be given.

        An acknowledgement says which patches of others came before, so it never overtakes those that a full socket, or
        a frame, holds up.
        """

        def reply() -> list[Effect]:
            client = self.clients.get(key)
            if client is None:
                return []
            answer = self._message(msgtype, content, buffers, reqid=reqid, number=number, epoch=epoch, seq=seq or None)
            cursor = client.cursor
            behind = cursor.copying or (cursor.framed and cursor.subscribed and cursor.seq < seq)
            if msgtype == "OK" and (cursor.paused or behind):
                client.held.append((seq, number, answer))
                return []
            return [Send((key,), answer)]

        return reply

    def _echo(self, key: int, reqid: str) -> Callable[[], Iterable[Effect]]:
        """The answer to ECHO, behind all that there is now: so a page learns how late it gets that.

        Only a full socket, or a copy on its way, holds it up, and one at a time; a frame is too short to count.
        """

        def echo() -> Iterable[Effect]:
            client = self.clients.get(key)
            if client is None:
                return
            answer = self._message("ECHO", b"{}", reqid=reqid)
            if not (client.cursor.paused or client.cursor.copying):
                yield Send((key,), answer)
            elif all(number is not None for _, number, _ in client.held):
                client.held.append((self._released, None, answer))

        return echo

    def _message(
        self,
        msgtype: str,
        content: bytes,
        buffers: Buffers = (),
        *,
        reqid: str | None = None,
        number: int | None = None,
        epoch: int | None = None,
        seq: int | None = None,
        since: int | None = None,
    ) -> Outgoing:
        self._messages += 1
        if not buffers and seq is not None and msgtype == "PATCH-DOC" and since is None:
            return Outgoing((PATCH % (self._messages, seq), b"{}", content))
        return outgoing(
            msgtype,
            content,
            msgid=str(self._messages),
            buffers=buffers,
            reqid=reqid,
            number=number,
            epoch=epoch,
            seq=seq,
            since=since,
        )
