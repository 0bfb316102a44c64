"""The ASGI application of bokeh 3.10 with an empty application, for uvicorn in an environment of its own."""

from __future__ import annotations

from bokeh.application import Application
from bokeh.server.asgi import BokehASGI  # type: ignore[import-not-found]

HOUR = 3_600_000  # milliseconds

app = BokehASGI(
    {"/": Application()},
    unused_session_lifetime_milliseconds=HOUR,
    check_unused_sessions_milliseconds=HOUR,
    session_token_expiration=HOUR,
)
