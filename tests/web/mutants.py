"""Servers that break a promise about rights, for the test of these tests: ``mutants.py NAME [flags of bokeh-server]``.

``deaf`` leaves open the sockets of those who have lost a right; ``slow`` closes them two seconds later; ``unguarded``
finds documents and then lets everybody do everything; ``telling`` says of a hidden document that it is there;
``prefix`` believes every origin that begins as ours.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from bokeh_server.cli import main
from bokeh_server.core.authorise import Action, Actor
from bokeh_server.errors import Forbidden, NotFound
from bokeh_server.hub import Hub
from bokeh_server.web import guard
from bokeh_server.web.guard import Guard
from bokeh_server.web.http import Request
from bokeh_server.web.routes import Route


def deaf() -> None:
    """Close nobody's socket."""
    Hub.revoke = lambda self, lost: None  # type: ignore[method-assign]
    Hub.rights = lambda self, access, before=None: None  # type: ignore[method-assign]


def slow() -> None:
    """Close it after two seconds."""
    revoke = Hub.revoke

    def mutant(self: Hub, lost: Callable[[Actor], bool]) -> None:
        asyncio.get_running_loop().call_later(2, revoke, self, lost)

    Hub.revoke = mutant  # type: ignore[method-assign]


def unguarded() -> None:
    """Ask nobody what he may do with a document."""
    authorise = Guard._authorise

    async def mutant(self: Guard, route: Route, request: Request) -> None:
        try:
            await authorise(self, route, request)
        except Forbidden:
            if route.action is Action.PUBLIC or request.info is None:
                raise

    Guard._authorise = mutant  # type: ignore[method-assign]


def telling() -> None:
    """Answer 403 where 404 would tell less."""
    find = Guard._find

    async def mutant(self: Guard, route: Route, request: Request) -> None:
        try:
            await find(self, route, request)
        except NotFound:
            name = request.parameters.get("document") or request.parameters["name"]
            by_id, _ = await self.site.hub.look(request.actor.name, name)
            if by_id is None:
                raise
            raise Forbidden("This document is somebody else's.") from None

    Guard._find = mutant  # type: ignore[method-assign]


def prefix() -> None:
    """Compare origins as far as ours goes."""
    check = guard.check_origin

    def mutant(route: Route, request: Request, ours: str) -> None:
        origin: Any = request.headers.get("origin", "")
        if not (origin.startswith(ours) and route.origin in ("here", "board")):
            check(route, request, ours)

    guard.check_origin = mutant


if __name__ == "__main__":
    {"deaf": deaf, "slow": slow, "unguarded": unguarded, "telling": telling, "prefix": prefix}[sys.argv.pop(1)]()
    main()
