"""The guard: every request passes it, on the route that it matched and nowhere else.

In this order: where nothing has to be shown the client must be on this machine, the Host must be one of ours (another
name that points here is an attack: DNS rebinding), the origin must be what the route asks for, then who is asking, then
whether he may, then the query. What he may not see does not exist: the answer is the same, word for word, and takes as
many look-ups.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import unquote

import structlog

from bokeh_server.config import is_loopback
from bokeh_server.core.authorise import ANONYMOUS, DEFAULT_USER, LOG_IN, ON_DOCUMENTS, Action, Actor, Allowed, may
from bokeh_server.errors import (
    BadMessage,
    BadValue,
    BokehServerError,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    ServerFault,
    Unauthorized,
)
from bokeh_server.web import pages
from bokeh_server.web.account import BY_PASSWORD, HOSTED, ensure_accounts
from bokeh_server.web.forwarded import Proxies
from bokeh_server.web.http import Endpoint, Request, Response
from bokeh_server.web.openapi import QUERIES
from bokeh_server.web.routes import Route, Table
from bokeh_server.web.site import Site

log = structlog.get_logger("bokeh_server.web")
WITH_ACCOUNTS = frozenset({Action.ACCOUNT, Action.ADMINISTER})
AT_ONCE = 0.5
"""Seconds in which a body comes. A slower one could outlive the rights that it came with: it may come byte by byte."""


class Guard:
    """One server's way in."""

    def __init__(self, site: Site, table: Table | None = None) -> None:
        self.site = site
        self._table = table or Table()
        self._proxies = Proxies(site.config.trusted_proxies)

    async def answer(self, request: Request) -> Response | Endpoint:
        """The answer to a request, or the endpoint of its socket. Raises nothing."""
        route: Route | None = None
        try:
            self._check_client(request)
            origin = self._check_host(request)
            route, request.parameters = self._table.match(request.method, self._below_prefix(request))
            check_origin(route, request, origin)
            request.actor = await self._actor(route, request)
            await self._authorise(route, request)
            check_query(route, request)
            request.read, request.stream = self._reader(route, request), self._streamer(route, request)
            return await route.handler(self.site, request)
        except BokehServerError as error:
            if isinstance(error, ServerFault):
                log.error("a request failed", path=request.path[:200], error=str(error))
            return self.refuse(request, error, route)
        except Exception as error:  # our mistake: it must not show its details, nor end the connection
            log.error("a request failed", path=request.path[:200], exc_info=error)
            return self.refuse(request, ServerFault(), route)

    def _check_client(self, request: Request) -> None:
        """The client is whom a trusted proxy names. Without accounts only this machine gets in, also where another ASGI
        server listens elsewhere, and nobody by a proxy that does not say for whom it asks, or that is not trusted."""
        doubt = self._proxies.believe(request)
        if self.site.config.locked:
            return
        if doubt is not None:
            raise Forbidden(doubt)
        if request.client and not is_loopback(request.client):
            raise Forbidden("Without accounts this server answers only to the machine that it runs on.")

    def _check_host(self, request: Request) -> str:
        origin = self.site.origin(request)
        if origin is None:
            raise Forbidden(f"This server is not called {request.host[:100]!r}: {self._called(request)}.")
        return origin

    def _called(self, request: Request) -> str:
        """How it is called, for who came by another name."""
        config = self.site.config
        if config.mounted:
            return f"use {self.site.url}" if config.public_urls else "use localhost"
        scheme = request.scheme.replace("ws", "http", 1)
        named = f"; where that is its name, start it with --public-url {scheme}://{request.host}"
        return f"use {self.site.url}{named[:200] if config.locked else ''}"

    def _below_prefix(self, request: Request) -> str:
        if not request.path.startswith(request.prefix + "/"):
            raise NotFound(f"This server is at {self.site.url_for(request)}.")
        return request.path[len(request.prefix) :]

    async def _actor(self, route: Route, request: Request) -> Actor:
        """Who is asking, by a token, a cookie, or because everybody is ``defaultuser`` (on this machine only).

        Static files are the same for all."""
        if route.origin == "embed":
            return replace(ANONYMOUS, public=True)
        actor = DEFAULT_USER
        if self.site.config.locked:
            actor = ANONYMOUS if route.kind == "static" else await self._credentials(request)
        public = request.query.get("public", "false")
        if public not in ("true", "false"):
            raise BadValue("The query's public is true or false.")
        return replace(actor, public=True) if public == "true" else actor

    async def _credentials(self, request: Request) -> Actor:
        accounts, shared = self.site.accounts, self.site.shared_token
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() in ("bearer", "basic"):
            user, token = basic(given) if scheme.lower() == "basic" else (None, given.strip())
            actor = shared.actor(token) if shared else await accounts.tokens.actor(token)
            if user not in (None, actor.name):
                raise Unauthorized("This token belongs to another user.")
            return actor
        cookie = request.cookies.get(self.site.cookie(request))
        actor = shared.by_cookie(cookie) if shared and cookie else ANONYMOUS
        if cookie and not actor.name:
            actor = await accounts.logins.actor(cookie)  # also of whoever has opened a link
        named = await request.identify() if self.site.config.identified else None
        return actor if named is None else await accounts.hosted.actor(named, actor.links)

    async def _authorise(self, route: Route, request: Request) -> None:
        if route.action in WITH_ACCOUNTS:
            ensure_accounts(self.site)
        if self.site.config.identified and route.handler in BY_PASSWORD:
            raise Forbidden(HOSTED)
        if route.action in ON_DOCUMENTS:
            await self._find(route, request)
        verdict = may(request.actor, route.action, request.access)
        if not isinstance(verdict, Allowed):
            raise Forbidden(verdict.reason) if request.actor.name else Unauthorized(verdict.reason)

    def _reader(self, route: Route, request: Request) -> Callable[[int], Awaitable[bytes]]:
        """How the handler reads the body. Where it took its time, or the one it is from lost something meanwhile, he
        shows anew who he is, and that he still may."""
        read = request.read

        async def whole(most: int) -> bytes:
            began = time.monotonic()
            body = await read(most)
            if time.monotonic() - began > AT_ONCE or self.site.hub.lately_revoked(request.actor):
                request.actor = await self._actor(route, request)
                await self._authorise(route, request)
            return body

        return whole

    def _streamer(self, route: Route, request: Request) -> Callable[[], Awaitable[bytes]]:
        """How the handler reads a body part by part: who it is from shows anew who he is, and that he still may,
        whenever time has passed, or he lost something."""
        stream, asked = request.stream, time.monotonic()

        async def part() -> bytes:
            nonlocal asked
            data = await stream()
            if time.monotonic() - asked > AT_ONCE or self.site.hub.lately_revoked(request.actor):
                request.actor = await self._actor(route, request)
                await self._authorise(route, request)
                asked = time.monotonic()
            return data

        return part

    async def _find(self, route: Route, request: Request) -> None:
        """The document that the route is about, and who is what to it; ``NotFound`` also where it must not be seen."""
        name = unquote(request.parameters.get("document") or request.parameters["name"])
        info, access = await self.site.find(request.actor, name)
        if info is None:
            if route.kind == "page" and not request.actor.name and not request.actor.public:
                raise Unauthorized(LOG_IN)
            raise NotFound(f"There is no document {name[: self.site.limits.title]!r}.")
        request.info, request.access = info, access

    def refuse(self, request: Request, error: BokehServerError, route: Route | None = None) -> Response:
        """The answer to a request that can't be answered otherwise: a page, or a problem of the API."""
        wants_page = "text/html" in request.headers.get("accept", "")
        as_page = route.kind in ("page", "frame") if route else wants_page
        if as_page and isinstance(error, Unauthorized) and self.site.config.locked:
            return pages.to_login(self.site, request, error)
        answer = pages.error_page(self.site, request, error) if as_page else pages.problem(error)
        if isinstance(error, MethodNotAllowed):
            allow = ("Allow", self._table.methods(self._below_prefix(request)))
            return replace(answer, headers=(*answer.headers, allow))
        return answer


