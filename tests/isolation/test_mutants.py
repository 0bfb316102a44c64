"""The corpus can fail: on servers whose frame is no wall, it gets out."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error

from tests.isolation.conftest import ALL
from tests.isolation.corpus import EVERY
from tests.isolation.stage import Case, Stage

BY_NAME = {case.name: case for case in EVERY}
FEW = {
    "bare": ["read-by-CustomJS", "api-by-CustomJSExpr", "out-by-CanvasTexture", "sink-onerror"],
    "same-origin": ["read-by-HTMLTemplateFormatter", "storage-by-CustomJS"],
    "open": ["self-by-CustomJS", "styles-by-CustomJSTickFormatter", "webrtc-by-CustomJS-module", "model-fetched"],
}
"""For each fault, documents that must get through it."""


@pytest.mark.timeout(1800 if ALL else 180)
@pytest.mark.parametrize("mutant", FEW)
def test_a_server_without_this_part_of_the_wall_leaks(mutant: str, chromium: Browser, tmp_path: Path) -> None:
    cases = list(EVERY) if ALL else [BY_NAME[name] for name in FEW[mutant]]
    with Stage(chromium, tmp_path, mutant=mutant) as stage:
        leaky = [case.name for case in cases if leaks(case, stage)]
    print(f"{mutant}: {len(leaky)} of {len(cases)} documents leak")
    assert [name for name in FEW[mutant] if name not in leaky] == []


def leaks(case: Case, stage: Stage) -> bool:
    """Whether a document gets out; one that does may take the page with it, and then never says that it is done."""
    try:
        return stage.play(case).leaks != []
    except (AssertionError, Error):
        return False
