"""The differential run: random patches into the server's ``apply`` and into bokeh's ``Document``, step by step.

``session(seed)`` builds a document, makes patches of it by ``edits`` and ``handmade``, and applies each to both. After
each patch the models that it touched are compared, now and then and at the end all of them. A difference raises
``Difference`` with the seed and the shortest transcript that still shows it: the document, then the patches.
"""

from __future__ import annotations

import random
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson
from bokeh.protocol.messages.push_doc import push_doc

from bokeh_server.core import Buffers
from bokeh_server.core.apply import apply
from bokeh_server.core.document import Document
from bokeh_server.errors import ClientError
from tests.model import documents
from tests.model.browser import Browser, Thrown
from tests.model.canonical import compare, differences, server_flat
from tests.model.edits import FAILURES, Author, Patch, merged
from tests.model.handmade import handmade
from tests.model.oracle import Oracle


class Difference(AssertionError):
    """The server and bokeh disagree."""


class Pair:
    """The server's document and bokeh's, which get the same patches, and a browser that gets what the server relays."""

    def __init__(self, content: bytes, buffers: Buffers) -> None:
        self.ours = Document.decode(content, buffers)
        self.oracle = Oracle.decode(content, buffers)
        self.browser = Browser(*self.ours.encode())
        self.over = False
        """Whether both refused a patch: they can't be compared any more."""

    def apply(self, content: bytes, buffers: Buffers) -> list[str]:
        """Apply a patch to both; the differences in accepting it."""
        try:
            self.oracle.apply(content, buffers)
            refused = None
        except FAILURES as error:
            refused = f"{type(error).__name__}: {error}"
        try:
            normal = apply(self.ours, content, buffers)
        except ClientError as error:
            self.over = True  # bokeh may have carried out a part of it
            return [] if refused else [f"the server refused what bokeh takes: {error}"]
        if refused:
            return [f"the server took what bokeh refuses: {refused}"]
        try:
            if normal.content is not None:
                self.browser.apply(normal.content, normal.buffers)
        except Thrown as error:
            return [f"a browser throws: {error}"]
        return []

    def differences(self, only: set[str] | None = None) -> list[str]:
        """What differs now."""
        ours = server_flat(self.ours)
        found = differences(ours, self.oracle.document, only)
        return found or (compare(ours, self.browser.flat()) if only is None else [])


def session(seed: int, steps: int, count: Counter[str]) -> None:
    """One random document and ``steps`` patches; raises ``Difference``. ``count`` counts events by kind."""
    rng = random.Random(seed)
    with warnings.catch_warnings(), documents.counted_ids():
        warnings.simplefilter("ignore")
        author = Author(rng, documents.document(rng))
        content, buffers = pushed(author)
        pair = Pair(content, buffers)
        done: list[Patch] = []
        found = pair.differences()
        for step in range(steps):
            if found:
                raise Difference(report(seed, content, buffers, done, found))
            patch = next_patch(rng, author)
            count.update(event["kind"] for event in orjson.loads(patch[0])["events"])
            count["patches"] += 1
            done.append(patch)
            whole = step % 10 == 9 or step == steps - 1
            found = pair.apply(*patch)
            if pair.over and not found:
                return
            found = found or pair.differences(None if whole else touched(patch[0]))
        if found:
            raise Difference(report(seed, content, buffers, done, found))


def viewer_session(seed: int, steps: int) -> None:
    """The same patches by a browser, whose rules are others than bokeh's: server, log and other browsers agree."""
    rng = random.Random(seed)
    with warnings.catch_warnings(), documents.counted_ids():
        warnings.simplefilter("ignore")
        author = Author(rng, documents.document(rng))
        ours = Document.decode(*pushed(author))
        logged, browser = Document.decode(*ours.encode()), Browser(*ours.encode())
        for step in range(steps):
            content, buffers = next_patch(rng, author)
            try:
                normal = apply(ours, content, buffers, origin="viewer")
            except ClientError:
                continue  # it took what a browser may say for a change of ours, and lives on without it
            if normal.content is not None:
                apply(logged, normal.content, normal.buffers)
                browser.apply(normal.content, normal.buffers)
            if step % 10 == 9:
                browser.collect()
                flat = server_flat(ours)
                found = compare(flat, browser.flat()) or compare(flat, server_flat(logged))
                if found:
                    raise Difference(f"seed {seed}, patch {step}: {found[0]}\n{content.decode()[:2000]}")


def pushed(author: Author) -> Patch:
    """The author's document as PUSH-DOC brings it, with binary buffers or with everything inside the JSON."""
    if author.rng.random() < 0.3:
        return orjson.dumps({"doc": author.document.to_json(deferred=False)}), ()
    message = push_doc.create(author.document)
    return message.content_json.encode(), tuple((buffer.id, buffer.to_bytes()) for buffer in message.buffers)


def next_patch(rng: random.Random, author: Author) -> Patch:
    """The next patch: by bokeh's machinery or by hand, of one event or of several."""
    made: list[Patch] = []
    wanted = rng.choice([1, 1, 1, 1, 2, 4])
    while len(made) < wanted:
        if rng.random() < 0.35:
            patch = handmade(rng, author)
        else:
            patch = author.edit()
        if patch is not None:
            made.append(patch)
    return made[0] if len(made) == 1 else merged(made)


def touched(content: bytes) -> set[str]:
    """Ids of the models that a patch names or defines."""
    found: set[str] = set()
    todo: list[Any] = [orjson.loads(content)]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            if isinstance(item.get("id"), str):
                found.add(item["id"])
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
    return found


def replay(content: bytes, buffers: Buffers, patches: list[Patch]) -> list[str]:
    """The first differences that these patches show, from a fresh start."""
    pair = Pair(content, buffers)
    for patch in patches:
        found = pair.apply(*patch)
        if found or pair.over:
            return found
        if found := pair.differences():
            return found
    return []


def shortest(content: bytes, buffers: Buffers, patches: list[Patch], like: str) -> list[Patch]:
    """Fewer of these patches that still end in a difference of the same words."""

    def shows(some: list[Patch]) -> bool:
        try:
            return any(line[:25] == like[:25] for line in replay(content, buffers, some))
        except Exception:  # noqa: BLE001 - a shortened history may break bokeh in any way
            return False

    for cut in chunks(len(patches) - 1):
        shorter = [patch for at, patch in enumerate(patches) if at not in cut]
        if len(shorter) < len(patches) and shows(shorter):
            return shortest(content, buffers, shorter, like)
    return patches


def chunks(size: int) -> Iterator[range]:
    """Runs of indices below ``size``, the long ones first."""
    length = size
    while length:
        yield from (range(at, min(at + length, size)) for at in range(0, size, length))
        length //= 2


def report(seed: int, content: bytes, buffers: Buffers, patches: list[Patch], found: list[str]) -> str:
    """The words of a difference."""
    few = shortest(content, buffers, patches, found[0])
    lines = [f"seed {seed}, patch {len(patches)}:", *found[:5], f"shown by {len(few)} of the patches:"]
    for body, parts in few:
        lines.append(
            body.decode()[:2000] + (f"  + {[(name, payload.hex()[:64]) for name, payload in parts]}" if parts else "")
        )
    return "\n".join(lines)
