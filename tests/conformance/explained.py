"""Each of Autobahn's cases that is not simply OK, for each server, with its reason. What is not here must be OK.

The verdicts are Autobahn's: NON-STRICT keeps to the protocol, but not to a recommendation of it; INFORMATIONAL is not
judged at all; UNIMPLEMENTED is a wish that the server may turn down. FAILED breaks the protocol: that is here only
where the framing is not ours.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Cases that get the same verdict for the same reason; ``sometimes`` they are OK."""

    verdict: str
    cases: tuple[str, ...]
    reason: str
    sometimes: bool = False


def cases(group: str, first: int, last: int) -> tuple[str, ...]:
    """The cases of a group from one number to another."""
    return tuple(f"{group}.{number}" for number in range(first, last + 1))


NON_STRICT, INFORMATIONAL, UNIMPLEMENTED = "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED"
WRONG_CODE = "FAILED, WRONG CODE"

NOT_JUDGED = (
    Finding(INFORMATIONAL, ("7.1.6",), "A message, a close and a ping at once: what is answered is not laid down."),
    Finding(INFORMATIONAL, cases("7.13", 1, 2), "A close code beyond 4999 has no meaning; we answer 1002."),
)
WHOLE_TEXTS = Finding(
    NON_STRICT,
    cases("6.4", 1, 4),
    "Text that is no UTF-8 is refused when the message is whole, not at its first bad byte: it is bounded, and nobody "
    "sees any of it before.",
)
COMPRESSED = tuple(
    case
    for part, groups in (("12", 5), ("13", 7))
    for group in range(1, groups + 1)
    for case in cases(f"{part}.{group}", 1, 18)
)
UNCOMPRESSED = Finding(
    UNIMPLEMENTED,
    COMPRESSED,
    "No compression is agreed on: a message's frames are made once for all receivers, and nothing that comes in is "
    "larger than it looks.",
)
OURS = (*NOT_JUDGED, WHOLE_TEXTS, UNCOMPRESSED)
"""Where the framing is our protocol's."""

CUT_SHORT = Finding(
    NON_STRICT,
    ("3.2", "3.3", "3.4", *cases("4.1", 3, 5), *cases("4.2", 3, 5), "5.15"),
    "A whole message and then a broken frame: the server closes before it has passed the message on, or our answer.",
    sometimes=True,
)
UVICORN = (
    *NOT_JUDGED,
    WHOLE_TEXTS,
    CUT_SHORT,
    Finding(
        WRONG_CODE,
        ("7.1.5",),
        "The websockets library calls a close within a message a mistake, and says so of itself.",
    ),
)
HYPERCORN = (*NOT_JUDGED, CUT_SHORT)
GRANIAN = (
    *NOT_JUDGED,
    CUT_SHORT,
    UNCOMPRESSED,
    Finding(NON_STRICT, cases("6.4", 3, 4), "Text that is no UTF-8 is refused when its frame is whole."),
)
