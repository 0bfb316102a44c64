"""The plot that the server makes of rows: a line for each field of numbers, over time or the number of the row.

It is an ordinary document, made by ordinary patches; a program may load it and change it. What the server has to know
when more rows come (which column is x, and in which unit it came) is in a tag of the source, and whatever has no such
tag is not touched. Columns of numbers are float64 arrays, where what a row does not have is NaN; other columns are kept
and not drawn. A field that comes later gets its column and its line then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import numpy as np
import orjson

from bokeh_server.core.column import Columns
from bokeh_server.core.document import Document
from bokeh_server.core.wire import exact
from bokeh_server.errors import BadMessage, TooLarge, TypeClash
from bokeh_server.limits import LIMITS
from bokeh_server.web import figure
from bokeh_server.web.rows import NAN, Rows, is_number, number
from bokeh_server.web.runs import Run

SOURCE = "rows"
"""The id of the source, and its name."""
TIMES = ("time", "timestamp", "datetime", "date", "@timestamp", "ts", "t")
"""Fields that are x where one of them has a time or a number in each row, the first first, in any case of letters."""
Unit = Literal["text", "s", "ms", "us", "ns", "number", "arrival", "count"]
"""What x is: a time as ISO 8601 writes it, a number of units since 1970, any other number, when the row came, or how
many came before it."""
SINCE_1970: tuple[tuple[Unit, float, float], ...] = (
    ("s", 1e8, 1e3),
    ("ms", 1e11, 1.0),
    ("us", 1e14, 1e-3),
    ("ns", 1e17, 1e-6),
)
"""From which number on it is a time in this unit (1973, for each of them), and what makes milliseconds of it."""
TO_MS = {unit: factor for unit, _, factor in SINCE_1970}
MADE: Mapping[str, Unit] = {"arrival": "arrival", "index": "count"}
"""What x may be besides a field."""
GAP = 1.0
"""Milliseconds between rows that came at once, at most."""
ENDLESS = {"nan": float("nan"), "+inf": float("inf"), "-inf": float("-inf")}


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="rows", tag_field="plot of"):
    """What the tag of the source says."""

    x: str
    unit: Unit
    rollover: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for where the plot is to be made: x is a field, ``arrival``, ``index``, or "" for what there is;
    ``rollover`` how many rows are kept (None: what the plan says)."""

    x: str = ""
    rollover: int | None = None


