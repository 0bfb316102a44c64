"""Servers that break a promise, for the test of the crash test: ``mutants.py NAME [flags of bokeh-server]``.

``early`` acknowledges and shows patches before the log has them; ``forgetful`` does not know after a restart which
patches of a client it has.
"""

from __future__ import annotations

import sys
from typing import Any

from bokeh_server.cli import main
from bokeh_server.core.authorise import Access
from bokeh_server.core.events import Append, Appended, Effect, Event
from bokeh_server.core.log import Stored
from bokeh_server.core.room import Room


def early() -> None:
    """Say that a record is durable as soon as it is made."""
    receive = Room.receive

    def mutant(self: Room, event: Event) -> list[Effect]:
        effects = receive(self, event)
        for made in [effect for effect in effects if isinstance(effect, Append)]:
            effects += receive(self, Appended(made.record.seq))
        return effects

    Room.receive = mutant  # type: ignore[method-assign]


def forgetful() -> None:
    """Forget the numbers of all clients at a restart."""
    restore = Room.restore.__func__  # type: ignore[attr-defined]

    def mutant(cls: type[Room], /, access: Access, stored: Stored, **more: Any) -> Room:
        room: Room = restore(cls, access, stored, **more)
        room.numbers.clear()
        return room

    Room.restore = classmethod(mutant)  # type: ignore[assignment, method-assign]


if __name__ == "__main__":
    {"early": early, "forgetful": forgetful}[sys.argv.pop(1)]()
    main()
