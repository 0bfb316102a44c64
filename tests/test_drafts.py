"""Drafts become records in a thread, byte for byte what they would have become at once."""

from __future__ import annotations

import orjson

from bokeh_server.core.document import Document
from bokeh_server.core.snapshot import Draft
from bokeh_server.drafts import written


def test_a_record_is_the_same_wherever_it_is_written() -> None:
    columns = {"type": "map", "entries": [["x", list(range(100_000))], ["y", ["text"] * 100_000]]}
    source = {"type": "object", "name": "ColumnDataSource", "id": "s", "attributes": {"data": columns}}
    draft = Draft("doc", 2, 7, Document.decode(orjson.dumps({"roots": [source]})))
    record = written(draft)
    assert record == draft.record()
    record.open()
