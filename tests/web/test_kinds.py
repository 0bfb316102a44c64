"""The kinds of values that properties take, held against bokeh itself: what bokeh takes is never refused."""

from __future__ import annotations

import base64
import gzip
import json
import random
import runpy
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from bokeh.core.has_props import HasProps
from bokeh.core.property.alias import Alias
from bokeh.core.serialization import DeserializationError, Deserializer, Serializer
from bokeh.document import Document as BokehDocument
from bokeh.model import Model as BokehModel

from bokeh_server import plotting
from bokeh_server.core.document import Document, Flattener, Writer
from bokeh_server.web.catalogue import catalogue
from bokeh_server.web.kinds import Judge, words
from bokeh_server.web.schema import Table, copied, decode
from tests.isolation.attacks import Place
from tests.isolation.corpus import EVERY
from tests.isolation.gallery import PLAIN, SCRIPTED
from tests.isolation.stage import Case
from tests.model.documents import document as random_document

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "plots").glob("*.py"))


@cache
def table() -> Table:
    """The table as the server reads it."""
    return decode(json.dumps(catalogue()).encode())


def properties() -> Iterator[tuple[str, type[HasProps], str]]:
    """Every property of every model: the model's type and class, and its name."""
    for name, owner in BokehModel.model_class_reverse_map.items():
        if name in table().models:
            yield from ((name, owner, attribute) for attribute in sorted(owner.properties()))


def model(name: str, id: str = "probe", **attributes: Any) -> dict[str, Any]:
    """A model as Bokeh writes it."""
    return {"type": "object", "name": name, "id": id, "attributes": attributes}


def checked(document: BokehDocument) -> None:
    """Check a document as the server does with one that is put."""
    table().check(Document.decode(json.dumps(document.to_json(deferred=False)).encode()))


def test_every_default_is_taken() -> None:
    count = 0
    for name, owner, attribute in properties():
        try:
            with warnings.catch_warnings(action="ignore"):
                default = owner.lookup(attribute).class_default(owner)
            found = model(name, "m", **{attribute: Serializer(deferred=False).encode(default)})
            content = json.dumps({"roots": [found]}).encode()
        except Exception:  # noqa: BLE001 - there is none, or JSON can't tell it
            continue
        table().check(Document.decode(content))
        count += 1
    assert count > 9000


BYTES = {"type": "bytes", "data": base64.b64encode(gzip.compress(bytes(8))).decode()}
ARRAY = {"type": "ndarray", "order": "little", "dtype": "float64", "shape": [1], "array": BYTES}
TEXTS = ("", "x", "auto", "red", "#ff0000", "2026-01-02", "2026-01-02T03:04:05", "12:30", "10px", "solid", "4 4", "{}")
MAPS: tuple[Any, ...] = (
    *({}, {"a": 1}, {"a": "b"}, {"a": ["b"]}, {"a": [1]}, {"a": [0, 1]}, {"a": None}, {"a": ARRAY}),
    *({"a": [["b", "c"]]}, {"type": "map", "entries": [[1, "a"]]}, {"type": "map", "entries": [["a", [1, 2]]]}),
)
SPECS = (
    *({"type": "field", "field": "x"}, {"type": "value", "value": 1}, {"type": "expr", "expr": model("Stack")}),
    *({"field": "x"}, {"value": 1}, {"value": "red"}, {"value": None}, {"field": "x", "units": "deg"}),
    {"type": "field", "field": "x", "transform": model("Jitter")},
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 5, -1, 0.5, 2.0, 1e12, *({"type": "number", "value": v} for v in ("nan", "-inf", 3))),
    *(*TEXTS, *MAPS, *SPECS, ARRAY, {**ARRAY, "dtype": "uint8", "shape": [2, 4]}),
    *([], [1], [1, 2], [0.5, 1], [1, 2, 3], [1, 2, 3, 0.5], [1, 2, 3, 4], [None, 1], [1, None], [None], [True]),
    *([[1, 2]], ["a"], ["a", "b"], [["a", "b"]], [["a", "b"], "c"], [["a", "b", "c"]]),
    *(["2026-01-02"], [["2026-01-02", "2026-01-03"]], {"type": "map", "entries": [[0.5, "a"]]}),
    *({"type": "set", "entries": entries} for entries in ([], ["a"], [1])),
    *({"type": "array", "entries": [1]}, {"type": "slice", "start": 0, "stop": 1, "step": None}),
)


