"""How much is kept of what is streamed to a document, and what has to go now.

Two rules, each by itself: a *budget* in bytes for all streamed sources of a document together, past which the oldest
rows give way; and a time for which rows stay *raw*, after which they are thinned (``core.thinning``).

The budget is a rollover: the patches of a source that has reached its share go on with the number of rows that it
keeps, whatever they came with. So programs, viewers and the log do what they always do with a rollover, a patch costs
what it cost before, and nothing is ever copied to keep a budget. Where sources share one, the largest give way first.

Only sources that rows are streamed to are looked at, and only when rows come: what is set as a whole is what its author
wants to have.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from bokeh_server.core.column import Column, Columns
from bokeh_server.core.document import Document
from bokeh_server.core.history import MARKS, History
from bokeh_server.core.plain import NOT_PLAIN, Rows, decode
from bokeh_server.core.thinning import Choice, promising
from bokeh_server.core.values import load_json
from bokeh_server.errors import ClientError, RefusedPatch

HEAD = b'{"events":[{"kind":"ColumnsStreamed","model":{"id":"'
ATTR = b'},"attr":"data","data":{'
TAIL = re.compile(rb'\},"rollover":(null|[1-9]\d{0,17})\}\]\}$')
"""How Bokeh, its browsers and our client write such a patch."""
About = tuple[tuple[str, str], ...] | None
LOOKS = 64
"""A source is looked at again when a budget's part of this has come, or so often while rows are raw."""
SLOWEST, FASTEST = 60.0, 1.0
"""Seconds between two looks, at most and at least."""
REST = 10.0
"""Seconds between two steps of thinning: each page reads the source again."""
UNNOTICED = 1 / 20
"""By how much a source may miss its share before it is cut again: a cut of numbers is a copy for all viewers."""
GIVEN_WAY = (
    "Rows of this source have given way to what the document may take, so an index here means another row: stream with "
    "a rollover where rows are patched by their index."
)
SAMPLE = 64
"""Values of a list that are written to know what one takes."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept of streamed sources: ``bytes`` of a document, ``raw`` seconds before rows are thinned.

    None: all. In the settings of one document None is what the server says, and 0 is all.
    """

    bytes: int | None = None
    raw: float | None = None

    def within(self, server: Retention) -> Retention:
        """What holds for a document with these settings on a server with those."""
        chosen = (
            server.bytes if self.bytes is None else self.bytes,
            server.raw if self.raw is None else self.raw,
        )
        return Retention(chosen[0] or None, chosen[1] or None)


ALL = Retention()


class Keeper:
    """Watches the streamed sources of one document by the rules of ``retention``."""

    __slots__ = ("_looked", "_new", "_rests", "_streamed", "caps", "choices", "idle", "retention")

    def __init__(self, retention: Retention = ALL) -> None:
        self.retention = retention
        self.idle = retention == ALL
        """Whether nothing ever has to go."""
        self.caps: dict[str, int] = {}
        """The sources that have reached their share, and how many rows each keeps."""
        self._streamed: set[str] = set()
        self._new = 0
        self._looked = 0.0
        self._rests = 0.0
        self.choices: dict[str, Choice] = {}
        """The sources of which it is being found out which rows stay."""

    def capped(self, content: bytes, cut: set[str]) -> bytes:
        """A patch with the rollovers of sources that have reached their share; as it came where it has none.

        ``cut`` are the sources of which its sender's own copy has more rows, since it knows of no rollover. There the
        index of a row is another: ``RefusedPatch`` where the patch names one, so that the sender pulls.
        """
        if cut and names_rows(content, cut):
            raise RefusedPatch(GIVEN_WAY)
        usual = in_usual_form(content)
        if usual is not None:
            source, rollover = usual
            if not self._lowers(source, rollover):
                return content
            cut.add(source)
            return content[: content.rindex(b":") + 1] + b"%d}]}" % self.caps[source]
        capped = self._capped_slowly(content)
        if capped is not content:
            cut.update(self.caps.keys() & streamed(capped))
        return capped

    def _capped_slowly(self, content: bytes) -> bytes:
        try:
            patch = load_json(content)
            events = [event for event in patch["events"] if event["kind"] == "ColumnsStreamed"]
            over = [event for event in events if self._lowers(event["model"]["id"], event.get("rollover"))]
        except (ClientError, KeyError, TypeError):  # `apply` says what is wrong with it
            return content
        for event in over:
            event["rollover"] = self.caps[event["model"]["id"]]
        return orjson.dumps(patch) if over else content

    def _lowers(self, source: Any, rollover: Any) -> bool:
        cap = self.caps.get(source) if type(source) is str else None
        return cap is not None and (rollover is None or (type(rollover) is int and rollover > cap))

    def came(self, document: Document, content: bytes, size: int, now: float, about: About = None) -> list[Choice]:
        """A patch of ``size`` bytes was applied at ``now`` (seconds since 1970); what to find out of old rows now.

        ``about`` says what it has changed, where that is known.
        """
        if about is None or not all(key in self._streamed for key, _ in about):
            self._streamed.update(streamed(content))
        self._new += size
        waited = now - self._looked
        budget, raw = self.retention.bytes, self.retention.raw
        full = budget is not None and self._new * LOOKS >= budget
        late = raw is not None and waited >= min(max(raw / LOOKS, FASTEST), SLOWEST)
        if not self._streamed or not (full or late or waited > SLOWEST):
            return []
        self._new, self._looked = 0, now
        sources = {key: columns for key in self._streamed if (columns := columns_of(document, key)) is not None}
        self._streamed &= sources.keys()
        if budget is not None:
            self._share(sources, budget)
        if raw is None or now < self._rests:
            return []
        old = {
            key: Choice(key, columns, raw, now)
            for key, columns in sources.items()
            if self._look(key, columns, raw, now)
        }
        self.choices |= old
        self._rests = now + REST if old else now
        return [*old.values()]

    def _look(self, key: str, columns: Columns, raw: float, now: float) -> bool:
        """Whether a source may have to be thinned. It learns that the rows that are here are here now."""
        columns.history = columns.history or History()
        columns.history.mark(columns.gone + columns.rows, now, 2 * raw / MARKS)
        return key not in self.choices and promising(columns, raw, now)

    def waited_for(self, choice: Choice) -> bool:
        """Whether it is this choice that was asked for last; it has been made now."""
        waited = self.choices.get(choice.source) is choice
        if waited:
            del self.choices[choice.source]
        return waited

    def _share(self, sources: Mapping[str, Columns], budget: int) -> None:
        sizes = {key: sum(map(size_of, columns.values())) for key, columns in sources.items()}
        share = level(sizes.values(), budget)
        self.caps = {key: cap for key, cap in self.caps.items() if sizes.get(key, 0) > share * (1 - 2 * UNNOTICED)}
        for key, columns in sources.items():
            rows = columns.rows
            if sizes[key] < share or not rows:
                continue
            fitting = max(1, int(rows * share / sizes[key]))
            if abs(self.caps.get(key, 0) - fitting) > fitting * UNNOTICED:
                self.caps[key] = rows if rows <= fitting * (1 + UNNOTICED) else fitting


