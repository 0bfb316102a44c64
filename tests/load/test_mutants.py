"""The tests under load can fail: each finds out a server that breaks its promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.load import audience, test_chaos, test_idle, test_soak, test_stalls
from tests.load.conftest import Report
from tests.running import RunningServer


class Mutant(RunningServer):
    """A server with a fault."""

    def __init__(self, folder: Path, name: str, *flags: str, port: int = 0) -> None:
        self.program = (str(Path(__file__).with_name("mutants.py")), name)
        super().__init__(folder, *flags, port=port)


def test_a_server_that_sends_on_to_those_who_do_not_read_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    with Mutant(tmp_path / "data", "greedy") as server, pytest.raises(AssertionError, match="what they do not read"):
        test_stalls.test_viewers_that_do_not_read_cost_only_themselves(server, report)


def test_a_server_that_keeps_much_for_each_viewer_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    monkeypatch.setattr(test_idle, "VIEWERS", 100)
    with Mutant(tmp_path / "data", "heavy") as server, pytest.raises(AssertionError, match="<= 15360"):
        test_idle.test_an_idle_viewer_costs_little_and_hears_of_the_next_patch(server, report)


def test_a_server_that_never_closes_a_descriptor_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    monkeypatch.setattr(test_soak, "SOAK_MINUTES", 0.05)
    monkeypatch.setattr(audience.until, "__defaults__", (2.0,))
    with Mutant(tmp_path / "data", "leaky") as server, pytest.raises(AssertionError, match="sockets are open"):
        test_soak.test_a_server_that_runs_for_long_does_not_grow(server, report)


def test_a_server_that_applies_a_patch_again_after_a_cut_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    monkeypatch.setattr(test_chaos, "RunningServer", lambda *more, port: Mutant(more[0], "twice", *more[1:], port=port))
    monkeypatch.setattr(test_chaos, "PROGRAMS_SHARE", 1.0)
    monkeypatch.setattr(test_chaos, "CHAOS_CUTS", 12)
    monkeypatch.setattr(audience.until, "__defaults__", (5.0,))
    with pytest.raises(AssertionError):
        test_chaos.test_nothing_is_lost_or_doubled_on_a_bad_network(0, tmp_path, "", report)
