"""What runs the programs of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.programs import Programs


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    """Runs programs, one after another."""
    with Programs() as launcher:
        yield launcher
