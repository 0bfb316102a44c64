"""Cell ``core``: from the fragments of one patch to the changed document, in process, ours and bokeh's in turn.

Ours is ``Assembler.receive`` and ``apply``; bokeh's is ``Receiver.consume`` and ``apply_to_document``, on a document
that nobody watches: without any relay. Beside it stands ours without the assembler, "parse + apply": from the bytes
of the content on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from bokeh.protocol import Protocol
from bokeh.protocol.receiver import Receiver

from bench.material import Fragments, Plot, plot, push, slide, stream
from bokeh_server.core import Buffers
from bokeh_server.core.apply import apply
from bokeh_server.core.document import Document
from bokeh_server.core.wire import Assembler, Message

T = TypeVar("T")
Patches = list[Fragments]
Run = Callable[[Patches], None]

KINDS = (
    "1 point into lists",
    "1 point into lists, 10 figures",
    "1 point into arrays",
    "100 points into lists",
    "slider",
)


def patches(kind: str) -> tuple[Plot, Patches]:
    """The document, and the messages that are applied to it in turn."""
    arrays = "arrays" in kind
    shown = plot(arrays=arrays, figures=10 if "10 figures" in kind else 1)
    if kind == "slider":
        return shown, [slide(shown, value) for value in (0.25, 0.5, 0.75, 1.0)]
    return shown, [stream(shown, int(kind.split()[0]), arrays=arrays)]


def copy(shown: Plot) -> Document:
    """Our copy of the document."""
    content = push(shown.document)
    return Document.decode(str(content[2]).encode(), _buffers(content))


def parse_and_apply(shown: Plot) -> Callable[[list[Message]], None]:
    """Our core on the same document, without the assembler."""
    document = copy(shown)

    def run(messages: list[Message]) -> None:
        for message in messages:
            apply(document, message.content, message.buffers)

    return run


def ours(shown: Plot) -> Run:
    """Our core on the same document."""
    document = copy(shown)
    assembler = Assembler()

    def run(patches: Patches) -> None:
        for patch in patches:
            for fragment in patch:
                message = assembler.receive(fragment)
            assert message is not None
            apply(document, message.content, message.buffers)

    return run


def bokehs(shown: Plot) -> Run:
    """bokeh's own classes."""
    receiver = Receiver(Protocol())

    def run(patches: Patches) -> None:
        for patch in patches:
            for fragment in patch:
                message = _now(receiver.consume(fragment))
            message.apply_to_document(shown.document, shown)

    return run


def _now(coroutine: Coroutine[None, None, Any]) -> Any:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("bokeh's receiver waited for something")


def _buffers(content: Fragments) -> Buffers:
    pairs = zip(content[3::2], content[4::2], strict=True)
    return tuple((json.loads(head)["id"], payload) for head, payload in pairs if isinstance(payload, bytes))


def assembled(patch: Fragments) -> Message:
    """The message of these fragments."""
    assembler = Assembler()
    (message,) = filter(None, map(assembler.receive, patch))
    return message


def seconds_each(run: Callable[[list[T]], None], patches: list[T], seconds: float) -> float:
    """Seconds for one patch, over about ``seconds``."""
    run(patches * 10)
    count, begin = 0, time.perf_counter()
    while (spent := time.perf_counter() - begin) < seconds:
        run(patches * 20)
        count += 20 * len(patches)
    return spent / count


class Core:
    """The cell: three figures for each kind in each round."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.kinds = {kind: patches(kind) for kind in KINDS}
        self.runs = {
            kind: (ours(shown), bokehs(shown), parse_and_apply(shown)) for kind, (shown, _) in self.kinds.items()
        }

    def round(self) -> Iterator[dict[str, object]]:
        """Measure each kind once."""
        for kind, (_, patches) in self.kinds.items():
            ours, bokehs, parse_and_apply = self.runs[kind]
            whole, peers = (1e6 * seconds_each(run, patches, self.seconds) for run in (ours, bokehs))
            part = 1e6 * seconds_each(parse_and_apply, [assembled(patch) for patch in patches], self.seconds)
            yield {"work": kind, "server": "bokeh-server", "us": whole, "apply_us": part}
            yield {"work": kind, "server": "bokeh serve", "us": peers, "apply_us": peers}
