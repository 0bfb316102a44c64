"""bokeh's own server, as `bokeh serve` runs it, on one port with an empty application: python -m bench.peer PORT."""

from __future__ import annotations

import sys

from bokeh.application import Application
from bokeh.server.server import Server

HOUR = 3_600_000  # milliseconds


def main() -> None:
    """Serve until killed."""
    server = Server(
        {"/": Application()},
        address="127.0.0.1",
        port=int(sys.argv[1]),
        unused_session_lifetime_milliseconds=HOUR,
        check_unused_sessions_milliseconds=HOUR,
        session_token_expiration=HOUR,
        websocket_max_message_size=100_000_000,
    )
    server.start()
    server.io_loop.start()


if __name__ == "__main__":
    main()
