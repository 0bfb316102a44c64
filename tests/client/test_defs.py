"""Classes of the program's own (``DataModel``): a patch that needs a new one goes as the whole document, with them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from bokeh.core.has_props import Local
from bokeh.core.properties import Int
from bokeh.document import Document
from bokeh.document.events import MessageSentEvent
from bokeh.layouts import column
from bokeh.model import DataModel
from bokeh.models import ColumnDataSource
from bokeh.models.widgets.markups import Div

from tests.client.rig import Program, Rig
from tests.client.test_sync import agree, document_of, pair, there

pytestmark = pytest.mark.usefixtures("classes")


def sent(program: Program) -> list[str]:
    """The kinds of changes that a program has sent so far; next time those after them."""
    kinds = [each["type"] for each in program.sent if each["type"] in ("PATCH-DOC", "PUSH-DOC")]
    program.sent.clear()
    return kinds


def defined(rig: Rig) -> set[str]:
    """The classes that the stored document defines."""
    return {each["name"].rpartition(".")[2] for each in orjson.loads(rig.room.document.encode()[0]).get("defs", [])}


def params() -> Any:
    """Another class of the same name, as when a cell of a notebook is run again."""

    class Params(DataModel):
        x = Int(1)

    return Params


def test_a_new_class_is_sent_once_also_with_those_that_extend_it() -> None:
    source = ColumnDataSource({"x": [1]})
    rig, one, other = pair(column(), source)
    sent(one)
    kind: Any = params()

    class Derived(kind):  # type: ignore[misc]
        y = Int(2)

    one.document.add_root(Derived())
    agree(rig, one, other)
    assert sent(one) == ["PUSH-DOC"]
    assert defined(rig) == {"Params", "Derived"}
    one.document.add_root(kind(x=3))
    one.document.add_root(Div(tags=[Derived()]))
    source.stream({"x": [2]})
    agree(rig, one, other)
    assert sent(one) == ["PATCH-DOC"] * 3


def test_a_program_that_has_loaded_a_document_knows_the_classes_of_its_copy() -> None:
    first: Any = params()
    rig, _, other = pair(first(x=2))
    sent(other)
    other.document.add_root(first(x=3))
    rig.settle()
    assert sent(other) == ["PATCH-DOC"]

    class Later(DataModel):
        z = Int(1)

    other.document.add_root(Later())
    rig.settle()
    assert sent(other) == ["PUSH-DOC"]
    assert defined(rig) == {"Params", "Later"}


def test_a_class_that_is_defined_anew_is_sent_anew() -> None:
    first: Any = params()
    rig, one, _ = pair(first())
    with pytest.warns(UserWarning, match="Duplicate"):
        second: Any = params()
    sent(one)
    one.document.add_root(second())
    one.document.add_root(first())
    rig.settle()
    assert sent(one) == ["PUSH-DOC", "PATCH-DOC"]


def test_a_class_that_bokeh_never_defines_costs_no_whole_document() -> None:
    class Mine(DataModel, Local):
        x = Int(1)

    rig, one, _ = pair(column())
    sent(one)
    one.document.add_root(Div(tags=[Mine()]))
    rig.settle()
    assert sent(one) == ["PATCH-DOC"]


@pytest.mark.parametrize("policy", ["combine", "collect"])
def test_what_was_held_goes_with_the_whole_document(policy: Any) -> None:
    layout, source = column(), ColumnDataSource({"x": [1]})
    rig, one, other = pair(layout, source)
    sent(one)
    one.document.hold(policy)
    source.stream({"x": [2]})
    layout.children.append(Div(tags=[params()()]))
    source.stream({"x": [3]})
    one.document.unhold()
    source.stream({"x": [4]})
    agree(rig, one, other)
    assert there(other, source).data == {"x": [1, 2, 3, 4]}
    assert sent(one) == ["PUSH-DOC", "PATCH-DOC"]  # which has no more than the last of the points


def test_a_document_that_is_not_here_yet_is_not_replaced() -> None:
    rig, one, _ = pair(Div(text="stored"))
    late = Program(rig, Document())
    late.connection.start(push=False)
    late.open()
    late.document.add_root(params()())
    agree(rig, one, late)
    assert sent(late) == ["PATCH-DOC"]
    assert len(late.document.roots) == 2


def test_a_message_with_a_new_class_is_sent_behind_the_document() -> None:
    rig = Rig()
    one = rig.program(document_of(Div()), push=True)
    sent(one)
    one.document.callbacks.trigger_on_change(MessageSentEvent(one.document, "said", {"what": params()()}))
    one.send()
    assert sent(one) == ["PUSH-DOC", "PATCH-DOC"]
