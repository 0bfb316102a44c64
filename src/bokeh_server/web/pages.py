"""Pages: the board, the shell around a document, the sandboxed frame with it, static files, and how the server is."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, unquote, urlencode

from bokeh_server.core.authorise import DEFAULT_USER, LOG_IN, ON_DOCUMENTS
from bokeh_server.errors import BokehServerError, NotFound, TooManyAttempts, Unauthorized, Unavailable
from bokeh_server.web import headers
from bokeh_server.web.http import Request, Response
from bokeh_server.web.site import Site

HTML = "text/html; charset=utf-8"
HOST_LOGIN = "Log in to the application that this server is part of, then come back."
DEFAULT_URL = "http://localhost:5006/"
"""Where programs look for the server if nobody tells them."""


async def board(site: Site, request: Request) -> Response:
    """The documents that the user may see."""
    url = site.url_for(request)
    return page(site, request, "board.html", server_url="" if url == DEFAULT_URL else url)


async def log_in(site: Site, request: Request) -> Response:
    """Log in; where the host application does that, the way there."""
    if site.config.identified:
        return to_login(site, request, Unauthorized(HOST_LOGIN))
    registration, token = site.accounts.users.registration, site.shared_token is not None
    return page(site, request, "login.html", registration=registration, token=token)


async def register(site: Site, request: Request) -> Response:
    """Make an account, by the invitation behind the ``#``, or freely where registration is open."""
    if site.config.identified:
        return to_login(site, request, Unauthorized(HOST_LOGIN))
    return page(site, request, "register.html", registration=site.accounts.users.registration)


async def link(site: Site, request: Request) -> Response:
    """Open a link: its key is behind the ``#``, which browsers keep to themselves."""
    return page(site, request, "link.html")


async def account(site: Site, request: Request) -> Response:
    """The user's own account: password, logins, tokens."""
    return page(site, request, "account.html")


async def users(site: Site, request: Request) -> Response:
    """All accounts, for administrators."""
    return page(site, request, "users.html", registration=site.accounts.users.registration)


def page(site: Site, request: Request, template: str, **more: object) -> Response:
    """One of our own pages, with who looks at it."""
    return Response(200, site.render(template, request.prefix, **who(site, request), **more), HTML, headers.page())


def who(site: Site, request: Request) -> dict[str, object]:
    """Who looks at a page, and where he comes back to when he has logged in."""
    actor = request.actor
    config = site.config
    kind = {"multi_user": config.multi_user, "locked": config.locked, "hosted": config.identified}
    return {"user": actor.name, "admin": actor.admin, "here": request.path, **kind}


def rights(request: Request) -> dict[str, bool]:
    """What the actor may do with the document."""
    return {action.value: request.may(action) for action in sorted(ON_DOCUMENTS)}


async def shell(site: Site, request: Request) -> Response:
    """A document, or one model of it, with our own bar around the sandboxed frame.

    With ``?embedded=true`` it is for an iframe in another page of this origin, such as a host application's.
    """
    return around(site, request, own_ancestors(request))


def own_ancestors(request: Request) -> str:
    """Whose pages may have this one within: with ``?embedded=true`` those of our own origin."""
    asked = parse_qs(request.query_string).get("embedded")
    return headers.OURSELVES if asked == ["true"] else headers.NOBODY


def around(site: Site, request: Request, ancestors: str) -> Response:
    """The shell, in an iframe of ``ancestors`` where that is not nobody."""
    info = request.document
    place = f"{request.prefix}/bokeh/frame/{info.id}"
    model, public = unquote(request.parameters.get("model") or ""), request.actor.public
    theirs, trusted = supervised(request), is_trusted(site, request)
    flags = {"public": public, "scripts": theirs and trusted, "embedded": ancestors == "*"}
    asked = {"model": model, **{name: on and "true" for name, on in flags.items()}}
    query = urlencode({name: value for name, value in asked.items() if value})
    body = site.render(
        "shell.html",
        request.prefix,
        title=info.title,
        owner=info.owner,
        **who(site, request),
        document=info.id,
        link="",
        model=model,
        public=public,
        embedded=ancestors != headers.NOBODY,
        supervised=theirs,
        trusted=trusted,
        scripts=site.config.document_scripts and trusted,
        may=rights(request),
        frame_url=place + (f"?{query}" if query else ""),
    )
    return Response(200, body, HTML, headers.page(frame=f"{site.origin(request)}{place}", ancestors=ancestors))


def supervised(request: Request) -> bool:
    """Whether an administrator looks at somebody else's document, and not as everybody may.

    Also at one that is published or shared with him: its owner can do that on purpose."""
    actor = request.actor
    return actor.admin and not actor.public and request.document.owner not in (actor.name, DEFAULT_USER.name)


def is_trusted(site: Site, request: Request) -> bool:
    """Whether the document's scripts may run: an administrator must ask for another's, by the link on our own page.

    No other link asks for him: not one of another site, nor one within the document, which our page opens for it.
    """
    ours = request.headers.get("sec-fetch-site") in (None, "same-origin") and names_us(request, site.origin(request))
    return not supervised(request) or (request.query.get("scripts") == "true" and ours)


