"""How our pages look: readable, usable on a phone and by keyboard alone, light and dark, calm for those who want it.

``SCREENSHOTS=DIR`` keeps the pictures that these tests take.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from bokeh.layouts import column, row
from bokeh.models import Column, ColumnDataSource, LayoutDOM
from bokeh.models.widgets import Button, DataTable, Select, Slider, TableColumn
from bokeh.plotting import figure
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Screen, until
from tests.browser.producer import Producer
from tests.browser.server import Server
from tests.browser.team import Team

PAGES = ("board", "empty", "document", "hint", "question", "error")
TEAM_PAGES = ("login", "register", "link", "account", "users", "ours", "share", "visitor")
"""With accounts; "ours" is the board with the menu open."""
SIZES = {"desk": {"width": 1200, "height": 820}, "phone": {"width": 360, "height": 740}}
SMALLEST_TARGET = 24  # CSS pixels, WCAG 2.2 AA 2.5.8

CONTRASTS = """() => {
  const parse = (text) => {
    const [kind, ...rest] = text.match(/[a-z]+|-?[\\d.]+(e-?\\d+)?/g);
    const numbers = (kind === "color" ? rest.slice(1) : rest).map(Number);
    const [r, g, b, a = 1] = numbers;
    return kind === "color" ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((v, i) => v * a + under[i] * (1 - a));
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const above = [];
    for (let at = element; at; at = at.parentElement) above.unshift(parse(getComputedStyle(at).backgroundColor));
    return above.reduce((under, layer) => over(layer, under), [255, 255, 255]);
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const text = texts.currentNode.textContent.trim();
    if (text === "" || element.closest("script, style, template, noscript") || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const back = ground(element);
    const [a, b] = [light(over(parse(style.color), back)), light(back)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    found.push([text.slice(0, 40), (a + 0.05) / (b + 0.05), large ? 3 : 4.5]);
  }
  return found;
}"""
CONTROLS = """() => [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex]")]
  .filter((element) => element.checkVisibility() && element.tabIndex >= 0)
  .map((element) => {
    const {width, height} = element.getBoundingClientRect();
    const label = element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent;
    return [element.outerHTML.slice(0, 80), label.trim(), Math.round(width), Math.round(height)];
  })"""
BEGIN = """() => {
  globalThis.reached = new Set();
  const top = document.createElement("span"); // a document may keep the focus, once it is there: begin in front of all
  top.tabIndex = -1;
  document.body.prepend(top);
  top.focus();
  top.remove();
}"""
FOCUS = """() => {
  const element = document.activeElement;
  const style = (part) => getComputedStyle(element, part).outlineStyle;
  const next = element.nextElementSibling; // what a control that is not seen itself is drawn as
  const drawn = element.type === "radio" && next !== null && getComputedStyle(next).outlineStyle !== "none";
  const outlined = drawn || [null, "::after"].some((part) => style(part) !== "none");
  const elsewhere = ["BODY", "IFRAME"].includes(element.tagName); // the browser's own controls, or the document's
  reached.add(element);
  const within = document.querySelector("dialog:modal") ?? document;
  const skipped = ({tabIndex, disabled, type, checked}) => tabIndex < 0 || disabled || (type === "radio" && !checked);
  const missing = [...within.querySelectorAll("a[href], button, input, select, summary, [tabindex]")]
    .filter((control) => control.checkVisibility() && !skipped(control) && !reached.has(control));
  return [element.outerHTML.slice(0, 200), outlined || elsewhere, missing.map((one) => one.outerHTML.slice(0, 200))];
}"""
STRUCTURE = """() => ({
  lang: document.documentElement.lang,
  title: document.title,
  mains: document.querySelectorAll("main").length,
  firsts: document.querySelectorAll("h1").length,
  doubles: [...document.querySelectorAll("[id]")].map(({id}) => id).filter((id, i, all) => all.indexOf(id) !== i),
  pictures: [...document.querySelectorAll("svg:not([aria-hidden=true], [aria-hidden=true] *), img:not([alt])")].length,
  styled: [...document.querySelectorAll("[style]:not(iframe, [style=''])")].map((e) => e.outerHTML.slice(0, 90)),
  inline: [...document.querySelectorAll("script")].filter((s) => !s.src && s.type !== "application/json").length,
})"""


def walk() -> Column:
    """A page with something of everything."""
    dice = np.random.default_rng(7)
    source = ColumnDataSource({"x": np.arange(120), "y": np.cumsum(dice.normal(size=120))})
    plot = figure(height=320, width=640, title="A walk at random")
    plot.line("x", "y", source=source, line_width=2, color="#0b666d")
    paces: list[str | None] = ["calm", "wild"]
    go = Button(label="Step", subscribed_events={"button_click"}, button_type="primary")
    controls = row(
        Slider(start=0, end=10, value=4, title="Speed"),
        Select(options=paces, value="calm"),
        go,
    )
    return column(plot, controls)


@pytest.fixture
def fill(server: Server, produce: Callable[..., Producer]) -> str:
    """A few documents of different kinds, two of them fed by programs; returns the id of one with widgets."""
    table = DataTable(source=ColumnDataSource({"a": [1, 2]}), columns=[TableColumn(field="a")])
    kinds: dict[str, list[LayoutDOM]] = {
        "Census 2020 by county": [table],
        "Nothing yet": [],
        "Weather in Reykjavík, ten stations, since 1949, with a very long name that has no end": [figure(), figure()],
        "Panel of sliders": [Slider(start=0, end=1, value=0), Slider(start=0, end=1, value=0)],
        "Training run 0417": [figure(), figure(), figure()],
    }
    for title, roots in kinds.items():
        server.put(title, *roots)
    produce(server.put("Machine metrics", walk()))
    document = server.put("A walk at random", walk())
    produce(server.put("Stocks", figure()), answers=True)
    return document


@pytest.fixture
def show(
    server: Server, open_page: OpenPage, expected_errors: list[str], request: pytest.FixtureRequest
) -> Callable[..., Page]:
    """Open one of PAGES, as far as it must be."""

    def shown(name: str, **options: object) -> Page:
        expected_errors.append("status of 404")
        if name == "empty":
            return open_page(server.url, **options)
        if name == "error":
            return open_page(f"{server.url}/no-such-page", **options)
        document = request.getfixturevalue("fill")
        if name in ("board", "question"):
            page = open_page(server.url, **options)
            expect(page.locator(".live:visible").first).to_be_visible()
            if name == "question":
                page.get_by_role("button", name="Delete “Stocks”").click()
            return page
        page = Screen(open_page(server.link(document), **options)).page
        expect(page.locator("#status")).to_have_text("Live")
        expect(page.locator("#hint")).to_be_visible()
        if name == "hint":
            page.locator("#hint").click()
        return page

    return shown


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """One for all: nothing that is done here shows elsewhere."""
    running = Team(tmp_path_factory.mktemp("looks") / "team")
    running.populate("ann", "bob", "eve")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def peopled(team: Team) -> str:
    """Documents of several users, shared in every way; returns the id of one of ann's that is."""
    document = team.store("ann", "Machine metrics, a title that is longer than any bar has room for", walk())
    own = f"/api/v1/documents/{document}"
    team.share(document, "bob")
    team.share(document, "eve", "editor")
    team.call("ann", "PUT", f"{own}/published")
    for link in ({"name": "for the review", "most": 5, "seconds": 86_400}, {"role": "editor"}):
        team.call("ann", "POST", f"{own}/links", link)
    team.share(team.store("bob", "Training run 0417", walk()), "ann", "editor")
    token = {"name": "nightly job", "scopes": ["read", "stream"], "document": document, "seconds": 86_400}
    team.call("ann", "POST", "/api/v1/account/tokens", token)
    team.call("ann", "POST", "/api/v1/invitations", {})
    team.call("ann", "PATCH", "/api/v1/users/eve", {"disabled": True})
    return document


@pytest.fixture
def show_team(
    team: Team, open_page: OpenPage, expected_errors: list[str], request: pytest.FixtureRequest
) -> Callable[..., Page]:
    """Open one of TEAM_PAGES, as far as it must be."""
    expected_errors.append("status of 40[134]")

    def shown(name: str, **options: object) -> Page:
        if name in ("login", "register", "link"):
            page = open_page(f"{team.url}/bokeh/{name}#no-such-key", **options)
            if name == "link":
                expect(page.get_by_role("heading", level=1)).to_have_text("This link has ended")
                return page
            page.get_by_label("User name").fill("nobody")
            page.get_by_label("Password", exact=True).fill("wrong words")
            page.get_by_role("button", name="Log in" if name == "login" else "Make the account").click()
            expect(page.get_by_role("alert")).not_to_be_empty()
            return page
        document = request.getfixturevalue("peopled")
        page = team.enter(open_page, "bob" if name == "visitor" else "ann", **options)
        SHOWN[name](page, team, document)
        return page

    return shown


def show_account(page: Page, team: Team, document: str) -> None:
    page.goto(f"{team.url}/bokeh/account")
    for entries in ("#tokens", "#logins"):  # when they come, they push down what is below
        expect(page.locator(f"{entries} > *").first).to_be_visible()
    page.get_by_text("New token").click()
    page.get_by_label("Name", exact=True).fill("CI")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_label("The new token")).to_be_visible()
    page.get_by_text("New token").click()


def show_users(page: Page, team: Team, document: str) -> None:
    page.goto(f"{team.url}/bokeh/users")
    one_more(page, "#invitations > li", "Invite somebody")
    page.locator("summary").first.click()
    expect(page.locator("#users details li")).to_have_count(1)


def one_more(page: Page, entries: str, button: str) -> None:
    """A button that makes the list one longer; others were here before."""
    shown = page.locator(entries)
    expect(shown.first).to_be_visible()
    many = shown.count()
    page.get_by_role("button", name=button).click()
    expect(shown).to_have_count(many + 1)


def show_ours(page: Page, team: Team, document: str) -> None:
    expect(page.locator(".row")).to_have_count(2)
    page.locator(".who").click()


def show_share(page: Page, team: Team, document: str) -> None:
    page.goto(team.link(document))
    expect(page.locator("#status")).to_have_text("Live")
    page.get_by_role("button", name="Share").click()
    one_more(page, "#links > li", "Make a link")


def show_visitor(page: Page, team: Team, document: str) -> None:
    page.goto(team.link(document))
    expect(page.locator("#status")).to_have_text("Live")
    page.locator("#visit").click()


SHOWN: dict[str, Callable[[Page, Team, str], None]] = {
    "account": show_account,
    "users": show_users,
    "ours": show_ours,
    "share": show_share,
    "visitor": show_visitor,
}


def keep(page: Page, name: str) -> None:
    """Keep a picture of the page where the user asked for it."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.wait_for_timeout(400)
        page.screenshot(path=Path(folder) / f"{name}.png")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_readable_and_fits(show: Callable[..., Page], name: str, size: str) -> None:
    check_by_day_and_night(show(name, **screen(size)), f"{name}-{size}")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", TEAM_PAGES)
def test_a_page_of_accounts_is_readable_and_fits(show_team: Callable[..., Page], name: str, size: str) -> None:
    check_by_day_and_night(show_team(name, **screen(size)), f"{name}-{size}")


def screen(size: str) -> dict[str, object]:
    """Options of a browser context."""
    return {"viewport": SIZES[size], "device_scale_factor": 2 if size == "phone" else 1}


def check_by_day_and_night(page: Page, name: str) -> None:
    """The page is as it must be in both colour schemes."""
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # so that no colour is on its way to another
        keep(page, f"{name}-{scheme}")
        check(page)


def check(page: Page) -> None:
    """The page can be read and used, and is built as it must be."""
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 2
    assert [entry for entry in contrasts if entry[1] < entry[2]] == []
    controls = page.evaluate(CONTROLS)
    assert [html for html, label, _, _ in controls if not label] == []
    assert [c for c in controls if min(c[2:]) < SMALLEST_TARGET and "<a" not in c[0] and "<pre" not in c[0]] == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    structure = page.evaluate(STRUCTURE)
    assert structure.pop("title")
    assert structure == {
        "lang": "en", "mains": 1, "firsts": 1, "doubles": [], "pictures": 0, "styled": [], "inline": 0,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["board", "document"])
def test_the_keyboard_reaches_every_control_and_shows_where_it_is(show: Callable[..., Page], name: str) -> None:
    check_keyboard(show(name))


@pytest.mark.parametrize("name", ["login", "register", "account", "users", "ours", "share", "visitor"])
def test_the_keyboard_reaches_every_control_of_accounts(show_team: Callable[..., Page], name: str) -> None:
    check_keyboard(show_team(name))


def check_keyboard(page: Page) -> None:
    """Tab leads through all controls, and each shows that it has the focus."""
    page.evaluate(BEGIN)
    for _ in range(400):  # rounds enough: a document has controls of its own, and answers when it can
        page.keyboard.press("Tab")
        here, shown, missing = page.evaluate(FOCUS)
        assert shown, f"no visible focus: {here}"
        if not missing:
            return
    raise AssertionError(f"never reached: {missing}")


def test_who_wants_less_motion_gets_none(show: Callable[..., Page]) -> None:
    page = show("board", reduced_motion="reduce")
    assert page.evaluate("document.getAnimations().length") == 0
    moving = show("board", reduced_motion="no-preference")
    until(lambda: moving.evaluate("document.getAnimations().length"))
