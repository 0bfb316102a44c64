"""What a document keeps of that which is streamed to it, by the API."""

from __future__ import annotations

from typing import Annotated

import msgspec

from bokeh_server.core.retention import Retention
from bokeh_server.web.api import answer
from bokeh_server.web.http import Request, Response, parse_json
from bokeh_server.web.site import Site


class Kept(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a setting: the ``bytes`` that streamed sources may take together, and for how many seconds rows stay
    ``raw``, after which they are thinned. 0 is no limit, null what the server says."""

    bytes: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None
    raw: Annotated[float, msgspec.Meta(ge=0, le=1e12)] | None = None


async def retention(site: Site, request: Request) -> Response:
    """What the document keeps of that which is streamed to it: its owner's choice, and what holds."""
    own, holds = await site.hub.retention(request.document.id)
    return answer({"bytes": own.bytes, "raw": own.raw, "holds": {"bytes": holds.bytes, "raw": holds.raw}})


async def retain(site: Site, request: Request) -> Response:
    """Choose what the document keeps of that which is streamed to it: 0 is no limit, null what the server says."""
    kept: Kept = parse_json(await request.read(site.limits.body), Kept)
    await site.hub.retain(request.document.id, Retention(kept.bytes, kept.raw))
    return await retention(site, request)
