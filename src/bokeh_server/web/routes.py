"""THE table: every route with its mandatory action and its rule for where requests may come from.

A route without an action can't be written down, so a forgotten check can't exist; ``Table`` refuses two routes of one
method and path. The OpenAPI description and the reference page are made from the same rows.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from bokeh_server.core.authorise import Action
from bokeh_server.errors import BadValue, MethodNotAllowed, NotFound
from bokeh_server.web import (
    account,
    api,
    embed,
    metrics,
    openapi,
    pages,
    producer,
    push,
    retaining,
    share,
    socket,
    traffic,
)
from bokeh_server.web.http import Endpoint, Request, Response
from bokeh_server.web.site import Site

Kind = Literal["page", "frame", "static", "api", "socket"]
"""What an answer is: it decides how an error looks."""

From = Literal["anywhere", "link", "embed", "here", "frame", "sandbox", "program", "board"]
"""Where a request may come from:

anywhere
    No check: what it gets is the same for everybody.
link
    A page that one may come to by a link from elsewhere (GET only).
embed
    Any page, within an iframe: nobody is asked who he is, and all get the public view (GET only).
here
    Our own pages, or no browser at all: an exact ``Origin`` or ``Sec-Fetch-Site``, or neither header.
frame
    An iframe of our shell, never a page of its own (``Sec-Fetch-Dest: iframe``; without TLS, its ``Referer``).
sandbox
    The sandboxed frame, whose origin is ``null``.
program
    No ``Origin`` header: no browser.
board
    Our own page's websocket: an exact ``Origin``.
"""

Handler = Callable[[Site, Request], Awaitable[Response | Endpoint]]


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table. ``path`` has ``{name}`` for one part and ``{name:path}`` for the rest."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"]
    path: str
    action: Action
    origin: From
    kind: Kind
    handler: Handler

    @property
    def summary(self) -> str:
        """The first sentence of the handler's docstring."""
        return (self.handler.__doc__ or "").strip().split("\n")[0]

    @property
    def pattern(self) -> str:
        """The path as a regular expression."""
        return re.sub(r"\{(\w+)(:path)?\}", lambda m: f"(?P<{m[1]}>{'.+' if m[2] else '[^/]+'})", self.path)


