"""``bokeh-server`` within a host application, for the tests: ``python -m tests.hosts HOST [flags of bokeh-server]``.

Whoever starts it can't tell it from ``bokeh-server``: it says the same lines, and takes the same signals.
"""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import flask
import gunicorn.app.base  # type: ignore[import-untyped]
import werkzeug.serving

from bokeh_server.adapters import process
from bokeh_server.adapters.asgi import make_site
from bokeh_server.adapters.flask import Blueprint
from bokeh_server.cli import main
from bokeh_server.config import Config
from bokeh_server.web.site import Site

THREADS = 8


def application(site: Site) -> tuple[flask.Flask, Blueprint]:
    """A host that is nothing but the server."""
    app = flask.Flask("host", static_folder=None)
    made = Blueprint(site)
    app.register_blueprint(made)
    return app, made


def tell(made: Blueprint, ready: process.Ready) -> None:
    """Open the hub, and say that requests are taken."""
    site = made.site
    users = site.accounts.users
    found = made.background.call(lambda _: users.first_invitation()) if site.config.multi_user else None
    made.background.start()
    ready(site.url, None if found is None else f"{site.url}bokeh/register#{found}")


def on_werkzeug(site: Site, listener: socket.socket, ready: process.Ready) -> None:
    """Flask's own server, as by ``flask run``."""
    app, made = application(site)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = werkzeug.serving.make_server("127.0.0.1", site.port, app, threaded=True, fd=listener.fileno())
    tell(made, ready)
    server.serve_forever()


def on_gunicorn(site: Site, listener: socket.socket, ready: process.Ready) -> None:
    """One worker of gunicorn, with threads."""
    listener.close()

    class Application(gunicorn.app.base.BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            self.cfg.set("bind", f"127.0.0.1:{site.port}")
            self.cfg.set("threads", THREADS)
            self.cfg.set("post_worker_init", lambda _: tell(self.made, ready))

        def load(self) -> Any:
            app, self.made = application(site)
            return app

    Application().run()


HOSTS: dict[str, Callable[[Site, socket.socket, process.Ready], None]] = {
    "werkzeug": on_werkzeug,
    "gunicorn": on_gunicorn,
}


def run(config: Config, ready: process.Ready) -> None:
    """Serve as ``process.run`` does, within the host."""
    (listener, *others) = process.bind(config.address, config.port)
    for other in others:
        other.close()
    HOSTS[host](make_site(config, listener.getsockname()[1]), listener, ready)


if __name__ == "__main__":
    host = sys.argv.pop(1)
    process.run = run
    main()
