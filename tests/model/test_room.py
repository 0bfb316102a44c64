"""A hypothesis state machine over a room, its store and its clients: whatever happens, the promises hold.

Each run is a ``World`` of up to six clients (pages with our script, programs with our client library, stock pages and
programs) in which messages are delivered one by one, records wait for the store, sockets fill and break, the server
dies and backups are restored. ``world.py`` says what is checked at every step, and at rest. 2,000 runs of 50 steps in
every run of the suite (``ROOM_RUNS``), 50,000 with ``HYPOTHESIS_PROFILE=long``.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from msgspec import structs

from bokeh_server.core import copies
from bokeh_server.core.audience import Release
from bokeh_server.core.copies import Copy
from bokeh_server.core.events import Append, Done, Effect, Event, Paused, Received, Send, TakeSnapshot
from bokeh_server.core.room import Room
from bokeh_server.core.wire import Header, Message
from tests.model.actions import Play, Step, play
from tests.model.replica import Page
from tests.model.world import Broken, World

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
RUNS = int(os.environ.get("ROOM_RUNS", "50000" if LONG else "2000"))
PARTS = 10
STEPS = 50

CLIENT = st.integers(0, 5)
NUMBER = st.integers(0, 63)
OFTEN = ["edit", "edit", "edit", "edit", "talk", "talk", "listen", "listen", "commit", "everything"]
SELDOM = [
    "connect",
    "timers",
    "frame",
    "cut",
    "notice",
    "pause",
    "drain",
    "tick",
    "submit",
    "join",
    "thin",
    "done",
    "done",
]
RARELY = ["fail", "crash", "rest", "leave", "rewind"]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """bokeh and our client say what they think of the histories; nobody needs to read it."""
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def framed(name: str) -> Page:
    """A page as it is: it asks for one message a frame."""
    return Page(name, frames=True)


class Machine(RuleBasedStateMachine):
    """Draws what happens; at the end everything comes to rest."""

    def __init__(self) -> None:
        super().__init__()
        self.play = Play(page=framed)

    @rule(name=st.sampled_from(OFTEN), at=CLIENT, n=NUMBER)
    def often(self, name: str, at: int, n: int) -> None:
        """What happens all the time."""
        self.play.do((name, at, n))

    @rule(name=st.sampled_from(OFTEN + SELDOM), at=CLIENT, n=NUMBER)
    def seldom(self, name: str, at: int, n: int) -> None:
        """What happens now and then."""
        self.play.do((name, at, n))

    @rule(name=st.sampled_from(OFTEN + SELDOM + RARELY), at=CLIENT, n=NUMBER)
    def rarely(self, name: str, at: int, n: int) -> None:
        """What happens once in a blue moon."""
        self.play.do((name, at, n))

    def teardown(self) -> None:
        self.play.world.rest()


@pytest.mark.timeout(0 if LONG else 300)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_copy_is_the_replay_of_the_log_whatever_happens(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if part % 2:
        monkeypatch.setattr(copies, "LONG", 0)  # so that every document is written by another thread
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=-(-RUNS // PARTS),
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
            deadline=None,
        ),
    )


# Histories that once broke a promise, shortened by hand


def test_a_page_keeps_its_value_when_others_changed_it_while_its_views_were_built() -> None:
    play([("rest", 0, 0), ("edit", 0, 11), ("everything", 0, 0), ("edit", 1, 1), ("edit", 0, 1), ("everything", 0, 0)])


OVERTAKEN: list[Step] = [("rest", 0, 0), ("edit", 1, 4), ("edit", 2, 4), ("pause", 2, 0), ("everything", 0, 0)]


def test_an_acknowledgement_waits_behind_the_patches_that_a_full_socket_holds_up() -> None:
    play(OVERTAKEN)


LOOKED_UP: list[Step] = [
    ("rest", 0, 0),
    ("edit", 1, 3),
    ("edit", 0, 3),
    ("talk", 1, 3),
    ("talk", 0, 3),
    ("commit", 0, 4),
    ("listen", 0, 3),
    ("timers", 0, 0),
    ("edit", 1, 2),
    ("talk", 1, 3),
    ("talk", 0, 3),
]
"""A page looks the columns up while a title is on its way to the log."""


THINNED: list[Step] = [("thin", 0, 0), ("done", 0, 0), ("commit", 0, 0)]
"""Old rows are thinned, and everybody waits for a copy."""


def test_what_comes_while_a_copy_is_written_comes_behind_it() -> None:
    busy: list[Step] = [("edit", 0, 3), ("edit", 1, 3), ("talk", 0, 3), ("talk", 1, 3), ("commit", 0, 4)]
    play([("rest", 0, 0), *THINNED, *busy, ("thin", 0, 0), *busy, ("done", 0, 0), *busy, ("done", 0, 0), *busy])


def test_a_page_that_looks_up_columns_while_a_copy_is_on_its_way_gets_that_first() -> None:
    play([("rest", 1, 11), ("edit", 0, 3), ("edit", 5, 23), ("thin", 2, 49), ("everything", 2, 20), *THINNED])


def test_who_gets_roots_and_thinned_rows_at_one_time_pulls() -> None:
    play([("rest", 0, 12), ("edit", 0, 59), ("thin", 0, 56)])


def test_a_page_that_looks_up_columns_still_gets_the_patches_before_its_copy() -> None:
    play(LOOKED_UP)


def test_a_page_is_corrected_where_bokehjs_gets_its_own_stream_wrong() -> None:
    edits = [("edit", 2, 55), ("edit", 2, 36), ("edit", 1, 57), ("submit", 2, 28), ("talk", 1, 55), ("commit", 0, 63)]
    play([("rest", 0, 0), *edits, ("listen", 2, 17), ("edit", 2, 3), ("edit", 0, 56)])


def test_a_page_takes_what_others_did_after_its_own_patch_from_a_copy_that_holds_both() -> None:
    steps: list[Step] = [("join", 0, 0), ("rest", 0, 0), *15 * [("edit", 0, 0)], ("edit", 2, 0), ("edit", 3, 23)]
    play(steps, page=framed)


def test_a_patch_that_a_pushed_document_replaces_is_not_applied_to_it_afterwards() -> None:
    play([("rest", 0, 0), ("edit", 2, 42), ("talk", 2, 3), ("commit", 0, 4), ("listen", 1, 1), ("edit", 1, 35)])


def test_a_program_whose_pushed_document_was_replaced_while_its_socket_was_full_pulls_the_other_one() -> None:
    play([("rest", 0, 0), ("edit", 1, 35), ("pause", 1, 0), ("everything", 0, 0), ("submit", 0, 21)])


def test_a_page_that_is_cut_off_after_its_change_was_refused_does_not_keep_it() -> None:
    offline = [("rest", 0, 0), ("cut", 2, 0), ("edit", 2, 1), ("edit", 2, 11), ("connect", 2, 0)]
    resumed = [("listen", 2, 0), ("talk", 2, 0), ("listen", 2, 0), ("talk", 2, 0)]
    play([*offline, *resumed, ("listen", 2, 0), ("cut", 2, 0)])


# Mutants: what the machine must notice


class AcknowledgesEarly(Room):
    """Acknowledges before the log has the patch."""

    def receive(self, event: Event) -> list[Effect]:
        effects = super().receive(event)
        for due in self._later:
            if isinstance(due, Release) and due.sender is not None and due.ok is not None:
                effects += self._ok(due.sender, due.ok, due.seq)()
                due.ok = None
        return effects


class ShowsEarly(Room):
    """Shows a patch to others before the log has it."""

    def receive(self, event: Event) -> list[Effect]:
        effects = super().receive(event)
        patched = isinstance(event, Received) and any(isinstance(effect, Append) for effect in effects)
        return [*effects, *self._appended(self.seq)] if patched else effects


class Forgetful(Room):
    """Does not know which patches it had already."""

    def receive(self, event: Event) -> list[Effect]:
        if isinstance(event, Received):
            self.numbers.clear()
        return super().receive(event)


class ForgetfulSnapshots(Room):
    """Does not keep with a snapshot which patches it holds."""

    def receive(self, event: Event) -> list[Effect]:
        effects = super().receive(event)
        return [structs.replace(e, clients={}) if isinstance(e, TakeSnapshot) else e for e in effects]


class Overtaking(Room):
    """Acknowledges at once even where the patches before are held up by a full socket."""

    def _ok(self, key: int, header: Header, seq: int) -> Callable[[], list[Effect]]:
        def ok() -> list[Effect]:
            made = self._message("OK", b"{}", reqid=header.msgid, seq=seq, number=header.number)
            return [Send((key,), made)] if key in self.clients else []

        return ok


class Skipping(Room):
    """Loses one patch of those that a full socket held up."""

    def _catch_up(self, key: int, *, late: bool = True) -> list[Effect]:
        return super()._catch_up(key, late=late)[1:]


class Heedless(Room):
    """Goes on sending to who does not read."""

    def receive(self, event: Event) -> list[Effect]:
        return [] if isinstance(event, Paused) else super().receive(event)


class Echoing(Room):
    """Sends a page its own patches as well."""

    def receive(self, event: Event) -> list[Effect]:
        return [self._to_all(effect) for effect in super().receive(event)]

    def _to_all(self, effect: Effect) -> Effect:
        if isinstance(effect, Send) and "PATCH-DOC" in str(effect.message.parts[0]):
            return Send(tuple(self.clients), effect.message)
        return effect


class Frozen(Room):
    """Never gives a page what came within a frame."""

    def _frame(self, now: float) -> Iterable[Effect]:
        self._frame_waits = False
        return ()


class Impatient(Room):
    """Acknowledges a page's patch before it has the patches of others that wait for the end of a frame."""

    def receive(self, event: Event) -> list[Effect]:
        effects = super().receive(event)
        for key, client in self.clients.items():
            if not client.cursor.paused:
                effects += [Send((key,), ok) for _, _, ok in client.held]
                client.held.clear()
        return effects


