"""Lines of text become rows: what programs print, in the form in which they print it.

NDJSON, CSV, tables with a line of names above the numbers (``vmstat``, which says its names again and again and has a
line of groups above them), ``key=value``, or bare numbers. The form is guessed by the first line. A line that is no row
is told by ``ValueError``, in words; a line of names is None.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from typing import Any, Literal

import orjson

Row = dict[str, Any]
Reader = Callable[[str], Row | None]
Format = Literal["ndjson", "csv", "table", "pairs"]
FORMATS = ("ndjson", "csv", "table", "pairs")
PAIR = re.compile(r"([^\s=,;]+)\s*=\s*(\"[^\"]*\"|[^\s,;]+)")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.I | re.A)
EXACT = 15
"""Digits of a whole number that a browser tells apart from its neighbours."""


def guessed(line: str) -> Format:
    """The form of a text by its first line that is not empty."""
    text = line.strip()
    if text.startswith(("{", "[")):
        return "ndjson"
    if PAIR.sub("", text).strip(" ,;") == "" and "=" in text:
        return "pairs"
    return "csv" if "," in text else "table"


def reader(form: Format) -> Reader:
    """What reads the lines of a text of this form, one after the other."""
    if form == "ndjson":
        return from_json
    return from_pairs if form == "pairs" else Table(split_csv if form == "csv" else str.split)


def value(text: str) -> Any:
    """A number, None for nothing, or the text."""
    text = text.strip()
    found = NUMBER.fullmatch(text)
    if found is None:
        return text or None
    return int(text) if text.isdigit() and len(text) <= EXACT else float(text)


def from_json(line: str) -> Row:
    """A row of NDJSON; a bare number is one of the column ``value``."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"it is no JSON ({error.msg})") from None
    if type(found) in (int, float):
        return {"value": found}
    if not isinstance(found, dict) or not found:
        raise ValueError("it is no JSON object")
    return found


def from_pairs(line: str) -> Row:
    """A row of ``key=value``."""
    row = {name: value(text.strip('"')) for name, text in PAIR.findall(line)}
    if not row:
        raise ValueError("it has no key=value")
    return row


def split_csv(line: str) -> list[str]:
    """The cells of a line of CSV."""
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise ValueError(f"it is no CSV ({error})") from None


class Table:
    """Rows below a line of names, or without one: then they are called ``value``, or ``c1``, ``c2``, …

    In a line of names nothing is a number; where several come, the last one holds.
    """

    def __init__(self, split: Callable[[str], list[str]]) -> None:
        self._split = split
        self._names: list[str] = []
        self._rows = 0

    def __call__(self, line: str) -> Row | None:
        """The row in a line; None where it has names."""
        cells = self._split(line)
        if not any(NUMBER.fullmatch(cell.strip()) for cell in cells) and not self._is_text(cells):
            self._names = distinct([cell.strip() for cell in cells])
            return None
        if not self._names:
            self._names = ["value"] if len(cells) == 1 else [f"c{at}" for at in range(1, len(cells) + 1)]
        if len(cells) > len(self._names) and self._split is not split_csv:  # a command with its arguments
            last = len(self._names) - 1
            cells = [*cells[:last], " ".join(cells[last:])]
        if len(cells) != len(self._names):
            raise ValueError(f"it has {len(cells)} values, and there are {len(self._names)} names")
        self._rows += 1
        return {name: value(cell) for name, cell in zip(self._names, cells, strict=True)}

    def _is_text(self, cells: list[str]) -> bool:
        """Whether cells without a number are a row: in a CSV they are, below the names."""
        return self._split is split_csv and bool(self._names)


def distinct(names: list[str]) -> list[str]:
    """The names, with a number behind each that was there before."""
    found: list[str] = []
    for name in names:
        number, new = 2, name
        while new in found:
            new, number = f"{name}_{number}", number + 1
        found.append(new)
    return found