A = Action
ROUTES: tuple[Route, ...] = (
    Route("GET", "/", A.LIST, "link", "page", pages.board),
    Route("WEBSOCKET", "/bokeh/board", A.LIST, "board", "socket", socket.board_socket),
    Route("GET", "/bokeh/login", A.PUBLIC, "link", "page", pages.log_in),
    Route("POST", "/bokeh/login", A.PUBLIC, "here", "api", account.log_in),
    Route("GET", "/bokeh/register", A.PUBLIC, "link", "page", pages.register),
    Route("POST", "/bokeh/register", A.PUBLIC, "here", "api", account.register),
    Route("GET", "/bokeh/link", A.PUBLIC, "link", "page", pages.link),
    Route("POST", "/bokeh/link", A.PUBLIC, "here", "api", account.open_link),
    Route("GET", "/bokeh/account", A.ACCOUNT, "link", "page", pages.account),
    Route("GET", "/bokeh/users", A.ADMINISTER, "link", "page", pages.users),
    Route("GET", "/bokeh/doc/{document}", A.VIEW, "link", "page", pages.shell),
    Route("GET", "/bokeh/doc/{document}/autoload.js", A.VIEW, "embed", "static", embed.bokehs_tag),
    Route("OPTIONS", "/bokeh/doc/{document}/autoload.js", A.PUBLIC, "anywhere", "static", embed.preflight),
    Route("GET", "/bokeh/doc/{document}/{model}", A.VIEW, "link", "page", pages.shell),
    Route("GET", "/bokeh/autoload.js", A.PUBLIC, "anywhere", "static", embed.autoload),
    Route("GET", "/bokeh/embed/{document}", A.VIEW, "embed", "page", embed.published),
    Route("GET", "/bokeh/embed/{document}/{model}", A.VIEW, "embed", "page", embed.published),
    Route("GET", "/bokeh/linked/{link}", A.PUBLIC, "embed", "page", embed.linked),
    Route("GET", "/bokeh/linked/{link}/{model}", A.PUBLIC, "embed", "page", embed.linked),
    Route("GET", "/bokeh/frame/linked/{link}", A.PUBLIC, "frame", "frame", embed.linked_frame),
    Route("POST", "/bokeh/linked/{link}", A.PUBLIC, "here", "api", embed.linked_ticket),
    Route("POST", "/bokeh/doc/{document}/ticket", A.VIEW, "here", "api", pages.ticket),
    Route("GET", "/bokeh/frame/{document}", A.VIEW, "frame", "frame", pages.frame),
    Route("WEBSOCKET", "/bokeh/ws/{document}", A.PUBLIC, "sandbox", "socket", socket.frame_socket),
    Route("WEBSOCKET", "/bokeh/doc/{document}/ws", A.VIEW, "program", "socket", socket.program_socket),
    Route("GET", "/static/bokeh/{version}/{path:path}", A.PUBLIC, "anywhere", "static", pages.bokeh_file),
    Route("GET", "/static/app/{version}/{path:path}", A.PUBLIC, "anywhere", "static", pages.app_file),
    Route("GET", "/bokeh/ping", A.PUBLIC, "anywhere", "api", pages.ping),
    Route("GET", "/healthz", A.PUBLIC, "anywhere", "api", pages.alive),
    Route("GET", "/readyz", A.PUBLIC, "anywhere", "api", pages.ready),
    Route("GET", "/version", A.PUBLIC, "anywhere", "api", pages.versions),
    Route("GET", "/metrics", A.WATCH, "here", "api", metrics.metrics),
    Route("GET", "/api/v1/traffic", A.TRAFFIC, "here", "api", traffic.traffic),
    Route("GET", "/api/v1/openapi.json", A.PUBLIC, "link", "api", openapi.describe),
    Route("GET", "/api/v1/documents", A.LIST, "here", "api", api.documents),
    Route("POST", "/api/v1/documents", A.CREATE, "here", "api", api.create),
    Route("GET", "/api/v1/documents/{name}", A.VIEW, "here", "api", api.get),
    Route("PUT", "/api/v1/documents/{name}", A.STORE, "here", "api", api.put),
    Route("PATCH", "/api/v1/documents/{name}", A.RENAME, "here", "api", api.rename),
    Route("DELETE", "/api/v1/documents/{name}", A.DELETE, "here", "api", api.delete),
    Route("GET", "/api/v1/documents/{name}/info", A.VIEW, "here", "api", api.info),
    Route("GET", "/api/v1/documents/{name}/models/{model}/{property}", A.VIEW, "here", "api", api.get_property),
    Route("PUT", "/api/v1/documents/{name}/models/{model}/{property}", A.EDIT, "here", "api", api.put_property),
    Route("GET", "/api/v1/documents/{name}/retention", A.EDIT, "here", "api", retaining.retention),
    Route("PUT", "/api/v1/documents/{name}/retention", A.RETAIN, "here", "api", retaining.retain),
    Route("POST", "/api/v1/documents/{name}/rows", A.PUSH, "here", "api", push.push_rows),
    Route("WEBSOCKET", "/api/v1/documents/{name}/rows", A.PUSH, "here", "socket", producer.rows_socket),
    Route("POST", "/api/v1/documents/{name}/sources/{source}/rows", A.STREAM, "here", "api", push.post_rows),
    Route("GET", "/api/v1/documents/{name}/viewers", A.EDIT, "here", "api", share.viewers),
    Route("PUT", "/api/v1/documents/{name}/published", A.PUBLISH, "here", "api", share.publish),
    Route("DELETE", "/api/v1/documents/{name}/published", A.PUBLISH, "here", "api", share.unpublish),
    Route("GET", "/api/v1/documents/{name}/grants", A.SHARE, "here", "api", share.grants),
    Route("PUT", "/api/v1/documents/{name}/grants/{user}", A.SHARE, "here", "api", share.put_grant),
    Route("DELETE", "/api/v1/documents/{name}/grants/{user}", A.SHARE, "here", "api", share.delete_grant),
    Route("GET", "/api/v1/documents/{name}/links", A.SHARE, "here", "api", share.links),
    Route("POST", "/api/v1/documents/{name}/links", A.SHARE, "here", "api", share.post_link),
    Route("PATCH", "/api/v1/documents/{name}/links/{link}", A.SHARE, "here", "api", share.switch_link),
    Route("DELETE", "/api/v1/documents/{name}/links/{link}", A.SHARE, "here", "api", share.delete_link),
    Route("POST", "/api/v1/login", A.PUBLIC, "program", "api", account.token_by_login),
    Route("POST", "/api/v1/register", A.PUBLIC, "program", "api", account.token_by_registration),
    Route("GET", "/api/v1/account", A.LIST, "here", "api", account.account),
    Route("PUT", "/api/v1/account/password", A.ACCOUNT, "here", "api", account.put_password),
    Route("DELETE", "/api/v1/account/login", A.LIST, "here", "api", account.log_out),
    Route("GET", "/api/v1/account/logins", A.ACCOUNT, "here", "api", account.logins),
    Route("DELETE", "/api/v1/account/logins", A.ACCOUNT, "here", "api", account.log_out_everywhere),
    Route("DELETE", "/api/v1/account/logins/{login}", A.ACCOUNT, "here", "api", account.delete_login),
    Route("GET", "/api/v1/account/tokens", A.ACCOUNT, "here", "api", account.tokens),
    Route("POST", "/api/v1/account/tokens", A.ACCOUNT, "here", "api", account.post_token),
    Route("DELETE", "/api/v1/account/tokens/{token}", A.ACCOUNT, "here", "api", account.delete_token),
    Route("GET", "/api/v1/users", A.ADMINISTER, "here", "api", account.users),
    Route("POST", "/api/v1/users", A.ADMINISTER, "here", "api", account.post_user),
    Route("PATCH", "/api/v1/users/{user}", A.ADMINISTER, "here", "api", account.patch_user),
    Route("GET", "/api/v1/users/{user}/documents", A.ADMINISTER, "here", "api", account.user_documents),
    Route("GET", "/api/v1/invitations", A.ADMINISTER, "here", "api", account.invitations),
    Route("POST", "/api/v1/invitations", A.ADMINISTER, "here", "api", account.post_invitation),
    Route("DELETE", "/api/v1/invitations/{invitation}", A.ADMINISTER, "here", "api", account.delete_invitation),
)


