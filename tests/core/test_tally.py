"""What a room counts, added up without a loss."""

from __future__ import annotations

from bokeh_server.core.tally import NAMES, Tally


def test_what_is_moved_is_counted_once() -> None:
    total, room = Tally(records=2, sent=10), Tally(records=3, documents=1, doors=1)
    total.take(room)
    total.take(room)
    assert total == Tally(records=5, documents=1, sent=10, doors=1)
    assert total.patches == 4
    assert room == Tally()


def test_two_tallies_together_leave_both_as_they_were() -> None:
    first, second = Tally(*range(len(NAMES))), Tally(*range(10, 10 + len(NAMES)))
    assert first.plus(second) == Tally(*(10 + 2 * at for at in range(len(NAMES))))
    assert first == Tally(*range(len(NAMES)))