def around(probe: Any) -> tuple[Any, ...]:
    """A model, and lists and maps with it."""
    return (probe, [probe], ["a", probe], [None, probe], [[probe, 0, 0]], {"a": probe}, {"a": [probe]}, [["a", probe]])


@cache
def probes(models: bool) -> list[tuple[Any, Any, Document]]:
    """Values as Python and as a document have them, with that document: plain ones, or ``models`` of each type."""
    found = []
    types = sorted(table().models)
    named = [*map(model, types), *(value for name in types[::4] for value in around(model(name)))]
    for value in named if models else VALUES:
        with suppress(DeserializationError):
            document = Document()
            found.append((Deserializer().decode(value), Flattener(document, {}).value(value)[0], document))
    return found


@pytest.mark.filterwarnings("ignore")
def test_what_bokeh_takes_is_never_refused_and_most_of_what_it_refuses_is() -> None:
    judged: dict[tuple[int, str], Any] = {}
    for name, owner, attribute in properties():
        property_ = owner.lookup(attribute).property
        if not isinstance(property_, Alias):
            key = table().models[name].has[attribute].kinds, str(property_)
            judged.setdefault(key, (owner, attribute, property_))
    assert len(judged) > 250
    refused = let_through = 0
    for (number, _), (owner, attribute, property_) in judged.items():
        kinds = table().kinds[number]
        for value, flat, document in [*probes(False), *(probes(True) if property_.has_ref else [])]:
            takes = Judge(document.models, lambda name: table().models[name].bases).takes(kinds, flat)
            if is_taken(property_, owner, attribute, value):
                assert takes, f"{owner.__name__}.{attribute} takes {value!r}, not only {words(kinds)}"
            else:
                refused += not takes
                let_through += takes
    assert refused > 30 * let_through


def is_taken(property_: Any, owner: type[HasProps], name: str, value: Any) -> bool:
    """Whether a program could set the property to this."""
    try:
        property_.prepare_value(owner, name, value)
    except Exception:  # noqa: BLE001 - bokeh refuses some values by accident
        return False
    return True


MAKES = [*PLAIN, *(scripted.make for scripted in SCRIPTED)]


@pytest.mark.parametrize("make", MAKES, ids=lambda make: make.__name__)
def test_no_document_of_the_gallery_is_refused(make: Any) -> None:
    document = BokehDocument()
    document.add_root(make())
    checked(document)


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
def test_no_hostile_document_is_refused(case: Case) -> None:
    checked(case.make(Place("http://app", "http://outside", "victim")))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_no_example_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = BokehDocument()
    monkeypatch.setattr(plotting, "show", document.add_root)
    monkeypatch.setattr(plotting, "output_server", lambda *_, **__: None)
    runpy.run_path(str(path))
    assert document.roots
    checked(document)


@pytest.mark.parametrize("seed", range(30))
def test_no_random_document_is_refused(seed: int) -> None:
    checked(random_document(random.Random(seed)))


@pytest.mark.parametrize("make", MAKES[::4], ids=lambda make: make.__name__)
def test_every_property_can_be_set_to_what_it_is(make: Any) -> None:
    made = BokehDocument()
    made.add_root(make())
    document = Document.decode(json.dumps(made.to_json(deferred=False)).encode())
    for key, kept in document.models.items():
        for name, value in kept.attributes.items():
            written = json.loads(Writer({}, inline=True).write(value))
            table().check_value(copied(document), key, name, written)
