"""One live document: a state machine that runs the five steps in order.

    bytes ──wire──▶ Message ──authorise──▶ ──apply──▶ Record ──log──▶ ack + ──fanout──▶ frames
                                                        │ effect Append        ▲ event Appended
                                                        └────────── store ─────┘

``receive(event)`` takes what happened and returns what to do; ``hub`` is the only interpreter of these effects. The
document in memory runs ahead of the log by what the store is writing just now, and *nothing that depends on a patch
leaves the room before the store has said* ``Appended``: acks, frames and copies of the document wait in one queue, in
order. When an append fails the room is thrown away and built anew from the log, as after a crash: one path.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal
from zlib import crc32

import msgspec
import orjson

from bokeh_server.core import Buffers, Patch, thinning
from bokeh_server.core.apply import apply, with_whole_data
from bokeh_server.core.audience import HELD, RESTART, Audience, Later, Release
from bokeh_server.core.authorise import Access, Action, Actor, Allowed, may
from bokeh_server.core.client import Client, decode_resume
from bokeh_server.core.column import Array
from bokeh_server.core.copies import Changes, Copy, Whole
from bokeh_server.core.document import Document
from bokeh_server.core.events import (
    Answer,
    Append,
    Appended,
    Beside,
    Close,
    Done,
    Drained,
    Effect,
    Event,
    Failed,
    Frame,
    Joined,
    Kind,
    Left,
    Noticed,
    Paused,
    Received,
    Retained,
    Revoked,
    Rights,
    Send,
    Submitted,
    TakeSnapshot,
    Work,
)
from bokeh_server.core.fanout import Cursor
from bokeh_server.core.log import Record, Stored, pack
from bokeh_server.core.plain import is_rows
from bokeh_server.core.retention import Keeper, columns_of
from bokeh_server.core.snapshot import Draft
from bokeh_server.core.thinning import Choice
from bokeh_server.core.wire import Header, Message, Outgoing
from bokeh_server.errors import AccessRevoked, BadMessage, ClientError, Forbidden, ServerFault, StoreDamaged
from bokeh_server.limits import LIMITS, Limits

SERVER = Actor("user", "server")
ACTIONS = {"nothing": Action.VIEW, "patch": Action.EDIT, "replace": Action.EDIT}
"""What a request without a socket asks for."""


class Room(Audience):
    """The live document that ``access`` is about.

    ``versions`` is what SERVER-INFO tells: bokeh's version and the server's.
    """

    def __init__(
        self,
        access: Access,
        epoch: int,
        *,
        limits: Limits = LIMITS,
        versions: tuple[str, str] = ("", ""),
    ) -> None:
        super().__init__(limits)
        self.name = access.document
        self.access = access
        """Who is what here just now."""
        self.epoch = epoch
        self.document = Document.empty(limits)
        self.seq = 0
        """The newest patch that the document in memory holds."""
        self.durable = 0
        """The newest patch that the store has."""
        self.numbers: dict[str, int] = {}
        """The number of the last patch of each counting client that the document holds."""
        self._versions = versions
        self._later: deque[Release | Later] = deque()
        self._whole: Whole | None = None
        """The document as somebody has asked for it last."""
        self.changes = Changes()
        """What has changed of late, and the copies of it."""
        self._since_snapshot = [0, 0]
        self.keeper = Keeper()
        """What has to go of that which is streamed."""

    @classmethod
    def restore(
        cls,
        access: Access,
        stored: Stored,
        *,
        epoch: int = 1,
        limits: Limits = LIMITS,
        versions: tuple[str, str] = ("", ""),
    ) -> Room:
        """The room of a stored document: its snapshot, and every record after it applied again."""
        room = cls(access, epoch, limits=limits, versions=versions)
        room.numbers = dict(stored.clients)
        if stored.snapshot is not None:
            room._replay(stored.snapshot)
        for record in stored.records:
            room._replay(record)
            room._since_snapshot[0] += 1
            room._since_snapshot[1] += len(record.body)
        room.durable = room._released = room.changes.more = room.seq
        room._refill(stored.records)
        return room

    def _refill(self, records: list[Record]) -> None:
        """Fill the ring with the newest patches of the log, so that clients go on after a restart as after a cut."""
        newest: list[Record] = []
        room = self._limits.ring
        for record in reversed(records):
            room -= len(record.body)
            if record.kind != "patch" or room < 0:
                break
            newest.append(record)
        for record in reversed(newest):
            patch = record.open()
            message = self._message("PATCH-DOC", *patch, seq=record.seq)
            self._ring.push(Release(record.seq, message, patch, name=record.client))

    def _replay(self, record: Record) -> None:
        content, buffers = record.open()
        try:
            if record.kind == "replace":
                self.document = Document.decode(content, buffers, limits=self._limits)
            elif record.kind == "thin":
                thinning.replay(self.document, content, buffers)
            else:
                apply(self.document, content, buffers)
        except ClientError as error:
            raise StoreDamaged(
                f"Record {record.seq} of document {record.document} can't be applied ({error}); restore a backup."
            ) from error
        self.epoch, self.seq = record.epoch, record.seq
        if record.client:
            self._count(record.client, record.number)

    # Events

    def receive(self, event: Event) -> list[Effect]:
        """What to do about ``event``. Raises nothing that a client can cause: what it sent wrong, it is told."""
        if type(event) is Received:  # most are
            return self._received(event.client, event.messages, event.now)
        match event:
            case Appended(seq, now):
                return self._appended(seq, now)
            case Submitted():
                return self._submitted(event)
            case Joined(client, kind, actor):
                self.clients[client] = Client(kind, actor, self._may(actor, Action.EDIT), Cursor(name=f"{client:65}"))
                return [Send((client,), self._message("ACK", b"{}"))]
            case Paused(client, now):
                self.clients[client].cursor.paused = True
                self.clients[client].paused_at = now
                return []
            case Drained(client):
                self.clients[client].cursor.paused = False
                return list(self._go_on(client))
            case Left(client):
                del self.clients[client]
                return self._presence()
            case Frame(now):
                return list(self._frame(now))
            case Failed(error):
                return self._failed(error)
            case Rights(access):
                return list(self._rights(access))
            case Retained(retention):
                self.keeper = Keeper(retention)
                return []
            case Done(work, outcome):
                return self._done(work, outcome())
            case Revoked(lost):
                return [barred(key) for key, client in self.clients.items() if lost(client.actor)]
            case _:
                return self._tick(event.now)

    def _received(self, key: int, messages: Sequence[Message], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for message in messages:
            try:
                effects += self._heard(key, message, now)
            except ClientError as error:
                effects += self._refuse(key, message, error)
        return effects

    def _heard(self, key: int, message: Message, now: float) -> list[Effect]:
        header = message.header
        match header.msgtype:
            case "PATCH-DOC":
                return self._patch(key, message, now)
            case "RESUME":
                return self._resume(key, message)
            case "PULL-DOC-REQ":
                return self._pull(key, message)
            case "PUSH-DOC":
                return self._push(key, message)
            case "ECHO" if self.clients[key].ours:
                return self._when_durable(self._echo(key, header.msgid))
            case "SERVER-INFO-REQ":
                bokeh, server = self._versions
                info = orjson.dumps({"version_info": {"bokeh": bokeh, "server": server}})
                return self._when_durable(self._reply(key, "SERVER-INFO-REPLY", info, header.msgid))
            case "OK" | "ERROR" | "ACK":
                return []
            case _:
                raise BadMessage(f"There is no message of type {header.msgtype[:40]!r}.")

    def _resume(self, key: int, message: Message) -> list[Effect]:
        try:
            resume = decode_resume(message.content)
        except msgspec.MsgspecError as error:
            raise BadMessage(f"This RESUME is not valid: {error}.") from None
        if not 8 <= len(resume.client) <= 64:
            raise BadMessage("The id of a client has 8 to 64 characters.")
        client = self.clients[key]
        if not self._may(client.actor, Action.VIEW):
            raise Forbidden
        again = client.ours
        client.ours, client.answers = True, resume.answers
        client.cursor.name = resume.client
        if again:
            return self._presence()
        client.cursor.framed = resume.frames and client.kind == "viewer"
        number = self.numbers.get(resume.client, 0)

        def resumed() -> Iterable[Effect]:
            if key not in self.clients:
                return
            missed = None
            if resume.epoch == self.epoch and resume.seq is not None:
                missed = self._ring.after(resume.seq, self._released, resume.client)
            if missed is not None:
                client.cursor.seq, client.cursor.subscribed = self._released, True
            content = {
                "epoch": self.epoch,
                "seq": self._released,
                "number": number,
                "fresh": missed is None,
                "writer": client.edits,
            }
            yield from self._reply(key, "RESUMED", orjson.dumps(content), message.header.msgid)()
            yield from (Send((key,), message) for message in self._merged(missed or []))
            yield from self._presence()

        return self._when_durable(resumed)

    def _pull(self, key: int, message: Message) -> list[Effect]:
        client = self.clients[key]
        if not self._may(client.actor, Action.VIEW):
            raise Forbidden
        if client.cursor.copying:
            client.asked += [message] if len(client.asked) < HELD else []
            return []
        self.tally.pulls += 1
        begun: list[Effect] = []
        if self._whole is None or self._whole.seq != self.seq:
            self._whole = Whole(self.document, self.seq)
            begun += [] if self._whole.written else [Beside(self._whole)]
        whole, cursor = self._whole, client.cursor
        client.cut.clear()
        if not cursor.subscribed:
            cursor.seq, cursor.subscribed = whole.seq, True

        def reply() -> Iterable[Effect]:
            if key not in self.clients:
                return
            yield from self._catch_up(key)
            if cursor.copying:  # since a moment
                client.asked += [message] if len(client.asked) < HELD else []
                return
            cursor.seq, cursor.subscribed = max(cursor.seq, whole.seq), True
            if whole.written is None:
                cursor.copying = whole.span
                whole.waiting.append((key, message))
            else:
                yield from self._answer(key, message, whole)

        return [*begun, *self._when_durable(reply), *self._throttle(key, client, whole.size), *self._presence()]

    def _answer(self, key: int, message: Message, whole: Whole) -> list[Effect]:
        assert whole.written is not None
        doc, buffers = whole.written
        return self._reply(key, "PULL-DOC-REPLY", doc, message.header.msgid, buffers, epoch=self.epoch, seq=whole.seq)()

    def _written(self, whole: Whole, written: Patch) -> Iterable[Effect]:
        """The document is written: who has waited for it gets it, or a newer one where that was replaced meanwhile."""
        whole.written = written
        for key, message in whole.waiting:
            client = self.clients.get(key)
            if client is None:
                continue
            client.cursor.copying = None
            if client.cursor.subscribed and whole.document is self.document:
                yield from self._answer(key, message, whole)
            else:
                client.asked.insert(0, message)
            if not client.cursor.paused:
                yield from self._go_on(key)

    def _push(self, key: int, message: Message) -> list[Effect]:
        client = self.clients[key]
        self._ensure_may(client.actor, Action.EDIT, b"")
        number = message.header.number
        if number is not None and client.ours and number <= self.numbers.get(client.name, 0):
            return self._when_durable(self._ok(key, message.header, self.seq))
        effects = self._replace(message.content, message.buffers, client.actor, key, number if client.ours else None)
        client.cursor.seq, client.cursor.subscribed = self.seq, True
        client.cut.clear()
        self._later.append(Later(self.seq, self._ok(key, message.header, self.seq)))
        return [*effects, *self._throttle(key, client, message.size), *self._presence()]

    def _replace(
        self, content: bytes, buffers: Buffers, actor: Actor, key: int | None = None, number: int | None = None
    ) -> list[Effect]:
        """Put another document in the place of this one; everybody who has the old one must pull."""
        document = Document.decode(content, buffers, limits=self._limits)
        self.document = document
        record = self._record("replace", content, buffers, actor, self._name(key), number)
        self.changes.note(None, self.seq)
        self._since_snapshot = [0, 0]
        snapshot, seq = TakeSnapshot(record, dict(self.numbers)), self.seq

        def tell() -> Iterable[Effect]:
            self._ring.clear()
            cursors = ((other, client.cursor) for other, client in self.clients.items())
            stale = [other for other, cursor in cursors if cursor.subscribed and cursor.seq < seq]
            for other in stale:
                self.clients[other].cursor.subscribed = False
            self.tally.documents += 1
            yield from (snapshot, *self._resync(stale, "replaced"), Noticed())

        self._later.append(Later(self.seq, tell))
        return [Append(record)]

    def _name(self, key: int | None) -> str:
        return self.clients[key].name if key is not None else ""

    def _patch(self, key: int, message: Message, now: float) -> list[Effect]:
        client = self.clients[key]
        if not client.edits:
            self._ensure_may(client.actor, Action.EDIT, message.content)
        number = message.header.number if client.ours else None
        if number is not None and number <= self.numbers.get(client.name, 0):
            return self._when_durable(self._ok(key, message.header, self.seq))
        ok = message.header if number is not None else None
        return self._apply(message.content, message.buffers, client.kind, client.actor, now, key, ok, message.size)

    def _apply(
        self,
        content: bytes,
        buffers: Buffers,
        origin: Kind,
        actor: Actor,
        now: float,
        key: int | None = None,
        ok: Header | None = None,
        size: int = 0,
        number: int | None = None,
        sender: str = "",
    ) -> list[Effect]:
        """Apply a patch, log it, and line up what the others get of it, and its sender's acknowledgement.

        ``key`` is the sender's socket, ``ok`` the header of his message where he is to be told, ``size`` its bytes.
        ``sender`` and ``number`` are the name and the count of a client without a socket.
        """
        client = self.clients.get(key) if key is not None else None
        if self.keeper.caps:
            content = self.keeper.capped(content, client.cut if client is not None else set())
        applied = apply(self.document, content, buffers, origin=origin, now=now)
        effects: list[Effect] = []
        if applied.content is not None:
            sender = client.cursor.name if client is not None else sender
            patch = (applied.content, applied.buffers)
            record = self._record("patch", *patch, actor, sender, ok.number if ok is not None else number)
            self.changes.note(applied.changed, self.seq)
            message = self._message("PATCH-DOC", *patch, seq=self.seq)
            stock = self._for_stock_programs(*patch) if not applied.plain else None
            has, name = (None, "") if applied.corrected and origin == "viewer" else (key, sender)
            self._later.append(Release(self.seq, message, patch, has, name, key, ok, size, stock))
            effects.append(Append(record))
            self._snapshot()
            if not self.keeper.idle:
                due = self.keeper.came(self.document, applied.content, len(record.body), now, applied.changed)
                effects += map(Beside, due)
        if applied.messages is not None:
            relayed = self._message("PATCH-DOC", applied.messages, applied.buffers)
            to: Kind = "program" if origin == "viewer" else "viewer"
            there = [other for other, one in self.clients.items() if one.kind == to and one.cursor.subscribed]
            effects += self._when_durable(lambda: self._relay(relayed, there))
        if key is None or client is None:
            return effects
        if applied.content is not None:
            return effects + self._hold(key, client, size)
        if ok is not None:
            self._count(client.name, ok.number or 0)
            effects += self._when_durable(self._ok(key, ok, self.seq))
        return effects + self._throttle(key, client, size)

    def _done(self, work: Work, outcome: Any) -> list[Effect]:
        match work:
            case Choice():
                return self._thin(work, *outcome)
            case Copy():
                return self._copied(work, outcome)
        return list(self._written(work, outcome))

    def _thin(self, choice: Choice, rows: int, keep: Array) -> list[Effect]:
        """Thin the old rows of a source, if it is still there: a record of the server's own."""
        columns = columns_of(self.document, choice.source) if self.keeper.waited_for(choice) else None
        found = choice.in_place(columns, rows, keep) if columns is not None else None
        if columns is None or found is None:
            return []
        self._whole = None  # or else arrays that it shows would be copied, to move rows in them
        thinning.thin(columns, *found)
        record = self._record("thin", *thinning.written(choice.source, *found), SERVER, "", None)
        self.changes.note(((choice.source, "data"),), self.seq)
        self._later += [Later(self.seq - 1, self._all_caught_up), Later(self.seq, self._thinned)]
        self._snapshot()
        return [Append(record)]

    def _copy_for(self, key: int) -> list[Effect] | None:
        cursor = self.clients[key].cursor
        if cursor.seq < self.changes.more:
            return None
        copy, new = self.changes.since(cursor.seq, self.document, self.seq)
        cursor.copying = copy.span
        return [Beside(copy)] if new else [] if copy.message is None else self._when_durable(lambda: self._give(copy))

    def _copied(self, copy: Copy, patch: Patch) -> list[Effect]:
        """A copy is written: it is given away once the store has what is in it."""
        copy.message = self._message("PATCH-DOC", *patch, seq=copy.seq, since=copy.since)
        return list(self._give(copy)) if copy.seq <= self.durable else self._when_durable(lambda: self._give(copy))

    def _for_stock_programs(self, content: bytes, buffers: Buffers) -> Outgoing | None:
        """The patch with whole ``data`` where it has single columns: bokeh.client takes those for all there are."""
        if b'"cols"' not in content or not any(client.stock_program for client in self.clients.values()):
            return None
        return self._message("PATCH-DOC", *with_whole_data(self.document, content, buffers), seq=self.seq)

    def _submitted(self, event: Submitted) -> list[Effect]:
        try:
            self._ensure_may(event.actor, ACTIONS[event.what], event.content if event.what == "patch" else b"")
            effects: list[Effect] = []
            if event.what == "replace":
                effects = self._replace(event.content, event.buffers, event.actor)
            elif event.what == "patch" and not self._holds(event.client, event.number):
                content, buffers, actor = event.content, event.buffers, event.actor
                sender, number = event.client, event.number
                effects = self._apply(content, buffers, "program", actor, event.now, number=number, sender=sender)
        except ClientError as error:
            refused = Answer(event.token, error)
            return self._when_durable(lambda: [refused])
        done = Answer(event.token, self.seq)
        return effects + self._when_durable(lambda: [done])

    def _holds(self, client: str, number: int | None) -> bool:
        """Whether the document holds the patch that a client counts so."""
        return number is not None and number <= self.numbers.get(client, 0)

    def _appended(self, seq: int, now: float = 0.0) -> list[Effect]:
        self.durable = max(self.durable, seq)
        self._now = max(self._now, now)
        effects: list[Effect] = []
        while self._later and self._later[0].seq <= self.durable:
            due = self._later.popleft()
            self._released = due.seq
            effects += self._release(self._run(due)) if isinstance(due, Release) else due.act()
        return effects

    def _run(self, first: Release) -> list[Release]:
        """This patch and those right behind it that may leave together with it."""
        run, later, durable = [first], self._later, self.durable
        while later and later[0].seq <= durable and isinstance(due := later[0], Release) and first.joins(due):
            run.append(due)
            later.popleft()
        self._released = run[-1].seq
        return run

    def _rights(self, access: Access) -> Iterable[Effect]:
        """Close the sockets of those who may no longer be here, and have those come back who may do more or less."""
        self.access = access
        for key, client in self.clients.items():
            before, client.edits = client.edits, self._may(client.actor, Action.EDIT)
            if not self._may(client.actor, Action.VIEW):
                yield barred(key)
            elif client.edits != before:
                yield Close(key, RESTART, "rights")

    def _failed(self, error: ServerFault) -> list[Effect]:
        self._later.clear()
        return [Close(key, error.close, error.code) for key in self.clients]

    # What several events share

    def _may(self, actor: Actor, action: Action) -> bool:
        return isinstance(may(actor, action, self.access), Allowed)

    def _ensure_may(self, actor: Actor, action: Action, content: bytes) -> None:
        """``Forbidden`` where the actor may not; who may only stream, may send plain rows and no model."""
        verdict = may(actor, action, self.access)
        if isinstance(verdict, Allowed):
            return
        streams = action is not Action.VIEW and isinstance(may(actor, Action.STREAM, self.access), Allowed)
        if not streams or not is_rows(content):
            raise Forbidden(verdict.reason)

    def _record(
        self,
        kind: Literal["patch", "replace", "thin"],
        content: bytes,
        buffers: Buffers,
        actor: Actor,
        name: str,
        number: int | None,
    ) -> Record:
        self.seq += 1
        counted = name if number is not None else ""
        if number is not None:
            self._count(name, number)
        body = pack(content, buffers)
        record = Record(self.name, self.epoch, self.seq, kind, actor.name, counted, number or 0, body, crc32(body))
        self._since_snapshot[0] += 1
        self._since_snapshot[1] += len(record.body)
        return record

    def _count(self, name: str, number: int) -> None:
        """Remember a client's last number; the clients that were silent longest are forgotten first."""
        self.numbers.pop(name, None)
        self.numbers[name] = number
        if len(self.numbers) > self._limits.clients:
            del self.numbers[next(iter(self.numbers))]

    def _snapshot(self) -> None:
        """Line up a snapshot where enough has been logged since the last."""
        records, size = self._since_snapshot
        if records < self._limits.snapshot_records and size < self._limits.snapshot_bytes:
            return
        self._since_snapshot = [0, 0]
        draft = Draft(self.name, self.epoch, self.seq, self.document)
        effect = TakeSnapshot(draft, dict(self.numbers))
        self._later.append(Later(self.seq, lambda: [effect]))

    def _when_durable(self, act: Callable[[], Iterable[Effect]]) -> list[Effect]:
        """Act once the store has all that the document holds now: at once, or in the queue."""
        if not self._later and self.durable == self.seq:
            return list(act())
        self._later.append(Later(self.seq, act))
        return []

    def _throttle(self, key: int, client: Client, size: int) -> list[Effect]:
        """Count what a client asked for until the store has all that is here, and stop reading while it is too much."""
        if self.durable == self.seq:
            return []
        self._later.append(Later(self.seq, lambda: self._let_go(key, client, size)))
        return self._hold(key, client, size)

    def _refuse(self, key: int, message: Message, error: ClientError) -> list[Effect]:
        """Tell the sender what was wrong; a client that has already changed its own copy must pull again."""
        client, header = self.clients[key], message.header
        self.tally.refused += 1
        content = orjson.dumps({"text": str(error), "code": error.code, "traceback": None})
        stale = header.msgtype == "PATCH-DOC" and (client.ours or client.kind == "viewer")
        client.cursor.subscribed = client.cursor.subscribed and not stale

        def tell() -> Iterable[Effect]:
            yield from self._reply(key, "ERROR", content, header.msgid, number=header.number)()
            yield from self._resync([key] if stale else [], error.code)

        return self._when_durable(tell)


def barred(client: int) -> Close:
    """Show the door to who has lost his right."""
    return Close(client, AccessRevoked.close, AccessRevoked.code)