def names_us(request: Request, ours: str | None) -> bool:
    """Whether the request comes from one of the two elements of our pages that tell where they are (all else has
    ``no-referrer``): the frame, and an administrator's link to a document with its scripts."""
    return ours is not None and request.headers.get("referer") == f"{ours}/"


async def frame(site: Site, request: Request) -> Response:
    """The document itself, in a page with an origin of its own."""
    scripts = site.config.document_scripts and is_trusted(site, request)
    anywhere = request.actor.public and request.query.get("embedded") == "true"
    info = request.document
    return framed(site, request, info.id, info.title, scripts=scripts, ancestors="*" if anywhere else "")


def framed(
    site: Site, request: Request, document: str, title: str, *, scripts: bool, ancestors: str | None
) -> Response:
    """The sandboxed page; ``ancestors`` as in ``headers.frame``."""
    prefix, origin = request.prefix, site.origin(request) or ""
    socket = f"{origin.replace('http', 'ws', 1)}{prefix}/bokeh/ws/{document}"
    body = site.render(
        "frame.html",
        prefix,
        title=title,
        document=document,
        model=request.query.get("model"),
        socket_url=socket,
        most=site.limits.message,
        scripts=scripts,
    )
    policy = headers.frame(
        origin=origin,
        bokehjs=f"{prefix}/static/bokeh/{site.bokehjs.version}",
        static=f"{prefix}/static/app/{site.static.version}",
        socket=socket,
        scripts=scripts,
        ancestors=ancestors,
    )
    return Response(200, body, HTML, policy)


async def ticket(site: Site, request: Request) -> Response:
    """A single-use ticket to the socket of the document, and what may be done with the document just now."""
    if request.no_sockets:
        raise Unavailable(request.no_sockets)
    text = site.tickets.issue(request.document.id, request.actor)
    return Response.json({"ticket": text, "may": rights(request)}, headers=headers.data())


async def app_file(site: Site, request: Request) -> Response:
    """One of our own scripts, styles or pictures."""
    return _file(site.static.read, site.static.version, request)


async def bokeh_file(site: Site, request: Request) -> Response:
    """A file of BokehJS."""
    return _file(site.bokehjs.read, site.bokehjs.version, request)


def _file(read: object, version: str, request: Request) -> Response:
    assert callable(read)
    if request.parameters["version"] != version:
        raise NotFound("There is no such version of this file here; load the page again.")
    body, content_type = read(unquote(request.parameters["path"]))
    return Response(200, body, content_type, headers.static())


async def ping(site: Site, request: Request) -> Response:
    """What the server of 2015 answered, and its users still ask."""
    return Response(200, b"pong", "text/plain; charset=utf-8", headers.data())


async def alive(site: Site, request: Request) -> Response:
    """The process answers."""
    return Response.json({"status": "ok"}, headers=headers.data())


async def ready(site: Site, request: Request) -> Response:
    """The server takes patches; 503 and why, where it does not."""
    if site.hub.ready and site.hub.failure is None:
        return Response.json({"status": "ready"}, headers=headers.data())
    reason = site.hub.failure or "The server is starting or stopping."
    return Response.json({"status": "not ready", "reason": reason}, 503, headers.data())


async def versions(site: Site, request: Request) -> Response:
    """Versions of bokeh-server, bokeh and Python."""
    return Response.json(site.versions, headers=headers.data())


def to_login(site: Site, request: Request, error: Unauthorized) -> Response:
    """Show the way to log in, and back to the page that was asked for; ``error`` where the host does not tell it."""
    asked = request.path + (f"?{request.query_string}" if request.query_string else "")
    place = f"{request.prefix}/bokeh/login"
    if site.config.identified:
        place = site.config.login_url
        here = request.path in (f"{request.prefix}/bokeh/{page}" for page in ("login", "register"))
        asked = own_path(request) if here else asked
        if not place:
            return error_page(site, request, Unauthorized(HOST_LOGIN) if str(error) == LOG_IN else error)
    place += f"{'&' if '?' in place else '?'}next={quote(asked, safe='/')}"
    return Response(303, b"", HTML, (*headers.page(), ("Location", place)))


def own_path(request: Request) -> str:
    """The page of ours that the query's ``next`` names, or else the board."""
    asked = request.query.get("next", "")
    ours = asked.startswith(f"{request.prefix}/") and asked.isprintable() and "\\" not in asked and "//" not in asked
    return asked if ours else f"{request.prefix}/"


def error_page(site: Site, request: Request, error: BokehServerError) -> Response:
    """A small page that says what to do."""
    body = site.render("error.html", request.prefix, status=error.status, message=str(error))
    return Response(error.status, body, HTML, headers.page(ancestors=own_ancestors(request)))


def problem(error: BokehServerError) -> Response:
    """An error of the API (RFC 9457)."""
    body = {
        "type": "about:blank",
        "title": (type(error).__doc__ or "").strip(),
        "status": error.status,
        "detail": str(error),
        "code": error.code,
    }
    wait = error.wait if isinstance(error, TooManyAttempts) else None
    more = () if wait is None else (("Retry-After", str(wait)),)
    answer = Response.json(body, error.status, (*headers.data(), *more))
    return Response(answer.status, answer.body, "application/problem+json", answer.headers)
