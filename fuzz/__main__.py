"""Fuzz for as long as you like: ``python -m fuzz TARGET [SECONDS] [SEED]``, one process, one core.

Targets: ``differential`` (apply and what it relays, against bokeh's Document and a browser's), ``input`` (spoiled
patches), ``frames`` (spoiled messages into a room), ``room`` (random histories of clients, store and crashes) and
``convergence`` (many late editors). A failure prints its seed and the shortest transcript that still shows it, and
ends the run with status 1. The targets are those of ``tests/model``; nothing here decides what is right.
"""

from __future__ import annotations

import logging
import random
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

from bokeh_server.core.authorise import Access, Actor
from bokeh_server.core.document import Document
from bokeh_server.core.events import Joined
from bokeh_server.core.log import Stored
from bokeh_server.core.room import Room
from bokeh_server.core.wire import Assembler
from tests.model import test_bad_input, test_convergence, test_room
from tests.model.actions import Step, play
from tests.model.bad_input import Spoiler, base, trial
from tests.model.differential import session

NAMES = test_room.OFTEN * 3 + test_room.SELDOM * 2 + test_room.RARELY


def differential(seed: int) -> None:
    """One document and 40 patches."""
    session(seed, 40, Counter())


def spoiled_input(seed: int) -> None:
    """One document and 8 spoiled patches."""
    spoiler = Spoiler(random.Random(seed))
    document = Document.decode(*base())
    for _ in range(8):
        content, buffers, origin = spoiler.patch()
        try:
            trial(document, content, buffers, origin)
        except Exception as error:
            error.add_note(f"a {origin} sent {content!r} {buffers}")
            raise


def frames(seed: int) -> None:
    """One socket and a few spoiled messages."""
    rng, assembler = random.Random(seed), Assembler()
    room = Room.restore(Access("d", "owner"), Stored(None, {}, []))
    room.receive(Joined(1, "viewer", Actor("user", "owner")))
    for fragment in test_bad_input.fragments(rng):
        test_bad_input.converse(room, assembler, fragment)


def room(seed: int) -> None:
    """One history of 50 steps."""
    rng = random.Random(seed)
    told([(rng.choice(NAMES), rng.randrange(6), rng.randrange(64)) for _ in range(50)])


def convergence(seed: int) -> None:
    """One history of 120 steps in which nothing breaks."""
    told(test_convergence.history(seed))


def told(history: list[Step]) -> None:
    """Play a history; one that fails is cut to what is needed, and told."""
    try:
        play(history)
    except Exception as error:
        error.add_note(f"play({shortest(history, str(error)[:24])})")
        raise


def shortest(history: list[Step], words: str) -> list[Step]:
    """A shorter history that fails with the same words."""
    size = len(history) // 2
    while size:
        at = 0
        while at < len(history):
            shorter = history[:at] + history[at + size :]
            if fails(shorter, words):
                history = shorter
            else:
                at += size
        size //= 2
    return history


def fails(history: list[Step], words: str) -> bool:
    """Whether a history fails with these words."""
    try:
        play(history)
    except Exception as error:  # noqa: BLE001 - whatever it is, only its words count
        return str(error).startswith(words)
    return False


TARGETS: dict[str, Callable[[int], None]] = {
    "differential": differential,
    "input": spoiled_input,
    "frames": frames,
    "room": room,
    "convergence": convergence,
}


def main(name: str, seconds: str = "60", seed: Any = None) -> None:
    """Run one target until the time is over."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    target, end, runs = TARGETS[name], time.monotonic() + float(seconds), 0
    at = random.SystemRandom().randrange(10**9) if seed is None else int(seed)
    while time.monotonic() < end:
        try:
            target(at)
        except Exception:
            print(f"{name}: failed at seed {at}", file=sys.stderr)
            raise
        runs, at = runs + 1, at + 1
    print(f"{name}: {runs} runs without a difference")


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 4 or sys.argv[1] not in TARGETS:
        sys.exit(__doc__)
    main(*sys.argv[1:])