class Table:
    """The routes, ready to be asked. Raises ``ValueError`` where two are the same or one lacks its action."""

    def __init__(self, routes: Sequence[Route] = ROUTES) -> None:
        self._routes = [(re.compile(route.pattern), route) for route in routes]
        seen = {(route.method, route.path) for route in routes}
        if len(seen) != len(routes):
            raise ValueError("Two routes have the same method and path.")
        for route in routes:
            if not isinstance(route.action, Action):
                raise ValueError(f"The route {route.method} {route.path} does not state its action.")

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route of a request and the parts of its path, still quoted.

        ``path`` is below the prefix. Raises ``BadValue`` for a path that is not in its canonical form,
        ``NotFound`` without a route, ``MethodNotAllowed`` where only the method is wrong. HEAD is answered as GET.
        """
        if not canonical(path):
            raise BadValue("This path is not in its canonical form.")
        method = "GET" if method == "HEAD" else method
        there = False
        for pattern, route in self._routes:
            found = pattern.fullmatch(path)
            if found is None:
                continue
            if route.method == method:
                return route, found.groupdict()
            there = there or route.method != "WEBSOCKET"
        raise MethodNotAllowed if there else NotFound

    def methods(self, path: str) -> str:
        """The methods that a path takes, as an ``Allow`` header has them."""
        found = {route.method for pattern, route in self._routes if pattern.fullmatch(path)} - {"WEBSOCKET"}
        return ", ".join(sorted(found | ({"HEAD"} if "GET" in found else set())))


def canonical(path: str) -> bool:
    """Whether a quoted path means the same to everybody: one spelling, no empty or dotted parts, no hidden slash."""
    if not path.startswith("/") or not WELL_QUOTED.fullmatch(path):
        return False
    try:
        parts = [unquote(part, errors="strict") for part in path.split("/")[1:]]
    except UnicodeDecodeError:
        return False
    hidden = any(part in (".", "..") or "/" in part or "\\" in part or not part.isprintable() for part in parts)
    return not hidden and "" not in parts[:-1] and (path == "/" or parts[-1] != "")


WELL_QUOTED = re.compile(r"(?:[!$&-;=@A-Z_a-z~]|%(?!2[DE]|3\d|[46][1-9A-F]|[57][\dA]|5F|7E)[\dA-F]{2})*", re.I | re.A)
"""What RFC 3986 allows in a path, without an escape where none is needed (its "unreserved" characters)."""
