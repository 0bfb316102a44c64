"""Columns that somebody reads while they change: what he was lent or has pinned stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bokeh_server.core.column import (
    Column,
)

NAN = {"type": "number", "value": "nan"}


@pytest.mark.parametrize(
    "change",
    [
        lambda column: column.patch(0, 9.0),
        lambda column: column.patch(slice(1, 3), [8.0, 9.0]),
        lambda column: column.stream([4.0], None),
        lambda column: column.stream(["a"], None),
        lambda column: column.stream(np.array([4.0, 5.0]), 2),
        lambda column: column.extend([4.0] * 3000, 3),
        lambda column: column.stream(np.array([4.0]), None)[0](),
        lambda column: (column.stream(["a"], None)[0](), column.patch(1, 7.0)),
    ],
)
@pytest.mark.parametrize("streamed", [0, 2])
def test_what_a_reader_was_lent_stays_as_it_was(change: Callable[[Column], Any], streamed: int) -> None:
    column = Column(np.array([1.0, 2.0, 3.0]))
    for _ in range(streamed):  # from the first on, the array has room behind its values
        column.stream([0.5], 3)
    lent = column.lend()
    assert isinstance(lent, np.ndarray)
    before = lent.copy()
    for _ in range(2):
        change(column)
        assert lent.tolist() == before.tolist()


def test_a_column_that_nobody_was_lent_is_patched_in_place() -> None:
    column = Column(np.array([1.0, 2.0]))
    column.patch(0, 5.0)
    array = column.values
    column.patch(1, 6.0)
    assert column.values is array
    column.lend()
    column.patch(1, 7.0)
    patched = column.values
    assert patched is not array
    column.patch(1, 8.0)
    assert column.values is patched
