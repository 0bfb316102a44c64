"""The demo's program: ``python -m bokeh_server.demo URL`` shows its documents until its standard input ends."""

from __future__ import annotations

import signal
import sys
import threading

from bokeh_server.demo.program import main
from bokeh_server.errors import BokehServerError


def wait_for_end(stop: threading.Event) -> None:
    """Set ``stop`` when whoever started this closes the pipe, or is gone."""
    sys.stdin.read()
    stop.set()


if __name__ == "__main__":
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=wait_for_end, args=(stop,), daemon=True).start()
    try:
        main(sys.argv[1], stop)
    except BokehServerError as error:
        sys.exit(str(error))
