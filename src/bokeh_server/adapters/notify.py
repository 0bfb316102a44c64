"""What an init system is told that asks for it (``Type=notify`` in a systemd unit): the server is ready, or it ends.

The protocol of ``sd_notify(3)``: a datagram to the socket that ``NOTIFY_SOCKET`` names.
"""

from __future__ import annotations

import os
import socket

import structlog

READY = "READY=1"
STOPPING = "STOPPING=1"
log = structlog.get_logger("bokeh_server.process")


def notify(state: str) -> None:
    """Tell it, where somebody has asked to be told; a server goes on where that fails."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or not hasattr(socket, "AF_UNIX"):
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.connect(f"\0{address[1:]}" if address.startswith("@") else address)
            to.sendall(state.encode())
    except OSError as error:
        log.warning("the init system could not be told", state=state, error=str(error))
