"""Pages: the board, the shell around a document, the sandboxed frame with it, static files, and how the server is."""

from __future__ import annotations

from urllib.parse import quote, unquote

from bokeh_server.errors import BokehServerError, NotFound
from bokeh_server.web import headers
from bokeh_server.web.http import Request, Response
from bokeh_server.web.site import Site

HTML = "text/html; charset=utf-8"


async def board(site: Site, request: Request) -> Response:
    """The user's documents."""
    default = site.port == 5006 and not site.config.prefix
    body = site.render("board.html", user=request.actor.name, server_url="" if default else site.url)
    return Response(200, body, HTML, headers.page())


async def shell(site: Site, request: Request) -> Response:
    """A document, or one model of it, with our own bar around the sandboxed frame."""
    info = request.document
    frame = f"{site.config.prefix}/bokeh/frame/{info.id}"
    model = request.parameters.get("model")
    body = site.render(
        "shell.html",
        title=info.title,
        owner=info.owner,
        user=request.actor.name,
        document=info.id,
        model=model,
        frame_url=frame + (f"?model={quote(model, safe='')}" if model else ""),
    )
    return Response(200, body, HTML, headers.page(frame=site.origin(request) + frame))


async def frame(site: Site, request: Request) -> Response:
    """The document itself, in a page with an origin of its own."""
    info, prefix = request.document, site.config.prefix
    scheme = "wss" if site.config.tls else "ws"
    socket = f"{scheme}://{request.host}{prefix}/bokeh/ws/{info.id}"
    body = site.render(
        "frame.html",
        title=info.title,
        document=info.id,
        model=request.query.get("model"),
        socket_url=socket,
    )
    policy = headers.frame(
        origin=site.origin(request),
        bokehjs=f"{prefix}/static/bokeh/{site.bokehjs.version}",
        static=f"{prefix}/static/app/{site.static.version}",
        socket=socket,
        scripts=site.config.document_scripts,
    )
    return Response(200, body, HTML, policy)


async def ticket(site: Site, request: Request) -> Response:
    """A single-use ticket to the socket of the document."""
    text = site.tickets.issue(request.document.id, request.actor)
    return Response.json({"ticket": text}, headers=headers.data())


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


def error_page(site: Site, error: BokehServerError) -> Response:
    """A small page that says what to do."""
    body = site.render("error.html", status=error.status, message=str(error))
    return Response(error.status, body, HTML, headers.page())


def problem(error: BokehServerError) -> Response:
    """An error of the API (RFC 9457)."""
    body = {
        "type": "about:blank",
        "title": (type(error).__doc__ or "").strip(),
        "status": error.status,
        "detail": str(error),
        "code": error.code,
    }
    answer = Response.json(body, error.status, headers.data())
    return Response(answer.status, answer.body, "application/problem+json", answer.headers)
