"""What a program holds back (``document.hold()``) is neither undone by what comes meanwhile nor sent twice."""

from __future__ import annotations

from typing import Literal

import pytest
from bokeh.layouts import column
from bokeh.models import ColumnDataSource
from bokeh.models.widgets.markups import Div
from bokeh.models.widgets.sliders import Slider

from tests.client.test_sync import agree, events, pair, there

Policy = Literal["combine", "collect"]
policies = pytest.mark.parametrize("policy", ["combine", "collect"])


@policies
def test_a_copy_does_not_undo_what_is_held(policy: Policy) -> None:
    source, slider, new = ColumnDataSource({"x": [1]}), Slider(start=0, end=9, value=1), Div(text="new")
    rig, one, other = pair(source, slider)
    one.document.hold(policy)
    slider.value = 5
    source.stream({"x": [2]})
    one.document.add_root(new)
    one.document.title = "mine"
    there(other, slider).end = 20
    there(other, source).stream({"x": [3]})
    other.send()
    one.inbox.clear()  # the copy brings it
    one.connection.pull()
    rig.settle()
    assert one.connection.merged == 1
    assert (slider.value, slider.end, source.data) == (5, 20, {"x": [1, 3, 2]})
    assert (one.document.title, one.document.roots[-1]) == ("mine", new)
    assert there(other, slider).value == 1
    one.document.unhold()
    agree(rig, one, other)
    assert (there(other, slider).value, there(other, source).data) == (5, {"x": [1, 3, 2]})
    assert there(other, new).text == "new"


@policies
def test_what_comes_while_something_is_held_comes_before_it_in_the_one_order(policy: Policy) -> None:
    source, slider = ColumnDataSource({"x": [1]}), Slider(start=0, end=9, value=1)
    rig, one, other = pair(source, slider)
    one.document.hold(policy)
    slider.value = 5
    source.stream({"x": [2]})
    there(other, slider).value = 7
    there(other, slider).end = 20
    there(other, source).stream({"x": [3]})
    rig.settle()
    assert (slider.value, slider.end) == (5, 20)
    one.document.unhold()
    agree(rig, one, other)
    assert there(other, slider).value == slider.value == 5
    assert there(other, source).data == source.data == {"x": [1, 3, 2]}


@policies
def test_what_is_held_goes_with_the_whole_document_and_not_once_more(policy: Policy) -> None:
    source = ColumnDataSource({"x": [1]})
    rig, one, other = pair(source)
    one.document.hold(policy)
    source.stream({"x": [2]})
    one.connection.replica.push()
    source.stream({"x": [3]})
    one.document.unhold()
    agree(rig, one, other)
    assert there(other, source).data == source.data == {"x": [1, 2, 3]}


@policies
def test_all_that_is_held_goes_when_it_is_let_go(policy: Policy) -> None:
    source, slider = ColumnDataSource({"x": [1]}), Slider(start=0, end=9, value=1)
    rig, one, other = pair(source, slider)
    one.document.hold(policy)
    for number in (2, 3):
        slider.value = number
        source.stream({"x": [number]})
    rig.settle()
    assert (there(other, source).data, there(other, slider).value) == ({"x": [1]}, 1)
    one.document.unhold()
    agree(rig, one, other)
    assert (there(other, source).data, there(other, slider).value) == ({"x": [1, 2, 3]}, 3)


@policies
def test_what_is_held_goes_with_all_data_of_a_source_and_not_once_more(policy: Policy) -> None:
    source = ColumnDataSource({"x": [1]})
    rig, one, other = pair(source)
    one.document.hold(policy)
    source.stream({"x": [2]})
    one.connection.replica.store([source])
    one.document.unhold()
    agree(rig, one, other)
    assert there(other, source).data == source.data == {"x": [1, 2]}


@policies
def test_what_is_held_goes_with_its_model_and_not_once_more(policy: Policy) -> None:
    layout, source, div = column(), ColumnDataSource({"x": [1]}), Div(text="x")
    rig, one, other = pair(layout)
    one.document.hold(policy)
    one.document.add_root(source)
    layout.children.append(div)
    source.stream({"x": [2]})
    div.text = "y"
    one.document.unhold()
    source.stream({"x": [3]})
    agree(rig, one, other)
    assert there(other, source).data == source.data == {"x": [1, 2, 3]}
    assert [event["kind"] for event in events(one)] == ["RootAdded", "ModelChanged", "ColumnsStreamed"]


def test_callbacks_run_when_all_that_was_held_is_on_its_way() -> None:
    sliders = [Slider(start=0, end=9, value=1) for _ in range(2)]
    _, one, _ = pair(*sliders)
    seen: list[int] = []
    for slider in sliders:
        slider.on_change("value", lambda attr, old, new: seen.append(len(one.connection.outbox.after(1))))
    one.document.hold("collect")
    for slider in sliders:
        slider.value = 5
    assert seen == []
    one.document.unhold()
    assert seen == [2, 2]
