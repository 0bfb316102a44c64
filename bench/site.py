"""A Flask application that has the server within, for gunicorn: ``DATA`` is its folder."""

from __future__ import annotations

import os

from flask import Flask

from bokeh_server import blueprint

app = Flask(__name__, static_folder=None)
app.register_blueprint(blueprint(os.environ["DATA"]))
