"""Copies that are edited at the same time become equal, and equal to the log: three to six pages and programs.

Nothing breaks here (``test_room.py`` does that); everything is late, and everybody changes the same few things: values,
titles, columns, lists of children, roots. 400 runs of 120 steps (``CONVERGENCE_RUNS``), each run by its seed.
"""

from __future__ import annotations

import logging
import os
import random
import warnings
from collections.abc import Iterator

import pytest

from tests.model.actions import Play, Step, play
from tests.model.replica import Page
from tests.model.world import Broken, World

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
RUNS = int(os.environ.get("CONVERGENCE_RUNS", "20000" if LONG else "400"))
PARTS = 4
STEPS = 120


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """bokeh and our client say what they think of the histories; nobody needs to read it."""
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def history(seed: int) -> list[Step]:
    """Edits by everybody, messages and records that take their time."""
    rng = random.Random(seed)
    clients = [("join", rng.randrange(2), 0) for _ in range(rng.randrange(4))]
    names = ["edit"] * 10 + ["talk"] * 6 + ["listen"] * 6 + ["commit"] * 5 + ["timers"] * 2 + ["submit"]
    steps = [(rng.choice(names), rng.randrange(6), rng.randrange(64)) for _ in range(STEPS)]
    return [*clients, ("rest", 0, 0), *steps]


def converges(seed: int) -> None:
    """Play the history of a seed; a failure says which."""
    try:
        play(history(seed))
    except Broken as error:
        error.add_note(f"seed {seed}")
        raise


@pytest.mark.timeout(60 + RUNS // PARTS)
@pytest.mark.parametrize("part", range(PARTS))
def test_copies_that_are_edited_at_the_same_time_become_equal(part: int) -> None:
    for seed in range(part, RUNS, PARTS):
        converges(seed)


def test_three_pages_that_set_one_value_at_once_show_the_last_in_the_log() -> None:
    made = Play()
    made.join(0)
    made.world.rest()
    pages = [client for client in made.world.clients if isinstance(client, Page)]
    assert len(pages) == 3
    for at, client in enumerate(made.world.clients):
        if client in pages:
            made.do(("edit", at, 1))
    made.world.rest()
    values = {page.browser.models["w"][1]["value"] for page in pages if page.browser is not None}
    assert values == {made.world.truth[-1].models["w"][1]["value"]}


def test_pages_without_the_rule_of_pending_values_do_not_converge() -> None:
    def without_rule(name: str) -> Page:
        return Page(name, pending_rule=False)

    with pytest.raises(Broken, match="differs from the log"):
        play([step for seed in range(20) for step in history(seed)], World, without_rule)
