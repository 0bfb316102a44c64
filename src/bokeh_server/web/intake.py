"""How runs of rows get into a source of a document: one ordinary patch for what came together.

Rows go to the source that they name, whose columns they must have; or, where none is named, into the plot that the
server makes of rows in a document that is empty. What is refused is halved until the row is found that is at fault: the
rows before it are kept, and the error names its line.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import numpy as np

from bokeh_server.core import Buffers
from bokeh_server.core.column import Columns
from bokeh_server.core.document import Document, Model
from bokeh_server.core.values import unchanged
from bokeh_server.errors import BadMessage, NotFound, RefusedPatch, TypeClash
from bokeh_server.hub import Counted
from bokeh_server.web import chart
from bokeh_server.web.chart import Patch, Wish
from bokeh_server.web.http import Request
from bokeh_server.web.rows import Rows, cells, kinds_of, settled
from bokeh_server.web.runs import Run, merged
from bokeh_server.web.site import Site

SOURCES = frozenset({"ColumnDataSource", "WebDataSource", "AjaxDataSource", "ServerSentDataSource"})
"""The models whose ``data`` are columns also where it is at its default: there are none yet."""
Content = tuple[bytes, Buffers]


@dataclass(frozen=True, slots=True)
class Aim:
    """Where rows go: the source of this id or ``name`` ("": the only one, or a plot that is made of them)."""

    source: str = ""
    wish: Wish = field(default_factory=Wish)

    def patch(self, document: Document, run: Run, now: float) -> Content:
        """The patch that appends a run to the document as it is just now."""
        drawn = not self.source and (chart.is_empty(document) or chart.plan_of(document) is not None)
        patch = chart.drawn(document, run, self.wish, now) if drawn else self._plain(document, run)
        return patch.content(), tuple(patch.buffers)

    def _plain(self, document: Document, run: Run) -> Patch:
        key, columns = source_named(document, self.source) if self.source else only_source(document)
        return appended(key, columns, typed(run, columns), self.wish.rollover)


def ensure_alike(runs: Sequence[Run]) -> None:
    """``BadMessage`` where a row has other columns than the first."""
    for run in runs:
        if run.rows.keys() != runs[0].rows.keys():
            raise BadMessage(f"Line {run.places[0]}: the row has not the same columns as the first.")


def typed(run: Run, columns: Columns) -> Rows:
    """The values of a run as the columns of a source have them."""
    kinds = kinds_of(columns)
    if run.text:
        return {name: cells(name, values, kinds.get(name)) for name, values in run.rows.items()}
    return settled(run.rows, kinds)


def appended(key: str, columns: Columns, rows: Rows, keep: int | None) -> Patch:
    """The patch that appends rows to a source; the first ones say which columns it has."""
    patch = Patch()
    model = {"model": {"id": key}, "attr": "data"}
    if not columns:  # Python's bokeh can't append to none
        kept = rows if keep is None else {name: values[max(len(values) - keep, 0) :] for name, values in rows.items()}
        patch.events.append({"kind": "ModelChanged", **model, "new": patch.map(kept)})
        return patch
    if columns.keys() != rows.keys():
        raise BadMessage(f"The source has the columns {', '.join(columns)}; the rows have {', '.join(rows)}.")
    data = patch.map({name: like(values, columns[name].values) for name, values in rows.items()})
    patch.events.append({"kind": "ColumnsStreamed", **model, "data": data, "rollover": keep})
    return patch


def like(values: list[Any], there: Any) -> Any:
    """Numbers for an array of floats as such an array: it is read at once, and by browsers as it is."""
    if isinstance(there, np.ndarray) and there.dtype == np.float64 and there.ndim == 1:
        types = set(map(type, values))
        if types <= {int, float}:
            return np.array(values, np.float64)
    return values


def source_named(document: Document, name: str) -> tuple[str, Columns]:
    """Id and columns of the source with this id, or with a name that no other source has."""
    models = document.models
    found = [name]
    if name not in models:
        named = [key for key, model in models.items() if unchanged(model.attributes.get("name"), name)]
        found = [key for key in named if columns_of(models[key]) is not None] or named
    if len(found) != 1:
        count = f"{len(found)} models are" if found else "no model is"
        raise NotFound(f"In this document {count} named {name[:100]!r}; name the source by its id.")
    (key,) = found
    columns = columns_of(models[key])
    if columns is None:
        raise TypeClash(f"{models[key].name} {key[:100]!r} is no source with columns.")
    return key, columns


def only_source(document: Document) -> tuple[str, Columns]:
    """Id and columns of the one source that a document has."""
    found = [(key, columns) for key, model in document.models.items() if (columns := columns_of(model)) is not None]
    if len(found) != 1:
        raise NotFound(f"This document has {len(found) or 'no'} sources: name one of its sources (?source=).")
    return found[0]


def columns_of(model: Model) -> Columns | None:
    """The columns of a source, None of another model."""
    data = model.attributes.get("data", Columns() if model.name in SOURCES else None)
    return data if isinstance(data, Columns) else None


Numbered = tuple[int | None, Run]
"""The rows of a message, and how its sender counts it."""


class Intake:
    """One producer's way into a document: ``taken`` rows so far, durable as ``seq``."""

    def __init__(self, site: Site, request: Request, document: str, aim: Aim) -> None:
        self._site = site
        self._request = request
        self.document = document
        self.aim = aim
        self.taken = 0
        self.seq = 0

    async def take(self, runs: Sequence[Run]) -> None:
        """Append runs; returns when they are durable. ``ClientError`` names the line of the row that is refused."""
        if not runs:
            return
        if not self.aim.source:
            runs = [merged(runs)]
        for run in runs:
            await self._take(run)

    async def take_whole(self, runs: Sequence[Run], counted: Counted = ("", None)) -> None:
        """Append runs as one change, or nothing of them; once, where a client has ``counted`` it."""
        if self.aim.source:
            ensure_alike(runs)
        await self._append(merged(runs), counted)

    async def take_counted(self, messages: Sequence[Numbered], client: str) -> None:
        """Append messages as one change, or nothing of them; those that the document holds already are not taken."""
        room = await self._site.hub.open(self.document)
        last, fresh = room.last_number(client) if client else 0, []
        for number, run in messages:
            if number is None or number > last:
                fresh.append(run)
                last = number or last
        numbers = [number for number, _ in messages if number is not None]
        before = self.taken
        if self.aim.source:
            ensure_alike(fresh)
        await self._append(merged(fresh or [messages[-1][1]]), (client, max(numbers)) if numbers else ("", None))
        if not fresh:
            self.taken = before

    async def _append(self, run: Run, counted: Counted = ("", None)) -> None:
        """Append a run; nothing waits between the look at the document and its change."""
        room = await self._site.hub.open(self.document)
        content, buffers = self.aim.patch(room.document, run, time.time())
        self.seq = await self._site.hub.patch(self.document, content, buffers, self._request.actor, counted)
        self.taken += len(run)

    async def _take(self, run: Run) -> None:
        try:
            await self._append(run)
        except (BadMessage, RefusedPatch) as error:
            half = len(run) // 2
            if not half:
                raise type(error)(f"Line {run.places[0]}: {error}") from None
            await self._take(run.part(0, half))
            await self._take(run.part(half, len(run)))


def wished(request: Request) -> Wish:
    """What the query asks for."""
    return Wish(request.query.get("x", ""), rollover(request))


def aimed(request: Request) -> Aim:
    """Where the path or the query of a request says that its rows go."""
    source = request.parameters.get("source")
    return Aim(request.query.get("source", "") if source is None else unquote(source), wished(request))


def counted(request: Request) -> Counted:
    """What a producer counts a body by, so that it can send it again: ``?client=NAME&number=N``."""
    name, number = request.query.get("client", ""), request.query.get("number")
    if number is None and not name:
        return "", None
    if not 8 <= len(name) <= 64 or number is None or not (number.isascii() and number.isdecimal() and len(number) < 19):
        raise BadMessage("A body is counted by both: client, a name of 8 to 64 characters, and number: 1, 2, 3, …")
    return name, int(number)


def rollover(request: Request) -> int | None:
    """How many rows the source keeps: ``?rollover=N``."""
    text = request.query.get("rollover")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 12:
        raise BadMessage("rollover is a whole number: how many rows the source keeps.")
    return int(text)
