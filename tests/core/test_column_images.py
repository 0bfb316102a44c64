"""Images of a column: many changes of one cost one copy, and nobody sees a change who was shown the image before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bokeh_server.core.column import Column

ROW = slice(0, 2, 1)


def column(*more: Any) -> tuple[Column, Any]:
    """A column of an image as it came over the wire, and the image."""
    image = np.frombuffer(bytes(32), "float64").reshape(2, 2)
    return Column([image, *more]), image


def changed(column: Column, value: float, *, at: int = 0) -> Any:
    """The image after a row of it was changed."""
    column.patch([at, 0, ROW], [value, value])
    return column.live[at]


def test_an_image_is_copied_once_for_all_changes_of_a_patch() -> None:
    images, image = column()
    first = changed(images, 1.0)
    assert first is not image
    assert changed(images, 2.0) is first
    assert (first.tolist(), image.tolist()) == ([[2, 2], [0, 0]], [[0, 0], [0, 0]])


def test_changes_of_an_image_are_taken_back_one_after_the_other() -> None:
    images, image = column()
    undos = [images.patch([0, at, ROW], [5, 6])[0] for at in (0, 1, 0)]
    for undo in reversed(undos):
        undo()
    assert images.live[0] is image
    assert image.tolist() == [[0, 0], [0, 0]]
    assert not images.own


@pytest.mark.parametrize("end", [Column.settle, Column.lend])
def test_an_image_that_a_reader_may_keep_is_copied_anew(end: Any) -> None:
    images, _ = column()
    first = changed(images, 1.0)
    end(images)
    assert changed(images, 2.0) is not first
    assert first.tolist() == [[1, 1], [0, 0]]


def test_a_single_number_of_an_image_is_taken_back() -> None:
    images, _ = column()
    changed(images, 1.0)
    undo, faithful = images.patch([0, 0, 0], 9)
    assert (images.live[0].tolist(), faithful) == ([[9, 1], [0, 0]], False)
    undo()
    assert images.live[0].tolist() == [[1, 1], [0, 0]]


def test_a_column_has_as_many_bytes_as_its_values_have_in_a_message() -> None:
    images, _ = column("ab", b"xyz", None)
    assert images.nbytes == len('[null,"ab",null,null]') + 32 + 3
    assert Column(np.zeros(3, "int16")).nbytes == 6
