"""Programs that edit one document at the same time end up with the same document, the server's.

Random edits by bokeh's own calls, random delays of every message, cuts, restarts of the server, refused patches: after
everything has arrived, each program's document is what the room holds. Seeds are fixed; a failing one is a transcript.
"""

from __future__ import annotations

import random
import warnings
from typing import Any

import bokeh.util.serialization
import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource
from bokeh.settings import settings

from bokeh_server.client import backlog, waiting
from bokeh_server.client.outbox import Outbox
from tests.client.rig import Program, Rig
from tests.model import documents
from tests.model.canonical import Flat, bokeh_model, closure, server_flat
from tests.model.edits import Author


class Editor(Author):
    """Edits as ``Author`` makes them, but numbers stay numbers: what NumPy makes of text and numbers only it knows."""

    def _record(self, event: Any) -> None: ...

    @property
    def sources(self) -> list[ColumnDataSource]:
        """The sources whose columns are numbers."""
        return [source for source in super().sources if source.name == "numbers"]

    def _like(self, old: Any, size: int) -> Any:
        made = [documents.finite(self.rng) for _ in range(size)]
        return np.array(made) if isinstance(old, np.ndarray) and self.rng.random() < 0.5 else made

    def set_columns(self) -> None:
        """One column anew, or another column."""
        source = self.rng.choice(self.sources)
        size = max((len(column) for column in source.data.values()), default=3)
        source.data[self.rng.choice("xyz")] = self._like(self.rng.choice([[], np.array([])]), size)

    def replace_data(self) -> None:
        """All columns anew."""
        size = self.rng.randrange(5)
        self.rng.choice(self.sources).data = {name: self._like(np.array([]), size) for name in "xy"}


def play(
    seed: int, *, programs: int, steps: int, cuts: bool = True, holds: bool = False, memory: int | None = None
) -> tuple[Rig, list[Program]]:
    """One random history of ``programs``, until everything has arrived. Past ``memory`` bytes what waits is on disk."""
    rng = random.Random(seed)
    rig = Rig()
    document = documents.document(rng)
    document.add_root(ColumnDataSource({"x": [1.0, 2.0], "y": np.array([3.0, 4.0])}, name="numbers"))
    there = [rig.program(document, push=True)]
    there += [rig.program(Document()) for _ in range(programs - 1)]
    for program in there if memory is not None else ():
        object.__setattr__(program.connection.outbox.backlog.bounds, "memory", memory)
    editors = [Editor(random.Random(rng.random()), program.document) for program in there]
    for _ in range(steps):
        who = rng.randrange(programs)
        program = there[who]
        acts, weights = ["edit", "send", "read", "work", "cut", "restart"], [40, 20, 15, 15, 5 * cuts, 2 * cuts]
        match rng.choices([*acts, "hold"], [*weights, 8 * holds])[0]:
            case "edit":
                editors[who].edit()
            case "send":
                program.send(rng.choice([1, 2, None]))
            case "read":
                program.read(rng.choice([1, 2, None]))
            case "work":
                program.jobs.work(rng.choice([1, 2, None]))
            case "cut" if program.key is None:
                program.open()
            case "cut":
                program.cut()
            case "restart":
                rig.restart()
            case "hold" if program.document.callbacks.hold_value:
                program.document.unhold()
            case "hold":
                program.document.hold(rng.choice(["combine", "collect"]))
    for program in there:
        program.document.unhold()
        if program.key is None:
            program.open()
    rig.settle()
    return rig, there


def differences(server: Flat, document: Document) -> list[str]:
    """What a reader sees differently in a program than on the server."""
    models = {model.id: model for model in [*document.models, *document.config.references()]}
    here = {model.id for model in document.models}
    there = closure(server, tuple(("ref", root) for root in server.roots))
    found = [] if here == there else [f"models only here {here - there}, only there {there - here}"]
    if server.roots != [root.id for root in document.roots] or server.title != document.title:
        found.append(f"roots or title: {server.roots} {server.title}")
    for name in here & there:
        kind, attributes = server.models[name]
        ours = bokeh_model(models[name], set(models.values()), set(attributes))
        for attribute in attributes.keys() | ours.keys():
            one, other = attributes.get(attribute, "absent"), ours.get(attribute, "absent")
            if one != other and soft(one) != soft(other):
                found.append(f"{kind}({name}).{attribute}: {one!s:.300} != {other!s:.300}")
    return found


def soft(value: Any) -> Any:
    """A canonical value in which a list and an array of the same numbers are the same, as they are to a plot."""
    if isinstance(value, tuple) and value[:1] == ("array",) and len(value) == 4:
        return soft_list(np.frombuffer(value[3], value[1]).reshape(value[2]).tolist())
    if isinstance(value, tuple) and value[:1] in (("number",), ("bool",)) and len(value) == 2:
        return ("number", repr(np.float32(value[1])))
    if value == ("struct", ("type", "value"), ("value", None)):
        return None
    return tuple(map(soft, value)) if isinstance(value, tuple) else value


def soft_list(values: Any) -> Any:
    """The canonical list of an array."""
    return ("list", *map(soft_list, values)) if isinstance(values, list) else ("number", repr(np.float32(values)))


@pytest.fixture(autouse=True)
def repeatable(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Ids by counting, so that a seed is one history."""
    settings.simple_ids = True
    monkeypatch.setattr(bokeh.util.serialization, "_simple_id", 1000)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
    settings.simple_ids = False


def check(seed: int, caplog: pytest.LogCaptureFixture, **how: Any) -> None:
    rig, programs = play(seed, **how)
    server = server_flat(rig.room.document)
    assert [differences(server, program.document) for program in programs] == [[]] * len(programs)
    assert not [record for record in caplog.records if record.exc_info], "an error was logged with a traceback"
    assert "can't be taken over" not in caplog.text


@pytest.mark.parametrize("seed", range(15))
def test_one_program_stays_equal_through_cuts_and_restarts(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    check(seed, caplog, programs=1, steps=60)


@pytest.mark.parametrize("seed", range(20))
def test_two_programs_become_equal_whatever_they_edit_at_once(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    check(seed, caplog, programs=2, steps=60, cuts=False)


@pytest.mark.parametrize("seed", range(20))
def test_two_programs_become_equal_through_cuts_and_restarts(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    check(seed, caplog, programs=2, steps=60)


@pytest.mark.parametrize("seed", range(10))
def test_three_programs_become_equal_through_cuts_and_restarts(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    check(seed, caplog, programs=3, steps=100)


@pytest.mark.parametrize("seed", range(8))
def test_two_programs_that_hold_changes_back_become_equal(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    check(seed, caplog, programs=2, steps=60, holds=True)


@pytest.mark.parametrize("memory", [0, 2000])
@pytest.mark.parametrize("seed", range(100, 112))
def test_two_programs_whose_changes_wait_on_disk_become_equal(
    seed: int, memory: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (backlog, waiting):
        monkeypatch.setattr(module, "BATCH", 500)
    monkeypatch.setattr(Outbox, "overflows", False)
    check(seed, caplog, programs=2, steps=60, memory=memory)
