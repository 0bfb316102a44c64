"""Values of bokeh to the wire and back."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bokeh.core.serialization import DeserializationError, Serializer, UnknownReferenceError
from bokeh.model import Model
from bokeh.models import ColumnDataSource
from bokeh.models.widgets.markups import Div
from bokeh.models.widgets.sliders import Slider

from bokeh_server.client.encode import Reader, Writer, canonical, dumps, is_plain, same
from bokeh_server.errors import BadMessage


def nobody(name: str) -> Model | None:
    """No model is here."""
    return None


def here(model: Model) -> Callable[[str], Model | None]:
    """Only this model is here."""
    return lambda name: model if name == model.id else None


LISTS: list[list[Any]] = [
    [],
    ["a", None, True],
    [1, 2, 3],
    [1.5, -2.0],
    [2**53 - 1],
    [math.nan, 1.0],
    [math.inf],
    [2**53],
    [1, "a"],
    [True, 1],
    [[1], [2]],
    [np.float64(1.5)],
    [dt.date(2020, 1, 1)],
    [1e300, 1e300],
    [-(2**60), 0.5],
]


@pytest.mark.parametrize("values", LISTS)
@pytest.mark.filterwarnings("ignore::bokeh.util.warnings.BokehUserWarning")
def test_lists_are_written_as_bokeh_writes_them(values: list[Any]) -> None:
    assert Writer(()).encode(values) == Serializer().encode(values)


def test_plain_lists_are_not_copied() -> None:
    values = [1.0, 2.0]
    assert Writer(()).encode(values) is values
    assert not is_plain([1.0, math.nan])


def test_a_model_that_is_known_is_a_reference_and_any_other_is_written_once() -> None:
    known, new = Div(text="known"), Div(text="new")
    writer = Writer({known.id})
    first, second, third = writer.encode([known, new, new])
    assert first == {"id": known.id}
    assert second["attributes"]["text"] == "new"
    assert third == {"id": new.id}
    assert writer.written == [new.id]


def test_arrays_are_buffers_and_their_json_names_them() -> None:
    writer = Writer(())
    content = dumps(writer.encode({"x": np.array([1.0, 2.0])}))
    ((name, payload),) = writer.payloads()
    assert payload == np.array([1.0, 2.0]).tobytes()
    assert name.encode() in content


def test_text_that_is_not_unicode_is_refused_with_a_clear_error() -> None:
    with pytest.raises(BadMessage, match="can't be sent"):
        dumps(["\ud800"])
    with pytest.raises(BadMessage, match="object"):
        dumps([object()])


def test_a_definition_of_a_model_that_is_here_sets_its_attributes() -> None:
    slider = Slider(start=0, end=10, value=1)
    rep = {"type": "object", "name": "Slider", "id": slider.id, "attributes": {"value": 5}}
    reader = Reader(here(slider), here(slider))
    assert reader.read(rep) is slider
    assert (slider.value, slider.end) == (5, 10)
    assert reader.defined == [slider]
    assert not reader.renewed


def test_a_model_that_was_here_is_made_what_its_definition_says() -> None:
    slider = Slider(start=0, end=10, value=1, title="old", tags=["old"])
    calls: list[Any] = []
    slider.on_change("value", lambda attr, old, new: calls.append(new))
    rep = {"type": "object", "name": "Slider", "id": slider.id, "attributes": {"start": 0, "end": 20, "value": 5}}
    reader = Reader(nobody, here(slider))
    assert reader.read(rep) is slider
    assert (slider.value, slider.end, slider.title, slider.tags) == (5, 20, "", [])
    assert calls == []
    assert reader.renewed == {slider.id}
    slider.value = 6
    assert calls == [6]


def test_a_new_model_is_made_and_may_be_referred_to() -> None:
    rep = [{"type": "object", "name": "Div", "id": "d1", "attributes": {"text": "x"}}, {"id": "d1"}]
    one, other = Reader(nobody, nobody).read(rep)
    assert one is other
    assert (one.id, one.text) == ("d1", "x")


def test_what_can_not_be_read_says_so() -> None:
    with pytest.raises(UnknownReferenceError):
        Reader(nobody, nobody).read({"id": "nowhere"})
    div = Div()
    with pytest.raises(DeserializationError, match="is a Div here, not a Slider"):
        Reader(nobody, here(div)).read({"type": "object", "name": "Slider", "id": div.id})


def test_a_value_that_a_model_does_not_take_is_logged_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    rep = {"type": "object", "name": "Div", "id": "d1", "attributes": {"width": "wide", "text": "x"}}
    div = Reader(nobody, nobody).read(rep)
    assert div.text == "x"
    assert "Div.width was not taken over" in caplog.text


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ([1, 2], np.array([1.0, 2.0]), True),
        ([1, math.nan], np.array([1.0, math.nan]), True),
        ([1, 2], np.array([1.0, 2.5]), False),
        ([1, 2], np.array([1.0]), False),
        (["a", 1], np.array([1.0, 2.0]), False),
        ([[1], [1, 2]], np.array([1.0, 2.0]), False),
        (np.array(["a", "b"]), ["a", "b"], True),
        ([np.array([1.0]), np.array([2.0])], [np.array([1.0]), np.array([2.0])], True),
        ([np.array([1.0])], [np.array([2.0])], False),
        (dt.datetime(2020, 1, 1), 1577836800000.0, True),  # noqa: DTZ001
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}, True),
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1, "c": 1}, False),
        ({"a": {1: 1, "1": 2}}, {"a": {"1": 1, 1: 2}}, False),
        (b"ab", b"ab", True),
        (b"ab", b"ac", False),
        (math.nan, math.nan, True),
        ("a", "b", False),
    ],
)
def test_two_values_are_the_same_where_a_plot_sees_no_difference(one: Any, other: Any, equal: bool) -> None:
    assert same(canonical(one), canonical(other)) is equal


def test_models_are_compared_by_their_ids() -> None:
    one, other = Div(), Div()
    assert same(canonical([one]), canonical([one]))
    assert not same(canonical([one]), canonical([other]))
    assert same(canonical(ColumnDataSource().data), canonical({}))
