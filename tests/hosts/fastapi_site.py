"""A FastAPI site for the tests, with the server mounted at ``/plots``."""

from __future__ import annotations

import os

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from bokeh_server import create_app

app = FastAPI()
app.mount("/plots", create_app(os.environ["DATA"]))


@app.get("/")
def home() -> PlainTextResponse:
    """A page of the site's own, with a cookie of its own."""
    answer = PlainTextResponse("the site's own page")
    answer.set_cookie("site", "secret", httponly=True)
    return answer
