"""``lag.js`` by a clock that the test moves: when it asks, and what it makes of the answers."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage
from tests.browser.server import Server

pytestmark = pytest.mark.common_server
MADE = """(answers) => (async () => {
  const { href } = document.querySelector("link[rel=stylesheet]");
  const { Lag } = await import(new URL("lag.js", href));
  globalThis.told = [];
  globalThis.asked = 0;
  globalThis.answers = answers;
  globalThis.lag = new Lag(() => (answers ? `q${++asked}` : null), (time) => told.push(Math.round(time)));
})()"""


class Steps:
    """The meter of a page, and its clock."""

    def __init__(self, page: Page, *, answers: bool = True) -> None:
        self.page = page
        page.clock.install()
        page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 3600)
        page.evaluate(MADE, answers)

    def do(self, statement: str) -> None:
        self.page.evaluate(statement)

    def later(self, milliseconds: int) -> None:
        self.page.clock.run_for(milliseconds)

    def takes(self) -> tuple[int, list[int]]:
        """How often it has asked, and what it has told since the last look."""
        found: Any = self.page.evaluate("[asked, told.splice(0)]")
        return found[0], found[1]


@pytest.fixture
def steps(server: Server, open_page: OpenPage) -> Steps:
    return Steps(open_page(server.url))


def test_half_of_the_shortest_answer_time_is_the_way_of_the_question(steps: Steps) -> None:
    steps.do("lag.opened(100)")
    assert steps.takes() == (0, [50])
    steps.do("lag.patched()")
    steps.later(400)
    steps.do("lag.caught_up('q1')")
    assert steps.takes() == (1, [350])
    steps.later(1_600)
    assert steps.takes()[0] == 2
    steps.do("lag.caught_up('q2')")
    assert steps.takes() == (2, [0]), "the shortest is now 0"


def test_it_asks_every_two_seconds_while_patches_come_and_then_no_more(steps: Steps) -> None:
    steps.do("lag.opened(0)")
    steps.later(60_000)
    assert steps.takes()[0] == 0, "nothing came"
    steps.do("lag.patched()")
    for _ in range(30):
        steps.do("lag.caught_up(`q${asked}`)")
        steps.later(2_000)
    asked = steps.takes()[0]
    assert 14 <= asked <= 17
    steps.later(60_000)
    assert steps.takes()[0] == asked
    steps.do("lag.patched()")
    assert steps.takes()[0] == asked + 1


def test_while_an_answer_is_overdue_the_page_is_at_least_as_far_behind(steps: Steps) -> None:
    steps.do("lag.opened(100)")
    steps.do("lag.patched()")
    steps.takes()
    steps.later(3_000)
    assert steps.takes() == (1, [450, 950, 1450, 1950, 2450, 2950])
    steps.do("lag.caught_up('q1')")
    assert steps.takes() == (1, [2950])


def test_a_short_wait_is_no_news_to_who_was_further_behind(steps: Steps) -> None:
    steps.do("lag.opened(0)")
    steps.do("lag.patched()")
    steps.later(5_000)
    steps.do("lag.caught_up('q1')")
    assert steps.takes()[1][-1] == 5_000
    steps.later(2_500)
    asked, told = steps.takes()
    assert (asked, told) == (2, [])
    steps.do("lag.caught_up('q2')")
    assert steps.takes()[1][0] < 2_600


def test_only_the_answer_to_the_last_question_counts_or_a_fresh_copy(steps: Steps) -> None:
    steps.do("lag.opened(0)")
    steps.do("lag.caught_up(null); lag.caught_up('q0'); lag.patched(); lag.caught_up('q0')")
    assert steps.takes() == (1, [0])
    steps.later(400)
    steps.do("lag.caught_up(null)")
    assert steps.takes() == (1, [400])
    steps.do("lag.caught_up('q1')")
    assert steps.takes() == (1, [])


def test_with_the_socket_the_question_is_gone(steps: Steps) -> None:
    steps.do("lag.opened(100)")
    steps.do("lag.patched()")
    steps.takes()
    steps.do("lag.closed()")
    steps.later(60_000)
    assert steps.takes() == (1, [])
    steps.do("lag.opened(10)")
    steps.do("lag.caught_up('q1')")
    assert steps.takes() == (1, [5])
    steps.do("lag.patched()")
    assert steps.takes() == (2, [])


def test_where_nobody_can_be_asked_it_tries_again(server: Server, open_page: OpenPage) -> None:
    steps = Steps(open_page(server.url), answers=False)
    steps.do("lag.opened(100)")
    steps.do("lag.patched()")
    steps.later(5_000)
    steps.do("lag.caught_up(null)")
    assert steps.takes() == (0, [50])


@pytest.mark.parametrize(
    ("time", "read", "exact"),
    [
        (4, "0 s", "4 ms"),
        (123, "0 s", "120 ms"),
        (996, "1 s", "1.0 s"),
        (2_449, "2 s", "2.4 s"),
        (9_400, "9 s", "9.4 s"),
        (12_400, "10 s", "12.4 s"),
        (88_000, "90 s", "88.0 s"),
        (240_000, "4 min", "240.0 s"),
    ],
)
def test_times_in_words(server: Server, open_page: OpenPage, time: int, read: str, exact: str) -> None:
    page = open_page(server.url)
    script = """(time) => (async () => {
      const { href } = document.querySelector("link[rel=stylesheet]");
      const { exactly, span } = await import(new URL("words.js", href));
      return [span(time), exactly(time)];
    })()"""
    assert page.evaluate(script, time) == [read, exact]
