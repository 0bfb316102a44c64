"""The guard: every request passes it, on the route that it matched and nowhere else.

In this order: the client must be on this machine (there are no accounts yet), the Host must be one of ours (another
name that points here is an attack: DNS rebinding), the origin must be what the route asks for, then who is asking,
then whether he may. What he may not see does not exist.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote

import structlog

from bokeh_server.config import is_loopback
from bokeh_server.core.authorise import DEFAULT_USER, ON_DOCUMENTS, Actor, Allowed, may
from bokeh_server.errors import BokehServerError, Forbidden, MethodNotAllowed, NotFound, ServerFault
from bokeh_server.web import pages
from bokeh_server.web.http import Endpoint, Request, Response
from bokeh_server.web.routes import Route, Table
from bokeh_server.web.site import Site

log = structlog.get_logger("bokeh_server.web")


class Guard:
    """One server's way in."""

    def __init__(self, site: Site, table: Table | None = None) -> None:
        self.site = site
        self._table = table or Table()

    async def answer(self, request: Request) -> Response | Endpoint:
        """The answer to a request, or the endpoint of its socket. Raises nothing."""
        route: Route | None = None
        try:
            self._check_client(request)
            self._check_host(request)
            route, request.parameters = self._table.match(request.method, self._below_prefix(request.path))
            check_origin(route, request, self.site.origins)
            request.actor = self._actor(request)
            await self._authorise(route, request)
            return await route.handler(self.site, request)
        except BokehServerError as error:
            if isinstance(error, ServerFault):
                log.error("a request failed", path=request.path[:200], error=str(error))
            return self._refusal(route, request, error)
        except Exception as error:  # our mistake: it must not show its details, nor end the connection
            log.error("a request failed", path=request.path[:200], exc_info=error)
            return self._refusal(route, request, ServerFault())

    def _check_client(self, request: Request) -> None:
        """Without accounts only this machine gets in, also where another ASGI server listens elsewhere."""
        if request.client and not is_loopback(request.client):
            raise Forbidden("Without accounts this server answers only to the machine that it runs on.")

    def _check_host(self, request: Request) -> None:
        if request.host not in self.site.hosts:
            raise Forbidden(f"This server is not called {request.host[:100]!r}; use {self.site.url}.")

    def _below_prefix(self, path: str) -> str:
        prefix = self.site.config.prefix
        if not path.startswith(prefix + "/"):
            raise NotFound(f"This server is at {self.site.url}.")
        return path[len(prefix) :]

    def _actor(self, request: Request) -> Actor:
        """Everybody who got here is ``defaultuser``: the server listens on this machine only."""
        return DEFAULT_USER

    async def _authorise(self, route: Route, request: Request) -> None:
        owner = None
        if route.action in ON_DOCUMENTS:
            name = unquote(request.parameters.get("document") or request.parameters["name"])
            request.info = await self.site.hub.find(request.actor.name, name)
            owner = request.info.owner
        verdict = may(request.actor, route.action, owner)
        if not isinstance(verdict, Allowed):
            raise NotFound if verdict.hidden else Forbidden(verdict.reason)

    def _refusal(self, route: Route | None, request: Request, error: BokehServerError) -> Response:
        wants_page = "text/html" in request.headers.get("accept", "")
        as_page = route.kind in ("page", "frame") if route else wants_page
        answer = pages.error_page(self.site, error) if as_page else pages.problem(error)
        if isinstance(error, MethodNotAllowed):
            allow = ("Allow", self._table.methods(self._below_prefix(request.path)))
            return replace(answer, headers=(*answer.headers, allow))
        return answer


def check_origin(route: Route, request: Request, origins: frozenset[str]) -> None:
    """``Forbidden`` where the request may not come from where it comes from. Exact comparisons, no patterns."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    allowed = False
    match route.origin:
        case "anywhere" | "link":
            allowed = True
        case "here":
            allowed = origin in origins if origin is not None else site in (None, "same-origin", "none")
        case "frame":
            allowed = request.headers.get("sec-fetch-dest") == "iframe" and site == "same-origin"
        case "sandbox":
            allowed = origin == "null"
        case "program":
            allowed = origin is None
        case "board":
            allowed = origin in origins
    if not allowed:
        raise Forbidden(REFUSALS.get(route.origin))


REFUSALS = {
    "here": "This request comes from another site's page.",
    "frame": "A document is shown only inside its page; open that.",
    "sandbox": "This socket is for the page of the document.",
    "program": "This socket is for programs, not for pages.",
    "board": "This socket is for the board.",
}
