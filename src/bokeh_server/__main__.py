"""``python -m bokeh_server`` is ``bokeh-server``."""

from __future__ import annotations

from bokeh_server.cli import main

main()
