"""Rows that come in pieces: bytes of NDJSON or CSV, cut anywhere, become runs of rows as soon as their lines are whole.

A run is some rows in a row (of a body) that have the same columns, as lists, with the number of the line that each of
them is in. A decoder keeps no more than the line that is not at its end yet, which is bounded. Where a line is wrong,
the rows before it are handed out first, and ``error`` says which line it is and why; nothing is read after it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

import orjson

from bokeh_server.errors import BadMessage, TooLarge
from bokeh_server.limits import LIMITS
from bokeh_server.web.rows import Rows, is_number

BOM = b"\xef\xbb\xbf"
UNFINISHED = "unexpected end of data"
"""What ``csv`` says of a record whose quotes are still open."""


@dataclass(frozen=True, slots=True)
class Run:
    """Rows that have the same columns. ``text``: the cells are those of a CSV, whose type their column decides."""

    rows: Rows
    places: Sequence[int]
    """The line of each row, counted from 1."""
    text: bool = False

    def __len__(self) -> int:
        return len(self.places)

    def part(self, start: int, stop: int) -> Run:
        """The rows from ``start`` to before ``stop``."""
        rows = {name: values[start:stop] for name, values in self.rows.items()}
        return Run(rows, self.places[start:stop], self.text)


class Decoder(Protocol):
    """Makes runs of the parts of one body."""

    error: BadMessage | None
    """What is wrong with the line after the last row that was handed out."""

    def feed(self, data: bytes) -> list[Run]:
        """The rows that this part completes. Raises nothing."""

    def end(self) -> list[Run]:
        """The rows that the end of the body completes."""


class ByLine:
    """What decoders of lines have in common: they wait for the end of a line, ``most`` bytes at most."""

    def __init__(self, most: int = LIMITS.line) -> None:
        self.error: BadMessage | None = None
        self._most = most
        self._rest = b""
        self._line = 0
        """How many lines have been read."""

    def feed(self, data: bytes) -> list[Run]:
        """The rows whose last byte came."""
        if self.error is not None:
            return []
        data = self._rest + data
        cut = data.rfind(b"\n") + 1
        self._rest = data[cut:]
        runs = self._read(data[:cut], last=False) if cut else []
        if len(self._rest) > self._most and self.error is None:
            self.error = TooLarge(f"Line {self._line + 1} is longer than {self._most} bytes.")
        return runs

    def end(self) -> list[Run]:
        """The rows of a last line without an end."""
        rest, self._rest = self._rest, b""
        return self._read(rest, last=True) if self.error is None else []

    def _read(self, data: bytes, *, last: bool) -> list[Run]:
        """The rows in ``data``, which is whole lines."""
        raise NotImplementedError

    def _unmarked(self, data: bytes) -> bytes:
        """The same without the mark that some programs begin a text with."""
        return data.removeprefix(BOM) if not self._line else data


class Lines(ByLine):
    """NDJSON: a row in each line that is not empty. ``loose``: a bare number is a row, too, and a row within a row is
    columns of its own, so that what programs log can be drawn."""

    def __init__(self, most: int = LIMITS.line, *, loose: bool = False) -> None:
        super().__init__(most)
        self._loose = loose

    def _read(self, data: bytes, *, last: bool) -> list[Run]:
        lines = self._unmarked(data).split(b"\n")
        if not lines[-1]:
            lines.pop()
        records: list[dict[str, Any]] = []
        places: list[int] = []
        for place, line in enumerate(lines, self._line + 1):
            try:
                if line and not line.isspace():
                    records.append(self._record(orjson.loads(line)))
                    places.append(place)
            except (orjson.JSONDecodeError, BadMessage) as error:
                why = f"{error.msg} (column {error.colno})" if isinstance(error, orjson.JSONDecodeError) else str(error)
                self.error = BadMessage(f"Line {place}: {why.rstrip('.')}.")
                break
        self._line += len(lines)
        return list(runs_of(records, places))

    def _record(self, value: Any) -> dict[str, Any]:
        return loosened(value) if self._loose else checked(value)


def checked(value: Any) -> dict[str, Any]:
    """A row; ``BadMessage`` where it is none."""
    if type(value) is not dict or not value:
        raise BadMessage('a row is an object like {"column": value}')
    return value


def loosened(value: Any) -> dict[str, Any]:
    """A row for a plot that the server makes: of a number, and without rows or lists in it."""
    if type(value) in (int, float):
        return {"value": value}
    row = checked(value)
    if any(type(cell) in (dict, list) for cell in row.values()):
        row = dict(flattened(row, ""))
    return row


def flattened(row: dict[str, Any], before: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The cells of rows within a row, by names like ``cpu.user``; a list, and what is deeper, as its JSON."""
    for name, cell in row.items():
        if type(cell) is dict and depth < LIMITS.nested and not is_number(cell):
            yield from flattened(cell, f"{before}{name}.", depth + 1)
        elif type(cell) in (dict, list) and not is_number(cell):
            yield before + name, orjson.dumps(cell).decode()
        else:
            yield before + name, cell


