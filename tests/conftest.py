"""What all tests share: the numbers of hypothesis, and where Chromium is.

``HYPOTHESIS_PROFILE=long`` (``make fuzz``) runs 100 times as many examples as the default, ``ci``. Both have no
deadline for one example: the machine may be busy with something else.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.running import RunningServer

hypothesis.settings.register_profile("ci", deadline=None, max_examples=100, print_blob=True)
hypothesis.settings.register_profile("long", deadline=None, max_examples=10_000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# A shell starts what it runs in the background without Ctrl-C, nohup without the hang-up of the terminal; the programs
# that tests start must have both again.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.hookimpl(trylast=True)  # after pytest-randomly
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The one test that takes minutes starts first: all others go on beside it."""
    items.sort(key=lambda item: item.path.name != "test_crash.py")


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The browser that ``scripts/chromium`` found or installed (``make test`` passes it on), or the first in PATH."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM)), None)
    assert found, "no Chromium: run the tests by `make test`, which installs it, or set CHROMIUM to its path"
    return found


@pytest.fixture(scope="session")
def shell_path(chromium_path: str) -> str:
    """Chromium's headless shell, for tests that are not about the browser itself; where there is none, Chromium."""
    return os.environ.get("CHROMIUM_SHELL") or shutil.which("chromium-headless-shell") or chromium_path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A real server of this test's own."""
    with RunningServer(tmp_path / "data") as running:
        yield running
