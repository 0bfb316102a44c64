"""A Starlette site with members, by its session; they are the users of the server mounted at ``/plots``."""

from __future__ import annotations

import os
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from bokeh_server import create_app


async def who(scope: Any) -> str | None:
    """Whom the session names."""
    name: str | None = scope["session"].get("name")
    return name


plots = create_app(os.environ["DATA"], identify=who, admins=("root",), login_url="/login?by=name")


async def form(request: Request) -> Response:
    """Where one logs in."""
    return HTMLResponse(
        f'<form method="post"><input name="name"><button>Log in</button> {request.query_params["next"]!r}'
    )


async def log_in(request: Request) -> Response:
    """Log in by a name alone."""
    request.session["name"] = (await request.body()).decode().partition("name=")[2]
    return RedirectResponse(request.query_params.get("next", "/plots/"), 303)


async def log_out(request: Request) -> Response:
    """Log out, here and there."""
    plots.forget(request.session.pop("name"))
    return Response()


app = Starlette(
    routes=[
        Route("/login", form, methods=["GET"]),
        Route("/login", log_in, methods=["POST"]),
        Route("/logout", log_out, methods=["POST"]),
        Mount("/plots", plots),
    ],
    middleware=[Middleware(SessionMiddleware, secret_key="this site's own secret, for tests")],
)
