"""What lists say that a document shows."""

from __future__ import annotations

import pytest

from bokeh_server.core.census import census


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("Figure Plot DataTable Slider Range1d Div", "2 plots, 1 table, 1 widget"),
        ("Div PreText", "text"),
        ("Custom", "other content"),
    ],
)
def test_it_counts_what_people_see(names: str, words: str) -> None:
    assert census(names.split(), empty=False) == words


def test_of_an_empty_document_nothing_is_said() -> None:
    assert census([], empty=True) == ""