def basic(given: str) -> tuple[str, str]:
    """User and token of Basic credentials (how ``bokeh.client`` sends those in a URL)."""
    try:
        user, _, token = base64.b64decode(given.strip(), validate=True).decode().partition(":")
    except ValueError:
        raise Unauthorized("These credentials are not valid; give a user name and a token.") from None
    return user, token


def check_origin(route: Route, request: Request, ours: str) -> None:
    """``Forbidden`` where the request may not come from where it comes from; ``ours`` is the origin of our own pages.

    Exact comparisons, no patterns.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    allowed = False
    match route.origin:
        case "anywhere" | "link" | "embed":
            allowed = True
        case "here":
            allowed = origin in (None, ours) and site in (None, "same-origin", "none")
        case "frame":
            fetched = request.headers.get("sec-fetch-dest"), site
            plain = fetched == (None, None) and pages.names_us(request, ours)  # browsers leave both out without TLS
            allowed = plain or fetched == ("iframe", "same-origin")
        case "sandbox":
            allowed = origin == "null"
        case "program":
            allowed = origin is None
        case "board":
            allowed = origin == ours
    if not allowed:
        raise Forbidden(REFUSALS.get(route.origin))


def check_query(route: Route, request: Request) -> None:
    """``BadMessage`` where the API is asked something that it does not know: a misspelt wish would not be granted."""
    known = {"public", *(name for name, _, _ in QUERIES.get(route.handler.__name__, ()))}
    unknown = request.query.keys() - known if route.kind == "api" and route.origin in ("here", "program") else ()
    if unknown:
        *most, last = sorted(known)
        there = f"{', '.join(most)} and {last}" if most else last
        raise BadMessage(f"There is no query parameter {min(unknown)[:100]!r} here, only {there}.")


REFUSALS = {
    "here": "This request comes from another site's page.",
    "frame": "A document is shown only inside its page; open that.",
    "sandbox": "This socket is for the page of the document.",
    "program": "This socket is for programs, not for pages.",
    "board": "This socket is for the board.",
}
