"""The callback thread: one job after the other, errors logged, bounded, and usable from inside of a job."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from bokeh_server.client.callbacks import Callbacks
from tests.client.pages import until


@pytest.fixture
def overflows() -> list[str]:
    """What was said about overflows."""
    return []


@pytest.fixture
def callbacks(overflows: list[str]) -> Iterator[Callbacks]:
    """A thread that takes 100 bytes."""
    made = Callbacks(lambda: overflows.append("full"), waiting=100)
    yield made
    made.stop()


def test_jobs_run_in_order_in_one_daemon_thread(callbacks: Callbacks) -> None:
    ran: list[tuple[int, threading.Thread]] = []
    for number in range(5):
        callbacks.put(lambda number=number: ran.append((number, threading.current_thread())))  # type: ignore[misc]
    until(lambda: len(ran) == 5)
    assert [number for number, _ in ran] == list(range(5))
    assert len({thread for _, thread in ran}) == 1
    assert ran[0][1].daemon


def test_an_error_is_logged_with_its_traceback_and_the_next_job_runs(
    callbacks: Callbacks, caplog: pytest.LogCaptureFixture
) -> None:
    done = threading.Event()
    callbacks.put(lambda: 1 / 0)
    callbacks.put(done.set)
    assert done.wait(10)
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("way_out", [SystemExit(3), KeyboardInterrupt()])
def test_a_callback_that_wants_to_end_the_program_ends_alone(
    callbacks: Callbacks, caplog: pytest.LogCaptureFixture, way_out: BaseException
) -> None:
    def leave() -> None:
        raise way_out

    done = threading.Event()
    callbacks.put(leave)
    callbacks.put(done.set)
    assert done.wait(10)
    assert type(way_out).__name__ in caplog.text


def test_a_job_for_later_waits_for_its_time_and_for_those_before_it(callbacks: Callbacks) -> None:
    ran: list[str] = []
    began = time.monotonic()
    times: list[float] = []
    callbacks.put_later(lambda: times.append(time.monotonic() - began), 0.2)
    callbacks.put_later(lambda: ran.append("last"), 0.2)
    callbacks.put_later(lambda: ran.append("second"), 0.1)
    callbacks.put(lambda: ran.append("first"))
    until(lambda: len(ran) == 3)
    assert ran == ["first", "second", "last"]
    assert times[0] >= 0.2


def test_a_stopped_thread_does_nothing_later(callbacks: Callbacks) -> None:
    ran: list[int] = []
    callbacks.put_later(lambda: ran.append(1), 0.05)
    callbacks.stop()
    callbacks.put_later(lambda: ran.append(2), 0.0)
    time.sleep(0.1)
    assert ran == []


def test_what_waits_too_long_is_dropped_and_said_once_the_rest_is_done(
    callbacks: Callbacks, overflows: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    entered, leave = threading.Event(), threading.Event()
    ran: list[int] = []

    def slow() -> None:
        entered.set()
        leave.wait(10)

    callbacks.put(slow)
    assert entered.wait(10)
    for number in range(5):
        callbacks.put(lambda number=number: ran.append(number), 40)  # type: ignore[misc]
    callbacks.put(lambda: ran.append(99))
    leave.set()
    until(lambda: 99 in ran)
    assert ran == [0, 1, 99]
    assert overflows == ["full"]
    assert "took too long" in caplog.text
    callbacks.put(lambda: ran.append(5), 40)
    until(lambda: 5 in ran)


def test_a_job_may_wait_for_a_later_one(callbacks: Callbacks) -> None:
    seen: list[str] = []

    def first() -> None:
        assert callbacks.here
        callbacks.put(lambda: seen.append("second"))
        assert callbacks.wait(lambda: "second" in seen, 10)
        assert not callbacks.wait(lambda: False, 0.01)
        seen.append("first")

    callbacks.put(first)
    until(lambda: seen == ["second", "first"])
    assert not callbacks.here


def test_after_the_end_nothing_runs(callbacks: Callbacks) -> None:
    ran: list[int] = []
    callbacks.put(lambda: ran.append(1))
    until(lambda: ran)
    callbacks.stop()
    callbacks.put(lambda: ran.append(2))
    assert not callbacks.wait(lambda: len(ran) > 1, 0.05)
