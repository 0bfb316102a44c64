"""The hostile corpus: every document, by name, and which of them every run of the tests plays."""

from __future__ import annotations

from functools import partial
from itertools import cycle

from bokeh.document import Document

from tests.isolation.attacks import CORE, MORE, Place, script
from tests.isolation.sinks import MODELS, PAYLOADS, addressed, renamed, sink
from tests.isolation.stage import Case
from tests.isolation.vectors import GESTURES, SELVES, VECTORS, document


def coded(name: str, body: str, vector: str, place: Place) -> Document:
    """A document in which a model of one kind carries one attack."""
    kind = VECTORS[vector]
    if vector in GESTURES:
        body = f"await soon(500); {body}"  # the mouse must have come to rest: what it is over may be gone
    return document(kind.make(script(name, place, body, kind.result)))


def case(vector: str, attack: str, body: str) -> Case:
    """One attack by one kind of model."""
    name = f"{attack}-by-{vector}"
    return Case(name, partial(coded, name, body, vector), GESTURES.get(vector))


MATRIX = [case(vector, attack, body) for vector in VECTORS for attack, body in CORE.items()]
"""Every kind of model with what is worst."""
SOME = [case(vector, attack, CORE[attack]) for vector, attack in zip(VECTORS, cycle(CORE), strict=False)]
"""Every kind of model, and everything that is worst, once."""
ONCE = [case(vector, attack, body) for vector, (attack, body) in zip(cycle(SELVES), MORE.items(), strict=False)]
"""Everything else that a script can try."""
SINKS = [Case(f"sink-{name}", partial(sink, f"sink-{name}", payload)) for name, payload in PAYLOADS.items()]
MODELLED = [Case(f"model-{name}", partial(addressed, f"model-{name}", roots)) for name, roots in MODELS.items()]
MARKED_UP = [*SINKS, *MODELLED, Case("renamed", renamed)]
"""Documents whose markup and addresses are the attack."""
EVERY = [*MATRIX, *ONCE, *MARKED_UP]
