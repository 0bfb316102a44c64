"""Columns: they grow and roll over as in the program, say where BokehJS would do otherwise, and can be taken back.

What BokehJS does was read from, and tried with, ``core/patching.ts`` of bokeh 3.9.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bokeh_server.core.column import (
    SLACK,
    Column,
    Columns,
    Undo,
    as_list,
    as_numbers,
    bounds,
    cut,
    fits,
    inner_index,
    number,
    patch_array,
    wire_array,
)
from bokeh_server.errors import BadMessage, RefusedPatch, TypeClash

NAN = {"type": "number", "value": "nan"}


def array(values: list[Any], dtype: str = "float64") -> Any:
    """Numbers as they come over the wire: not to be written to."""
    return np.frombuffer(np.array(values, dtype).tobytes(), dtype)


def state(column: Column) -> tuple[str, list[Any]]:
    """What a column holds: the type of its numbers, or "list"; and its values."""
    live = column.live
    return ("list", live) if isinstance(live, list) else (live.dtype.name, live.tolist())


def streamed(old: Any, new: Any, rollover: int | None = None) -> tuple[str, list[Any], bool]:
    """A column after ``new`` came, and whether BokehJS does the same; taken back, it is what it was."""
    column = Column(old)
    before, size = repr(state(column)), len(column)
    undo, faithful = column.stream(new, rollover)
    kind, values = state(column)
    found = (kind, list(values), faithful)
    undo()
    assert repr(state(column)) == before
    assert len(column) == size
    return found


# Streaming


def test_a_list_grows_at_its_end() -> None:
    assert streamed([1, "a"], [None, 2.5]) == ("list", [1, "a", None, 2.5], True)
    assert streamed([], []) == ("list", [], True)


def test_a_rollover_keeps_the_newest_values() -> None:
    assert streamed([1, 2, 3], [4, 5], 4) == ("list", [2, 3, 4, 5], True)
    assert streamed([1], [2, 3, 4], 2) == ("list", [3, 4], True)
    assert streamed([1, 2], [3], 3) == ("list", [1, 2, 3], True)
    assert streamed(array([1, 2, 3]), [4], 3) == ("float64", [2, 3, 4], True)


def test_a_rollover_counts_what_is_left_not_what_has_rolled_over() -> None:
    for old in ([1, 2, 3], array([1, 2, 3])):
        column = Column(old)
        assert [column.stream([value], 3)[1] for value in (4, 5)] == [True, True]
        column.stream([6], 5)
        assert list(column.live) == [3, 4, 5, 6]
        assert column.stream([7], 1)[1] is isinstance(old, list)
        assert list(column.live) == [7]
        column.extend([8, 9], 5)
        column.extend([10], 3)
        assert list(column.live) == [8, 9, 10]


def test_a_rollover_of_0_keeps_nothing_which_browsers_do_not_do() -> None:
    assert streamed([1, 2], [3], 0) == ("list", [], False)
    assert streamed(array([1, 2]), [3], 0) == ("float64", [], False)


def test_browsers_do_not_shorten_an_array_that_is_longer_than_its_rollover() -> None:
    assert streamed(array([1, 2, 3, 4, 5]), [6], 3) == ("float64", [4, 5, 6], False)
    assert streamed(array([1, 2, 3]), [], 2) == ("float64", [2, 3], False)
    assert streamed(array([1, 2]), [6, 7, 8, 9], 3) == ("float64", [7, 8, 9], True)


def test_browsers_keep_a_list_that_is_as_long_as_its_rollover_a_list() -> None:
    assert streamed([1, 2, 3], array([6]), 3) == ("float64", [2, 3, 6], False)
    assert streamed([1, 2], array([6, 7]), 3) == ("float64", [2, 6, 7], True)


def test_numbers_are_appended_in_the_type_of_the_column() -> None:
    assert streamed(array([1], "float32"), [0.5, 2]) == ("float32", [1, 0.5, 2], True)
    assert streamed(array([1], "float32"), array([0.5])) == ("float32", [1, 0.5], True)
    assert streamed(array([1], "int32"), [2, 3]) == ("int32", [1, 2, 3], True)
    assert streamed(array([1], "uint8"), array([2], "int32")) == ("uint8", [1, 2], True)
    assert streamed(array([True], "bool"), [False]) == ("bool", [True, False], True)
    assert streamed(array([1.5]), [True]) == ("float64", [1.5, 1.0], True)


def test_nan_and_the_infinities_are_numbers() -> None:
    kind, values, faithful = streamed(array([1]), [NAN, {"type": "number", "value": "-inf"}, 2])
    assert (kind, faithful) == ("float64", True)
    assert np.isnan(values[1])
    assert values[2:] == [-np.inf, 2.0]


@pytest.mark.parametrize(
    ("old", "new", "kind", "values"),
    [
        (array([1], "int32"), [1.5], "float64", [1, 1.5]),
        (array([1], "int32"), [2**40], "float64", [1, 2.0**40]),
        (array([1], "uint8"), [300], "int32", [1, 300]),
        (array([1], "uint8"), [-1], "int32", [1, -1]),
        (array([4_000_000_000], "uint32"), [-1], "float64", [4e9, -1]),
        (array([1], "int32"), array([2], "float32"), "float64", [1, 2]),
        (array([True], "bool"), [2], "int32", [1, 2]),
        (array([1], "int32"), [True], "int32", [1, 1]),
    ],
)
def test_what_does_not_fit_makes_a_wider_column_where_browsers_would_cut_it(
    old: Any, new: Any, kind: str, values: list[Any]
) -> None:
    assert streamed(old, new) == (kind, values, False)


def test_what_is_no_number_makes_an_array_a_list() -> None:
    assert streamed(array([1, np.nan, np.inf]), ["a", None]) == (
        "list",
        [1.0, NAN, {"type": "number", "value": "+inf"}, "a", None],
        False,
    )


def test_an_array_that_comes_to_a_list_of_numbers_makes_it_an_array() -> None:
    assert streamed([1, 2], array([3], "int32")) == ("int32", [1, 2, 3], True)
    assert streamed([1.5], array([3])) == ("float64", [1.5, 3], True)
    assert streamed([], array([3], "uint8")) == ("uint8", [3], True)
    assert streamed([], array([], "uint8")) == ("uint8", [], True)
    assert streamed([300], array([3], "uint8")) == ("int32", [300, 3], False)
    assert streamed([1], array([3], "float32")) == ("float64", [1, 3], False)


def test_an_array_that_comes_to_a_list_of_other_things_becomes_a_list() -> None:
    assert streamed(["a"], array([1, np.nan])) == ("list", ["a", 1.0, NAN], False)


def test_an_empty_array_leaves_a_list_a_list_which_browsers_do_not_do() -> None:
    assert streamed([1, 2], array([])) == ("list", [1, 2], False)


def test_nothing_leaves_an_array_as_it_is() -> None:
    assert streamed(array([1, 2], "int32"), []) == ("int32", [1, 2], True)
    assert streamed(array([1, 2], "int32"), array([])) == ("int32", [1, 2], True)


def test_arrays_of_several_dimensions_are_flattened_as_numpy_does() -> None:
    assert streamed([], array([1, 2, 3, 4]).reshape(2, 2)) == ("float64", [1, 2, 3, 4], True)
    column = Column(array([1, 2, 3, 4]).reshape(2, 2))
    undo, _ = column.stream([5], None)
    assert state(column) == ("float64", [1, 2, 3, 4, 5])
    undo()
    assert state(column) == ("float64", [[1, 2], [3, 4]])


def test_the_bytes_that_came_over_the_wire_are_never_written_to() -> None:
    payload = np.arange(4.0).tobytes()
    column = Column(np.frombuffer(payload))
    column.stream([9], None)
    column.patch(0, 7)
    assert payload == np.arange(4.0).tobytes()
    assert state(column) == ("float64", [7, 1, 2, 3, 9])


def test_growing_point_by_point_seldom_moves_the_data() -> None:
    column, moves, last = Column(array([0])), 0, None
    for at in range(20_000):
        column.stream([at], 500)
        column.settle()
        moves += column.values is not last
        last = column.values
    assert column.live.tolist() == list(range(19_500, 20_000))  # type: ignore[union-attr]
    assert moves < 60
    assert len(column.values) < 10 * SLACK


def test_a_list_lets_go_of_what_rolled_over() -> None:
    column = Column([])
    for at in range(5 * SLACK):
        if at % 2:
            column.extend([at], 10)
        else:
            column.stream([at], 10)
    column.extend([], 10)
    assert state(column) == ("list", list(range(5 * SLACK - 10, 5 * SLACK)))
    assert len(column.values) < 3 * SLACK


def test_several_changes_are_taken_back_in_turn() -> None:
    column = Column(array([1, 2, 3], "int32"))
    steps: list[Callable[[], tuple[Undo, bool]]] = [
        lambda: column.stream([4], None),
        lambda: column.patch(0, 9),
        lambda: column.stream([5, 6], 4),
        lambda: column.stream([0.5], None),
        lambda: column.patch(slice(0, 2), [7, 7]),
        lambda: column.stream(["x"], None),
        lambda: column.patch(1, "y"),
        lambda: column.stream(["z"], 1),
    ]
    before, undos = [], []
    for step in steps:
        kind, values = state(column)
        before.append((kind, list(values)))
        undos.append(step()[0])
    assert state(column) == ("list", ["z"])
    for undo, expected in zip(reversed(undos), reversed(before), strict=True):
        undo()
        assert state(column) == expected


# Patching


def patched(old: Any, index: Any, value: Any) -> tuple[str, list[Any]]:
    """A column after a patch that BokehJS does as well; taken back, it is what it was."""
    column = Column(old)
    kind, values = state(column)
    before = (kind, list(values))
    undo, faithful = column.patch(index, value)
    assert faithful
    kind, values = state(column)
    found = (kind, list(values))
    undo()
    assert state(column) == before
    return found


def test_one_value_is_set() -> None:
    assert patched([1, 2, 3], 1, "x") == ("list", [1, "x", 3])
    assert patched([1, 2, 3], 2, [4, 5]) == ("list", [1, 2, [4, 5]])
    assert patched(array([1, 2, 3]), 2, 0.5) == ("float64", [1, 2, 0.5])


def test_a_slice_is_set() -> None:
    assert patched([1, 2, 3, 4], slice(None, None, 2), [8, "x"]) == ("list", [8, 2, "x", 4])
    assert patched(array([1, 2, 3, 4]), slice(1, 3), [8, NAN])[1][1] == 8
    assert patched(array([1, 2, 3, 4]), slice(2, None), array([8, 9], "int32")) == ("float64", [1, 2, 8, 9])
    assert patched([1, 2, 3], slice(1, None), array([8, np.inf])) == (
        "list",
        [1, 8.0, {"type": "number", "value": "+inf"}],
    )
    assert patched([1, 2], slice(1, 1), []) == ("list", [1, 2])
    assert patched([[1], [2]], slice(0, 2), [[3], []]) == ("list", [[3], []])


def test_an_index_counts_from_the_oldest_value_that_is_left() -> None:
    column = Column([0, 1, 2, 3])
    column.stream([4], 3)
    column.patch(0, "a")
    column.patch(slice(1, 3), ["b", "c"])
    assert state(column) == ("list", ["a", "b", "c"])


def test_a_number_is_cut_to_the_type_of_the_column_as_browsers_do_it() -> None:
    assert patched(array([0, 0], "uint8"), 0, 300) == ("uint8", [44, 0])
    assert patched(array([0, 0], "int32"), 0, -1.75) == ("int32", [-1, 0])
    assert patched(array([5, 0], "int32"), 0, NAN) == ("int32", [0, 0])
    assert patched(array([0, 0], "int8"), slice(0, 2), [2**31, 255]) == ("int8", [0, -1])
    assert patched(array([0], "float32"), 0, True) == ("float32", [1])
    assert patched(array([False], "bool"), 0, 3) == ("bool", [True])


@pytest.mark.parametrize("index", [3, -1, slice(0, 4), slice(-1, None), slice(2, 1), slice(0, 2, 0), slice(0, 2, -1)])
def test_an_index_out_of_bounds_is_refused(index: Any) -> None:
    for old in ([1, 2, 3], array([1, 2, 3])):
        with pytest.raises(RefusedPatch, match="out of bounds"):
            Column(old).patch(index, [1, 2])


@pytest.mark.parametrize("index", [None, "1", 1.0, True, slice(0.0, 1), slice(0, True), slice(0, 2, "1")])
def test_an_index_that_is_none_is_malformed(index: Any) -> None:
    with pytest.raises(BadMessage):
        Column([1, 2, 3]).patch(index, [1])


@pytest.mark.parametrize("value", [[1], [1, 2, 3], 5, "ab", None, array([1, 2, 3]), array([1, 2, 3, 4]).reshape(2, 2)])
def test_a_slice_takes_as_many_values_as_it_has(value: Any) -> None:
    for old in ([1, 2, 3], array([1, 2, 3])):
        with pytest.raises(RefusedPatch, match="slice of 2 values"):
            Column(old).patch(slice(0, 2), value)


@pytest.mark.parametrize("value", ["a", None, [1], {"id": "m"}, {"type": "number"}, array([1]), array([])])
def test_numbers_take_no_other_value(value: Any) -> None:
    column = Column(array([1, 2]))
    with pytest.raises(TypeClash):
        column.patch(0, value)
    with pytest.raises(TypeClash):
        column.patch(slice(0, 1), [value])
    assert state(column) == ("float64", [1, 2])


def test_one_array_of_several_dimensions_is_not_patched() -> None:
    for index, value in ((0, 1), (slice(0, 2), [1, 2]), ([0, 1], 1)):
        with pytest.raises(RefusedPatch):
            Column(array([1, 2, 3, 4]).reshape(2, 2)).patch(index, value)


# Images


def images() -> Column:
    return Column([array(list(range(6))).reshape(2, 3), array([7, 8, 9], "uint8"), "no image"])


def shown(column: Column) -> list[Any]:
    return [value.tolist() if isinstance(value, np.ndarray) else value for value in column.live]


IMAGE, LINE = [[0, 1, 2], [3, 4, 5]], [7, 8, 9]


@pytest.mark.parametrize(
    ("index", "value", "image"),
    [
        ([0, slice(None), 1], [8, 9], [[0, 8, 2], [3, 9, 5]]),
        ([0, 1, slice(0, None, 2)], array([8, 9]), [[0, 1, 2], [8, 4, 9]]),
        ([0, 0, slice(0, 2)], [True, False], [[1, 0, 2], [3, 4, 5]]),
    ],
)
def test_a_row_of_an_image_is_set(index: Any, value: Any, image: list[Any]) -> None:
    column = images()
    undo, faithful = column.patch(index, value)
    assert faithful
    assert shown(column) == [image, LINE, "no image"]
    undo()
    assert shown(column) == [IMAGE, LINE, "no image"]


def test_a_part_of_a_line_is_set_and_cut_to_its_type() -> None:
    column = images()
    assert column.patch([1, slice(1, None)], [300, NAN])[1]
    assert shown(column) == [IMAGE, [7, 44, 0], "no image"]


@pytest.mark.parametrize(
    ("index", "value", "image"),
    [
        ([0, 1, 2], 50, [[0, 1, 2], [3, 4, 50]]),
        ([0, 1, 2], [50], [[0, 1, 2], [3, 4, 50]]),
        ([0, slice(0, 2), slice(1, 3)], [1, 2, 3, 4.5], [[0, 1, 2], [3, 3, 4.5]]),
        ([0, slice(0, 2), slice(1, 3)], [[1, 2], [3, 4.5]], [[0, 1, 2], [3, 3, 4.5]]),
        ([0, slice(0, 2), slice(1, 3)], array([1, 2, 3, 4.5]).reshape(2, 2), [[0, 1, 2], [3, 3, 4.5]]),
        ([0, 0, slice(0, 2)], array([5, 6]).reshape(1, 2), [[5, 6, 2], [3, 4, 5]]),
    ],
)
def test_a_part_that_browsers_and_numpy_take_in_different_forms_is_set_but_not_passed_on_as_it_is(
    index: Any, value: Any, image: list[Any]
) -> None:
    column = images()
    assert column.patch(index, value)[1] is False
    assert shown(column) == [image, LINE, "no image"]


@pytest.mark.parametrize(
    ("index", "error"),
    [
        ([], BadMessage),
        ([[0], 0], BadMessage),
        ([True, 0], BadMessage),
        ([9, 0, 0], RefusedPatch),
        ([slice(0, 1), 0, 0], RefusedPatch),
        ([0], RefusedPatch),
        ([0, 0], RefusedPatch),
        ([0, 0, 0, 0], RefusedPatch),
        ([1, 0, 0], RefusedPatch),
        ([2, 0], RefusedPatch),
        ([0, 2, 0], RefusedPatch),
        ([0, -1, 0], RefusedPatch),
        ([0, True, 0], RefusedPatch),
        ([0, [0], 0], RefusedPatch),
        ([0, None, 0], RefusedPatch),
        ([0, slice(0, 3), 0], RefusedPatch),
    ],
)
def test_indices_that_lead_to_no_pixel_are_refused(index: Any, error: type[Exception]) -> None:
    column = images()
    with pytest.raises(error):
        column.patch(index, [1])
    assert shown(column) == [IMAGE, LINE, "no image"]


@pytest.mark.parametrize("value", [[], [1], [1, "a"], [[1], 2], [[1, 2, 3]], 5, None, array([1, 2, 3])])
def test_a_part_of_an_image_takes_as_many_numbers_as_it_has(value: Any) -> None:
    with pytest.raises(TypeClash):
        images().patch([0, slice(0, 2), 0], value)


def test_a_stack_of_images_in_one_value_is_not_patched() -> None:
    with pytest.raises(RefusedPatch):
        Column([np.zeros((2, 2, 2))]).patch([0, 0, 0, 0], [1])


# The parts


def test_the_models_that_columns_name_are_found_wherever_they_are() -> None:
    columns = Columns(
        {
            "a": Column([1, {"id": "one"}, None]),
            "b": Column([[{"id": "two"}], {"type": "value", "value": {"id": "three"}}, {"id": "four", "more": 1}]),
            "c": Column(array([1])),
        }
    )
    assert columns.refs() == {"one", "two", "three"}


def test_models_that_rolled_over_are_not_named_any_more() -> None:
    column = Column([{"id": "old"}])
    column.stream([{"id": "new"}], 1)
    assert Columns({"a": column}).refs() == {"new"}


def test_an_object_whose_type_is_an_array_is_no_number_and_names_no_class() -> None:
    strange = {"type": np.zeros(2), "extends": {"id": "one"}}
    assert as_numbers([strange]) is None
    assert Columns({"a": Column([strange])}).refs() == {"one"}


def test_the_class_that_another_one_extends_is_no_model() -> None:
    cls = {"type": "model", "extends": {"id": "Base"}, "properties": [{"default": {"id": "one"}}]}
    assert Columns({"a": Column([cls, {"extends": {"id": "two"}}])}).refs() == {"one", "two"}


def test_the_parts_of_a_slice_default_to_the_whole_column() -> None:
    assert bounds(slice(None), 5) == (0, 5, 1)
    assert bounds(slice(5, 5, 2**70), 5) == (5, 5, 2**70)
    assert inner_index(4, 5) == 4
    assert inner_index(slice(None, 3), 5) == slice(0, 3, 1)


def test_numbers_in_json_are_told_from_what_only_looks_like_them() -> None:
    assert as_numbers([True, 1]) is None
    assert as_numbers([1, "1"]) is None
    assert as_numbers([NAN, {"type": "map"}]) is None
    assert as_numbers([{"type": "number", "value": []}]) is None
    assert as_numbers([NAN, None]) is None


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1, 2], None, "int64"),
        ([1, 2.0], None, "float64"),
        ([2**63], None, "float64"),
        ([2**64 - 1, 1], np.dtype("float32"), "float32"),
        ([1.5], np.dtype("int32"), "float64"),
        ([True, False], None, "bool"),
        ([NAN, 1], None, "float64"),
        ([NAN], np.dtype("float32"), "float32"),
    ],
)
def test_numbers_in_json_get_the_type_that_numpy_gives_them(values: list[Any], dtype: Any, expected: str) -> None:
    numbers = as_numbers(values, dtype)
    assert numbers is not None
    assert numbers.dtype.name == expected
    assert len(numbers) == len(values)


def test_an_array_leaves_in_a_type_that_the_wire_has() -> None:
    assert wire_array(np.array([1, 2])).dtype.name == "int32"
    assert wire_array(np.array([1, 2**31])).dtype.name == "float64"
    assert wire_array(np.array([1], "uint16")).dtype.name == "uint16"


def test_numbers_become_json_again() -> None:
    assert as_list(array([1.5, np.nan, -np.inf]).reshape(3, 1)) == [1.5, NAN, {"type": "number", "value": "-inf"}]
    assert as_list(array([1, 2], "uint8")) == [1, 2]
    assert number(-0.0) == 0.0
    assert number(float("inf")) == {"type": "number", "value": "+inf"}


def test_only_what_loses_nothing_fits() -> None:
    assert fits(np.array([1], "uint8"), np.dtype("float32"))
    assert fits(np.array([255]), np.dtype("uint8"))
    assert fits(np.array([0, -128]), np.dtype("int8"))
    assert not fits(np.array([256]), np.dtype("uint8"))
    assert not fits(np.array([1.0]), np.dtype("int32"))
    assert not fits(np.array([1], "uint8"), np.dtype("bool"))


def test_cutting_follows_the_rules_of_javascript() -> None:
    odd = np.array([1.9, -1.9, 2.0**32 + 5, -(2.0**31) - 1, np.nan, np.inf, 1e300])
    assert cut(odd, np.dtype("int32")).tolist() == [1, -1, 5, 2**31 - 1, 0, 0, 0]
    assert cut(np.array([256, 255]), np.dtype("bool")).tolist() == [False, True]
    assert cut(np.array([True]), np.dtype("int32")).tolist() == [1]
    assert cut(odd[:1], odd.dtype).tolist() == [1.9]


def test_a_patched_array_is_put_back_by_its_old_numbers() -> None:
    values = np.arange(3.0)
    undo = patch_array(values, slice(0, 2), [8, 9])
    assert values.tolist() == [8, 9, 2]
    undo()
    assert values.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("old", "new", "rollover"),
    [
        ([1, "a"], [None, 2.5], None),
        ([1, 2, 3], [4, 5], 3),
        (np.array([1.0, 2.0]), [3, 4.5], None),
        (np.array([1.0, 2.0]), [3.0] * 5000, 4),
        (np.array([1, 2], np.int32), np.array([3], np.int32), 2),
    ],
)
def test_what_a_column_takes_is_appended_as_a_stream_is(old: Any, new: Any, rollover: int | None) -> None:
    short, long = Column(old.copy()), Column(old.copy())
    for _ in range(3):
        assert short.takes(new, rollover)
        short.extend(new, rollover)
        _, faithful = long.stream(new, rollover)
        assert faithful
        assert list(short.live) == list(long.live)


@pytest.mark.parametrize(
    ("old", "new", "rollover"),
    [
        ([1], np.array([2.0]), None),
        (np.array([[1.0]]), [2.0], None),
        (np.array([1.0]), [], None),
        (np.array([1.0, 2.0]), [3.0], 1),
        (np.array([1.0]), ["a"], None),
        (np.array([1], np.int32), [2], None),
        (np.array([1], np.int32), np.array([2.0]), None),
    ],
)
def test_a_column_takes_only_what_browsers_append_in_the_same_way(old: Any, new: Any, rollover: int | None) -> None:
    assert not Column(old).takes(new, rollover)
