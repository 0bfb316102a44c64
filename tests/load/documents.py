"""What is streamed: a document of one source whose column ``n`` counts its rows, and patches of it."""

from __future__ import annotations

import json
from typing import Any

SOURCE = "rows"


def document(*more: str) -> dict[str, Any]:
    """A source with the column ``n`` and others."""
    data = {"type": "map", "entries": [[name, []] for name in ("n", *more)]}
    root = {"type": "object", "name": "ColumnDataSource", "id": SOURCE, "attributes": {"data": data}}
    return {"version": "3.9.2", "title": "load", "roots": [root]}


def rows(first: int, count: int, *, rollover: int | None = None, **more: str) -> str:
    """The content of a PATCH-DOC: ``count`` rows from ``first`` on. ``more`` has the JSON of the other columns."""
    numbers = ",".join(map(str, range(first, first + count)))
    others = "".join(f',["{name}",{values}]' for name, values in more.items())
    event = f'"kind":"ColumnsStreamed","model":{{"id":"{SOURCE}"}},"attr":"data","rollover":{json.dumps(rollover)}'
    return f'{{"events":[{{{event},"data":{{"type":"map","entries":[["n",[{numbers}]]{others}]}}}}]}}'