class Negligent(Room):
    """Does not remember all that has changed when it copies that for who fell behind the ring."""

    def receive(self, event: Event) -> list[Effect]:
        effects = super().receive(event)
        self.changes.attributes.pop(("w", "value"), None)
        return effects


class Secretive(Room):
    """Tells nobody that rows were thinned."""

    def _thinned(self) -> Iterable[Effect]:
        for client in self.clients.values():
            client.cursor.seq = self._released
        return ()


class Absent(Room):
    """Does not give what came while a copy was written."""

    def _go_on(self, key: int) -> Iterable[Effect]:
        self.clients[key].cursor.seq = self._released
        return super()._go_on(key)


class Fickle(Room):
    """Writes a copy of what is there when that is done, not of what was there when it was begun."""

    def receive(self, event: Event) -> list[Effect]:
        if isinstance(event, Done) and isinstance(event.work, Copy):
            changed = [what for what, at in self.changes.attributes.items() if at >= event.work.since]
            event = Done(event.work, Copy(self.document, changed, *event.work.span).run)
        return super().receive(event)


class Silent(Room):
    """Lets nobody know that the document was replaced."""

    def _resync(self, keys: list[int], reason: str) -> Iterable[Effect]:
        return ()


class Hasty(Room):
    """Takes a copy that is on its way for one that has arrived."""

    def _pull(self, key: int, message: Message) -> list[Effect]:
        cursor = self.clients[key].cursor
        cursor.seq, cursor.subscribed = self.seq, True
        return super()._pull(key, message)


