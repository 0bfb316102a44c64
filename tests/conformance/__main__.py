"""``bokeh-server`` whose only route is that of ``tests.conformance.echo``: ``python -m tests.conformance [flags]``."""

from __future__ import annotations

from bokeh_server.adapters import process
from bokeh_server.cli import main
from tests.conformance.echo import EchoApplication

if __name__ == "__main__":
    process.Application = EchoApplication  # type: ignore[attr-defined]
    main()
