"""A page without a browser: what a viewer's socket sees and sends, and how to wait for something."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import orjson
from bokeh.model import Model
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from bokeh_server.core.wire import Assembler, outgoing
from tests.web.asking import new_ticket, token


def until(done: Callable[[], Any], what: str = "", timeout: float = 15.0) -> Any:
    """Wait until ``done()`` is true; what it gave."""
    deadline = time.monotonic() + timeout
    while not (value := done()):
        assert time.monotonic() < deadline, f"it never came: {what or done}"
        time.sleep(0.01)
    return value


class Page:
    """A viewer of ``document``; ``events`` are those of all patches that it has been sent."""

    def __init__(self, port: int, document: str) -> None:
        self.events: list[dict[str, Any]] = []
        self.doc: dict[str, Any] = {}
        self.presence: dict[str, int] = {}
        self._numbers = itertools.count(1)
        self._open = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(port, document), daemon=True)
        self._thread.start()
        assert self._ready.wait(15)

    def _run(self, port: int, document: str) -> None:
        protocols = [Subprotocol("bokeh"), Subprotocol(token(document, new_ticket(port, document)))]
        url = f"ws://localhost:{port}/bokeh/ws/{document}"
        with connect(url, origin=Origin("null"), subprotocols=protocols, max_size=None) as socket:
            self._socket: ClientConnection = socket
            assembler = Assembler()
            try:
                for fragment in socket:
                    if (message := assembler.receive(fragment)) is not None:
                        self._received(message.header.msgtype, orjson.loads(message.content))
            except ConnectionClosed:
                pass

    def _received(self, msgtype: str, content: dict[str, Any]) -> None:
        match msgtype:
            case "ACK":
                self.send("RESUME", {"client": "page" * 5, "epoch": None, "seq": None, "kind": "viewer"})
                self.send("PULL-DOC-REQ", {})
            case "PULL-DOC-REPLY":
                self.doc = content["doc"]
                self._ready.set()
            case "PATCH-DOC":
                self.events += content["events"]
            case "PRESENCE":
                self.presence = content

    def send(self, msgtype: str, content: dict[str, Any]) -> None:
        """Send a message."""
        for part in outgoing(msgtype, orjson.dumps(content), msgid=str(next(self._numbers))).parts:
            self._socket.send(part if isinstance(part, str) else bytes(part))

    def change(self, model: Model, attribute: str, value: Any) -> None:
        """Somebody uses a widget."""
        event = {"kind": "ModelChanged", "model": {"id": model.id}, "attr": attribute, "new": value}
        self.send("PATCH-DOC", {"events": [event]})

    def happen(self, name: str, model: Model, **values: Any) -> None:
        """Somebody clicks: an event of bokeh."""
        entries = [["model", {"id": model.id}], *([key, value] for key, value in values.items())]
        data = {"type": "event", "name": name, "values": {"type": "map", "entries": entries}}
        self.send("PATCH-DOC", {"events": [{"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": data}]})

    def close(self) -> None:
        """Leave."""
        self._socket.close()
        self._thread.join(5)
