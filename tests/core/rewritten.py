"""What a document makes of something: read, and written again."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from bokeh_server.core import Buffers
from bokeh_server.core.document import Document
from tests.core.playbook import doc, model

BYTES, PACKED = b"\x00\x01\x02\x03", base64.b64encode(gzip.compress(b"\x00\x01\x02\x03", mtime=0)).decode()


def roots(*models: Any, buffers: Buffers = (), **more: Any) -> Any:
    """The roots of a document after it was read and written."""
    written, _ = Document.decode(doc(*models, **more), buffers).encode()
    return json.loads(written)["roots"]


def value(given: Any, *, buffers: Buffers = ()) -> Any:
    """A value after it was read and written as an attribute."""
    [root] = roots(model("M", "m", a=given), buffers=buffers)
    return root["attributes"]["a"]


def nested(levels: int, inner: Any = 1) -> Any:
    for _ in range(levels):
        inner = [inner]
    return inner
