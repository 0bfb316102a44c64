"""A document as plain JSON: taken apart, kept, and written again so that Bokeh reads the same."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from bokeh.core.has_props import _default_resolver
from bokeh.core.properties import Int
from bokeh.document import Document as BokehDocument
from bokeh.model import DataModel
from bokeh.models import ColumnDataSource, CustomJS
from bokeh.models.widgets import Slider
from bokeh.plotting import figure

from bokeh_server.core import Buffers
from bokeh_server.core.column import Columns
from bokeh_server.core.document import Document, Flattener, Model, Writer
from bokeh_server.core.history import History
from bokeh_server.errors import BadMessage, ClientError, TooLarge, TypeClash, UnknownModel
from bokeh_server.limits import LIMITS
from tests.core.playbook import SOURCE, data, doc, model, ref
from tests.core.rewritten import BYTES, nested, roots, value

# Whole documents


def test_a_document_is_written_as_it_came() -> None:
    config = model("DocumentConfig", "p1", reconnect_session=False)
    callbacks = {"type": "map", "entries": [["document_ready", [model("CustomJS", "js", code="1", args=ref("m"))]]]}
    came = doc(model("M", "m", x=1), ref("m"), config=config, callbacks=callbacks)
    written = json.loads(Document.decode(came).encode()[0])
    assert written == {**json.loads(came), "roots": [model("M", "m", x=1)]}
    assert list(written) == ["version", "title", "config", "roots", "callbacks"]


def test_the_content_of_a_push_is_a_document_as_well() -> None:
    pushed = orjson.dumps({"doc": json.loads(doc(model("M", "m")))})
    assert Document.decode(pushed).encode() == Document.decode(doc(model("M", "m"))).encode()


def test_what_bokeh_pushes_bokeh_can_load_again_with_all_that_it_had() -> None:
    pushed, plot = BokehDocument(title="the title"), figure(title="a plot")
    source = ColumnDataSource({"x": np.arange(3.0), "y": [1, float("nan"), None]})
    plot.line("x", "y", source=source)
    pushed.add_root(plot)
    pushed.add_root(Slider(start=0, end=9, value=1.5, tags=[source, {"a": {plot}}]))
    came = orjson.dumps(pushed.to_json(deferred=False))
    kept = Document.decode(came)
    directly, pulled = (BokehDocument.from_json(json.loads(text)) for text in (came, kept.encode(inline=True)[0]))
    assert pulled.to_json(deferred=False) == directly.to_json(deferred=False)
    assert kept.census() == "1 plot, 1 widget"


def test_data_models_and_the_classes_that_they_extend_are_kept() -> None:
    class Base(DataModel):
        number = Int(default=3)

    class Derived(Base):
        pass

    pushed = BokehDocument()
    pushed.add_root(Derived(number=5))
    came = pushed.to_json(deferred=False)
    resolver: Any = _default_resolver
    for cls in (Base, Derived):
        resolver.remove(cls)  # bokeh would write them into every document of this process
    assert any("extends" in each for each in came["defs"])
    written = json.loads(Document.from_json(json.loads(json.dumps(came)), {}).encode()[0])
    assert written["defs"] == json.loads(json.dumps(came["defs"]))


@pytest.mark.parametrize("extends", [ref("nobody") | {"type": "ref"}, {"id": 1}, [ref("nobody")]])
def test_a_class_extends_nothing_but_the_name_of_a_class(extends: Any) -> None:
    with pytest.raises(ClientError):
        Document.decode(doc(defs=[{"type": "model", "name": "D", "extends": extends}]))


def test_a_class_extends_a_class_even_where_a_model_has_its_name() -> None:
    cls = {"type": "model", "name": "D", "extends": ref("a")}
    [first, _] = roots(model("N", "b", tags=[cls, model("N", "a")]), model("N", "c", tags=[ref("a")]))
    assert first["attributes"]["tags"] == [cls, model("N", "a")]
    assert not Document.decode(doc(model("N", "b", tags=[cls]), models=[model("N", "a")])).models.keys() & {"a"}


def test_an_object_may_have_an_array_for_its_type() -> None:
    array = {"type": "ndarray", "array": [1, 2], "dtype": "int8", "shape": [2], "order": "little"}
    document = Document.decode(doc(model("N", "b", tags=[{"type": array, "ref": model("N", "a")}])))
    assert Document.decode(*document.encode()).encode() == document.encode()


def test_a_model_is_not_defined_within_itself() -> None:
    inner = model("N", "a", tags=[])
    with pytest.raises(BadMessage, match="within itself"):
        Document.decode(doc(model("N", "a", tags=[model("N", "b", tags=[inner])])))
    assert roots(model("N", "a", tags=[ref("a")]), model("N", "b", tags=[inner]))


def test_the_name_of_a_buffer_is_no_model() -> None:
    value = [{"type": "bytes", "data": ref("b")}, ref("b")]
    assert json.loads(Writer({"b": Model("N")}).write(value)) == [value[0], model("N", "b")]


def test_callbacks_of_the_document_are_kept() -> None:
    pushed = BokehDocument()
    pushed.js_on_event("document_ready", CustomJS(code="1"))
    came = orjson.dumps(pushed.to_json(deferred=False))
    assert json.loads(Document.decode(came).encode()[0])["callbacks"] == json.loads(came)["callbacks"]


def test_a_new_document_has_the_config_that_pythons_bokeh_asks_for() -> None:
    written = json.loads(Document.empty().encode()[0])
    assert written.pop("config")["name"] == "DocumentConfig"
    assert written == {"version": None, "title": "", "roots": []}


def test_a_document_of_an_old_bokeh_gets_the_config_that_a_new_one_asks_for() -> None:
    written = json.loads(Document.decode(doc(model("M", "m"))).encode()[0])
    assert written["config"] == {"type": "object", "name": "DocumentConfig", "id": "config", "attributes": {}}


def test_an_odd_version_is_left_out() -> None:
    assert Document.decode(doc(version=[[[]]])).version is None


@pytest.mark.parametrize("title", [None, 5, 0.0, [], {}, False])
def test_a_title_is_a_string(title: object) -> None:
    with pytest.raises(BadMessage, match="A title is a string"):
        Document.decode(doc(title=title))


@pytest.mark.parametrize("content", [b"[]", b"{}", b'{"roots":{}}', b'{"doc":{}}', b'{"roots":[1]}', b"null", b"nope"])
def test_what_is_no_document_is_refused(content: bytes) -> None:
    with pytest.raises(BadMessage):
        Document.decode(content)


def test_models_that_nothing_leads_to_are_not_kept() -> None:
    document = Document.decode(doc(model("M", "m"), models=[model("M", "lost"), 1][:1]))
    assert set(document.models) == {"m", "config"}
    assert document.grave == {}


# Models and references


def test_a_model_is_written_in_full_where_it_is_first_met() -> None:
    shared = model("M", "shared", x=1)
    assert roots(model("A", "a", one=shared), model("B", "b", two={"type": "ref", "id": "shared"}, me=ref("b"))) == [
        model("A", "a", one=shared),
        model("B", "b", two=ref("shared"), me=ref("b")),
    ]


def test_models_may_name_each_other_in_a_circle() -> None:
    circle = model("A", "a", next=model("B", "b", back=ref("a")))
    assert roots(circle) == [circle]


def test_models_are_found_wherever_a_value_holds_them() -> None:
    inner = [model("M", f"m{at}") for at in range(6)]
    given = [
        {"type": "map", "entries": [[1, inner[0]], [inner[1], None]]},
        {"type": "set", "entries": [inner[2]]},
        {"type": "field", "field": "x", "transform": inner[3]},
        {"type": "object", "name": "Instance", "attributes": {"of": inner[4]}},
        {"plain": [inner[5]]},
    ]
    assert value(given) == given
    document = Document.decode(doc(model("M", "m", a=given)))
    assert document.models["m"].refs == {"a": {f"m{at}" for at in range(6)}}


def test_a_model_without_attributes_has_none() -> None:
    [root] = roots({"type": "object", "name": "M", "id": "m"})
    assert root == model("M", "m")


@pytest.mark.parametrize(
    "root",
    [
        ref("nobody"),
        {"type": "ref", "id": "nobody"},
        {"type": "ref"},
        {"id": 1},
        {"type": "object", "name": "M", "id": 1},
        {"type": "object", "id": "m"},
        {"type": "object", "name": "M", "id": "m", "attributes": []},
        {"type": "object", "name": "M"},
        {"type": "map", "entries": []},
        [],
        model("M", "m", a=model("Other", "m")),
    ],
)
def test_a_root_that_is_no_model_is_refused(root: Any) -> None:
    with pytest.raises(ClientError):
        Document.decode(doc(root))


def test_an_id_belongs_to_one_type() -> None:
    with pytest.raises(TypeClash, match="'a' exists as A, not B"):
        Document.decode(doc(model("A", "a"), model("B", "a")))


def test_a_model_is_found_by_its_id_or_by_its_name() -> None:
    document = Document.decode(
        doc(
            model("A", "a", name="same"),
            model("B", "b", name="same"),
            model("C", "c", name="one"),
            model("D", "d", name={"type": "ndarray", "dtype": "int32", "array": [1, 2], "shape": [2]}),
        )
    )
    assert document.model("a") == ("a", document.models["a"])
    assert document.model("one") == ("c", document.models["c"])
    with pytest.raises(UnknownModel, match="2 models are named 'same'"):
        document.model("same")
    with pytest.raises(UnknownModel, match="no model is named 'nobody'"):
        document.model("nobody")


def test_a_document_holds_so_many_models_and_no_more() -> None:
    limits = replace(LIMITS, models=3)
    assert len(Document.decode(doc(model("A", "a"), model("B", "b")), limits=limits).models) == 3
    with pytest.raises(TooLarge, match="at most 3 models"):
        Document.decode(doc(model("A", "a"), model("B", "b"), model("C", "c")), limits=limits)


# Columns


def columns(given: Any, buffers: Buffers = ()) -> Any:
    document = Document.decode(doc(model("ColumnDataSource", "s", data=given)), buffers)
    return document.models["s"].attributes["data"]


@pytest.mark.parametrize("given", [data(x=[1, 2], y=["a"]), {"x": [1, 2], "y": ["a"]}])
def test_the_data_of_a_source_is_kept_as_columns(given: Any) -> None:
    kept = columns(given)
    assert type(kept) is Columns
    assert {name: column.live for name, column in kept.items()} == {"x": [1, 2], "y": ["a"]}
    [root] = roots(model("ColumnDataSource", "s", data=given))
    assert root["attributes"]["data"] == data(x=[1, 2], y=["a"])


@pytest.mark.parametrize(
    "given", [5, [1], {"type": "map", "entries": [[1, [2]]]}, data(x=1), {"type": "value", "value": 1}]
)
def test_data_that_is_no_map_of_columns_is_kept_as_any_value(given: Any) -> None:
    assert columns(given) == given


def test_columns_may_hold_models_arrays_and_images() -> None:
    image = {"type": "ndarray", "array": [0, 1, 2, 3], "dtype": "uint8", "shape": [2, 2]}
    source = model("ColumnDataSource", "s", data=data(m=[model("M", "m"), None], i=[image], f={**image, "shape": [4]}))
    document = Document.decode(doc(source))
    assert document.models["s"].refs == {"data": {"m"}}
    written, buffers = document.encode()
    assert Document.decode(written, buffers).encode() == (written, buffers)
    assert [payload for _, payload in buffers] == [BYTES, BYTES]


# Depth


@pytest.mark.parametrize("levels", [199, 200])
def test_a_value_may_be_nested_as_deep_as_the_limit_also_in_a_snapshot(levels: int) -> None:
    document = Document.decode(doc(model("M", "m")))
    flattener = Flattener(document, {})
    document.models["m"].set("a", *flattener.value(nested(levels)))
    snapshot = document.encode(flat=True)
    assert Document.decode(*snapshot).encode() == document.encode()
    with pytest.raises(TooLarge, match="deeper than 200"):
        flattener.value(nested(201))


@pytest.mark.parametrize(
    ("start", "end", "levels"),
    [
        ("[", "]", 1),
        ('{"a":', "}", 1),
        ('{"type":"set","entries":[', "]}", 2),
        ('{"type":"ndarray","dtype":"object","array":[', "]}", 2),
        ('{"type":"object","name":"M","id":"m","attributes":{"a":', "}}", 2),
        ('{"type":"object","name":"M","id":"m","attributes":{"data":{"x":[', "]}}}", 4),
        ('{"type":"model","name":"D","a":', "}", 1),
    ],
)
def test_what_is_nested_as_deep_as_the_limit_comes_in_and_nothing_deeper(start: str, end: str, levels: int) -> None:
    def decode(times: int) -> Document:
        starts = "".join(start.replace('"id":"m"', f'"id":"m{at}"') for at in range(times))
        attributes = f'{{"a":{starts}"x"{end * times}}}'
        text = f'{{"roots":[{{"type":"object","name":"M","id":"m","attributes":{attributes}}}]}}'
        return Document.decode(text.encode())

    most = (LIMITS.depth - 3) // levels
    decode(most).encode()
    for too_many in (most + 2, 1000 // len(end)):
        with pytest.raises(TooLarge, match="deeper than 200 levels"):
            decode(too_many)


def test_a_long_chain_of_models_is_written_and_its_snapshot_read() -> None:
    document = Document.decode(doc(model("N", "n0")))
    for at in range(1000):
        document.models[f"n{at + 1}"] = Model("N")
        document.models[f"n{at}"].set("next", ref(f"n{at + 1}"), {f"n{at + 1}"})
    assert document.encode()[0].count(b'"next":') == 1000
    again = Document.decode(*document.encode(flat=True))
    assert again.encode() == document.encode()


@pytest.mark.parametrize("models", [5, {}, None, "ab"])
def test_models_side_by_side_are_a_list_or_nothing(models: Any) -> None:
    assert set(Document.decode(doc(model("M", "m"), models=models)).models) == {"m", "config"}


@pytest.mark.parametrize("models", [[5], [{}], [ref("m")], [model("M", "m", a=ref("nobody"))]])
def test_models_side_by_side_are_definitions(models: Any) -> None:
    with pytest.raises(ClientError):
        Document.decode(doc(model("M", "m"), models=models))


# The grave


def buried(*names: str, limit: int = 100) -> Document:
    """A document whose models of these names nothing leads to, buried one second after the other."""
    document = Document.decode(doc(model("M", "m")), limits=replace(LIMITS, grave_models=limit))
    for at, name in enumerate(names):
        document.models[name] = Model("M")
        document.sweep(float(at))
    return document


def test_what_nothing_leads_to_rests_for_a_while_and_is_forgotten_then() -> None:
    document = buried("a", "b", "c")
    assert set(document.models) == {"m", "config"}
    assert list(document.grave) == ["a", "b", "c"]
    document.sweep(1 + LIMITS.grave)
    assert list(document.grave) == ["b", "c"]
    document.sweep(1000.0)
    assert document.grave == {}


def test_the_grave_takes_so_many_models_and_the_oldest_go_first() -> None:
    assert list(buried("a", "b", "c", limit=2).grave) == ["b", "c"]


def test_a_model_that_is_named_comes_back_with_all_that_it_names() -> None:
    document = buried("a", "b")
    document.grave["a"][1].set("next", ref("b"), {"b"})
    document.grave["b"][1].set("back", [ref("a"), ref("m")], {"a", "m"})
    document.grave["b"][1].set("payload", np.arange(2, dtype="uint8"), ())
    flattener = Flattener(document, {"0": b"taken"})
    assert flattener.value([ref("a"), ref("b")]) == ([ref("a"), ref("b")], {"a", "b"})
    assert flattener.revived
    assert flattener.definitions["a"] == model("M", "a", next=ref("b"))
    assert flattener.definitions["b"]["attributes"]["back"] == [ref("a"), ref("m")]
    assert flattener.buffers == [("1", b"\x00\x01")]
    assert document.grave == {}
    for undo in reversed(flattener.undo):
        undo()
    assert set(document.grave) == {"a", "b"}
    assert set(document.models) == {"m", "config"}


def test_a_model_whose_parts_are_forgotten_can_not_come_back() -> None:
    document = buried("a")
    document.grave["a"][1].set("next", ref("gone"), {"gone"})
    with pytest.raises(UnknownModel, match="'gone'"):
        Flattener(document, {}).value(ref("a"))


def test_a_definition_takes_the_place_of_what_is_in_the_grave_and_can_be_taken_back() -> None:
    document = buried("a")
    document.grave["a"][1].set("old", 1, ())
    flattener = Flattener(document, {})
    flattener.value(model("Other", "a", new=2))
    flattener.value(model("M", "fresh"))
    assert document.models["a"].attributes == {"new": 2}
    assert document.grave == {}
    for undo in reversed(flattener.undo):
        undo()
    assert document.grave["a"][1].attributes == {"old": 1}
    assert list(document.grave) == ["a"]
    assert set(document.models) == {"m", "config"}


def test_what_a_browser_says_of_a_model_that_exists_is_old() -> None:
    document = Document.decode(doc(model("M", "m", x=1)))
    again = model("M", "m", x=2)
    viewer, program = Flattener(document, {}, keep=True), Flattener(document, {})
    assert viewer.value(again) == (ref("m"), {"m"})
    assert (viewer.kept, document.models["m"].attributes) == ({id(again)}, {"x": 1})
    program.value(again)
    assert (program.redefined, document.models["m"].attributes) == ({id(again)}, {"x": 2})


# Taking back


def test_an_attribute_is_put_back_with_the_models_that_it_named_and_in_its_place() -> None:
    changed = Model("M")
    for attribute in ("a", "b", "c"):
        changed.set(attribute, ref(attribute), {attribute})
    before = (dict(changed.attributes), list(changed.refs.items()))
    undos = [changed.set("a", 5, ()), changed.set("b", ref("x"), {"x"}), changed.set("new", ref("y"), {"y"})]
    assert list(changed.refs) == ["b", "c", "new"]
    for undo in reversed(undos):
        undo()
    assert (dict(changed.attributes), list(changed.refs.items())) == before


# Writing


def test_buffers_get_names_that_the_message_does_not_have() -> None:
    writer = Writer({}, taken=["0", "2"])
    writer.write([b"a", {"b": b"b"}])
    assert writer.buffers == [("1", b"a"), ("3", b"b")]


def test_what_is_no_value_of_a_document_is_a_fault_of_ours() -> None:
    with pytest.raises(TypeError):
        Writer({}).write([object()])


def test_a_source_is_written_with_its_columns() -> None:
    assert roots(SOURCE) == [SOURCE]


@pytest.mark.parametrize("written", [{"id": {"type": None}}, {"id": 5}, {"id": ["m"]}, {"id": None}])
def test_what_only_looks_like_a_model_by_its_id_is_written_as_it_is(written: Any) -> None:
    assert json.loads(Writer({"m": Model("M")}).write([written])) == [written]


def test_a_copy_shows_every_change_since_the_last_one() -> None:
    document = Document.decode(doc(model("M", "m", a=1, child=model("N", "n", b=[2])), model("M", "o", a=ref("n"))))

    def written() -> Any:
        return json.loads(document.encode()[0])["roots"]

    first = written()
    undo = document.models["n"].set("b", [3], ())
    assert written()[0]["attributes"]["child"]["attributes"] == {"b": [3]}
    undo()
    assert written() == first
    document.models["n"].put("b", 4)
    assert written()[0]["attributes"]["child"]["attributes"] == {"b": 4}
    document.roots.reverse()
    assert written() == [model("M", "o", a=model("N", "n", b=4)), model("M", "m", a=1, child=ref("n"))]


def test_numbers_that_a_model_holds_are_written_anew_each_time() -> None:
    numbers = {"type": "ndarray", "array": [1.0], "shape": [1], "dtype": "float64", "order": "little"}
    document = Document.decode(doc(model("M", "m", a=numbers, b=model("N", "n")), SOURCE))
    content, buffers = document.encode()
    assert document.encode() == (content, buffers)
    assert [bytes(payload) for _, payload in buffers] == [np.array([1.0]).tobytes()]
    inline, none = document.encode(inline=True)
    assert not none
    assert Document.decode(inline).encode() == Document.decode(content, buffers).encode()


def test_a_copy_of_numbers_is_a_view_that_later_patches_do_not_change() -> None:
    numbers = {"type": "ndarray", "array": [1.0, 2.0], "shape": [2], "dtype": "float64", "order": "little"}
    document = Document.decode(doc(model("ColumnDataSource", "s", data=data(x=numbers))))
    columns = document.models["s"].attributes["data"]
    _, ((_, payload),) = document.encode()
    assert isinstance(payload, memoryview)
    columns["x"].patch(0, 5.0)
    columns["x"].stream([6.0], 2)
    assert np.frombuffer(payload).tolist() == [1.0, 2.0]
    assert np.frombuffer(document.encode()[1][0][1]).tolist() == [2.0, 6.0]


def test_what_is_known_of_the_rows_of_a_source_is_read_and_never_written() -> None:
    columns = {"type": "map", "entries": [["x", [1]]]}
    source = {"type": "object", "name": "ColumnDataSource", "id": "s", "attributes": {"data": columns}}
    other = {"type": "object", "name": "Div", "id": "w", "attributes": {"text": "x"}}
    histories = {"s": {"thinned": 1}, "w": {}, "gone": {}}
    document = Document.from_json({"roots": [source, other], "histories": histories}, {})
    assert document.models["s"].attributes["data"].history == History(1)
    assert b"histories" not in document.encode()[0] + document.encode(flat=True)[0]
