"""The open boards: each is told when the list of documents that its user may see has changed, and of nothing else.

What it is told is only that; it fetches the list anew. Who may see nothing of a document does not even hear that
something happens to it. What changes within a moment is told once.
"""

from __future__ import annotations

import asyncio

from bokeh_server.core.authorise import Access, Actor, role_of
from bokeh_server.core.wire import Outgoing
from bokeh_server.seat import Connection

CHANGED = Outgoing((b'{"changed":true}',))
MOMENT = 0.2
"""Seconds."""


class Boards:
    """The boards of one server, by their connections: who looks at each."""

    def __init__(self) -> None:
        self.actors: dict[Connection, Actor] = {}
        self._changed: dict[int, Access] = {}

    def changed(self, *accesses: Access) -> None:
        """Something about a document has changed, for whomever one of these lets see it: as it is, and as it was."""
        if self.actors and not self._changed:
            asyncio.get_running_loop().call_later(MOMENT, self._tell)
        if self.actors:
            self._changed.update((id(access), access) for access in accesses)

    def _tell(self) -> None:
        changed, self._changed = self._changed, {}
        for connection, actor in self.actors.items():
            if any(role_of(actor, access) is not None for access in changed.values()):
                connection.send(CHANGED)
