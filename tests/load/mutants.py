"""Servers that break a promise, for the test of these tests: ``mutants.py NAME [flags of bokeh-server]``.

``greedy`` sends on to viewers who do not read; ``heavy`` keeps 64 KiB for each socket; ``leaky`` never lets go of one;
``twice`` does not know which patches of a client it has.
"""

from __future__ import annotations

import os
import sys
from asyncio.transports import BaseTransport
from typing import Any

from bokeh_server.adapters.websocket import FramesProtocol
from bokeh_server.cli import main
from bokeh_server.core.room import Room
from bokeh_server.seat import Seat


def greedy() -> None:
    """Never hear that a socket is full."""
    Seat.paused = lambda self: None  # type: ignore[method-assign]


def heavy() -> None:
    """Have a buffer for each socket."""
    made = FramesProtocol.connection_made

    def mutant(self: Any, transport: BaseTransport) -> None:
        made(self, transport)
        self.buffer = bytearray(os.urandom(64 * 1024))

    FramesProtocol.connection_made = mutant  # type: ignore[method-assign]


def leaky() -> None:
    """Keep the descriptor of each socket."""
    made = FramesProtocol.connection_made

    def mutant(self: FramesProtocol, transport: BaseTransport) -> None:
        made(self, transport)
        os.dup(transport.get_extra_info("socket").fileno())

    FramesProtocol.connection_made = mutant  # type: ignore[method-assign]


def twice() -> None:
    """Forget what each client has sent."""
    Room._count = lambda self, name, number: None  # type: ignore[method-assign]


if __name__ == "__main__":
    {"greedy": greedy, "heavy": heavy, "leaky": leaky, "twice": twice}[sys.argv.pop(1)]()
    main()
