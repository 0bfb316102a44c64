"""A Flask site for the tests, with the server below ``/plots``: ``DATA`` is its folder."""

from __future__ import annotations

import os

from flask import Flask, Response

from bokeh_server.adapters.flask import blueprint

app = Flask(__name__, static_folder=None)
app.register_blueprint(blueprint(os.environ["DATA"]), url_prefix="/plots")


@app.get("/")
def home() -> Response:
    """A page of the site's own, with a cookie of its own."""
    answer = Response("the site's own page")
    answer.set_cookie("site", "secret", httponly=True)
    return answer
