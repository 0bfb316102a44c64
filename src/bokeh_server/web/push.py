"""Rows over HTTP, from whatever speaks it: a body that is there at once, or one that never ends.

A short body is one change, all of it or nothing. A longer one, or one that does not say how long it is, is taken while
it comes: what came together is one patch, and the next part is read when that is durable, so that whoever sends faster
than the store writes has to wait, and no more of a body is in memory than what the connection holds. Where a line is
wrong, the rows before it stay, and the answer says how many those are.
"""

from __future__ import annotations

import asyncio
import time
from urllib.parse import unquote

import orjson

from bokeh_server.core.authorise import Action, may
from bokeh_server.errors import BadMessage, BokehServerError, Conflict, Unavailable, UnknownMediaType
from bokeh_server.limits import KIB, LIMITS
from bokeh_server.store import Info
from bokeh_server.web import headers, pages
from bokeh_server.web.arrow import Arrow
from bokeh_server.web.http import Request, Response, parse_json
from bokeh_server.web.intake import Intake, aimed, counted
from bokeh_server.web.rows import from_json
from bokeh_server.web.runs import Csv, Decoder, Lines, Run, loosened, runs_of
from bokeh_server.web.site import Site, ensure

EAGER = 32 * KIB
"""Bytes that came at once from somebody who sends as much as he can; after less there is a frame's pause."""
LOOK = 0.5
"""Seconds between two looks whether the server stops, while nothing comes."""
LARGE = 64 * KIB
"""Bytes of a body from which it is read in a thread: nobody else is to wait for a file of a million lines."""
JSON = ("application/json", "")
ARROW = "application/vnd.apache.arrow.stream"


async def post_rows(site: Site, request: Request) -> Response:
    """Append rows to the source with this id or name: JSON, NDJSON, CSV or Arrow by Content-Type, also without end."""
    return await answered(site, request, request.document.id)


async def push_rows(site: Site, request: Request) -> Response:
    """Append rows to a document by its title; one that is new or empty becomes a plot of them: a line a field."""
    return await answered(site, request, None)


async def answered(site: Site, request: Request, document: str | None) -> Response:
    """Take the rows of the body; without a ``document`` it is found by the path, or made when the first rows came."""
    intake = Intake(site, request, document or "", aimed(request))
    try:
        if is_streamed(request):
            await stream(site, request, intake)
        else:
            await whole(site, request, intake)
    except BokehServerError as error:
        if not intake.taken:
            raise
        return kept(error, intake.taken)
    more = (
        {} if document else {"document": intake.document, "link": f"{site.url_for(request)}bokeh/doc/{intake.document}"}
    )
    return Response.json({"seq": intake.seq, "rows": intake.taken, **more}, headers=headers.data())


def kept(error: BokehServerError, rows: int) -> Response:
    """The problem, with how many rows before it were taken."""
    told = type(error)(f"{error} Rows taken before that: {rows}.")
    answer = pages.problem(told)
    body = orjson.dumps({**orjson.loads(answer.body), "rows": rows})
    return Response(answer.status, body, answer.content_type, answer.headers)


def is_streamed(request: Request) -> bool:
    """Whether the body is taken while it comes."""
    length = request.headers.get("content-length")
    if request.content_type in JSON:
        return not request.content_type and length is None and "transfer-encoding" in request.headers
    return length is None or not length.isascii() or not length.isdigit() or int(length) > LIMITS.table


def decoder(kind: str, *, loose: bool) -> Decoder:
    """What reads a body of this media type, by lines or batches."""
    if kind == "text/csv":
        return Csv()
    if kind in ("application/x-ndjson", "application/jsonl", ""):
        return Lines(loose=loose)
    if kind == ARROW:
        return Arrow()
    raise UnknownMediaType(
        f"Rows come as application/json, application/x-ndjson, text/csv or {ARROW}, not as {kind[:100]!r}."
    )


async def stream(site: Site, request: Request, intake: Intake) -> None:
    """Take a body while it comes."""
    if counted(request)[1] is not None:
        raise BadMessage(f"A body that is counted says how long it is, and has at most {LIMITS.table} bytes.")
    reads = decoder(request.content_type, loose=not intake.aim.source)
    while part := await next_part(site, request):
        began = time.monotonic()
        await feed(site, request, intake, reads, reads.feed(part))
        if len(part) < EAGER:
            await asyncio.sleep(began + site.limits.frame - time.monotonic())
    await feed(site, request, intake, reads, reads.end())
    if not intake.taken:
        raise BadMessage("There are no rows.")


async def next_part(site: Site, request: Request) -> bytes:
    """The next part of the body; ``Unavailable`` where the server stops before it comes."""
    coming = asyncio.ensure_future(request.stream())
    try:
        while not coming.done():
            if not site.hub.ready:
                raise Unavailable("The server is stopping; send the rest again when it is back.")
            await asyncio.wait({coming}, timeout=LOOK)
        return coming.result()
    finally:
        coming.cancel()


async def feed(site: Site, request: Request, intake: Intake, reads: Decoder, runs: list[Run]) -> None:
    """Append what a decoder has read, and raise what it has found wrong."""
    if runs:
        await place(site, request, intake)
        await intake.take(runs)
    if reads.error is not None:
        raise reads.error


async def whole(site: Site, request: Request, intake: Intake) -> None:
    """Take a short body as one change."""
    loose = not intake.aim.source
    number = counted(request)
    reads = None if request.content_type in JSON else decoder(request.content_type, loose=loose)
    body = await request.read(site.limits.body)
    if len(body) < LARGE:
        runs = read_whole(body, reads, loose=loose)
    else:
        runs = await asyncio.to_thread(read_whole, body, reads, loose=loose)
    await place(site, request, intake)
    await intake.take_whole(runs, number)


def read_whole(body: bytes, reads: Decoder | None, *, loose: bool) -> list[Run]:
    """The rows of a body; ``BadMessage`` where any of it is wrong, or there are none."""
    if reads is None:
        runs = from_value(parse_json(body), loose=loose)
    else:
        runs = [*reads.feed(body), *reads.end()]
        if reads.error is not None:
            raise reads.error
    if not runs:
        raise BadMessage("There are no rows: a CSV has a line of column names before them.")
    return runs


def from_value(value: object, *, loose: bool) -> list[Run]:
    """The rows of a JSON body: columns, one row, or a list of rows; these may differ where they are ``loose``."""
    listed = value if isinstance(value, list) else [value]
    if not listed:
        raise BadMessage("There are no rows.")
    if loose and not (isinstance(value, dict) and value and all(isinstance(cells, list) for cells in value.values())):
        return list(runs_of([loosened(row) for row in listed], range(1, len(listed) + 1)))
    rows = from_json(value)
    return [Run(rows, range(1, len(next(iter(rows.values()))) + 1))]


async def place(site: Site, request: Request, intake: Intake) -> None:
    """Find the document of a push, or make it; ``Forbidden`` where the actor may not."""
    if not intake.document:
        intake.document = (await found_or_made(site, request)).id


async def found_or_made(site: Site, request: Request) -> Info:
    """The document that the path names: that of this id, or the actor's own of this title, which is made if need be."""
    name = unquote(request.parameters["name"])
    info, access = await site.find(request.actor, name)
    if info is None:
        ensure(may(request.actor, Action.CREATE))
        try:
            return await site.hub.create(request.actor.name, name)
        except Conflict:  # somebody was faster
            info, access = await site.find(request.actor, name)
            if info is None:
                raise
    ensure(may(request.actor, Action.STREAM, access))
    return info
