"""``bokeh-server top``: the busiest documents of a running server in a terminal, as ``top`` shows processes.

It asks ``/api/v1/traffic`` once a second and shows what has come in between. Where its output is no terminal it prints
one table, or JSON. Titles are other people's text: nothing of them moves the cursor.
"""

from __future__ import annotations

import shutil
import sys
import time
import unicodedata
from collections.abc import Iterator
from typing import Any

import click
import orjson

from bokeh_server.commands import Server, words
from bokeh_server.errors import BadSetting, ServerAway
from bokeh_server.rates import between, ordered

SORTS = {
    "patches": "patches",
    "in": "bytes",
    "out": "sent",
    "pages": "viewers",
    "programs": "programs",
    "unsent": "unsent",
    "lag": "lag",
}
COLUMNS = ("title", "owner", "pages", "programs", "patches/s", "in/s", "out/s", "unsent", "lag")
TEXTS = ("title", "owner")
"""Columns of text; the others are numbers."""
LESS = ("owner", "programs", "unsent")
"""What a narrow terminal does without, the first of these first."""
BETWEEN = "  "
SHORTEST = 0.1
"""Seconds between two looks."""
FIRST = 0.5
"""Seconds until the first table."""
LEAST = 12
"""Characters of a title that are shown however narrow the terminal is."""
HOME, BELOW, RIGHT = "\x1b[H", "\x1b[J", "\x1b[K"
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


@click.command()
@click.option("--url", default="default", help="The server.  [default: BOKEH_SERVER_URL, or here]")
@click.option("--interval", default=1.0, show_default=True, help="Seconds between two looks.")
@click.option("--sort", "by", type=click.Choice(list(SORTS)), default="patches", show_default=True)
@click.option("--once", is_flag=True, help="Print one table and end, as where the output is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print one table as JSON.")
def top(url: str, interval: float, by: str, once: bool, as_json: bool) -> None:
    """Show the busiest documents that you may see, and how the server does, once a second.

    How the server does is for its only user, or for administrators. Ctrl-C ends it.
    """
    if not SHORTEST <= interval <= 3600:
        raise BadSetting(f"--interval is a number of seconds from {SHORTEST} to 3600, not {interval}.")
    server = Server(url, as_json)
    before = server.ask("GET", "traffic")
    if once or as_json or not sys.stdout.isatty():
        time.sleep(interval)
        print_once(server, before, by)
        return
    time.sleep(min(FIRST, interval))
    try:
        click.echo(HIDE, nl=False)
        show(server, before, by, interval)
    except KeyboardInterrupt:
        click.echo()
    finally:
        click.echo(SHOW, nl=False)


def print_once(server: Server, before: dict[str, Any], by: str) -> None:
    """Print one table, or JSON."""
    found = between(before, server.ask("GET", "traffic"))
    found["documents"] = ordered(found["documents"], SORTS[by])
    if server.as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    else:
        for line in page(found, server.session.root_url):
            click.echo(line)


def show(server: Server, before: dict[str, Any], by: str, interval: float) -> None:
    """Show one table after the other in the place of the last, until Ctrl-C. A server that is away is asked again."""
    while True:
        width, height = shutil.get_terminal_size()
        try:
            after = server.ask("GET", "traffic")
            found = between(before, after)
            found["documents"] = ordered(found["documents"], SORTS[by])
            lines, before = list(page(found, server.session.root_url, width)), after
        except ServerAway as error:
            lines = [str(error), "It is asked again."]
        shown = [fitted(line, width).rstrip() + RIGHT for line in lines[: height - 1]]
        click.echo(HOME + "\n".join([*shown, BELOW]), nl=False)
        time.sleep(interval)


