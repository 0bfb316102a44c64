"""The demo's program: ``python -m bokeh_server.demo URL`` shows its documents until its standard input ends."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

from bokeh_server.demo.program import main
from bokeh_server.errors import BokehServerError

STOP = threading.Event()


def end(*_: object) -> None:
    """Stop after this row."""
    STOP.set()


def end_with_input() -> None:
    """End when whoever started this closes the pipe, or is gone."""
    while os.read(0, 4096):  # not sys.stdin: a thread that waits in it is in the way of the interpreter's end
        pass
    end()


if __name__ == "__main__":
    logging.getLogger("bokeh_server.client").setLevel(logging.ERROR)  # whoever ends the server knows that it ends
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=end_with_input, daemon=True).start()
    try:
        main(sys.argv[1], STOP)
    except BokehServerError as error:
        sys.exit(str(error))