class Stubborn(World):
    """A server that keeps its document in memory when the store has failed."""

    def fail(self) -> None:
        self.writing.clear()


def with_room(mutant: type[Room]) -> type[World]:
    """A world with another room."""
    return type("Mutant", (World,), {"room_type": mutant})


def without_rule(name: str) -> Page:
    """A page in which changes of others overwrite what is on its way."""
    return Page(name, pending_rule=False)


@pytest.mark.parametrize(
    ("mutant", "history", "words"),
    [
        (AcknowledgesEarly, [("rest", 0, 0), ("edit", 1, 4)], "leaves before the log has it"),
        (ShowsEarly, [("rest", 0, 0), ("edit", 1, 4)], "leaves before the log has it"),
        (
            Forgetful,
            [("rest", 0, 0), ("edit", 0, 4), ("everything", 0, 0), ("commit", 0, 0), ("cut", 0, 0)],
            "in the log twice|differs from the log",
        ),
        (
            ForgetfulSnapshots,
            [("rest", 0, 0), ("edit", 0, 4), ("talk", 0, 3), ("submit", 0, 7), ("commit", 0, 4), ("crash", 0, 0)],
            "in the log twice",
        ),
        (Overtaking, OVERTAKEN, "differs from the log"),
        (Skipping, [("rest", 0, 0), ("pause", 0, 0), ("submit", 0, 1), ("submit", 0, 1)], "but never|differs"),
        (Heedless, [("rest", 0, 0), ("pause", 0, 0), ("submit", 0, 1)], "into a socket that is full"),
        (Negligent, [("rest", 0, 0), ("pause", 0, 0), *[("submit", 0, 1)] * 20], "differs from the log"),
        (Echoing, [("rest", 0, 0), ("edit", 0, 4)], "gets its own patch"),
        (Secretive, [("rest", 0, 0), *THINNED], "differs from the log"),
        (Absent, [("rest", 0, 0), *THINNED, *[("submit", 0, 1), ("commit", 0, 0)] * 2], "but never|differs"),
        (Fickle, [("rest", 0, 0), *THINNED, ("edit", 0, 3), ("talk", 0, 3), ("commit", 0, 0)], "differs from the log"),
        (Silent, [("rest", 0, 0), ("submit", 0, 7)], "differs from the log"),
        (Hasty, LOOKED_UP, "differs from the log"),
    ],
)
def test_the_machine_notices_a_room_that_breaks_a_promise(mutant: type[Room], history: list[Step], words: str) -> None:
    play(history)
    with pytest.raises(Broken, match=words):
        play(history, with_room(mutant))


