"""Autobahn's cases for websockets against each adapter, over real connections; kosoku runs them.

In any run 247 cases for each server, in ``make conformance`` all 517: also those with large messages (9) and with
compression (12 and 13). Some cases wait for a second, and fail where the machine is busy with something else for
longer. So a case whose verdict is not the expected one is tried again by itself, twice; what then stays counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.explained import GRANIAN, HYPERCORN, OURS, UVICORN, Finding
from tests.hosts.test_sites import Site
from tests.running import RunningServer, environment

ALL = os.environ.get("CONFORMANCE") == "all"
LONG = ("9", "12", "13")
COUNT = 517 if ALL else 247
ATTEMPTS = 3
AT_ONCE = 4
"""Cases that run side by side."""


class Alone(RunningServer):
    """Our server as it runs by itself."""

    program = ("-m", "tests.conformance")


@dataclass(frozen=True)
class Served:
    """A server: how it is started (None: by itself), what is known of it, and whether the framing is ours."""

    command: tuple[str, ...] | None
    findings: tuple[Finding, ...]
    ours: bool = False


APP = "tests.conformance.echo"
SERVERS = {
    "by itself": Served(None, OURS, ours=True),
    "flask run": Served(("flask", "--app", f"{APP}:wsgi", "run", "--port", "{port}"), OURS, ours=True),
    "gunicorn": Served(("gunicorn", "--threads", "4", "--bind", "127.0.0.1:{port}", f"{APP}:wsgi"), OURS, ours=True),
    "uvicorn with our protocol": Served(("python", "-m", "tests.hosts.fast", "{port}", f"{APP}:asgi"), OURS, ours=True),
    "uvicorn": Served(("uvicorn", "--ws", "websockets-sansio", "--port", "{port}", f"{APP}:asgi"), UVICORN),
    "hypercorn": Served(("hypercorn", "--bind", "127.0.0.1:{port}", f"{APP}:asgi"), HYPERCORN),
    "granian": Served(("granian", "--interface", "asgi", "--port", "{port}", f"{APP}:asgi"), GRANIAN),
}


@contextmanager
def serving(server: Served, folder: Path) -> Iterator[int]:
    """The port on which it runs. No case may be an exception to it."""
    running = Alone(folder / "data") if server.command is None else Site(folder / "data", list(server.command))
    try:
        yield running.port
    finally:
        running.stop()
    log = running.log.read_text()
    assert "/bokeh_server/" not in log, log


def ran(port: int, folder: Path, *flags: str) -> dict[str, str]:
    """The verdict of each case: Autobahn's on what was said, and that on the close where it is not OK."""
    program = Path(sys.executable).with_name("kosoku")
    reports = folder / "reports"
    command = [str(program), *flags, "--outdir", str(reports), f"ws://127.0.0.1:{port}/echo"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr  # 1: not all are OK
    index = json.loads((reports / "index.json").read_text())
    verdicts = {}
    for case, told in (pair for agent in index.values() for pair in agent.items()):
        close = told["behaviorClose"]
        verdicts[case] = told["behavior"] + ("" if close in ("OK", "INFORMATIONAL") else f", {close}")
    return verdicts


def only(names: Sequence[str]) -> list[str]:
    """The flags for these cases, one after the other."""
    return [word for name in names for word in ("--include", name)]


@pytest.mark.parametrize("name", SERVERS)
def test_no_case_fails_and_each_that_is_not_ok_is_explained(name: str, tmp_path: Path) -> None:
    server = SERVERS[name]
    known = {case: finding for finding in server.findings for case in finding.cases}
    if not ALL:
        known = {case: finding for case, finding in known.items() if case.split(".")[0] not in LONG}

    def surprising(verdicts: dict[str, str]) -> dict[str, str]:
        """Those that are not as expected."""
        found = {}
        for case, verdict in verdicts.items():
            finding = known.get(case)
            if verdict != ("OK" if finding is None else finding.verdict):
                if verdict != "OK" or finding is None or not finding.sometimes:
                    found[case] = verdict
        return found

    flags = [] if ALL else [word for group in LONG for word in ("--exclude", f"{group}.*")]
    with serving(server, tmp_path) as port:
        verdicts = ran(port, tmp_path, "--parallelism", str(AT_ONCE), *flags)
        assert len(verdicts) == COUNT
        for _ in range(ATTEMPTS - 1):
            if again := surprising(verdicts):
                verdicts |= ran(port, tmp_path, *only(list(again)))
    assert not (left := surprising(verdicts)), left
    assert known.keys() <= verdicts.keys(), "what is explained is a case"


@pytest.mark.parametrize("name", [name for name, server in SERVERS.items() if server.ours])
def test_no_failure_of_ours_is_explained_away(name: str) -> None:
    findings = SERVERS[name].findings
    assert {finding.verdict for finding in findings} == {"NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED"}
    assert not any(finding.sometimes for finding in findings)
