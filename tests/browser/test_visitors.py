"""Visitors: who may look but not change can use everything in the page, and nobody else notices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, Range1d
from bokeh.models.widgets import Button, Slider
from bokeh.plotting import figure
from playwright.sync_api import Dialog, Page, expect

from tests.browser.conftest import LOST, OpenPage, Screen, until
from tests.browser.team import Team

Visit = Callable[..., Screen]


class Machine:
    """A document of ann's: a plot that is streamed to, a slider, and a button."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.source = ColumnDataSource({"x": [1.0, 2.0], "y": [3.0, 4.0]})
        self.range = Range1d(start=0, end=10)
        plot = figure(width=400, height=300, x_range=self.range, tools="tap,wheel_zoom,pan", active_scroll="wheel_zoom")
        plot.scatter("x", "y", source=self.source, size=20)
        self.follows = plot.y_range  # a DataRange1d
        self.slider = Slider(start=0, end=10, value=3, title="Speed")
        self.button = Button(label="Go")
        self.root = column(plot, self.slider, self.button)
        self.id = team.store("ann", "Machine", self.root)
        team.share(self.id, "bob")

    def stored(self, model: str, name: str) -> Any:
        """A property as the server has it."""
        return self.team.call("ann", "GET", f"/api/v1/documents/{self.id}/models/{model}/{name}")

    def append(self, x: float, y: float) -> None:
        """The owner's program streams a row."""
        rows = {"x": [x], "y": [y]}
        self.team.call("ann", "POST", f"/api/v1/documents/{self.id}/sources/{self.source.id}/rows", rows)


@pytest.fixture
def machine(team: Team) -> Machine:
    return Machine(team)


@pytest.fixture(autouse=True)
def refusals(expected_errors: list[str]) -> None:
    """What is refused shows in the console, and that can't be helped."""
    expected_errors += [*LOST, "status of 40[0-9]"]


@pytest.fixture
def visit(team: Team, machine: Machine, open_page: OpenPage) -> Visit:
    """The machine on a user's screen."""

    def on(user: str) -> Screen:
        page = team.enter(open_page, user)
        page.goto(team.link(machine.id))
        expect(page.locator("#status")).to_have_text("Live")
        return Screen(page)

    return on


def test_what_a_visitor_changes_stays_in_his_page(machine: Machine, visit: Visit) -> None:
    owner, guest, other = visit("ann"), visit("bob"), visit("bob")
    expect(guest.page.locator("#visit")).to_contain_text("You are visiting")
    handle = guest.page.frame_locator("#frame").locator(".noUi-handle")
    handle.focus()
    for _ in range(4):
        handle.press("ArrowRight")
    guest.shows(machine.slider.id, "value", 7)
    guest.do("doc.get_model_by_id(arg).selected.indices = [1]", machine.source.id)
    guest.do("doc.get_model_by_id(arg).data = {x: [9, 9], y: [9, 9]}", machine.source.id)
    box = guest.page.frame_locator("#frame").locator(".bk-Figure").bounding_box()
    assert box is not None
    guest.page.mouse.move(box["x"] + 150, box["y"] + 150)
    guest.page.mouse.wheel(0, -300)
    until(lambda: guest.get(machine.range.id, "end"), lambda end: end != 10)
    guest.page.wait_for_timeout(800)
    for screen in (owner, other):
        assert screen.get(machine.slider.id, "value") == 3
        assert screen.get(machine.range.id, "end") == 10
        assert screen.column(machine.source.id, "x") == [1, 2]
        assert screen.ask("doc.get_model_by_id(arg).selected.indices", machine.source.id) == []
    assert machine.stored(machine.slider.id, "value") == 3
    assert machine.stored(machine.range.id, "end") == 10
    assert guest.get(machine.slider.id, "value") == 7
    expect(guest.page.locator("#toasts p")).to_have_count(0)


def test_what_the_owner_streams_and_sets_goes_on_arriving(machine: Machine, team: Team, visit: Visit) -> None:
    guest = visit("bob")
    guest.set(machine.slider.id, "value", 8)
    with team.feed("ann", machine.id) as program:
        program.stream(machine.source.id, {"x": [3.0], "y": [5.0]})
        program.set(machine.button.id, "label", "Run")
        program.set(machine.slider.id, "title", "Pace")
        program.set(machine.slider.id, "value", 1)
        until(lambda: guest.column(machine.source.id, "x"), lambda x: x == [1, 2, 3])
        guest.shows(machine.button.id, "label", "Run")
        guest.shows(machine.slider.id, "title", "Pace")
        assert guest.get(machine.slider.id, "value") == 8, "what the visitor has set is his"
        assert machine.stored(machine.slider.id, "value") == 1
    expect(guest.page.locator("#status")).to_have_text("Live")


def test_a_range_that_nobody_has_moved_is_still_the_programs_to_set(machine: Machine, team: Team, visit: Visit) -> None:
    guest = visit("bob")
    until(lambda: guest.get(machine.follows.id, "end"), lambda end: end is not None and end > 4)  # BokehJS set it
    with team.feed("ann", machine.id) as program:
        program.set(machine.follows.id, "end", 50)
        guest.shows(machine.follows.id, "end", 50)
        box = guest.page.frame_locator("#frame").locator(".bk-Figure").bounding_box()
        assert box is not None
        guest.page.mouse.move(box["x"] + 150, box["y"] + 150)
        guest.page.mouse.wheel(0, -300)
        until(lambda: guest.get(machine.follows.id, "end"), lambda end: end != 50)
        program.set(machine.follows.id, "end", 60)
        program.set(machine.button.id, "label", "Moved")
        guest.shows(machine.button.id, "label", "Moved")
    assert guest.get(machine.follows.id, "end") != 60, "what the visitor has moved is his"


