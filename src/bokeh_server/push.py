"""``bokeh-server push``: what another program prints, as a live plot.

Lines are read by a thread of their own, and what has come meanwhile is sent as one body; each is counted, and sent
again until the server has said that it has it, so that a server that is restarted loses no row and doubles none. While
it is away the pipe fills, and the program before it waits. A line that is no row is told, and left out.
"""

from __future__ import annotations

import os
import queue
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

import click

from bokeh_server.client.tables import FORMATS, Format, Row, guessed, reader
from bokeh_server.commands import Server, command, top
from bokeh_server.errors import BadMessage, RefusedPatch, ServerAway, ServerFault

ROWS = 5_000
"""Rows of one body, and lines that are read ahead."""
FIRST, LONGEST = 0.2, 5.0
"""Seconds between two attempts: doubled from the first to the longest."""
CHUNK = 64 * 1024
"""Bytes that are read at once."""
GATHER = 1 / 60
"""Seconds between two bodies: a page shows no more."""
TOLD = 3
"""Lines that are said to be none; the rest is only counted."""


class Lines:
    """The lines of a file, read ahead by a thread."""

    def __init__(self, file: BinaryIO) -> None:
        self._waiting: queue.Queue[tuple[int, str] | None] = queue.Queue(ROWS)
        self._file = file
        self.ended = False
        threading.Thread(target=self._read, name="bokeh-server push", daemon=True).start()

    def _read(self) -> None:
        # past Python's own buffer: the end of the program would wait for its lock
        number, rest, data = 0, b"", b"-"
        while data:
            data = os.read(self._file.fileno(), CHUNK)
            *lines, rest = (rest + data).split(b"\n") if data else (rest, b"")
            for line in lines:
                number += 1
                self._waiting.put((number, line.decode("utf-8-sig", "replace").rstrip("\r")))
        self._waiting.put(None)

    def some(self) -> Iterator[tuple[int, str]]:
        """The lines that have come, with their numbers; waits for the first of them."""
        line = self._waiting.get()
        for _ in range(ROWS):
            if line is None:
                self.ended = True
                return
            yield line
            try:
                line = self._waiting.get_nowait()
            except queue.Empty:
                return
        if line is None:
            self.ended = True
        else:
            yield line


class Pusher:
    """One stream of rows to one document."""

    def __init__(self, server: Server, title: str, **query: Any) -> None:
        from bokeh_server.client.rest import is_part, quote

        self._server = server
        self._client = f"push-{secrets.token_hex(12)}"
        name = title if is_part(title) else server.session._rest.document(title)["id"]
        asked = "".join(f"&{key}={quote(str(value))}" for key, value in query.items() if value not in (None, ""))
        self._path = f"documents/{quote(name)}/rows?client={self._client}{asked}"
        self._number = 0
        self.rows = 0
        self.left_out = 0
        self.link = ""

    def send(self, rows: list[tuple[int, Row]]) -> None:
        """Have the server take rows, each with the number of its line; one that it refuses is left out."""
        try:
            told = self._ask([row for _, row in rows])
        except (BadMessage, RefusedPatch) as error:
            if len(rows) == 1:
                self.leave_out(rows[0][0], str(error))
                return
            self.send(rows[: len(rows) // 2])
            self.send(rows[len(rows) // 2 :])
            return
        self.rows += len(rows)
        if not self.link:
            self.link = told["link"]
            if not self._server.as_json:
                click.echo(f"Live at {self.link}")

    def _ask(self, rows: list[Row]) -> Any:
        """The server's answer to one body, which is sent again while the server is away."""
        pause, number = FIRST, self._number + 1
        while True:
            try:
                told = self._server.ask("POST", f"{self._path}&number={number}", rows)
                self._number = number
                return told
            except (ServerAway, ServerFault) as error:
                if not self.link:
                    raise
                if pause == FIRST:
                    click.echo(f"bokeh-server: {error} It is tried again, and nothing is lost.", err=True)
                time.sleep(pause)
                pause = min(2 * pause, LONGEST)

    def leave_out(self, line: int, why: str) -> None:
        """Say that a line is no row."""
        self.left_out += 1
        if self.left_out <= TOLD:
            click.echo(f"bokeh-server: line {line} is left out: {why.rstrip('.')}.", err=True)


@command(top, "push")
@click.argument("title")
@click.argument("file", type=click.File("rb"), default="-")
@click.option(
    "--format", "form", type=click.Choice([*FORMATS, "auto"]), default="auto", show_default=True, help="What lines are."
)
@click.option("--x", default="", help="A field, `arrival` or `index`.  [default: a field like time, else the arrival]")
@click.option("--rollover", type=click.IntRange(1), help="How many rows a new plot keeps.  [default: 10000]")
@click.option("--source", default="", help="The source that takes the rows, where the document has several.")
def push(server: Server, title: str, file: BinaryIO, form: str, x: str, rollover: int | None, source: str) -> None:
    """Push the lines of FILE, or of standard input, into a document: a new one becomes a live plot of them.

    Lines are NDJSON, CSV, a table with names above its numbers, key=value or bare numbers: `vmstat 1 | bokeh-server
    push load` draws a line for each column. It ends when they do, or by Ctrl-C.
    """
    pusher = Pusher(server, title, x=x, rollover=rollover, source=source)
    try:
        pushed(pusher, Lines(file), form)
    except KeyboardInterrupt:
        pass
    left = f"; lines left out: {pusher.left_out}" if pusher.left_out else ""
    said = f"{pusher.rows} row{'' if pusher.rows == 1 else 's'}{left}."
    server.done(said, {"rows": pusher.rows, "left_out": pusher.left_out, "link": pusher.link or None})


def pushed(pusher: Pusher, lines: Lines, form: str) -> None:
    """Send lines while they come."""
    read = None
    while not lines.ended:
        rows: list[tuple[int, Row]] = []
        for number, line in lines.some():
            if not line.strip():
                continue
            if read is None:
                chosen: Format = guessed(line) if form == "auto" else form  # type: ignore[assignment]
                read = reader(chosen)
            try:
                row = read(line)
            except ValueError as error:
                pusher.leave_out(number, str(error))
                continue
            if row is not None:
                rows.append((number, row))
        if rows:
            pusher.send(rows)
            time.sleep(GATHER)
