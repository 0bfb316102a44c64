"""Tests under load. Each is there twice: short, with what holds on any machine, and long (``make load``, ``make soak``,
``make chaos``), with the times and ratios that need a machine with nothing else to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Report = Callable[[str], None]


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Report:
    """Say a figure on the terminal, also where the test passes."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n{request.node.name}: {line}", end="")

    return say
