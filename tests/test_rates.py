"""What two looks at a server say together."""

from __future__ import annotations

from typing import Any

import pytest

from bokeh_server.rates import between, ordered, quantile

BOUNDS = [0.001, 0.01, 0.1]
COUNTS = {"patches": 0, "bytes": 0, "sent": 0, "conflations": 0, "resyncs": 0}


def document(id: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "title": id, **COUNTS, **more}


def server(counts: list[int], seconds: float, **more: Any) -> dict[str, Any]:
    measured = {"counts": counts, "seconds": seconds}
    return {**COUNTS, "bounds": BOUNDS, "stages": {"commit": measured}, "loop": measured, **more}


def look(now: float, *documents: dict[str, Any], server: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"now": now, "documents": list(documents), "server": server}


def test_counts_become_so_much_a_second() -> None:
    found = between(look(10.0, document("a", patches=5, sent=100)), look(12.0, document("a", patches=9, sent=400)))
    assert found["seconds"] == 2.0
    assert (found["documents"][0]["patches"], found["documents"][0]["sent"]) == (2.0, 150.0)
    assert found["server"] is None


def test_a_document_that_is_new_in_memory_or_was_away_begins_with_all_it_has() -> None:
    found = between(
        look(0.0, document("a", patches=100)), look(2.0, document("a", patches=4), document("b", patches=6))
    )
    assert [each["patches"] for each in found["documents"]] == [2.0, 3.0]


def test_after_a_restart_of_the_server_all_it_has_is_new() -> None:
    found = between(look(900.0, document("a", patches=7)), look(4.0, document("a", patches=8)))
    assert (found["seconds"], found["documents"][0]["patches"]) == (4.0, 2.0)


def test_how_long_a_stage_took_is_told_of_what_came_in_between() -> None:
    before, after = server([5, 5, 5, 5], 9.0), server([5, 105, 5, 5], 9.5)
    found = between(look(0.0, server=before), look(1.0, server=after))["server"]
    assert found["stages"]["commit"]["mean"] == pytest.approx(0.005)
    assert found["stages"]["commit"]["p99"] == pytest.approx(0.001 + 0.009 * 0.99)
    assert between(look(0.0, server=after), look(1.0, server=after))["server"]["loop"] == {"mean": None, "p99": None}


@pytest.mark.parametrize(
    ("share", "counts", "value"),
    [
        (0.5, [4, 0, 0, 0], 0.0005),
        (0.5, [0, 2, 2, 0], 0.01),
        (1.0, [0, 2, 2, 0], 0.1),
        (0.99, [0, 0, 0, 3], 0.1),
        (0.99, [0, 0, 0, 0], None),
    ],
)
def test_a_quantile_lies_straight_within_its_bucket(share: float, counts: list[int], value: float | None) -> None:
    assert quantile(share, counts, BOUNDS) == (None if value is None else pytest.approx(value))


def test_the_busiest_come_first_and_what_is_alike_by_its_title() -> None:
    all_of_them = [
        document("b", lag=0.0),
        document("a", lag=0.0),
        document("c", lag=0.0, patches=1),
        document("d", lag=2.0),
    ]
    assert [each["id"] for each in ordered(all_of_them, "lag")] == ["d", "c", "a", "b"]
    assert [each["id"] for each in ordered(all_of_them, "patches")] == ["c", "a", "b", "d"]
