"""A Starlette site for the tests, with the server mounted at ``/plots``: it keeps its lifespan to itself."""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from bokeh_server import create_app


async def home(request: Request) -> PlainTextResponse:
    """A page of the site's own, with a cookie of its own."""
    answer = PlainTextResponse("the site's own page")
    answer.set_cookie("site", "secret", httponly=True)
    return answer


async def echo(socket: WebSocket) -> None:
    """A websocket of the site's own."""
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


plots = Mount("/plots", create_app(os.environ["DATA"]))
app = Starlette(routes=[Route("/", home), WebSocketRoute("/echo", echo), plots])
