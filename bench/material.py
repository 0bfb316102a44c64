"""What is sent: documents, and messages as the fragments that bokeh 3.9 itself would send.

Both servers get the same fragments. Patches stream into two columns, as a program's ``source.stream`` does, as JSON
lists or as ndarrays in binary buffers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.document.events import ColumnsStreamedEvent, ModelChangedEvent, TitleChangedEvent
from bokeh.layouts import column
from bokeh.models import ColumnDataSource
from bokeh.models.widgets import Slider
from bokeh.plotting import figure
from bokeh.protocol.message import Message
from bokeh.protocol.messages.patch_doc import patch_doc
from bokeh.protocol.messages.pull_doc_req import pull_doc_req
from bokeh.protocol.messages.push_doc import push_doc
from bokeh.protocol.messages.server_info_req import server_info_req

Fragments = tuple[str | bytes, ...]

ROLLOVER = 200
"""Points that a streamed column keeps; its columns are full from the start."""

BIG_POINTS = 500_000
BIG_FIGURES = 21
"""Together 2 columns of 500,000 float64 (8 MB) beside about 675 models."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A document of a slider and one or several figures with a streamed line."""

    document: Document
    source: ColumnDataSource
    slider: Slider


def plot(*, arrays: bool = False, rollover: int = ROLLOVER, figures: int = 1) -> Plot:
    """The document that is streamed into; ``arrays``: its columns are ndarrays, else lists."""
    values = np.linspace(0.0, 1.0, rollover)
    data = {name: values.copy() if arrays else values.tolist() for name in ("x", "y")}
    source = ColumnDataSource(data)
    slider = Slider(start=0, end=1, step=0.01, value=0)
    document = Document()
    document.add_root(column(slider, *(line(source) for _ in range(figures))))
    return Plot(document, source, slider)


def big() -> Document:
    """The document of 8 MB columns."""
    values = np.random.default_rng(1).random(BIG_POINTS)
    source = ColumnDataSource({"x": np.arange(BIG_POINTS, dtype=float), "y": values})
    document = Document()
    for _ in range(BIG_FIGURES):
        document.add_root(line(source))
    return document


def line(source: ColumnDataSource) -> figure:
    """A figure with the line of a source: 32 models."""
    figure_ = figure(width=400, height=400)
    figure_.line("x", "y", source=source)
    return figure_


def fragments(message: Message[Any]) -> Fragments:
    """The websocket messages that carry a Bokeh message, in order."""
    parts: list[str | bytes] = [message.header_json, message.metadata_json, message.content_json]
    for buffer in message.buffers:
        parts += (f'{{"id":"{buffer.id}"}}', bytes(buffer.data))
    return tuple(parts)


def stream(shown: Plot, points: int, *, arrays: bool = False, rollover: int = ROLLOVER) -> Fragments:
    """A PATCH-DOC of one ColumnsStreamed event: ``points`` rows into both columns."""
    values = np.random.default_rng(points).random(points)
    data = {name: values if arrays else values.tolist() for name in ("x", "y")}
    event = ColumnsStreamedEvent(shown.document, shown.source, "data", data, rollover)
    return fragments(patch_doc.create([event]))


def slide(shown: Plot, value: float) -> Fragments:
    """A PATCH-DOC of one ModelChanged event: the slider's value."""
    event = ModelChangedEvent(shown.document, shown.slider, "value", value)
    return fragments(patch_doc.create([event]))


def push(document: Document) -> Fragments:
    """The PUSH-DOC of a document."""
    return fragments(push_doc.create(document))


def retitle(title: str) -> Fragments:
    """A PATCH-DOC of one TitleChanged event."""
    return fragments(patch_doc.create([TitleChangedEvent(Document(), title)]))


def ask_version() -> Fragments:
    """A SERVER-INFO-REQ: its answer says that all before it has been done."""
    return fragments(server_info_req.create())


def pull() -> Fragments:
    """A PULL-DOC-REQ."""
    return fragments(pull_doc_req.create())