def test_a_visitors_view_and_values_outlive_a_kill_of_the_server(machine: Machine, team: Team, visit: Visit) -> None:
    guest = visit("bob")
    guest.set(machine.slider.id, "value", 8)
    guest.do("doc.get_model_by_id(arg).selected.indices = [1]", machine.source.id)
    guest.set(machine.range.id, "end", 4)
    team.kill()
    expect(guest.page.locator("#status")).not_to_have_text("Live")
    team.start()
    machine.append(3, 5)
    until(lambda: guest.column(machine.source.id, "x"), lambda x: x == [1, 2, 3], seconds=40)
    expect(guest.page.locator("#status")).to_have_text("Live")
    assert guest.get(machine.slider.id, "value") == 8
    assert guest.get(machine.range.id, "end") == 4
    assert guest.ask("doc.get_model_by_id(arg).selected.indices", machine.source.id) == [1]
    assert machine.stored(machine.slider.id, "value") == 3
    fresh = visit("bob")
    assert fresh.get(machine.slider.id, "value") == 3


def test_a_visitors_values_are_put_on_a_fresh_copy_where_they_fit(machine: Machine, team: Team, visit: Visit) -> None:
    guest = visit("bob")
    guest.set(machine.slider.id, "value", 8)
    team.store("ann", "Machine", machine.root)
    guest.page.wait_for_timeout(500)
    until(lambda: guest.ask("Bokeh.documents.length"), lambda count: count == 1)
    guest.shows(machine.slider.id, "value", 8)
    team.store("ann", "Machine", Slider(start=0, end=1, value=0))
    until(lambda: guest.ask("doc.roots().length === 1 && doc.roots()[0].type"), lambda kind: kind == "Slider")
    expect(guest.page.locator("#status")).to_have_text("Live")
    expect(guest.page.get_by_role("alert")).to_have_count(0)


def test_what_was_tried_out_is_let_go_when_a_visitor_becomes_an_editor(
    machine: Machine, team: Team, visit: Visit
) -> None:
    guest = visit("bob")
    guest.set(machine.slider.id, "value", 8)
    team.share(machine.id, "bob", "editor")
    expect(guest.page.locator("#visit")).to_be_hidden()
    guest.shows(machine.slider.id, "value", 3)
    expect(guest.page.locator("#status")).to_have_text("Live")
    guest.set(machine.slider.id, "value", 5)
    until(lambda: machine.stored(machine.slider.id, "value"), lambda value: value == 5)


def test_a_click_of_a_visitor_reaches_no_program(machine: Machine, team: Team, visit: Visit) -> None:
    guest = visit("bob")
    with team.feed("ann", machine.id) as program:
        program.set(machine.button.id, "subscribed_events", {"type": "set", "entries": ["button_click"]})
        guest.page.frame_locator("#frame").get_by_role("button", name="Go").click()
        guest.set(machine.slider.id, "value", 9)
        guest.page.wait_for_timeout(500)
        program.set(machine.button.id, "label", "Went")
        heard = [content for header, content in program.messages if header["msgtype"] == "PATCH-DOC"]
    assert heard == []
    expect(guest.page.locator("#hint")).to_be_hidden()
    expect(guest.page.locator("#toasts p")).to_have_count(0)


def test_a_visitor_is_not_asked_when_he_leaves(machine: Machine, visit: Visit) -> None:
    guest = visit("bob")
    asked: list[str] = []

    def agree(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    guest.page.on("dialog", agree)
    handle = guest.page.frame_locator("#frame").locator(".noUi-handle")
    handle.click()
    handle.press("ArrowRight")
    with guest.cut_off():
        handle.press("ArrowRight")
        guest.page.wait_for_timeout(300)
        guest.page.goto("about:blank")
    assert asked == []


def test_the_public_view_comes_back_after_a_cut(machine: Machine, team: Team, open_page: OpenPage) -> None:
    team.call("ann", "PUT", f"/api/v1/documents/{machine.id}/published")
    page: Page = open_page()
    page.clock.install()
    page.goto(f"{team.link(machine.id)}?public=true")
    expect(page.locator("#status")).to_have_text("Live")
    guest = Screen(page)
    guest.set(machine.slider.id, "value", 8)
    team.call("ann", "PATCH", f"/api/v1/documents/{machine.id}", {"title": "Renamed"})
    with guest.cut_off():
        machine.append(3, 5)
        page.wait_for_timeout(1_500)
    until(lambda: guest.column(machine.source.id, "x"), lambda x: x == [1, 2, 3], seconds=30)
    expect(page.locator("#status")).to_have_text("Live")
    page.clock.fast_forward(15_000)
    expect(page.get_by_role("heading", level=1)).to_have_text("Renamed")
    assert guest.get(machine.slider.id, "value") == 8
