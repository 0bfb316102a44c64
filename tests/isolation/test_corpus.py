"""Every hostile document in our page, in Chromium: it does its worst, and nothing gets out."""

from __future__ import annotations

import pytest

from tests.isolation.conftest import ALL
from tests.isolation.corpus import MARKED_UP, MATRIX, ONCE, SOME
from tests.isolation.stage import Case, Stage


@pytest.mark.parametrize("case", MATRIX + ONCE if ALL else SOME + ONCE[::2], ids=lambda case: case.name)
def test_a_script_gets_nothing_out_of_its_frame(case: Case, stage: Stage) -> None:
    played = stage.play(case)
    assert played.tried, "it has to try"
    assert played.leaks == []


@pytest.mark.parametrize("case", MARKED_UP if ALL else MARKED_UP[::5], ids=lambda case: case.name)
def test_markup_and_addresses_get_nothing_out_of_a_frame(case: Case, stage: Stage) -> None:
    played = stage.play(case)
    assert played.tried, "it has to be there"
    assert played.leaks == []


@pytest.mark.parametrize("case", SOME + ONCE if ALL else SOME[::6] + ONCE[::16], ids=lambda case: case.name)
@pytest.mark.parametrize("where", ["shared", "embedded", "hosted"])
def test_who_has_logged_in_loses_nothing_to_the_document_of_somebody_else(
    case: Case, where: str, request: pytest.FixtureRequest
) -> None:
    place: Stage = request.getfixturevalue(where)
    played = place.play(case)
    assert played.tried, "it has to try"
    assert played.leaks == []


def test_nothing_came_late(stage: Stage) -> None:
    assert stage.outside.heard == []
