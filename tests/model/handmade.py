"""Patches that no program of bokeh's makes, but a browser or another language does, written by hand.

Slices with nulls, ``cols``, typed arrays and big-endian bytes as BokehJS has them, ``{"type": "ref"}``, definitions of
models that exist, revived models, roots announced twice, rollovers of 0. The author's document gets them as well.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
from bokeh.core.serialization import Serializer

from tests.model import documents
from tests.model.edits import FAILURES, Author, Patch
from tests.model.oracle import Oracle

Event = dict[str, Any]


class Hand:
    """Writes events for an author's document, with binary buffers of its own."""

    def __init__(self, rng: random.Random, author: Author) -> None:
        self.rng = rng
        self.author = author
        self.buffers: list[tuple[str, bytes]] = []
        self.prefix = f"h{rng.getrandbits(32)}-"

    def typed(self, array: Any) -> Any:
        """An array as a browser writes it: typed or ndarray, in either byte order, by buffer or as a list."""
        order = self.rng.choice(["little", "little", "big"])
        if array.dtype == np.bool_ or self.rng.random() < 0.3:
            kind: Event = {"type": "ndarray", "shape": list(array.shape)}
        else:
            kind = {"type": "typed_array"}
        name = f"{self.prefix}{len(self.buffers)}"
        self.buffers.append((name, array.astype(array.dtype.newbyteorder("<" if order == "little" else ">")).tobytes()))
        return {**kind, "array": {"type": "bytes", "data": {"id": name}}, "order": order, "dtype": array.dtype.name}

    def column(self, old: Any, size: int) -> Any:
        """``size`` values for a column like ``old``, encoded."""
        made = self.author._like(old, size)
        if isinstance(made, np.ndarray) and made.dtype.name in documents.DTYPES and made.ndim == 1:
            return self.typed(made)
        return Serializer(deferred=False).encode(made)

    def source(self, *, rows: bool = False) -> Any:
        """A source of the document; with ``rows`` one that has some."""
        found = [s for s in self.author.sources if not rows or any(len(column) for column in s.data.values())]
        return self.rng.choice(found)

    def slices(self) -> Event:
        """Patches of slices with nulls for start, stop and step."""
        rng, source = self.rng, self.source(rows=True)
        name = rng.choice([name for name, column in source.data.items() if len(column)])
        column = source.data[name]
        assert np.ndim(column[:0]) == 1
        size = len(column)
        start, stop, step = rng.choice([None, 0, size // 2]), rng.choice([None, size]), rng.choice([None, 1, 2])
        values = self.author._cells(column, len(range(size)[start:stop:step]))
        index = {"type": "slice", "start": start, "stop": stop, "step": step}
        patches = {"type": "map", "entries": [[name, [[index, Serializer(deferred=False).encode(values)]]]]}
        return {"kind": "ColumnsPatched", "model": {"id": source.id}, "attr": "data", "patches": patches}

    def cols(self) -> Event:
        """Some columns set, the others kept."""
        rng, source = self.rng, self.source()
        size = max((len(column) for column in source.data.values()), default=3)
        names = rng.sample(["x", "y", "z", "more"], rng.choice([1, 2]))
        entries = [[name, self.column(source.data.get(name, []), size)] for name in names]
        return {"kind": "ColumnDataChanged", "model": {"id": source.id}, "attr": "data", "cols": names,
                "data": {"type": "map", "entries": entries}}  # fmt: skip

    def whole(self) -> Event:
        """All columns replaced, by ColumnDataChanged without ``cols`` or by ModelChanged."""
        source = self.source()
        entries = [[name, self.column(source.data.get(name, []), 4)] for name in self.rng.sample(["x", "y", "z"], 2)]
        data = {"type": "map", "entries": entries}
        if self.rng.random() < 0.5:
            return {"kind": "ColumnDataChanged", "model": {"id": source.id}, "attr": "data", "data": data}
        return {"kind": "ModelChanged", "model": {"id": source.id}, "attr": "data", "new": data}

    def stream(self) -> Event:
        """A stream with its rollover, also of nothing and with a rollover of 0."""
        source = self.source()
        size = self.rng.choice([0, 1, 2, 7])
        names = list(source.data) or ["x", "y"]
        entries = [[name, self.column(source.data.get(name, []), size)] for name in names]
        event = {"kind": "ColumnsStreamed", "model": {"id": source.id}, "attr": "data",
                 "data": {"type": "map", "entries": entries}}  # fmt: skip
        return {**event, "rollover": self.rng.choice([None, 0, 1, 2, 50])}

    def reference(self) -> Event:
        """Tags that name models, also those that were let go of, in both spellings."""
        rng, models = self.rng, self.author.models
        gone = [model for model in self.author.removed[-5:] if model.document is None]
        names = [rng.choice(models).id, *(model.id for model in gone[:1] if model.id in self.grave)]
        refs = [rng.choice([{"id": name}, {"type": "ref", "id": name}]) for name in names]
        return {"kind": "ModelChanged", "model": {"id": rng.choice(models).id}, "attr": "tags", "new": refs}

    @property
    def grave(self) -> dict[str, Any]:
        """What the author's document has let go of."""
        return buried(self.author).grave

    def known(self) -> Event:
        """A model that exists, defined once more with other attributes."""
        rng, models = self.rng, self.author.models
        model = rng.choice(models)
        name = model.to_serializable(Serializer())["name"]
        again = {"type": "object", "name": name, "id": model.id, "attributes": {"tags": [documents.finite(rng)]}}
        return {"kind": "ModelChanged", "model": {"id": rng.choice(models).id}, "attr": "tags", "new": [again]}

    def root_again(self) -> Event:
        """A root announced once more, with attributes of its own: nothing must change."""
        root = self.rng.choice(self.author.document.roots)
        name = root.to_serializable(Serializer())["name"]
        attributes = {"tags": ["stale"], "name": "stale"}
        return {"kind": "RootAdded", "model": {"type": "object", "name": name, "id": root.id, "attributes": attributes}}

    def root_known(self) -> Event:
        """A model that is part of the document becomes a root as well."""
        found = [model for model in self.author.models if hasattr(model, "sizing_mode")]
        return {"kind": "RootAdded", "model": {"id": self.rng.choice(found).id}}

    def no_root(self) -> Event:
        """The removal of a root that is none."""
        roots = self.author.document.roots
        return {
            "kind": "RootRemoved",
            "model": {"id": self.rng.choice([m.id for m in self.author.models if m not in roots])},
        }

    def message(self) -> Event:
        """A button's click as BokehJS sends it."""
        values = {"type": "map", "entries": [["model", {"id": self.rng.choice(self.author.models).id}]]}
        data = {"type": "event", "name": "button_click", "values": values}
        return {"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": data}

    def title(self) -> Event:
        """A title."""
        return {"kind": "TitleChanged", "title": self.rng.choice(documents.WORDS)}


KINDS: tuple[Callable[[Hand], Event], ...] = (
    Hand.slices, Hand.slices, Hand.cols, Hand.cols, Hand.whole, Hand.stream, Hand.stream, Hand.reference, Hand.known,
    Hand.root_again, Hand.root_known, Hand.no_root, Hand.title, Hand.message,
)  # fmt: skip


def buried(author: Author) -> Oracle:
    """The oracle that applies patches to the author's own document."""
    oracle: Oracle | None = getattr(author, "oracle", None)
    if oracle is None:
        oracle = Oracle(author.document)
        author.oracle = oracle  # type: ignore[attr-defined]
    return oracle


def handmade(rng: random.Random, author: Author) -> Patch | None:
    """One event by hand, applied to the author's document as well; None where the document has no place for it."""
    hand = Hand(rng, author)
    try:
        event = rng.choice(KINDS)(hand)
        patch = orjson.dumps({"events": [event]}), tuple(hand.buffers)
        author.silently(lambda: buried(author).apply(*patch))
    except (*FAILURES, AssertionError):
        return None
    return patch
