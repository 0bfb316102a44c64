"""How busy the documents are: what ``bokeh-server top`` asks, for those documents that the actor may see.

Figures only grow while a document is in memory; who asks twice has the rates, by the ``now`` of both answers. Of the
whole server only those hear who may watch it: its figures tell of what others do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bokeh_server.core.authorise import Access, Action, Actor, Allowed, may
from bokeh_server.meters import BOUNDS, Figures, Histogram, RoomFigures
from bokeh_server.store import Info
from bokeh_server.web.api import answer
from bokeh_server.web.http import Request, Response
from bokeh_server.web.site import Site

MOST = 1_000
"""Documents of one answer: those that changed last."""


async def traffic(site: Site, request: Request) -> Response:
    """How busy the documents are that the user may see; for who may watch the server, also how that does.

    Those that are in memory, the last changed first, at most 1,000.
    """
    figures = site.hub.figures()
    found = await visible(site, request.actor, figures.rooms)
    watches = isinstance(may(request.actor, Action.WATCH), Allowed)
    return answer(
        {
            "now": figures.now,
            "documents": [described(site, request, info, room) for info, room in found],
            "server": server(figures) if watches else None,
        }
    )


async def visible(site: Site, actor: Actor, rooms: Sequence[RoomFigures]) -> list[tuple[Info, RoomFigures]]:
    """Of the documents in memory those that the actor may see: as their rooms know, and then as it is written."""
    seen = sorted((room for room in rooms if sees(actor, room.access)), key=lambda room: -room.changed)[:MOST]
    known = {room.access.document: room for room in seen}
    infos = await site.hub.documents("", known)
    accesses = await site.accounts.sharing.accesses(infos)
    found = [(info, known[info.id]) for info, access in zip(infos, accesses, strict=True) if sees(actor, access)]
    return sorted(found, key=lambda pair: -pair[1].changed)


def sees(actor: Actor, access: Access) -> bool:
    """Whether the actor may see a document."""
    return isinstance(may(actor, Action.VIEW, access), Allowed)


def described(site: Site, request: Request, info: Info, room: RoomFigures) -> dict[str, Any]:
    """One document: what grows, and how it is now."""
    tally = room.tally
    return {
        "id": info.id,
        "title": info.title,
        "owner": info.owner,
        "link": f"{site.url_for(request)}bokeh/doc/{info.id}",
        "viewers": room.viewers,
        "programs": room.programs,
        "patches": tally.records,
        "bytes": tally.kept,
        "sent": tally.sent,
        "conflations": tally.conflated + tally.copies,
        "resyncs": tally.resyncs,
        "lag": room.lag,
        "unsent": room.unsent,
    }


def server(figures: Figures) -> dict[str, Any]:
    """The whole server."""
    totals = figures.totals
    return {
        "documents": len(figures.rooms),
        "viewers": figures.sum("viewers"),
        "programs": figures.sum("programs"),
        "boards": figures.boards,
        "patches": totals.records,
        "bytes": totals.kept,
        "sent": totals.sent,
        "conflations": totals.conflated + totals.copies,
        "resyncs": totals.resyncs,
        "lag": figures.lag,
        "unsent": figures.sum("unsent"),
        "waiting": figures.waiting,
        "failing": figures.failing,
        "bounds": BOUNDS,
        "stages": {stage: counted(histogram) for stage, histogram in figures.stages.items()},
        "loop": counted(figures.loop),
    }


def counted(histogram: Histogram) -> dict[str, Any]:
    """How many values fell between two bounds each, the last ones above all; and their sum in seconds."""
    return {"counts": histogram.counts, "seconds": histogram.total}
