"""The REST interface: documents, properties and rows for programs of any language.

Everything it changes goes the way of a patch, as ordinary Bokeh events through the hub: there is no second way in.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec

from bokeh_server.core import Payload
from bokeh_server.core.authorise import DEFAULT_USER, Access, Action, Actor, Allowed, Role, may, role_of
from bokeh_server.core.column import Columns
from bokeh_server.core.document import Document, Model, Writer
from bokeh_server.errors import Conflict, NotFound, TypeClash, UnknownModel
from bokeh_server.hub import OpenRoom
from bokeh_server.limits import KIB
from bokeh_server.live import Listing
from bokeh_server.store import Info
from bokeh_server.web import headers
from bokeh_server.web.http import Request, Response, parse_json
from bokeh_server.web.schema import copied
from bokeh_server.web.site import Site, ensure

T = TypeVar("T")

LARGE = 64 * KIB
"""Bytes of a body from which it is read in a thread: nobody else is to wait for a file of a million lines."""


class New(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a creation."""

    title: str
    document: msgspec.Raw = msgspec.Raw(b"null")


class Title(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a renaming."""

    title: str


def described(site: Site, request: Request, listing: Listing, access: Access) -> dict[str, Any]:
    """A document as lists show it to the actor: his role in it, and who it is his from."""
    info, actor = listing.info, request.actor
    role = role_of(actor, access)
    return {
        "id": info.id,
        "title": info.title,
        "owner": info.owner,
        "role": (role or Role.VIEWER).name.lower(),
        "published": access.published,
        "shared": bool(access.grants or access.links) if role is Role.OWNER else named(actor, access),
        "created": info.created,
        "changed": info.changed,
        "kind": info.kind,
        "size": info.size,
        "seq": info.seq,
        "programs": listing.programs,
        "viewers": listing.viewers,
        "link": f"{site.url_for(request)}bokeh/doc/{info.id}",
    }


def named(actor: Actor, access: Access) -> bool:
    """Whether the document is shared with the actor himself, by a grant or a link that he has opened."""
    return actor.name in access.grants or not actor.links.isdisjoint(access.links)


def answer(value: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response.json(value, status, headers.data())


async def documents(site: Site, request: Request) -> Response:
    """The documents that the user may see, the last changed first; with ``?title=`` only his own of that title.

    His own, those shared with him, also by a link that this browser has open, those that are published (of each of
    these the last 1,000); an administrator's also those from before accounts.
    """
    actor, title = request.actor, request.query.get("title")
    infos = await visible(site, actor) if title is None else await titled(site, actor, title)
    accesses = await site.accounts.sharing.accesses(infos)
    seen = [pair for pair in zip(infos, accesses, strict=True) if isinstance(may(actor, Action.VIEW, pair[1]), Allowed)]
    return answer([described(site, request, site.hub.listing(info), access) for info, access in seen])


async def visible(site: Site, actor: Actor) -> list[Info]:
    """The documents that may be of interest to a user, the last changed first."""
    sharing = site.accounts.sharing
    ids = await sharing.shared_with(actor.name, actor.links) | await sharing.published()
    found = {info.id: info for info in await site.hub.documents(actor.name, ids)}
    found |= {info.id: info for info in await site.hub.documents(DEFAULT_USER.name)} if actor.admin else {}
    return sorted(found.values(), key=lambda info: (-info.changed, info.id))


async def titled(site: Site, actor: Actor, title: str) -> list[Info]:
    """The user's own document of this title."""
    _, found = await site.hub.look(actor.name, title)
    return [] if found is None else [found]


async def shown(site: Site, request: Request, id: str, status: int = 200) -> Response:
    """The document as lists show it now."""
    info = await site.hub.find(request.actor.name, id)
    listing, access = site.hub.listing(info), await site.hub.access_of(info)
    return answer(described(site, request, listing, access), status)


async def create(site: Site, request: Request) -> Response:
    """A new document of this title, empty or with the Bokeh document given; 409 where the title is taken."""
    new: New = parse_json(await request.read(site.limits.body), New)
    content = bytes(new.document)
    if content != b"null":
        await check(site, content)
    info = await site.hub.create(request.actor.name, new.title)
    if content != b"null":
        await site.hub.replace(info.id, content, (), request.actor)
    return await shown(site, request, info.id, 201)


async def apart(content: bytes, work: Callable[..., T], *given: Any) -> T:
    """What ``work`` makes of what was given; in a thread where the body ``content`` is large."""
    return work(*given) if len(content) < LARGE else await asyncio.to_thread(work, *given)


async def check(site: Site, content: bytes) -> None:
    """Refuse what is no document, and one that a page of Bokeh could not show."""
    document = await apart(content, partial(Document.decode, limits=site.limits), content)
    await apart(content, (await site.schema.table()).check, document)


async def put(site: Site, request: Request) -> Response:
    """Create the document, or replace its content in one step; the body is a Bokeh document's JSON."""
    name = unquote(request.parameters["name"])
    content = await request.read(site.limits.body)
    await check(site, content)
    info, access = await site.find(request.actor, name)
    status = 200
    if info is None:
        ensure(may(request.actor, Action.CREATE))
        try:
            info, status = await site.hub.create(request.actor.name, name), 201
            access = await site.hub.access_of(info)
        except Conflict:  # somebody was faster
            info, access = await site.find(request.actor, name)
            if info is None:
                raise
    ensure(may(request.actor, Action.EDIT, access))
    await site.hub.replace(info.id, content, (), request.actor)
    return await shown(site, request, info.id, status)


async def get(site: Site, request: Request) -> Response:
    """The document as Bokeh's JSON, with binary data inline."""
    room = await site.hub.open(request.document.id)
    content, buffers = room.document.encode()
    await room.durable(request.actor)
    return await bokeh_json(content, buffers)


async def info(site: Site, request: Request) -> Response:
    """What lists show of the document."""
    return await shown(site, request, request.document.id)


async def rename(site: Site, request: Request) -> Response:
    """Give the document another title; 409 where the owner has one of that title."""
    title: Title = parse_json(await request.read(site.limits.body), Title)
    await site.hub.rename(request.document.id, title.title)
    return await shown(site, request, request.document.id)


async def delete(site: Site, request: Request) -> Response:
    """Delete the document for good: its data and its link are gone."""
    await site.hub.delete(request.document.id)
    await site.accounts.sharing.forget(request.document.id)
    return Response(204, headers=headers.data())


async def bokeh_json(content: bytes, buffers: Sequence[tuple[str, Payload]]) -> Response:
    """An answer with what ``core.document`` wrote; only packing it takes long, and that is done in a thread."""
    body = await asyncio.to_thread(inlined, content, buffers) if buffers else content
    return Response(200, body, headers=headers.data())


def inlined(content: bytes, buffers: Sequence[tuple[str, Payload]]) -> bytes:
    """JSON with its binary buffers in it, as base64 of gzip.

    The quotes of what is replaced can't be part of a text (there they are escaped), and a plain object that looks so
    would have been read as binary data when it came.
    """
    packed = {name.encode(): base64.b64encode(gzip.compress(payload, 1, mtime=0)) for name, payload in buffers}
    return REFERENCE.sub(lambda found: found[1] + b'"' + packed[found[2]] + b'"', content)


REFERENCE = re.compile(rb'(\{"type":"bytes","data":)\{"id":"(\d+)"\}')


def model_of(room: OpenRoom, request: Request, part: str) -> tuple[str, Model]:
    """Id and model that the path names by id or name; ``NotFound`` where the document has none."""
    try:
        return room.document.model(unquote(request.parameters[part]))
    except UnknownModel as error:
        raise NotFound(str(error)) from None


async def get_property(site: Site, request: Request) -> Response:
    """The value of a property of the model with this id or name, as Bokeh's JSON."""
    room = await site.hub.open(request.document.id)
    key, model = model_of(room, request, "model")
    name = unquote(request.parameters["property"])
    writer = Writer({})
    content = writer.write(model.attributes[name]) if name in model.attributes else None
    await room.durable(request.actor)
    if content is not None:
        return await bokeh_json(content, writer.buffers)
    default = await site.schema.default(model, name)
    if default is None:
        raise NotFound(f"{model.name} {key!r} has the default value of {name[:100]!r}, or no such property.")
    return await bokeh_json(bytes(default), ())


async def put_property(site: Site, request: Request) -> Response:
    """Set a property of the model with this id or name; the body is its value as Bokeh's JSON."""
    body = await request.read(site.limits.body)
    plain = parse_json(body)
    name, table = unquote(request.parameters["property"]), await site.schema.table()
    room = await site.hub.open(request.document.id)
    key, model = model_of(room, request, "model")
    await site.schema.default(model, name)
    if isinstance(model.attributes.get(name), Columns) and not isinstance(plain, dict):
        raise TypeClash(f"{model.name} {key!r} has columns as its {name}, and takes nothing else.")
    document = copied(room.document) if isinstance(plain, dict | list) else room.document
    await apart(body, table.check_value, document, key, name, plain)
    event = {"kind": "ModelChanged", "model": {"id": key}, "attr": name, "new": msgspec.Raw(body)}
    seq = await site.hub.patch(request.document.id, msgspec.json.encode({"events": [event]}), (), request.actor)
    return answer({"seq": seq})
