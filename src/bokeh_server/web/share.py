"""Sharing by the API: who looks; publish a document, grant roles to named users, make links."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any, Literal
from urllib.parse import unquote

import msgspec

from bokeh_server.accounts.sharing import ANY_PAGE, Link
from bokeh_server.config import canonical_origin
from bokeh_server.core.authorise import ALL_SCOPES, Actor, Role, Scope, good_for
from bokeh_server.errors import BadSetting, BadValue, Forbidden
from bokeh_server.web import headers
from bokeh_server.web.api import answer
from bokeh_server.web.http import Request, Response, parse_json
from bokeh_server.web.site import Site

Word = Literal["viewer", "editor"]
LONGER = "it ends, and this would not so soon."
WIDER = "this would be good for more than that."
SCOPES = {"viewer": frozenset({Scope.MANAGE}), "editor": frozenset({Scope.MANAGE, Scope.WRITE})}
"""What a token needs to give somebody a role."""
DONE = Response(204, headers=headers.data())


class Grant(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a grant."""

    role: Word


class NewLink(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a new link. ``seconds`` is how long it lives, ``most`` how often it can be opened (null: no limit).

    ``embed``: the sites whose pages show the document by it, like ``https://intranet.example``; ``*`` alone: every page
    that has it.
    """

    role: Word = "viewer"
    name: str = ""
    seconds: float | None = None
    most: int | None = None
    embed: list[str] = []


class Switch(msgspec.Struct, forbid_unknown_fields=True):
    """Body that turns a link off, or on again."""

    enabled: bool


def ensure_no_more(actor: Actor, scopes: frozenset[Scope] = ALL_SCOPES, seconds: float | None = None) -> None:
    """``Forbidden`` where a token asks for a key (a token, a link, an account) that is good for more than it is itself,
    or for longer: for ``scopes``, and so many ``seconds`` (None: without end)."""
    end = None if seconds is None else time.time() + seconds
    longer = actor.until is not None and (end is None or end > actor.until)
    if actor.kind == "token" and (longer or not good_for(actor.scopes) >= scopes):
        raise Forbidden(f"A token gives nobody more than it has itself: {LONGER if longer else WIDER}")


async def viewers(site: Site, request: Request) -> Response:
    """Who looks at the document just now: named users, and how many pages of others."""
    names = [actor.name for actor in site.hub.viewers(request.document.id)]
    return answer({"users": sorted({*names} - {""}), "others": names.count("")})


async def publish(site: Site, request: Request) -> Response:
    """Show the document to everybody."""
    await site.accounts.publish(request.document, True)
    return DONE


async def unpublish(site: Site, request: Request) -> Response:
    """Show the document to everybody no longer; who looks at it is shown the door."""
    await site.accounts.publish(request.document, False)
    return DONE


async def grants(site: Site, request: Request) -> Response:
    """The users that the document is shared with, and their roles."""
    assert request.access is not None, "the route's action concerns a document"
    return answer([{"user": user, "role": role.name.lower()} for user, role in sorted(request.access.grants.items())])


async def put_grant(site: Site, request: Request) -> Response:
    """Make a user a viewer or an editor of the document."""
    grant: Grant = parse_json(await request.read(site.limits.body), Grant)
    if not site.config.multi_user:
        raise Forbidden("There are no users to share with on this server; start it with -m.")
    ensure_no_more(request.actor, SCOPES[grant.role], 0)  # a grant may outlive the token: it is listed by name
    await site.accounts.grant(request.document, unquote(request.parameters["user"]), Role[grant.role.upper()])
    return DONE


async def delete_grant(site: Site, request: Request) -> Response:
    """Share the document with a user no longer."""
    await site.accounts.ungrant(request.document, unquote(request.parameters["user"]))
    return DONE


def described(link: Link) -> dict[str, Any]:
    """A link as lists show it."""
    return {**asdict(link), "role": link.role.name.lower()}


async def links(site: Site, request: Request) -> Response:
    """The links to the document, the newest first, also those that have ended."""
    return answer([described(link) for link in await site.accounts.sharing.links(request.document.id)])


async def post_link(site: Site, request: Request) -> Response:
    """A new link that carries a role; ``url`` is told only now, with ``embed`` also the ``tag`` for such a page."""
    new: NewLink = parse_json(await request.read(site.limits.body), NewLink)
    ensure_no_more(request.actor, SCOPES[new.role], new.seconds)
    key, link = await site.accounts.make_link(
        request.document,
        new.name,
        Role[new.role.upper()],
        seconds=new.seconds,
        most=new.most,
        embed=[ANY_PAGE] if new.embed == [ANY_PAGE] else [embedder(url) for url in new.embed],
    )
    ours = f"{site.url_for(request)}bokeh/"
    url = f"{ours}linked/{link.id}#{key}" if link.embed else f"{ours}link#{key}"
    tag = {"tag": f'<script src="{ours}autoload.js?link={link.id}#{key}"></script>'} if link.embed else {}
    return answer({**described(link), "url": url, **tag}, 201)


def embedder(url: str) -> str:
    """The origin of a site that shows a document in its pages; ``BadValue`` where it is none."""
    if url == ANY_PAGE:
        raise BadValue("For every page a link has '*' alone, without the name of a site.")
    try:
        return canonical_origin(url)
    except BadSetting:
        raise BadValue(f"A site is named like https://intranet.example, not {url[:100]!r}.") from None


async def switch_link(site: Site, request: Request) -> Response:
    """Turn a link off, or on again."""
    switch: Switch = parse_json(await request.read(site.limits.body), Switch)
    id = unquote(request.parameters["link"])
    if switch.enabled:
        for link in await site.accounts.sharing.links(request.document.id):
            if link.id == id:
                ensure_no_more(request.actor, SCOPES[link.role.name.lower()], link.until and link.until - time.time())
    await site.accounts.switch_link(request.document, id, switch.enabled)
    return DONE


async def delete_link(site: Site, request: Request) -> Response:
    """End a link for good; who came by it is shown the door."""
    await site.accounts.remove_link(request.document, unquote(request.parameters["link"]))
    return DONE