def runs_of(records: Sequence[dict[str, Any]], places: Sequence[int]) -> Iterator[Run]:
    """The runs that rows make, in their order."""
    if not records:
        return
    names = records[0].keys()
    if all(record.keys() == names for record in records):
        yield Run({name: [record[name] for record in records] for name in names}, places)
        return
    at = 0
    for _, group in groupby(records, key=frozenset):
        some = list(group)
        yield Run({name: [record[name] for record in some] for name in some[0]}, places[at : at + len(some)])
        at += len(some)


class Csv(ByLine):
    """CSV with a line of column names."""

    def __init__(self, most: int = LIMITS.line) -> None:
        super().__init__(most)
        self._names: list[str] = []

    def _read(self, data: bytes, *, last: bool) -> list[Run]:
        try:
            text = self._unmarked(data).decode()
        except UnicodeDecodeError as error:
            place = self._line + data.count(b"\n", 0, error.start) + 1
            before = data[: data.rfind(b"\n", 0, error.start) + 1]
            runs = self._read(before, last=False) if before else []
            self.error = self.error or BadMessage(f"Line {place} is no UTF-8.")
            return runs
        lines = list(io.StringIO(text, newline=""))
        table, places, read = self._records(lines, last=last)
        if read < len(lines) and self.error is None:
            self._rest = "".join(lines[read:]).encode() + self._rest
        first = self._line
        self._line += read
        if table and not self._names:
            names, place = table.pop(0), places.pop(0) + first
            self._names = [name.strip() for name in names]
            if len(set(self._names)) != len(names):
                self.error = BadMessage(f"Line {place}: two columns have one name.")
                return []
        return self._runs(table, [place + first for place in places])

    def _records(self, lines: list[str], *, last: bool) -> tuple[list[list[str]], list[int], int]:
        """The records, the line in which each of them begins, and how many lines they are."""
        table: list[list[str]] = []
        places: list[int] = []
        read = 0
        reader = csv.reader(lines, strict=True)
        try:
            for record in reader:
                if record:
                    table.append(record)
                    places.append(read + 1)
                read = reader.line_num
        except csv.Error as error:
            if last or str(error) != UNFINISHED:
                self.error = BadMessage(f"Line {self._line + read + 1} can't be read as CSV: {error}.")
        return table, places, read

    def _runs(self, table: list[list[str]], places: list[int]) -> list[Run]:
        width = len(self._names)
        for at, record in enumerate(table):
            if len(record) != width:
                self.error = BadMessage(f"Line {places[at]} has {len(record)} values, the line of names has {width}.")
                del table[at:], places[at:]
                break
        if not table:
            return []
        columns = map(list, zip(*table, strict=True))
        return [Run(dict(zip(self._names, columns, strict=True)), places, text=True)]


def merged(runs: Sequence[Run]) -> Run:
    """The rows of several runs as one, with None where a row has no such column."""
    if len(runs) == 1:
        return runs[0]
    names = dict.fromkeys(name for run in runs for name in run.rows)
    rows: Rows = {name: [] for name in names}
    for run in runs:
        for name in names:
            rows[name] += run.rows.get(name) or [None] * len(run)
    return Run(rows, [place for run in runs for place in run.places], runs[0].text)
