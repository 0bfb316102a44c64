"""Each program of ``examples/`` runs as a user runs it, and is used in a browser as its reader is told to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser

from tests.browser.stage import Stage


@pytest.fixture(scope="module")
def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server and a browser for all examples."""
    with Stage(browser, tmp_path_factory.mktemp("examples")) as stage:
        yield stage


def test_a_line_stays_at_its_link_after_its_program_has_ended(stage: Stage) -> None:
    with stage.script("line.py") as script:
        link = script.line()
        script.wait()
    with stage.open(link) as shown:
        assert shown.title() == "A line"
        assert shown.column(0, "y") == [6, 7, 2, 4, 5]


def test_data_that_is_changed_in_place_moves_in_the_page(stage: Stage) -> None:
    with stage.run("line_animate.py") as shown:
        other = "['x', 'y'].map((name) => Array.from(plot(0).renderers[1].data_source.data[name]))"
        straight = shown.of(other)
        sines = [shown.changes(lambda: shown.column("sine", "y")) for _ in range(3)]
        x = np.array(shown.column("sine", "x"))
        for sine in sines:
            amplitude = sine[25] / np.sin(x[25])
            np.testing.assert_allclose(sine, amplitude * np.sin(x), atol=1e-9)
        assert shown.of(other) == straight == [[0, 4 * np.pi], [-1, 1]]


def test_columns_that_are_assigned_turn_the_wedges(stage: Stage) -> None:
    with stage.run("animated.py") as shown:
        both = "['outer_radius', 'fill_color'].map((name) => Array.from(source(0).data[name]))"
        radius, color = shown.of(both)
        turned, painted = shown.changes(lambda: shown.of(both))
        turns = [n for n in range(1, 20) if np.allclose(np.roll(radius, n), turned)]
        assert len(turns) == 1
        assert painted == np.roll(color, turns[0]).tolist() != color


def test_a_stream_appends_points_and_the_axes_follow(stage: Stage) -> None:
    with stage.run("simple_stream.py") as shown:
        count, edge = len(shown.column(0, "x")), shown.of("plot(0).x_range.end")
        shown.until(lambda: len(shown.column(0, "x")) >= count + 2, "two more points")
        shown.becomes(f"plot(0).x_range.end > {edge}")
        assert shown.column(0, "x") == list(range(len(shown.column(0, "x"))))


def test_start_and_stop_in_the_page_command_a_thread_of_the_program(stage: Stage) -> None:
    with stage.run("line_animate_widget.py") as shown:
        shown.find("button:has-text('Start')").click()
        shown.until(lambda: shown.title() == "Running", "the program has heard Start")
        shown.changes(lambda: shown.column(0, "y"))
        shown.find("button:has-text('Stop')").click()
        shown.until(lambda: shown.title() == "Stopped", "the program has heard Stop")
        shown.page.wait_for_timeout(250)
        still = shown.column(0, "y")
        shown.page.wait_for_timeout(250)
        assert shown.column(0, "y") == still


def test_a_selection_of_points_is_answered_by_histograms(stage: Stage) -> None:
    with stage.run("selection_histogram.py") as shown:
        x, y = np.array(shown.column("points", "x")), np.array(shown.column("points", "y"))
        triangle = int(np.sum((x > 2.5) & (y > 3) & (x + y < 9.5)))
        for tool, corners, expected in (
            ("box-select", [(2.5, 3.0), (7.5, 7.0)], int(np.sum((x > 2.5) & (x < 7.5) & (y > 3) & (y < 7)))),
            ("lasso-select", [(2.5, 3.0), (6.5, 3.0), (2.5, 7.0)], triangle),
        ):
            shown.find(f".bk-tool-icon-{tool}").first.click()
            shown.drag("points", *corners)
            shown.becomes(f"Math.abs(source('points').selected.indices.length - {expected}) < 30")
            count = shown.of("source('points').selected.indices.length")
            shown.becomes(f"plot('points').title.text == '{count} of 8000 points selected'")
            for source in ("chosen_x", "chosen_y"):
                shown.becomes(f"source({source!r}).data.count.reduce((sum, bar) => sum + bar) == {count}")


def test_every_kind_of_button_is_heard_by_the_program(stage: Stage) -> None:
    with stage.script("buttons.py") as script, stage.open(script.line()) as shown:
        for clicks, heard in (
            (["button:text-is('Push me')"], "button: pushed"),
            (["button:text-is('Toggle me')"], "toggle: True"),
            ([".bk-body"], "switch: True"),
            (["button:has-text('Choose a fruit')", "text=Pears >> visible=true"], "dropdown: pears"),
            (["button:text-is('Fruit salad')"], "split: pushed"),
            ([".bk-dropdown-toggle", "text=Plums >> visible=true"], "split: plums"),
            (["label:has-text('Two') >> nth=0"], "checkboxes: [0, 1]"),
            (["label:has-text('Three') >> nth=1"], "radios: 2"),
            (["button:text-is('Three') >> nth=0"], "checkbox_buttons: [0, 1, 2]"),
            (["button:text-is('Two') >> nth=1"], "radio_buttons: 1"),
        ):
            for click in clicks:
                shown.find(click).first.click()
            shown.becomes(f"named('said').text == {heard!r}")
            assert script.line() == heard


