"""The crash test can fail: it finds out servers that break a promise."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash import test_crash
from tests.running import RunningServer


def broken_promise(folder: Path, mutant: str) -> str:
    """What the crash test says of a server with this fault, which it must notice within 30 kills."""

    class Mutant(RunningServer):
        program = (str(Path(__file__).with_name("mutants.py")), mutant)

    with Mutant(folder) as server, pytest.raises(BaseExceptionGroup) as caught:
        asyncio.run(test_crash.live(server, ["one"], 1))
    _, rest = caught.value.split(AssertionError)
    assert rest is None
    return " ".join(str(error) for error in caught.value.exceptions)


@pytest.fixture(autouse=True)
def few_kills(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A fault shows soon; it ends the clients in the middle of whatever they do, sockets open."""
    monkeypatch.setattr(test_crash, "CYCLES", 30)
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.mark.timeout(300)
def test_an_acknowledgement_before_the_log_has_the_patch_is_noticed(tmp_path: Path) -> None:
    words = broken_promise(tmp_path / "data", "early")
    assert "acknowledged rows are lost" in words or "shown" in words


@pytest.mark.timeout(300)
def test_a_server_that_applies_a_patch_again_after_a_restart_is_noticed(tmp_path: Path) -> None:
    broken_promise(tmp_path / "data", "forgetful")  # a viewer is shown a row twice, or the source has it twice