def in_usual_form(content: bytes) -> tuple[str, int | None] | None:
    """Source and rollover of a patch that is one event of rows, written as Bokeh does it; None of any other.

    Nothing is decoded: with no escapes in it, the one key "kind" is that of the only event.
    """
    if not content.startswith(HEAD) or b"\\" in content or content.count(b'"kind"') != 1:
        return None
    end = TAIL.search(content, max(0, len(content) - 40))
    source, _, after = content[len(HEAD) :].partition(b'"')
    if end is None or not after.startswith(ATTR):
        return None
    return source.decode(), None if end[1] == b"null" else int(end[1])


def streamed(content: bytes) -> Iterable[str]:
    """The sources that an applied patch has streamed rows to."""
    if b'"ColumnsStreamed"' not in content:
        return []
    try:
        (event,) = decode(content).events
    except NOT_PLAIN:
        events = load_json(content)["events"]
        return [event["model"]["id"] for event in events if event["kind"] == "ColumnsStreamed"]
    return [event.model.id] if type(event) is Rows else []


def names_rows(content: bytes, sources: set[str]) -> bool:
    """Whether a patch sets rows of one of these sources by their index."""
    if b'"ColumnsPatched"' not in content:
        return False
    try:
        events = load_json(content)["events"]
        return any(event["kind"] == "ColumnsPatched" and event["model"]["id"] in sources for event in events)
    except (ClientError, KeyError, TypeError):  # `apply` says what is wrong with it
        return False


def columns_of(document: Document, key: str) -> Columns | None:
    """The columns of a source that name no model; None where there are none."""
    model = document.models.get(key)
    found = model.attributes.get("data") if model is not None and "data" not in model.refs else None
    return found if type(found) is Columns else None


def level(sizes: Iterable[int], total: int) -> float:
    """The size to which the largest must be cut, so that all together have ``total``; what is smaller stays."""
    left = float(total)
    ordered = sorted(sizes)
    for at, size in enumerate(ordered):
        share = left / (len(ordered) - at)
        if size > share:
            return share
        left -= size
    return float("inf") if left > 0 or not ordered else float(ordered[-1])


def size_of(column: Column) -> int:
    """What a column takes in bytes, as it is in a snapshot; of a list a sample is written."""
    values = column.live if not isinstance(column.values, list) else None
    if values is not None:
        return int(values.nbytes)  # type: ignore[union-attr]
    count = len(column)
    if not count:
        return 0
    sample = [column.part(at, at + 1)[0] for at in range(0, count, -(-count // SAMPLE))]
    return sum(map(written_size, sample)) * count // len(sample)


def written_size(value: Any) -> int:
    """Bytes of a value in a snapshot, with its comma."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    return len(orjson.dumps(value, default=lambda inner: "x" * (inner.nbytes if hasattr(inner, "nbytes") else 1))) + 1
