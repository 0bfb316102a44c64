"""The endless fuzz can be started: each of its targets, for a moment. The guided one runs 200,000 inputs in each run.

``FUZZ_RUNS`` is how many inputs each guided target gets (1,000,000 in ``make fuzz``), ``FUZZ_SEED`` where they begin.
"""

from __future__ import annotations

import json
import logging
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bokeh_server.core.apply import apply
from bokeh_server.core.document import Document
from bokeh_server.errors import ClientError
from fuzz import guided, mutator, seeds, targets
from fuzz.__main__ import TARGETS, main
from fuzz.fragments import pack, unpack

ROOT = Path(__file__).parent.parent
RUNS = {"wire": 160_000, "patches": 40_000}
COVERED = {"apply.py": 90, "column.py": 82, "document.py": 88, "merge.py": 90, "plain.py": 90, "wire.py": 85}
"""Per cent of a file's branches that the guided inputs reach at least; the rest is for readers of other kinds."""


def started(target: str, *flags: str, cwd: Path, run: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    """A guided target in a process of its own; what it says is in a file of its name."""
    command = [sys.executable, *run, "-m", "fuzz.guided", target, *flags]
    with (cwd / target).open("wb") as log:
        return subprocess.Popen(command, cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=log, stderr=log)


@pytest.mark.timeout(0)
def test_what_comes_from_a_socket_is_refused_cleanly_or_holds_for_everybody(tmp_path: Path) -> None:
    """The targets' own words: ``fuzz.targets``."""
    seed = os.environ.get("FUZZ_SEED") or str(random.SystemRandom().randrange(1, 2**31))
    runs = {target: int(os.environ.get("FUZZ_RUNS", few)) for target, few in RUNS.items()}
    processes = {name: started(name, f"-runs={runs[name]}", f"-seed={seed}", cwd=tmp_path) for name in RUNS}
    for name, process in processes.items():
        status, told = process.wait(), (tmp_path / name).read_text(errors="replace")
        assert status == 0, f"FUZZ_SEED={seed}: {told[-5000:]}"
        words = [line for line in told.splitlines() if line.startswith(f"{name}: ")][-1].split()
        assert int(words[1]) == runs[name]
        assert int(words[3]) > 0.2 * runs[name], "hardly anything is taken: the inputs do not reach what they are for"


def test_the_guided_inputs_reach_the_core(tmp_path: Path) -> None:
    run = "coverage run --rcfile=/dev/null --parallel-mode --branch --include=*/bokeh_server/core/*".split()
    for target in RUNS:
        process = started(target, "-plain", "-runs=3000", "-seed=1", cwd=tmp_path, run=("-m", *run))
        assert process.wait() == 0
    for command in (["combine", "--quiet"], ["json", "--quiet"]):
        subprocess.run([sys.executable, "-m", "coverage", *command], cwd=tmp_path, check=True)
    files = json.loads((tmp_path / "coverage.json").read_text())["files"]
    covered = {Path(name).name: file["summary"]["percent_covered"] for name, file in files.items()}
    assert {name: covered[name] for name, least in COVERED.items() if covered[name] < least} == {}


def test_a_guided_failure_leaves_its_input_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(document: Document, *patch: Any, origin: Any = "program") -> Any:
        try:
            return apply(document, *patch, origin=origin)
        except ClientError:
            document.title += "half done"
            raise

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(targets, "apply", wrong)
    with pytest.raises(AssertionError, match="left something behind"):
        guided.plainly("patches", 1000, 1)
    targets.spare.clear()
    [crash] = tmp_path.iterdir()
    assert str(crash.name) in capsys.readouterr().err
    with pytest.raises(AssertionError, match="left something behind"):
        targets.patches(crash.read_bytes())
    targets.spare.clear()


@pytest.mark.parametrize("data", [b"", b"t", b"t\0\0\5ab", b"b\xff\xff\xffx", b"t\0\0\1\xff" * 3, bytes(99)])
def test_any_bytes_are_some_fragments(data: bytes) -> None:
    fragments = list(unpack(data))
    assert list(unpack(pack(fragments))) == fragments
    targets.wire(data)
    targets.patches(data)


def test_a_mutation_is_made_by_its_seed_and_keeps_within_its_size() -> None:
    def bytewise(data: bytes, most: int) -> bytes:
        return data[:most]

    [first, *_] = seeds.seeds()
    made = [mutator.mutated(first, 300, at, bytewise) for at in range(200)]
    assert made == [mutator.mutated(first, 300, at, bytewise) for at in range(200)]
    assert max(map(len, made)) <= 300
    assert len(set(made)) > 100


@pytest.fixture(autouse=True)
def log_again() -> Iterator[None]:
    """The fuzz turns logging off."""
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("target", TARGETS)
def test_each_target_runs(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(target, "0.2", "1")
    words = capsys.readouterr().out.split()
    assert words[0] == f"{target}:"
    assert int(words[1]) >= 1


def test_a_failure_names_its_seed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(TARGETS, "room", lambda seed: 1 // (seed - 7))
    with pytest.raises(ZeroDivisionError):
        main("room", "10", "5")
    assert capsys.readouterr().err == "room: failed at seed 7\n"
