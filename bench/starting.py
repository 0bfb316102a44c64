"""Cell ``start``: seconds from starting the process until it answers, and its resident memory when idle.

Each starts twice: ours first on an empty folder, where it makes its database, then on the folder that it left.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.servers import Bokeh, Ours, Server

SETTLE = 1.0  # seconds until a server that just started is idle


class Starting:
    """The cell: two starts of each server in each round."""

    def round(self) -> Iterator[dict[str, object]]:
        """Start each server on nothing, and once more."""
        for kind in (Ours, Bokeh):
            with kind() as server:
                yield self.row("first start", server)
                server.stop()
                server.start()
                yield self.row("start", server)

    def row(self, work: str, server: Server) -> dict[str, object]:
        """The figures of a server that has just started."""
        time.sleep(SETTLE)
        figures = {"s": server.started, "cpu_s": server.cpu_s, "mb": server.rss_mb}
        return {"work": work, "server": server.name, **figures}
