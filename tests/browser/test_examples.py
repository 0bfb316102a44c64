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
        sines = [shown.changes(lambda: shown.column("sine", "y")) for _ in range(3)]
        x = np.array(shown.column("sine", "x"))
        for sine in sines:
            amplitude = sine[25] / np.sin(x[25])
            np.testing.assert_allclose(sine, amplitude * np.sin(x), atol=1e-9)


def test_columns_that_are_assigned_turn_the_wedges(stage: Stage) -> None:
    with stage.run("animated.py") as shown:
        before = shown.column(0, "outer_radius")
        after = shown.changes(lambda: shown.column(0, "outer_radius"))
        assert any(np.allclose(np.roll(before, n), after) for n in range(1, 20))


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
        shown.find(".bk-tool-icon-box-select").first.click()
        shown.drag("points", (2.5, 3.0), (7.5, 7.0))
        shown.until(lambda: shown.title("points").endswith("of 8000 points selected"), "the program counts")
        count = int(shown.title("points").split()[0])
        assert 1500 < count < 2500
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
        shown.find("button:has-text('New data')").click()
        shown.until(lambda: shown.column(0, "y") != y, "the program makes new data")


def test_five_filters_drive_the_table_and_the_plot(stage: Stage) -> None:
    with stage.run("data_tables.py") as shown:
        assert shown.title() == "234 cars, 16.9 miles per gallon in the city"
        shown.find("select").nth(0).select_option("Audi")
        shown.until(lambda: shown.title().startswith("18 cars"), "the maker is filtered")
        shown.find("select").nth(3).select_option("4x4")
        shown.until(lambda: shown.title().startswith("11 cars"), "the drive is filtered")
        assert set(shown.column(0, "drv")) == {"4x4"}


def test_a_tap_in_one_plot_colours_the_other(stage: Stage) -> None:
    with stage.run("linked_tap.py") as shown:
        shown.tap(0, shown.column(0, "x")[0], shown.column(0, "y")[0])
        shown.until(lambda: len(set(shown.column(1, "color"))) > 20, "the other plot is coloured")
        assert len(set(shown.column(0, "color"))) == 1
        shown.find("button:has-text('Reset')").click()
        shown.until(lambda: len(set(shown.column(1, "color"))) == 1, "the colours are gone")
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
