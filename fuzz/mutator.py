"""Changes an input by its structure: mostly one value within the JSON of a message, so that it is read to its depth.

What comes out is nearly always a message whose fragments fit each other; the rest has fragments left out, doubled or
of the wrong kind, a spoiled header, or bytes changed at random (``bytewise``: a fuzzer's own way to do that).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from fuzz.fragments import Fragment, as_bytes, pack, unpack
from fuzz.seeds import seeds, single
from tests.model.bad_input import Spoiler

Bytewise = Callable[[bytes, int], bytes]

KNOWN = ("s", "w", "r", "js", "c", "sel", "n", "b0", "b1", "b2")
"""Ids of models and buffers that are there."""
EVENTS = [orjson.dumps(event) for event in single()]
OTHERS = [tuple(unpack(seed)) for seed in seeds()]


def mutated(data: bytes, most: int, seed: int, bytewise: Bytewise) -> bytes:
    """Another input of at most ``most`` bytes; one ``seed`` makes one of it, where ``bytewise`` does."""
    rng = random.Random(seed)
    if rng.random() < 0.08:
        return bytewise(data, most)
    fragments = list(unpack(data))
    for _ in range(rng.choice((1, 1, 2, 3))):
        changed(rng, fragments)
    made = pack(fragments)
    return made if len(made) <= most else made[:most]


def changed(rng: random.Random, fragments: list[Fragment]) -> None:
    """Change one thing in a row of fragments."""
    at = contents(fragments)
    roll = rng.random()
    if not at or roll < 0.06:
        other = rng.choice(OTHERS)
        fragments[len(fragments) if rng.random() < 0.9 else 0 :] = other
    elif roll < 0.80:
        in_json(rng, fragments, rng.choice(at), within_patch)
    elif roll < 0.86:
        in_json(rng, fragments, rng.randrange(len(fragments)), spoiled)
    elif roll < 0.93:
        in_json(rng, fragments, rng.choice(at), reordered)
    else:
        row(rng, fragments)


def contents(fragments: list[Fragment]) -> list[int]:
    """Where patches are."""
    return [at for at, part in enumerate(fragments) if isinstance(part, str) and part.startswith('{"events"')]


def row(rng: random.Random, fragments: list[Fragment]) -> None:
    """Leave a fragment out, have it twice, cut it, or make it of the other kind."""
    at = rng.randrange(len(fragments))
    part = fragments[at]
    match rng.randrange(5):
        case 0:
            del fragments[at]
        case 1:
            fragments.insert(at, part)
        case 2:
            fragments[at] = part[: rng.randrange(len(part) + 1)]
        case 3:
            fragments[at] = as_bytes(part) if isinstance(part, str) else part.decode("latin-1")
        case _:
            fragments[at] = part * rng.choice((0, 2, 50))


def in_json(
    rng: random.Random, fragments: list[Fragment], at: int, change: Callable[[random.Random, Any], Any]
) -> None:
    """Change the JSON of a fragment; what is none stays."""
    part = fragments[at]
    if isinstance(part, bytes):
        fragments[at] = rng.choice((part[:-1], part + part, part + b"\0", rng.randbytes(len(part) or 8)))
        return
    try:
        value = orjson.loads(as_bytes(part))
    except ValueError:
        return
    fragments[at] = dumped(change(rng, value))


def dumped(value: Any) -> str:
    """JSON of any depth and any number."""
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):
        return json.dumps(value)


def within_patch(rng: random.Random, patch: Any) -> Any:
    """Another event, an event twice, a known id or a value of elsewhere in place of a value, or junk."""
    events = patch.get("events") if isinstance(patch, dict) else None
    if not isinstance(events, list) or not events or rng.random() < 0.55:
        return spoiled(rng, patch)
    at = rng.randrange(len(events))
    match rng.randrange(6):
        case 0:
            events.insert(at, orjson.loads(rng.choice(EVENTS)))
        case 1:
            events.insert(rng.randrange(len(events) + 1), events[at])
        case 2:
            events[at] = orjson.loads(rng.choice(EVENTS))
        case 3:
            del events[at]
        case _:
            places = list(nodes(events))
            holder, key = rng.choice(places)
            holder[key] = rng.choice(KNOWN) if isinstance(holder[key], str) else copied(rng, places)
    return patch


def copied(rng: random.Random, places: list[tuple[Any, Any]]) -> Any:
    """A copy of one of the values, or a plain one."""
    holder, key = rng.choice(places)
    return orjson.loads(dumped(rng.choice((holder[key], holder[key], {"id": rng.choice(KNOWN)}, rng.randrange(-2, 9)))))


def nodes(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a value: what holds it, and its key or index there."""
    todo = [value]
    while todo:
        holder = todo.pop()
        for key, item in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
            yield holder, key
            if isinstance(item, dict | list):
                todo.append(item)


def reordered(rng: random.Random, patch: Any) -> Any:
    """The parts of an object in another order: what is read first differs from reader to reader."""
    objects = [holder[key] for holder, key in nodes([patch]) if isinstance(holder[key], dict)]
    if objects:
        chosen = rng.choice(objects)
        items = list(chosen.items())
        rng.shuffle(items)
        chosen.clear()
        chosen.update(items)
    return patch


def spoiled(rng: random.Random, value: Any) -> Any:
    """``value`` with one thing wrong."""
    return Spoiler(rng).spoil(value)


def flipped(data: bytes, most: int, rng: random.Random) -> bytes:
    """Bytes changed at random, where no fuzzer does it better."""
    return Spoiler(rng).flipped(data)[:most]
