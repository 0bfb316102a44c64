"""The vocabulary between a room and the world: frozen, so that a list of events and effects is a transcript."""

from __future__ import annotations

from typing import get_args

import pytest
from msgspec import Struct

from bokeh_server.core import events
from bokeh_server.core.authorise import DEFAULT_USER
from bokeh_server.core.document import Document
from bokeh_server.core.events import Close, Effect, Event, Send, gathered
from bokeh_server.core.log import Record
from bokeh_server.core.snapshot import Draft
from bokeh_server.core.wire import Outgoing

EVENTS = {"Joined", "Received", "Submitted", "Appended", "Failed", "Paused", "Drained", "Left", "Tick"}
EVENTS |= {"Rights", "Revoked", "Retained", "Frame", "Done"}
EFFECTS = {"Append", "Send", "Close", "Answer", "TakeSnapshot", "Beside", "Reading", "Wake", "NextFrame", "Noticed"}


def test_what_can_happen_and_what_can_be_wanted_is_a_closed_list() -> None:
    assert {kind.__name__ for kind in get_args(Event)} == EVENTS
    assert {kind.__name__ for kind in get_args(Effect)} == EFFECTS


@pytest.mark.parametrize("kind", [*get_args(Event), *get_args(Effect)], ids=lambda kind: kind.__name__)
def test_an_event_or_effect_is_frozen_and_has_no_room_for_more(kind: type) -> None:
    assert issubclass(kind, Struct)
    assert kind.__struct_config__.frozen
    assert not kind.__struct_config__.dict


def test_two_events_that_say_the_same_are_equal() -> None:
    assert events.Joined(1, "viewer", DEFAULT_USER) == events.Joined(1, "viewer", DEFAULT_USER)
    assert events.Joined(1, "viewer", DEFAULT_USER) != events.Joined(1, "program", DEFAULT_USER)


def test_an_event_can_not_be_changed_afterwards() -> None:
    tick = events.Tick(1.0)
    with pytest.raises(AttributeError, match="immutable"):
        tick.now = 2.0  # type: ignore[misc]


def test_what_goes_to_the_same_clients_goes_in_one_write_and_each_keeps_its_order() -> None:
    a, b, c, d = (Outgoing((text,)) for text in (b"a", b"b", b"c", b"d"))
    effects: list[Effect] = [
        Send((1, 2), a),
        Send((9,), b),
        Send((1, 2), c),
        Close(9, 1000, ""),
        Send((1, 2), d),
        Send((2, 3), a),
        Send((1,), b),
    ]
    done = [(e.clients, e.message.parts) if isinstance(e, Send) else e for e in gathered(effects)]
    assert done == [
        ((1, 2), ("a", "c")),
        ((9,), ("b",)),
        Close(9, 1000, ""),
        ((1, 2), ("d",)),
        ((2, 3), ("a",)),
        ((1,), ("b",)),
    ]


def test_a_snapshot_is_a_record_or_becomes_one() -> None:
    record = Record.make("doc", 1, 3, "replace", b"{}")
    assert events.TakeSnapshot(record, {}).whole() is record
    draft = Draft("doc", 1, 3, Document.empty())
    assert events.TakeSnapshot(draft, {}).whole() == draft.record()
