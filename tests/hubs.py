"""A hub on a store in memory, and connections that are lists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import orjson

from bokeh_server.core.wire import Header, Message, Outgoing
from bokeh_server.hub import Hub
from bokeh_server.limits import Limits
from bokeh_server.seat import Seat
from bokeh_server.store.memory import MemoryStore

DOCUMENT = orjson.dumps(
    {
        "roots": [{"type": "object", "name": "Slider", "id": "s", "attributes": {"value": 0, "title": "a"}}],
        "title": "t",
        "version": "3.9.2",
    }
)


def change(value: object, attribute: str = "value") -> bytes:
    """The content of a patch that sets one attribute of the slider."""
    event = {"kind": "ModelChanged", "model": {"id": "s"}, "attr": attribute, "new": value}
    return orjson.dumps({"events": [event]})


def add(key: str, name: str) -> bytes:
    """The content of a patch that adds a root."""
    return orjson.dumps({"events": [{"kind": "RootAdded", "model": {"type": "object", "name": name, "id": key}}]})


def remove(key: str) -> bytes:
    """The content of a patch that removes a root."""
    return orjson.dumps({"events": [{"kind": "RootRemoved", "model": {"id": key}}]})


class Line:
    """A connection that remembers what it was told."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.closed: tuple[int, str] | None = None
        self.reading = True
        self.unsent = 0

    def send(self, message: Outgoing) -> None:
        header, _, content = [orjson.loads(part) for part in (*message.parts, "{}", "{}")[:3]]
        self.messages.append((header.get("msgtype", "board"), content))

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    @property
    def types(self) -> list[str]:
        return [msgtype for msgtype, _ in self.messages]


def send(seat: Seat, msgtype: str, content: bytes = b"{}", number: int | None = None) -> None:
    seat.receive(Message(Header(msgid="m", msgtype=msgtype, number=number), content))


def run(test: Callable[[Hub], Coroutine[Any, Any, None]], store: MemoryStore | None = None, **limits: Any) -> None:
    """Run a test with a hub that is started and stopped."""

    async def main() -> None:
        hub = Hub(store or MemoryStore(), limits=Limits(**limits))
        await hub.start()
        try:
            await test(hub)
        finally:
            await hub.stop()

    asyncio.run(main())


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what comes by itself."""
    for _ in range(1_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def settled() -> None:
    """Let commits happen."""
    for _ in range(10):
        await asyncio.sleep(0)
