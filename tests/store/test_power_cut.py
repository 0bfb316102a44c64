"""A power cut loses nothing that was acknowledged; and this test would see it, if it did.

POWER_CUTS is how many there are (``make crash`` makes many). ``experiments/power_cut.py`` prints the figures.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from random import Random

import pytest

from bokeh_server.errors import StoreDamaged
from bokeh_server.store.sqlite import SYNCHRONOUS
from tests.store.disk import Acknowledged, cuts
from tests.store.power_cut import lost_operations, record, reopened

POWER_CUTS = int(os.environ.get("POWER_CUTS", "60"))


@pytest.mark.timeout(60 + POWER_CUTS)
def test_a_power_cut_loses_nothing_that_was_acknowledged() -> None:
    seed = Random().randrange(2**32)
    print("seed", seed)
    lost = list(lost_operations(POWER_CUTS, "disk", seed))
    assert len(lost) == POWER_CUTS
    assert sum(lost) == 0


def test_without_flushes_a_power_cut_loses_acknowledged_operations_but_mixes_none() -> None:
    assert sum(lost_operations(POWER_CUTS, "process", seed=1)) > 0


def test_where_only_the_tail_is_flushed_a_power_cut_loses_or_mixes_what_the_tables_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(SYNCHRONOUS, "disk", "NORMAL")
    with pytest.raises((AssertionError, StoreDamaged)):
        assert not any(lost_operations(30, "disk", seed=1))


def test_a_power_cut_while_the_database_is_made_does_not_keep_it_from_being_made(tmp_path: Path) -> None:
    async def play() -> None:
        history, states = await record(tmp_path / "recorded", "disk", Random(1))
        first = next(at for at, event in enumerate(history) if isinstance(event, Acknowledged))
        for turn, (_, files) in enumerate(cuts(history, range(first + 1), Random(2))):
            assert await reopened(tmp_path / str(turn), files) in states[:2]

    asyncio.run(play())
