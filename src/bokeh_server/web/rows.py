"""Rows for a source, as ``curl`` and other languages send them: what JSON and CSV hold becomes columns of equal length.

A column is one of numbers, of truth values or of text, as what the source has in it, or else as all of what came: a
cell is never looked at alone. Nothing in a column of numbers is NaN; anything else among numbers or truth values is
refused, since it would turn a typed array of every viewer into another, or into a list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import numpy as np

from bokeh_server.core.column import Column
from bokeh_server.errors import BadMessage, TypeClash

NAN = {"type": "number", "value": "nan"}
Rows = dict[str, list[Any]]
Kind = Literal["numbers", "truth values", "truth values or null", "other values"]
"""What a column of a source holds; null is a truth value only in a list that has it already."""
Kinds = Mapping[str, Kind | None]
"""Of each column of a source, its kind; None where it is empty."""
NUMBER = re.compile(r"[+-]?(?:\d+(?P<fraction>\.\d*)?|(?P<point>\.\d+))(?P<power>e[+-]?\d+)?", re.I | re.A)
ENDLESS = {"nan": "nan", "inf": "+inf", "+inf": "+inf", "-inf": "-inf", "infinity": "+inf", "-infinity": "-inf"}
TRUTHS = {"true": True, "1": True, "false": False, "0": False}
EXACT = 2**53
"""The whole numbers that a float, and so a browser, tells apart."""
SAMPLE = 100


def from_json(value: Any) -> Rows:
    """Columns (``{"x": [1, 2]}``), one row (``{"x": 1}``), or a list of rows."""
    if isinstance(value, list):
        return from_records(value)
    if not isinstance(value, dict) or not value:
        raise BadMessage('Rows are {"column": [values]}, or a list of {"column": value}.')
    if not all(isinstance(values, list) for values in value.values()):
        return from_records([value])
    if len({len(values) for values in value.values()}) != 1:
        raise BadMessage("The columns of the rows have different lengths.")
    return value


def from_records(records: Iterable[Any]) -> Rows:
    """A list of rows that all have the same columns."""
    rows: Rows = {}
    for at, record in enumerate(records):
        if not isinstance(record, dict) or not record or (at and record.keys() != rows.keys()):
            raise BadMessage(f"Row {at + 1} is not an object with the same columns as the first.")
        for name, value in record.items():
            rows.setdefault(name, []).append(value)
    if not rows:
        raise BadMessage("There are no rows.")
    return rows


def settled(rows: Rows, kinds: Kinds) -> Rows:
    """JSON's ``null`` is NaN among numbers, and stays what it is elsewhere."""
    return {name: filled(name, values, kinds.get(name)) for name, values in rows.items()}


def filled(name: str, values: list[Any], kind: Kind | None) -> list[Any]:
    """The values of one column; ``TypeClash`` for anything else in a column of numbers or of truth values."""
    takes = TAKES.get(kind)
    if kind is not None and takes is not None:
        check(name, kind, values, map(takes, values))
    if None not in values or not (all(map(is_number, values)) if kind is None else kind == "numbers"):
        return values
    return [NAN if value is None else value for value in values]


def check(name: str, kind: Kind, values: list[Any], fit: Iterable[bool]) -> None:
    """``TypeClash`` with the first of the values that does not fit."""
    for value, fits in zip(values, fit, strict=True):
        if not fits:
            raise TypeClash(f"The column {name[:100]!r} holds {kind}; {repr(value)[:100]} is none.")


def kinds_of(columns: Mapping[str, Column]) -> Kinds:
    """What the columns of a source hold just now."""
    return {name: kind_of(column) for name, column in columns.items()}


def kind_of(column: Column) -> Kind | None:
    """What a column of the source holds, by its type or the last of its values; None where it is empty."""
    values = column.values
    if not len(column):
        return None
    if isinstance(values, np.ndarray):
        return "other values" if values.ndim > 1 else "truth values" if values.dtype.kind == "b" else "numbers"
    sample = values[max(column.start, column.stop - SAMPLE) : column.stop]
    if all(value is None for value in sample):
        return None
    kinds: tuple[Kind, ...] = ("numbers", "truth values", "truth values or null")
    return next((kind for kind in kinds if all(map(TAKES[kind], sample))), "other values")


def is_number(value: Any) -> bool:
    """Whether this may stand in a column of numbers."""
    return value is None or type(value) in (int, float) or (type(value) is dict and value.get("type") == "number")


TAKES: Mapping[Kind | None, Callable[[Any], bool]] = {
    "numbers": is_number,
    "truth values": lambda value: type(value) is bool,
    "truth values or null": lambda value: value is None or type(value) is bool,
}
"""Whether a value may stand in a column of this kind; all may in one of another."""


def cells(name: str, texts: list[str], kind: Kind | None) -> list[Any]:
    """One column of a CSV: numbers or truth values, or else every cell as it stands there."""
    if kind == "other values":
        return texts
    if kind == "truth values" or kind == "truth values or null":
        words = {**TRUTHS, "": None} if kind == "truth values or null" else TRUTHS
        stripped = [text.strip().lower() for text in texts]
        check(name, kind, texts, (text in words for text in stripped))
        return [words[text] for text in stripped]
    numbers = [number(text) for text in texts]
    if kind is not None:
        check(name, kind, texts, (value is not None for value in numbers))
    return texts if None in numbers else numbers


def number(text: str) -> Any:
    """An int, a float, NaN for nothing, or None where the text is no number."""
    text = text.strip()
    found = NUMBER.fullmatch(text)
    if found is None:
        endless = ENDLESS.get(text.lower()) if text else "nan"
        return {"type": "number", "value": endless} if endless else None
    value = float(text)
    if abs(value) == float("inf"):
        return {"type": "number", "value": "+inf" if value > 0 else "-inf"}
    return value if any(found.groups()) or abs(value) >= EXACT else int(text)
