"""The recipes of the Makefile bring what their tests need."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RECIPES = dict(re.findall(r"^(\w+):[^\n]*##[^\n]*\n((?:\t[^\n]*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE))


def needs_browser(place: str) -> bool:
    """Whether tests in a file or folder ask for a browser."""
    files = (ROOT / place).rglob("test_*.py") if (ROOT / place).is_dir() else [ROOT / place]
    return any(re.search(r"\b(chromium|shell)_path\b", file.read_text()) for file in files)


@pytest.mark.parametrize("recipe", [name for name in RECIPES if "-m pytest" in RECIPES[name]])
def test_a_recipe_brings_the_browser_that_its_tests_ask_for(recipe: str) -> None:
    places = re.findall(r"\btests/[\w/.]+", RECIPES[recipe]) or ["tests"]
    assert ("$(BROWSERS)" in RECIPES[recipe]) == any(map(needs_browser, places))


@pytest.mark.parametrize("recipe", [name for name in RECIPES if "-m pytest" in RECIPES[name]])
def test_a_recipe_brings_the_proxies_that_its_tests_run(recipe: str) -> None:
    places = re.findall(r"(?<!--ignore )\btests/[\w/.]+", RECIPES[recipe]) or ["tests", "tests/deploy"]
    assert ("scripts/proxies" in RECIPES[recipe]) == ("tests/deploy" in places)
