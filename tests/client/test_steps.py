"""A change of a program and the note of it are one step: what comes from the server meanwhile undoes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
from bokeh.layouts import column
from bokeh.models import ColumnDataSource
from bokeh.models.widgets.markups import Div
from bokeh.models.widgets.sliders import Slider

from bokeh_server.client.changes import Waits
from tests.client.rig import Program
from tests.client.test_sync import agree, pair, there


class Halting(list[int]):
    """A column whose rows are appended, while the thread that did it gets no further until ``go_on``."""

    def __init__(self, rows: list[int]) -> None:
        super().__init__(rows)
        self.grown, self.go_on = threading.Event(), threading.Event()

    def extend(self, rows: Iterable[int]) -> None:
        super().extend(rows)
        self.grown.set()
        assert self.go_on.wait(10)


@pytest.mark.parametrize("assigned", [False, True])
def test_a_copy_that_comes_while_rows_are_appended_does_not_lose_them_to_a_push(*, assigned: bool) -> None:
    source, slow = ColumnDataSource({"x": [1, 2]}), Halting([1, 2])
    rig, one, other = pair(source)
    if assigned:  # then the columns are another object
        source.data = {"x": [1, 2]}
        rig.settle()
    dict.__setitem__(source.data, "x", slow)
    one.connection.pull()
    one.send()
    one.read()
    threads = [threading.Thread(target=source.stream, args=({"x": [3]},)), threading.Thread(target=one.jobs.work)]
    threads[0].start()
    assert slow.grown.wait(10)
    threads[1].start()
    threads[1].join(0.1)
    slow.go_on.set()
    for thread in threads:
        thread.join(10)
    one.connection.replica.push()  # takes the place of the row that waits
    agree(rig, one, other)
    assert there(other, source).data == {"x": [1, 2, 3]}


def changed_during_a_merge(one: Program, change: Callable[[], object]) -> None:
    """A copy comes; while it is merged, another thread of the program gets as far as it can with ``change``."""
    after, thread = one.connection.outbox.after, threading.Thread(target=change)

    def what_is_on_its_way(number: int) -> list[Waits]:
        if not thread.ident:
            thread.start()
            thread.join(0.1)
        return after(number)

    one.connection.pull()
    one.send()
    one.read()
    one.connection.outbox.after = what_is_on_its_way  # type: ignore[method-assign]
    one.jobs.work()
    thread.join(10)
    assert not thread.is_alive()
    assert one.connection.merged == 1


def test_an_attribute_that_is_set_while_a_copy_is_merged_stays() -> None:
    slider = Slider(start=0, end=10, value=0)
    rig, one, other = pair(slider)
    changed_during_a_merge(one, lambda: setattr(slider, "value", 7))
    assert slider.value == 7
    agree(rig, one, other)
    assert there(other, slider).value == slider.value == 7


def test_columns_that_are_set_while_a_copy_is_merged_stay() -> None:
    source = ColumnDataSource({"x": [1, 2]})
    rig, one, other = pair(source)
    changed_during_a_merge(one, lambda: setattr(source, "data", {"x": [7, 8, 9]}))
    agree(rig, one, other)
    assert there(other, source).data == source.data == {"x": [7, 8, 9]}


def test_roots_and_a_title_that_are_set_while_a_copy_is_merged_stay() -> None:
    div, new = Div(), Slider(start=0, end=10, value=0)
    rig, one, other = pair(div)

    def change() -> None:
        one.document.add_root(new)
        one.document.remove_root(div)
        one.document.title = "mine"

    changed_during_a_merge(one, change)
    new.value = 4
    agree(rig, one, other)
    assert one.document.roots == [new]
    assert other.document.title == one.document.title == "mine"
    assert there(other, new).value == 4


@pytest.mark.parametrize(
    ("div", "name", "add"),
    [
        (Div, "tags", lambda tags, item: tags.append(item)),
        (partial(Div, tags=["old"]), "tags", lambda tags, item: tags.append(item)),
        (partial(Div, html_attributes={"old": ""}), "html_attributes", lambda words, item: words.update({item: ""})),
        (partial(Div, subscribed_events={"old"}), "subscribed_events", lambda names, item: names.add(item)),
    ],
)
def test_what_is_added_in_place_while_a_copy_is_merged_is_added_to_what_comes(
    div: Callable[[], Div], name: str, add: Callable[[Any, str], object]
) -> None:
    ours = div()
    rig, one, other = pair(ours)
    expected = {*getattr(ours, name), "here", "there"}
    add(getattr(there(other, ours), name), "there")
    other.send()
    one.inbox.clear()  # the copy brings it
    changed_during_a_merge(one, lambda: add(getattr(ours, name), "here"))
    assert set(getattr(ours, name)) == expected
    agree(rig, one, other)
    assert set(getattr(there(other, ours), name)) == expected


def free(program: Program) -> bool:
    """Whether what comes from the server could be applied now."""
    got: list[bool] = []

    def take() -> None:
        got.append(program.connection.replica.lock.acquire(timeout=5))
        if got[0]:
            program.connection.replica.lock.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return got[0]


def test_callbacks_of_rows_that_are_appended_here_may_wait_for_what_comes_from_the_server() -> None:
    source, seen = ColumnDataSource({"x": [1], "y": [1]}), list[tuple[str, bool]]()
    rig, one, other = pair(source)

    def follow(attr: str, old: Any, new: Any) -> None:
        seen.append((attr, free(one)))
        if len(seen) == 1:
            source.patch({"x": [(0, 7)]})

    source.on_change("data", follow)
    source.stream({"x": [2], "y": [2]})
    agree(rig, one, other)
    assert seen == [("data", True), ("data", True)]
    assert there(other, source).data == {"x": [7, 2], "y": [1, 2]}
    source.data = {"x": [5]}
    source.stream({"x": [6]})
    assert seen[2:] == [("data", True), ("data", True)]
    agree(rig, one, other)


def test_callbacks_of_any_change_may_wait_for_what_comes_from_the_server() -> None:
    layout, div = column(), Div()
    _, one, _ = pair(layout, div)
    seen: list[tuple[str, bool]] = []

    def follow(event: Any) -> None:
        seen.append((event.kind, free(one)))

    one.document.on_change(follow)
    div.text = "x"
    div.tags.append(1)
    layout.children.append(Slider(start=0, end=10, value=0))
    del div.tags
    one.document.title = "t"
    one.document.clear()
    kinds = ["ModelChanged"] * 4 + ["TitleChanged"] + ["RootRemoved"] * 2
    assert seen == [(kind, True) for kind in kinds]


def test_a_list_that_two_live_documents_share_is_changed_in_both() -> None:
    one_div, other_div = Div(), Div()
    (one_rig, one, _), (other_rig, other, _) = pair(one_div), pair(other_div)
    one_div.tags = [1]
    other_div.tags = one_div.tags
    free_in_both: list[bool] = []
    for program in (one, other):
        program.document.on_change(lambda event: free_in_both.extend((free(one), free(other))))
    one_div.tags.append(2)
    for rig, div in ((one_rig, one_div), (other_rig, other_div)):
        rig.settle()
        assert rig.room.document.models[div.id].attributes["tags"] == [1, 2]
    assert free_in_both == [True] * 4