@pytest.mark.parametrize(
    ("mutant", "history", "words"),
    [
        (Frozen, [("rest", 0, 0), ("submit", 0, 1), ("submit", 0, 1)], "does not come to rest|differs"),
        (
            Impatient,
            [("rest", 0, 0), ("submit", 0, 3), ("edit", 2, 6), ("edit", 0, 5), ("talk", 0, 0), ("talk", 2, 2)],
            "differs from the log",
        ),
    ],
)
def test_the_machine_notices_a_room_that_gets_frames_wrong(mutant: type[Room], history: list[Step], words: str) -> None:
    play(history, page=framed)
    with pytest.raises(Broken, match=words):
        play(history, with_room(mutant), page=framed)


def test_the_machine_notices_a_server_that_keeps_what_the_store_lost() -> None:
    history: list[Step] = [("submit", 0, 1), ("fail", 0, 0)]
    play(history)
    with pytest.raises(Broken, match="not the one of the log"):
        play(history, Stubborn)


def test_the_machine_notices_a_page_without_the_rule_of_pending_values() -> None:
    history: list[Step] = [("rest", 0, 0), ("edit", 1, 1), ("talk", 1, 1), ("edit", 0, 1)]
    play(history)
    with pytest.raises(Broken, match="differs from the log"):
        play(history, page=without_rule)


def test_a_long_random_history_ends_in_a_broken_promise_for_a_mutant() -> None:
    found: Any = None

    class Wrong(Machine):
        def __init__(self) -> None:
            super().__init__()
            self.play = Play(with_room(AcknowledgesEarly))

    try:
        run_state_machine_as_test(
            Wrong,
            settings=settings(
                max_examples=50,
                stateful_step_count=STEPS,
                suppress_health_check=list(HealthCheck),
                deadline=None,
                database=None,
                print_blob=False,
                report_multiple_bugs=False,
                phases=[Phase.generate],
                derandomize=True,
            ),
        )
    except Broken as error:
        found = error
    assert "leaves before the log has it" in str(found)
