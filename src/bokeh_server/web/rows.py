"""Rows for a source, as ``curl`` and other languages send them: JSON, NDJSON or CSV become columns of equal length."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

from bokeh_server.errors import BadMessage
from bokeh_server.web.http import parse_json

NAN = {"type": "number", "value": "nan"}
Rows = dict[str, list[Any]]


def parse_rows(body: bytes, content_type: str) -> Rows:
    """The columns of a body; a missing or empty value is NaN. Raises ``BadMessage`` where it is no table."""
    if content_type == "text/csv":
        return from_csv(body)
    if content_type in ("application/x-ndjson", "application/jsonl"):
        return from_records(parse_json(line) for line in body.splitlines() if line.strip())
    if content_type in ("application/json", ""):
        return from_json(parse_json(body))
    raise BadMessage(f"Rows come as application/json, application/x-ndjson or text/csv, not as {content_type[:100]!r}.")


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
    return {name: [NAN if item is None else item for item in values] for name, values in value.items()}


def from_records(records: Iterable[Any]) -> Rows:
    """A list of rows that all have the same columns."""
    rows: Rows = {}
    for at, record in enumerate(records):
        if not isinstance(record, dict) or (at and record.keys() != rows.keys()):
            raise BadMessage(f"Row {at + 1} is not an object with the same columns as the first.")
        for name, value in record.items():
            rows.setdefault(name, []).append(NAN if value is None else value)
    if not rows:
        raise BadMessage("There are no rows.")
    return rows


def from_csv(body: bytes) -> Rows:
    """A table with a line of column names; what looks like a number is one."""
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadMessage(f"The CSV can't be read: {error}.") from None
    table = [line for line in lines if line]
    if len(table) < 2:
        raise BadMessage("The CSV needs a line of column names, and rows.")
    names = [name.strip() for name in table[0]]
    for at, line in enumerate(table[1:], 2):
        if len(line) != len(names):
            raise BadMessage(f"Line {at} of the CSV has {len(line)} values, the line of names has {len(names)}.")
    return {name: [number(value) for value in values] for name, *values in zip(names, *table[1:], strict=True)}


def number(text: str) -> Any:
    """An int, a float, NaN for nothing, or the text itself."""
    text = text.strip()
    if not text or text.lower() == "nan":
        return NAN
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        return value if abs(value) < float("inf") else {"type": "number", "value": "+inf" if value > 0 else "-inf"}
    return text