def test_an_edited_cell_moves_the_point_and_the_program_answers(stage: Stage) -> None:
    with stage.run("widgets.py") as shown:
        y = shown.column(0, "y")
        shown.edit(row=2, column=2, text="12.5")
        y[2] = 12.5
        shown.until(lambda: shown.title() == f"mean of y: {np.mean(y):.2f}", "the program computes the mean")
        assert shown.column(0, "y") == y
        shown.hover(0, 2, 12.5, "2", "12.5")
        shown.find("button:has-text('New data')").click()
        shown.until(lambda: shown.column(0, "y") != y, "the program makes new data")


def test_five_filters_drive_the_table_and_the_plot_and_both_select_and_the_table_is_edited(stage: Stage) -> None:
    with stage.run("data_tables.py") as shown:
        assert shown.title() == "234 cars, 16.9 miles per gallon in the city"
        for select, column, value, left in (
            (0, "manufacturer", "Dodge", 37),
            (3, "drv", "4x4", 26),
            (2, "trans", "auto(l4)", 8),
            (4, "class", "pickup", 5),
            (1, "model", "Dakota Pickup 4wd", 3),
        ):
            shown.find("select").nth(select).select_option(value)
            shown.becomes(f"plot(0).title.text.startsWith('{left} cars')")
            assert shown.column(0, column) == [value] * left
        assert shown.column(0, "index") == [49, 50, 56]
        shown.until(lambda: shown.find(".slick-row").count() == 3, "the table has the three rows")
        assert [shown.cell(0, place).inner_text() for place in (1, 3, 8)] == ["Dodge", "3.7", "14"]
        assert shown.cell(0, 1).locator("[style*='bold']").count() == 1
        shown.cell(1, 3).click()
        shown.until(lambda: shown.title() == "1 cars, 13.0 miles per gallon in the city", "a row is selected")
        shown.drag(0, (48.9, 12), (50.5, 16))
        shown.until(lambda: shown.title() == "2 cars, 13.5 miles per gallon in the city", "points are selected")
        shown.until(lambda: shown.find(".slick-row:has(.selected)").count() == 2, "the table shows the selection")
        shown.edit(row=0, column=1, text="Audi", editor="select")
        shown.edit(row=0, column=2, text="<b>A4</b>")
        shown.edit(row=0, column=8, text="40")
        shown.until(lambda: shown.title() == "1 cars, 40.0 miles per gallon in the city", "the program has the edit")
        shown.hover(0, 49, 40, "Audi <b>A4</b> 2008", "40", "18")
        shown.hover(0, 56, 15, "Dodge Dakota Pickup 4wd 1999", "11", "15")


def test_a_tap_in_one_plot_colours_the_other_and_vice_versa(stage: Stage) -> None:
    with stage.run("linked_tap.py") as shown:
        for tapped, other in ((0, 1), (1, 0)):
            shown.tap(tapped, shown.column(tapped, "x")[0], shown.column(tapped, "y")[0])
            shown.becomes(f"new Set(source({other}).data.color).size > 20")
            assert len(set(shown.column(tapped, "color"))) == 1
            shown.find("button:has-text('Reset')").click()
            shown.becomes(f"new Set(source({other}).data.color).size == 1")
            shown.becomes("all('Selection').every((selection) => selection.indices.length == 0)")


def test_two_choices_draw_the_pyramid_and_the_history(stage: Stage) -> None:
    with stage.run("population.py") as shown:
        assert shown.title().startswith("World, 2010: 7,0")
        shown.find("select").nth(1).select_option("Iceland")
        shown.until(lambda: shown.title().startswith("Iceland, 2010: 3"), "the country is chosen")
        shown.find("select").nth(0).select_option("1950")
        shown.until(lambda: shown.title().startswith("Iceland, 1950: 1"), "the year is chosen")
        assert 0.4 < sum(shown.column("ages", "women")) < 0.6


def test_a_typed_formula_is_drawn_and_nonsense_opens_a_dialog(stage: Stage) -> None:
    with stage.run("taylor.py") as shown:
        formula = shown.find("input[type=text]").first
        formula.fill("sin(x)*2")
        formula.press("Enter")
        shown.until(lambda: shown.title() == "Order 1 around 0: sin(x)*2", "the formula is drawn")
        for _ in range(2):
            shown.find(".noUi-handle").press("ArrowRight")
        shown.until(lambda: shown.title() == "Order 3 around 0: sin(x)*2", "the order is set")
        x, polynomial = np.array(shown.column(0, "x")), shown.column(0, "ty")
        np.testing.assert_allclose(polynomial, 2 * x - x**3 / 3, atol=1e-6)
        formula.fill("__import__('os')")
        formula.press("Enter")
        shown.becomes("named('dialog').visible")
        assert shown.find("text=This is not a formula in x").is_visible()
