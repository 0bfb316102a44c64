"""Documents in pages elsewhere: the script that one tag loads, and what it puts there in an iframe.

A page of another site gets nothing by a cookie: it shows what is published, or what a link leads to that was made for
that site. The link's key is behind the ``#`` of the tag's address and of the iframe's. Only our script in the iframe
reads it there, and shows it for each ticket; the pages themselves are the same for everybody.
"""

from __future__ import annotations

import re
import time
from urllib.parse import quote, unquote, urlencode

import orjson
from markupsafe import Markup

from bokeh_server.accounts.sharing import ANY_PAGE, NO_LINK
from bokeh_server.core.authorise import ON_DOCUMENTS, Actor
from bokeh_server.errors import BadMessage, NotFound, Unavailable
from bokeh_server.web import headers, pages
from bokeh_server.web.account import OpenLink
from bokeh_server.web.api import answer
from bokeh_server.web.http import Request, Response, parse_json
from bokeh_server.web.site import Site

NOTHING = {action.value: False for action in ON_DOCUMENTS}
"""What may be done before the key is shown."""
ANYBODY = "*"
ELEMENT = re.compile(r"[A-Za-z][\w-]{0,99}", re.ASCII)
"""The id of a tag that bokeh has made."""


def tag(root: str, document: str, model: str = "") -> Markup:
    """The tag that shows a document (its id), or one model of it, to whoever sees a page of the server's own origin.

    ``root`` is the server's path there.
    """
    asked = {"document": document, **({"model": model} if model else {})}
    return Markup('<script src="{}/bokeh/autoload.js?{}"></script>').format(
        root.rstrip("/"), urlencode(asked, quote_via=quote)
    )


async def autoload(site: Site, request: Request) -> Response:
    """The script of the tag that shows a document in any page."""
    body, content_type = site.static.read("autoload.js")
    return Response(200, body, content_type, headers.static(keep=headers.AN_HOUR))


async def bokehs_tag(site: Site, request: Request) -> Response:
    """The same script for a tag of ``bokeh.embed``: it shows a published document where the tag is.

    Our own page shows it, so the resources, arguments and session of ``server_document`` and ``server_session`` make no
    difference.
    """
    element = request.query.get("bokeh-autoload-element", "")
    if not ELEMENT.fullmatch(element):
        raise BadMessage("The query's bokeh-autoload-element is the id of the tag that bokeh.embed has made.")
    shown = urlencode({"document": request.document.id, "public": "true"})
    asked = {"element": element, "src": f"{site.url_for(request)}bokeh/autoload.js?{shown}"}
    body, content_type = site.static.read("autoload.js")
    begin = b"globalThis.bokeh_server_tag = " + orjson.dumps(asked) + b";\n"
    return Response(200, begin + body, content_type, headers.static(keep=headers.NO_STORE))


async def preflight(site: Site, request: Request) -> Response:
    """Let any page ask for that script, also with headers of its own, as ``server_session`` does."""
    allowed = (("Access-Control-Allow-Methods", "GET"), ("Access-Control-Allow-Headers", "*"))
    return Response(204, headers=(*headers.static(keep=headers.NO_STORE), *allowed))


async def published(site: Site, request: Request) -> Response:
    """A published document, or one model of it, for a page elsewhere, in an iframe."""
    return pages.around(site, request, ANYBODY)


async def linked(site: Site, request: Request) -> Response:
    """What a link leads to, for a page of the sites that it was made for, in an iframe; others show nothing."""
    link, model = (unquote(request.parameters.get(name) or "") for name in ("link", "model"))
    _, sites = await site.accounts.sharing.embedding(link)
    place = f"{request.prefix}/bokeh/frame/linked/{quote(link, safe='')}"
    body = site.render(
        "shell.html",
        request.prefix,
        title="A plot",
        owner="",
        **pages.who(site, request),
        document="",
        link=link,
        model=model,
        public=True,
        embedded=True,
        supervised=False,
        trusted=True,
        scripts=site.config.document_scripts,
        may=NOTHING,
        frame_url=place + (f"?{urlencode({'model': model})}" if model else ""),
    )
    policy = headers.page(frame=f"{site.origin(request)}{place}", ancestors=ancestors(sites))
    return Response(200, body, pages.HTML, policy)


async def linked_frame(site: Site, request: Request) -> Response:
    """The sandboxed page of what a link leads to: nothing is in it before the key is shown."""
    document, sites = await site.accounts.sharing.embedding(unquote(request.parameters["link"]))
    scripts = site.config.document_scripts
    return pages.framed(site, request, document or "none", "A plot", scripts=scripts, ancestors=ancestors(sites))


def ancestors(sites: list[str]) -> str | None:
    """The pages that may show what a link leads to; of what is no link every one may show that it is none."""
    return headers.EVERYWHERE if sites in ([], [ANY_PAGE]) else " ".join(sites)


async def linked_ticket(site: Site, request: Request) -> Response:
    """For a link's key: a single-use ticket to the socket of its document, its title, and what may be done there."""
    given: OpenLink = parse_json(await request.read(site.limits.body), OpenLink)
    looked = time.time()
    link, document = await site.accounts.sharing.find_link(given.key)
    _, sites = await site.accounts.sharing.embedding(link)
    info, _ = await site.hub.look("", document)
    actor = Actor("anonymous", "", f"link:{link}", links=frozenset({link}), since=looked)
    access = None if info is None else await site.hub.access_of(info)
    if info is None or access is None or link != unquote(request.parameters["link"]) or not sites:
        raise NotFound(NO_LINK)
    if link not in access.links:  # it has ended, or the document's owner is disabled
        raise NotFound(NO_LINK)
    request.actor, request.info, request.access = actor, info, access
    if request.no_sockets:
        raise Unavailable(request.no_sockets)
    ticket = site.tickets.issue(info.id, actor)
    return answer({"ticket": ticket, "title": info.title, "may": pages.rights(request)})
