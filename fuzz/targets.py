"""What a guided fuzz runs each input through, and what must hold then. The only error allowed is a ``ClientError``.

``wire``: fragments into an ``Assembler`` with small bounds. It holds no more than they allow; after an error it does
with the rest what a fresh one does; what it takes can be written, and read again, as it came. Fragments that come
together are the same messages.

``patches``: the messages that come out of it, one after the other, onto one document with small bounds. A refused patch
leaves the document and its grave as they were; one that was taken leaves a document that is read again as it is
written. Whatever the patch, what goes to the others is bounded like a message; by it alone, patch after patch, and by
the merged ones, others come to the same document.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from bokeh_server.core import Buffers, Patch
from bokeh_server.core.apply import Applied, Origin, apply, with_whole_data
from bokeh_server.core.copies import Copy
from bokeh_server.core.document import Document
from bokeh_server.core.merge import merged
from bokeh_server.core.wire import Assembler, Message, Outgoing, outgoing
from bokeh_server.errors import ClientError
from bokeh_server.limits import LIMITS
from fuzz.fragments import Fragment, unpack
from tests.model.bad_input import base
from tests.model.canonical import server_flat

Way = tuple[str, ...]
"""What became of the parts of an input: two of the same way are taken to be alike where nothing better is known."""
TAKEN = "taken"
SMALL = replace(LIMITS, message=1 << 15, header=1 << 10, buffers=8, events=40, models=40, grave_models=8)
"""Bounds that inputs of some KB reach."""
CONTENT, BUFFERS = base()
MOST = 4
"""Patches of one input."""


def wire(data: bytes) -> Way:
    """Put fragments together; what became of each that did not merely wait for others."""
    assembler, afresh = Assembler(SMALL), None
    way, fragments = [], list(unpack(data))
    outcomes: list[Message | Refused] = []
    for fragment in fragments:
        one, other = (received(each, fragment) for each in (assembler, afresh or Assembler(SMALL)))
        assert afresh is None or one == other, "an error is still felt in later messages"
        if one is not None and afresh is None:
            outcomes.append(one)
        if isinstance(one, Refused):
            afresh = Assembler(SMALL)
            way.append(one.words)
        elif one is not None:
            way.append(TAKEN)
            written_as_it_came(one)
        assert held(assembler) <= SMALL.message + 2 * SMALL.header, "more is held than the bounds allow"
    assert together(fragments) == outcomes, "what comes together is something else"
    return tuple(way)


def together(fragments: list[Fragment]) -> list[Message | Refused]:
    """What becomes of fragments that come in one read, up to the first refusal."""
    outcomes: list[Message | Refused] = []
    try:
        outcomes.extend(Assembler(SMALL).messages(fragments))
    except ClientError as error:
        outcomes.append(Refused(type(error), str(error)))
    return outcomes


@dataclass(frozen=True, slots=True)
class Refused:
    """What a refusal says; two that say the same are the same."""

    kind: type[ClientError]
    text: str

    @property
    def words(self) -> str:
        """As many of its words as are not about the input."""
        return self.text[:20]


def received(assembler: Assembler, fragment: Fragment) -> Message | Refused | None:
    """What becomes of a fragment."""
    try:
        return assembler.receive(fragment)
    except ClientError as error:
        return Refused(type(error), str(error))


def held(assembler: Assembler) -> int:
    """Bytes of the message that is not complete yet."""
    parts = [getattr(assembler, "_content", b""), *(payload for _, payload in getattr(assembler, "_buffers", ()))]
    return sum(map(len, parts))


def written_as_it_came(message: Message) -> None:
    """A message that was taken leaves in the same parts, and is within its bounds."""
    assert message.size <= SMALL.message
    assert message.header.num_buffers == len(message.buffers) <= SMALL.buffers
    header = message.header
    sent = outgoing(header.msgtype, message.content, msgid=header.msgid, buffers=message.buffers, reqid=header.reqid)
    assert b"".join(sent.pieces) == sent.frames
    assert Outgoing.joined([sent, sent]).frames == 2 * sent.frames
    assembler = Assembler()
    *_, again = map(assembler.receive, sent.parts)
    assert again is not None
    assert (again.content, again.buffers) == (message.content, message.buffers)


def patches(data: bytes) -> Way:
    """Apply the patches of a row of fragments; what became of each. Every fourth input, the others count too."""
    document, written, way = spare.pop() if spare else fresh(), START, []
    taken: list[Applied] = []
    for message in messages(unpack(data)):
        outcome = tried(document, written or document.encode(flat=True), message)
        if isinstance(outcome, Refused):
            way.append(outcome.words)
        elif outcome is not None:
            way.append(TAKEN)
            taken.append(outcome)
            written = None
    if not taken:
        spare.append(document)
    elif zlib.crc32(data) % 4 == 0:
        others(document, taken)
    return tuple(way)


def others(document: Document, taken: list[Applied]) -> None:
    """Whoever has the document in another way has the same document."""
    written = document.encode(flat=True)
    agreed(document, written, Document.decode(*written, limits=SMALL), "read again")
    log = [(applied.content or b"", applied.buffers) for applied in taken]
    agreed(document, written, replayed(log), "by the log")
    if len(log) > 1:
        agreed(document, written, replayed(patch for _, patch in merged(log)), "by the patches merged")
    if b'"cols"' in log[-1][0]:
        whole = with_whole_data(document, *log[-1])
        agreed(document, written, replayed([*log[:-1], whole]), "for a program of bokeh's")
    changed = taken[-1].changed
    if changed is not None:
        agreed(document, written, replayed([*log[:-1], Copy(document, changed, 1, 1).run()]), "by what has changed")


def fresh() -> Document:
    """The document that all inputs start with."""
    return Document.decode(CONTENT, BUFFERS, limits=SMALL)


START: Patch | None = fresh().encode(flat=True)
spare: list[Document] = []
"""One that is still as it was at the start."""


def messages(fragments: Iterable[Fragment]) -> Iterator[Message]:
    """The messages that can be put together, a few at most; what is none is left out."""
    assembler, count = Assembler(SMALL), 0
    for fragment in fragments:
        message = received(assembler, fragment)
        if isinstance(message, Message):
            yield message
            count += 1
            if count == MOST:
                return


def tried(document: Document, before: Patch, message: Message) -> Applied | Refused | None:
    """Apply one patch; what became of it, None where it changed nothing.

    ``before`` is the document as it is written.
    """
    buried = {key: id(grave) for key, grave in document.grave.items()}
    origin: Origin = "viewer" if message.header.msgid.startswith("v") else "program"
    try:
        applied = apply(document, message.content, message.buffers, origin=origin)
    except ClientError as error:
        assert document.encode(flat=True) == before, "a refused patch left something behind"
        assert {key: id(grave) for key, grave in document.grave.items()} == buried, "a refused patch dug something up"
        return Refused(type(error), str(error))
    most = 2 * SMALL.message + size(*document.encode())
    assert size(applied.content, applied.buffers) + size(applied.messages, ()) <= most, "far more goes out than came in"
    if applied.content is None:
        assert document.encode(flat=True) == before, "something has changed, and nobody is told"
        return None
    return applied


def size(content: bytes | None, buffers: Buffers) -> int:
    """Bytes of a patch."""
    return len(content or b"") + sum(len(payload) for _, payload in buffers)


def replayed(log: Iterable[Patch]) -> Document:
    """The document that patches make."""
    document = fresh()
    for content, buffers in log:
        apply(document, content, buffers)
    return document


def agreed(document: Document, written: Patch, other: Document, way: str) -> None:
    """Two documents are the same, be it in other words."""
    same = other.encode(flat=True) == written or server_flat(other) == server_flat(document)
    assert same, f"the document is another one {way}"
