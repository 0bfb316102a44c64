"""A Flask site with members, by Flask-Login; they are the users of the server below ``/plots``."""

from __future__ import annotations

import os

import flask_login
from flask import Flask, Response, redirect, request
from werkzeug.wrappers import Response as Answer

from bokeh_server import blueprint

app = Flask(__name__, static_folder=None)
app.secret_key = "this site's own secret, for tests"
logins = flask_login.LoginManager(app)


class Member(flask_login.UserMixin):  # type: ignore[misc]
    """Somebody by this name."""

    def __init__(self, name: str) -> None:
        self.id = name


@logins.user_loader  # type: ignore[untyped-decorator]
def member(name: str) -> Member:
    """Who has logged in."""
    return Member(name)


def who(_: object) -> str | None:
    """Whom Flask-Login knows."""
    name: str | None = flask_login.current_user.get_id()
    return name


plots = blueprint(os.environ["DATA"], identify=who, admins=("root",), login_url="/login?by=name")
app.register_blueprint(plots, url_prefix="/plots")


@app.get("/login")
def form() -> Response:
    """Where one logs in."""
    return Response(f'<form method="post"><input name="name"><button>Log in</button> {request.args["next"]!r}</form>')


@app.post("/login")
def log_in() -> Answer:
    """Log in by a name alone."""
    flask_login.login_user(Member(request.form["name"]))
    return redirect(request.args.get("next", "/plots/"))


@app.get("/page")
def page() -> Response:
    """A page of the site's with the tag that it is asked for, or that of a document."""
    shown = request.args["tag"] if "tag" in request.args else plots.tag(request.args["document"])
    return Response(f"<!doctype html><title>The site's</title><h1>The site's own page</h1>{shown}")


@app.post("/logout")
def log_out() -> Response:
    """Log out, here and there."""
    plots.forget(flask_login.current_user.get_id())
    flask_login.logout_user()
    return Response()