def page(found: dict[str, Any], url: str, width: int | None = None) -> Iterator[str]:
    """The lines of one table; ``width`` is that of the terminal (None: as wide as need be)."""
    documents = found["documents"]
    whole = found["server"]
    there = whole or {name: sum(each[name] for each in documents) for name in ("viewers", "programs")}
    counts = counted(len(documents) if whole is None else whole["documents"], "document")
    counts += f", {counted(there['viewers'], 'page')}, {counted(there['programs'], 'program')}"
    yield f"bokeh-server at {url}   {counts}"
    if whole:
        yield from server_lines(whole)
    yield ""
    yield from table([row(document) for document in documents], width)


def server_lines(whole: dict[str, Any]) -> Iterator[str]:
    """How the server does."""
    traffic = f"patches {whole['patches']:.1f}/s   in {size(whole['bytes'])}/s   out {size(whole['sent'])}/s"
    yield f"{traffic}   waiting: store {size(whole['waiting'])}, clients {size(whole['unsent'])}"
    store, loop = whole["stages"]["commit"], whole["loop"]
    late = f"event loop late {milliseconds(loop)}   slowest client {whole['lag']:.1f} s"
    yield f"store {'FAILS' if whole['failing'] else milliseconds(store)}   {late}"


def row(document: dict[str, Any]) -> dict[str, str]:
    """The cells of one document, by their columns."""
    return {
        "title": words("title", document["title"]),
        "owner": words("owner", document["owner"]),
        "pages": str(document["viewers"]),
        "programs": str(document["programs"]),
        "patches/s": f"{document['patches']:.1f}",
        "in/s": size(document["bytes"]),
        "out/s": size(document["sent"]),
        "unsent": size(document["unsent"]),
        "lag": f"{document['lag']:.1f} s",
    }


def table(rows: list[dict[str, str]], width: int | None) -> Iterator[str]:
    """Rows below their headings. In a terminal of some ``width`` titles are cut, and the first of ``LESS`` are left
    out, until the rest fits."""
    lines = [{name: name.upper() for name in COLUMNS}, *rows]
    widths = {name: max(cells(line[name]) for line in lines) for name in COLUMNS}
    if width is not None:
        for name in LESS:
            if taken_by(widths) - widths["title"] + LEAST > width:
                del widths[name]
        widths["title"] = max(LEAST, min(widths["title"], width - taken_by(widths) + widths["title"]))
    for line in lines:
        yield BETWEEN.join(
            fitted(line[name], wide) if name in TEXTS else line[name].rjust(wide) for name, wide in widths.items()
        )


def taken_by(widths: dict[str, int]) -> int:
    """The width of a table with columns of these widths."""
    return sum(widths.values()) + len(BETWEEN) * (len(widths) - 1)


def counted(number: int, what: str) -> str:
    """So many of something."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def milliseconds(taken: dict[str, float | None]) -> str:
    """Mean and 99th percentile of what took some seconds."""
    mean, high = taken["mean"], taken["p99"]
    return "–" if mean is None or high is None else f"{mean * 1000:.1f} ms (99 %: {high * 1000:.1f} ms)"


def size(number: float) -> str:
    """Bytes: "812 B", "24 kB", "3.1 MB"."""
    units = ("B", "kB", "MB", "GB", "TB")
    at = 0
    while number >= 999.5 and at < len(units) - 1:
        number, at = number / 1000, at + 1
    return f"{number:.1f} {units[at]}" if at and number < 9.95 else f"{number:.0f} {units[at]}"


def cells(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(breadth(sign) for sign in text)


def breadth(sign: str) -> int:
    """How many columns a sign takes: 2 for those of Chinese, Japanese and Korean, none for an accent of its own."""
    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def fitted(text: str, width: int) -> str:
    """The text in exactly so many columns; what is cut off ends in an ellipsis."""
    if cells(text) <= width:
        return text + " " * (width - cells(text))
    kept = ""
    for sign in text:
        if cells(kept) + breadth(sign) > width - 1:
            break
        kept += sign
    return fitted(f"{kept}…", width)