@dataclass(slots=True)
class Patch:
    """Events and their buffers."""

    events: list[dict[str, Any]] = field(default_factory=list)
    buffers: list[tuple[str, bytes]] = field(default_factory=list)

    def values(self, values: Any) -> Any:
        """A column as Bokeh writes it: an array goes into a buffer."""
        if not isinstance(values, np.ndarray):
            return values
        name = str(len(self.buffers))
        self.buffers.append((name, values.tobytes()))
        array = {"type": "bytes", "data": {"id": name}}
        return {"type": "ndarray", "array": array, "shape": [len(values)], "dtype": "float64", "order": "little"}

    def map(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Columns as Bokeh writes them."""
        return {"type": "map", "entries": [[name, self.values(values)] for name, values in columns.items()]}

    def content(self) -> bytes:
        """The content of the message; ``BadMessage`` where a value can't be kept."""
        try:
            return exact(orjson.dumps({"events": self.events}))
        except (orjson.JSONEncodeError, RecursionError) as error:
            raise BadMessage(f"A value of the rows can't be kept: {error}.") from None


def plan_of(document: Document) -> Plan | None:
    """The plan of a document that was made of rows; None of any other."""
    model = document.models.get(SOURCE)
    tags = model.attributes.get("tags") if model is not None else None
    for tag in tags if type(tags) is list else ():
        try:
            return decode(tag) if type(tag) is str else None
        except msgspec.MsgspecError:
            continue
    return None


def is_empty(document: Document) -> bool:
    """Whether nothing is in a document, so that rows may make a plot in it."""
    return not document.roots


def drawn(document: Document, run: Run, wish: Wish, now: float) -> Patch:
    """The patch that draws these rows in a document that is empty or was made of rows; ``now`` in seconds since 1970.

    Raises ``TypeClash`` where a value does not fit its column, ``BadMessage`` where x is missing, ``TooLarge`` where
    there are too many fields.
    """
    plan = plan_of(document)
    if plan is None:
        return begun(run, wish, now)
    columns = document.models[SOURCE].attributes["data"]
    values = prepared(run, plan, columns, now)
    keep = plan.rollover if wish.rollover is None else wish.rollover
    patch = Patch()
    new = {name: column for name, column in values.items() if name not in columns}
    if new:
        ensure_few(len(columns) + len(new))
        added(patch, document, columns, new)
    for name, column in columns.items():
        if name not in values:
            values[name] = nothing(column.values, len(run))
    patch.events.append(
        {
            "kind": "ColumnsStreamed",
            "model": {"id": SOURCE},
            "attr": "data",
            "data": patch.map(values),
            "rollover": keep or None,
        }
    )
    return patch


def begun(run: Run, wish: Wish, now: float) -> Patch:
    """The patch that makes the plot, with its first rows."""
    plan = planned(run, wish)
    values = prepared(run, plan, {}, now)
    ensure_few(len(values))
    if plan.rollover:
        values = {name: column[-plan.rollover :] for name, column in values.items()}
    patch = Patch()
    lines = [name for name, column in values.items() if name != plan.x and isinstance(column, np.ndarray)]
    x = figure.X(plan.x, plan.unit == "number" or plan.unit == "count", plan.unit in MADE.values())
    source = figure.source(SOURCE, patch.map(values), orjson.dumps(msgspec.to_builtins(plan)).decode())
    patch.events.append({"kind": "RootAdded", "model": figure.plot(source, x, lines)})
    return patch


def added(patch: Patch, document: Document, columns: Columns, new: Mapping[str, Any]) -> None:
    """Columns for new fields, empty so far, and lines for those of numbers."""
    plan = plan_of(document)
    assert plan is not None, "who adds to a plot has found its plan"
    length = len(next(iter(columns.values()))) if columns else 0
    empty = {name: nothing(values, length) for name, values in new.items()}
    patch.events.append(
        {
            "kind": "ColumnDataChanged",
            "model": {"id": SOURCE},
            "attr": "data",
            "data": patch.map(empty),
            "cols": list(new),
        }
    )
    lines = [name for name, values in new.items() if isinstance(values, np.ndarray)]
    if lines:
        patch.events += figure.more_lines(document, SOURCE, plan.x, lines)


def planned(run: Run, wish: Wish) -> Plan:
    """How rows are drawn, seen from the first of them."""
    keep = LIMITS.kept_rows if wish.rollover is None else wish.rollover
    if wish.x in MADE:
        return Plan(free_name("time" if wish.x == "arrival" else "row", run.rows), MADE[wish.x], keep)
    if wish.x:
        unit = unit_of(run, wish.x) if wish.x in run.rows else None
        if unit is None:
            raise BadMessage(f"x is to be {wish.x[:100]!r}, and the rows have no times or numbers of this name.")
        return Plan(wish.x, unit, keep)
    for candidate in TIMES:
        for name in run.rows:
            if name.lower() == candidate and (unit := unit_of(run, name)) is not None:
                return Plan(name, unit, keep)
    return Plan(free_name("time", run.rows), "arrival", keep)


def free_name(name: str, rows: Rows) -> str:
    """A name that no field has."""
    while name in rows:
        name += "_"
    return name


def unit_of(run: Run, name: str) -> Unit | None:
    """What the values of a field are as x; None where they are neither times nor numbers."""
    values = cells(run, name)
    if all(map(is_number, values)):
        some = [value for value in values if type(value) in (int, float) and value == value]
        if not some:
            return None
        found: Unit = "number"
        for unit, least, _ in SINCE_1970:
            found = unit if min(some) >= least else found
        return found
    try:
        return "text" if all(type(value) is str and instant(value) for value in run.rows[name]) else None
    except ValueError:
        return None


def prepared(run: Run, plan: Plan, columns: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The rows as columns of the plot: arrays of numbers, lists of anything else, x first."""
    values: dict[str, Any] = {plan.x: along(run, plan, columns, now)}
    for name in run.rows:
        if name != plan.x:
            column = columns.get(name)
            there = column.values if column is not None else None
            found = filled(name, cells(run, name, there), there)
            if found is not None:
                values[name] = found
    return values


def cells(run: Run, name: str, there: Any = None) -> list[Any]:
    """The values of a field, for the column that is ``there`` (None: no such column yet). Those of a CSV are numbers if
    the column has numbers or, where it is new, if all of them are; an empty cell is None."""
    values = run.rows[name]
    if not run.text:
        return values
    if not isinstance(there, list) and (floats := as_floats(values)) is not None:
        return floats
    found = [] if isinstance(there, list) else list(map(cell, values))
    if found and (there is not None or all(map(is_number, found))):
        return found
    return [value if value else None for value in values]


def as_floats(texts: list[Any]) -> list[float] | None:
    """The numbers that all of the texts are, at once; None where one is none, or might be none."""
    if None in texts:
        return None
    whole = "".join(texts)
    if not whole.isascii() or "_" in whole:
        return None
    try:
        return list(map(float, texts))
    except ValueError:
        return None


def cell(text: str | None) -> Any:
    """A number, None for nothing, or else the text."""
    found = number(text) if text and not text.isspace() else None
    return (text or None) if found is None else found


def filled(name: str, values: list[Any], there: Any) -> Any:
    """The column ``values`` beside those that are ``there`` (None: no such column yet, and the first value says of
    what it is); None where it holds nothing."""
    types = set(map(type, values))
    if there is None and types == {type(None)}:
        return None
    first = next((value for value in values if value is not None), None)
    if isinstance(there, np.ndarray) or (there is None and is_number(first)):
        return numbers(name, values, types)
    return values


def numbers(name: str, values: list[Any], types: Iterable[type]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A column of numbers; ``TypeClash`` where one is none."""
    if not {int, float, type(None)}.issuperset(types):
        wrong = next((value for value in values if not is_number(value)), NAN)
        if wrong is not NAN:
            raise TypeClash(f"The field {name[:100]!r} has numbers; {repr(wrong)[:100]} is none.")
        values = [ENDLESS.get(str(value["value"]), np.nan) if type(value) is dict else value for value in values]
    try:
        return np.array(values, np.float64)
    except OverflowError:
        raise TypeClash(f"The field {name[:100]!r} has a number that is too large.") from None


def nothing(like: Any, length: int) -> Any:
    """A column of nothing."""
    return np.full(length, np.nan) if isinstance(like, np.ndarray) else [None] * length


def along(run: Run, plan: Plan, columns: Mapping[str, Any], now: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """x of the rows: times in milliseconds since 1970, or numbers."""
    count = len(run)
    if plan.unit == "count":
        return last(columns, plan.x, -1.0) + 1 + np.arange(count, dtype=np.float64)
    if plan.unit == "arrival":
        here = max(now * 1000, last(columns, plan.x, 0.0))
        gap = min(GAP, (here - last(columns, plan.x, 0.0)) / count)
        return here - gap * np.arange(count - 1, -1, -1, dtype=np.float64)
    if plan.x not in run.rows:
        return np.full(count, np.nan)
    if plan.unit == "text":
        return times(plan.x, run.rows[plan.x])
    values = cells(run, plan.x, np.empty(0)) if run.text else run.rows[plan.x]
    return numbers(plan.x, values, set(map(type, values))) * TO_MS.get(plan.unit, 1.0)


def last(columns: Mapping[str, Any], name: str, otherwise: float) -> float:
    """The last value of a column of numbers."""
    column = columns.get(name)
    return float(column.live[-1]) if column is not None and len(column) else otherwise


def times(name: str, texts: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Times as ISO 8601 writes them; ``TypeClash`` where one is none."""
    found = np.full(len(texts), np.nan)
    for at, text in enumerate(texts):
        try:
            if text is not None and text != "":
                found[at] = instant(text)
        except (ValueError, TypeError):
            raise TypeClash(f"The field {name[:100]!r} has times; {repr(text)[:100]} is none.") from None
    return found


def instant(text: str) -> float:
    """Milliseconds since 1970; a time without a zone is taken as UTC, which is what axes show."""
    if len(text) < 8:
        raise ValueError
    found = datetime.fromisoformat(text.strip())
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp() * 1000


def ensure_few(fields: int) -> None:
    """``TooLarge`` past the bound of fields."""
    if fields > LIMITS.fields:
        raise TooLarge(f"A plot of rows has at most {LIMITS.fields} fields; these are {fields}.")


decode: Callable[[str], Plan] = msgspec.json.Decoder(Plan).decode
