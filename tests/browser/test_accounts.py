"""Accounts in the browser: coming in and going out, tokens, logins, passwords, and what administrators do."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from bokeh.models.widgets import Slider
from playwright.sync_api import Page, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.browser.conftest import LOST, OpenPage, Screen, until
from tests.browser.server import Server
from tests.browser.team import PASSWORD, Team, log_in

MARKUP = '<img src=x onerror=alert(1)> & "quoted"'
REFUSED = "status of 40[0-9]"
SOON = 1_000
"""Milliseconds in which a right that was taken back is gone everywhere."""


def slider() -> Slider:
    return Slider(start=0, end=10, value=3, title="Speed")


def menu(page: Page, name: str) -> None:
    """Choose from the menu of who is logged in."""
    page.locator(".who").click()
    page.get_by_role("navigation", name="Account").get_by_text(name, exact=True).click()


def at_login(page: Page, *, milliseconds: float = 20_000) -> None:
    """Wait until the page shows the way to log in."""
    expect(page.get_by_role("heading", name="Log in", level=1)).to_be_visible(timeout=milliseconds)


@pytest.fixture(autouse=True)
def refusals(expected_errors: list[str]) -> None:
    """What is refused shows in the console, and that can't be helped."""
    expected_errors += [*LOST, REFUSED]


# Coming in and going out


def test_the_first_administrator_comes_by_the_printed_link(tmp_path: Path, open_page: OpenPage) -> None:
    team = Team(tmp_path / "new")
    try:
        page = open_page(team.first_link)
        expect(page.get_by_text("You are invited")).to_be_visible()
        assert "#" not in page.url
        assert "bsi_" not in page.url
        page.reload()
        page.get_by_label("User name").fill("Ann")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Make the account").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Documents ")
        expect(page.locator(".who")).to_have_text("ann")
        menu(page, "Users")
        expect(page.locator("#users > li")).to_contain_text(["ann"])
        second = open_page(team.first_link)
        second.get_by_label("User name").fill("bea")
        second.get_by_label("Password", exact=True).fill(PASSWORD)
        second.get_by_role("button", name="Make the account").click()
        expect(second.get_by_role("alert")).to_contain_text("This invitation is not valid")
    finally:
        team.stop()


def test_a_new_account_is_told_what_is_wrong_with_it(team: Team, open_page: OpenPage) -> None:
    page = open_page(team.call("ann", "POST", "/api/v1/invitations", {})["url"])
    name, password, go = (
        page.get_by_label("User name"),
        page.get_by_label("Password", exact=True),
        page.get_by_role("button", name="Make the account"),
    )
    name.fill("bob")
    password.fill("short")
    go.click()
    assert password.evaluate("(input) => input.validity.tooShort")
    password.fill(PASSWORD)
    go.click()
    expect(page.get_by_role("alert")).to_contain_text("The user name 'bob' is taken")
    expect(name).to_be_focused()
    name.fill("kim")
    go.click()
    expect(page.locator(".who")).to_have_text("kim")


@pytest.mark.parametrize("registration", ["closed", "invitation", "open"])
def test_who_may_register_is_said_where_one_logs_in(
    registration: str, serve: Callable[..., Server], open_page: OpenPage
) -> None:
    server = serve("-m", "--registration", registration)
    page = open_page(f"{server.url}/bokeh/login?next=/bokeh/account")
    link = page.get_by_role("link", name="Make an account")
    expect(link).to_have_count(1 if registration == "open" else 0)
    if registration == "open":
        link.click()
        page.get_by_label("User name").fill("kim")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Make the account").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Account")
    else:
        page.goto(f"{server.url}/bokeh/register")
        expect(page.get_by_role("button", name="Make the account")).to_be_hidden()
        expect(page.locator("#closed")).to_contain_text(
            "Registration is closed" if registration == "closed" else "Accounts are by invitation"
        )


def test_a_wrong_password_is_told_in_place_and_the_right_one_leads_on(team: Team, open_page: OpenPage) -> None:
    document = team.store("bob", "Metrics", slider())
    page = open_page(team.link(document))
    at_login(page)
    assert page.evaluate("document.activeElement.id") == "username"
    log_in(page, "bob", "not the password")
    expect(page.get_by_role("alert")).to_have_text("The user name or the password is wrong.")
    log_in(page, "nobody", PASSWORD)
    expect(page.get_by_role("alert")).to_have_text("The user name or the password is wrong.")
    page.get_by_label("User name").fill("BOB")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Metrics")
    assert page.url == team.link(document)


def test_forms_are_made_for_password_managers_and_never_put_a_password_into_an_address(
    team: Team, open_page: OpenPage
) -> None:
    page = open_page(f"{team.url}/bokeh/login")
    kinds = "(form) => [form.method, ...[...form.elements].map((e) => e.autocomplete).filter(Boolean)]"
    assert page.locator("form").evaluate(kinds) == ["post", "username", "current-password"]
    field = page.get_by_label("Password", exact=True)
    page.get_by_role("button", name="Show the password").click()
    expect(field).to_have_attribute("type", "text")
    page.goto(f"{team.url}/bokeh/register#bsi_x")
    assert page.locator("form").evaluate(kinds) == ["post", "username", "new-password"]


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/.//evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        " javascript:alert(1)",
        "data:text/html,x",
        "evil.example",
        "http:evil.example",
        "http://localhost:1/",
        "/bokeh/login?next=/",
    ],
)
def test_logging_in_leads_nowhere_but_to_this_server(place: str, team: Team, open_page: OpenPage) -> None:
    page = open_page(f"{team.url}/bokeh/login?next={quote(place, safe='')}")
    log_in(page, "bob")
    page.wait_for_url(lambda url: "/bokeh/login" not in url)
    assert page.url.startswith(f"{team.url}/")
    assert page.evaluate("location.host") == team.url.partition("://")[2]


def test_logging_in_below_a_prefix_stays_below_it(serve: Callable[..., Server], open_page: OpenPage) -> None:
    server = serve("-m", "--registration", "open", "--prefix", "/plots")
    for place in ("/elsewhere", "/plotsandmore", "/plots/../elsewhere"):
        page = open_page(f"{server.url}/bokeh/login?next={quote(place)}")
        if place == "/elsewhere":
            page.goto(f"{server.url}/bokeh/register?next={quote(place)}")
            page.get_by_label("User name").fill("kim")
            page.get_by_label("Password", exact=True).fill(PASSWORD)
            page.get_by_role("button", name="Make the account").click()
        else:
            log_in(page, "kim")
        page.wait_for_url(f"{server.url}/")


def test_without_accounts_nothing_of_it_shows(server: Server, open_page: OpenPage) -> None:
    document = server.put("Metrics", slider())
    page = open_page(server.url)
    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator(".who, .enter, #whose")).to_have_count(0)
    expect(page.locator(".marks span:visible")).to_have_count(0)
    page = Screen(open_page(server.link(document))).page
    expect(page.locator("#status")).to_have_text("Live")
    expect(page.locator(".who, .enter, #open-share, #visit:visible")).to_have_count(0)
    expect(open_page(f"{server.url}/bokeh/login").get_by_text("Nobody has to log in here")).to_be_visible()


def test_one_token_for_all_is_shown_by_the_printed_link_or_by_hand(
    serve: Callable[..., Server], open_page: OpenPage
) -> None:
    server = serve("--token")
    page = open_page(f"{server.url}/bokeh/login#{server.token}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Documents")
    assert server.token not in page.url
    expect(page.locator(".who, .enter, #whose")).to_have_count(0)
    page = open_page(server.url)
    field = page.get_by_label("Token", exact=True)
    field.fill("another token")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_have_text("This is not the token of this server.")
    field.fill(server.token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Documents")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Documents")


def test_logging_out_in_one_page_logs_the_others_out(team: Team, open_page: OpenPage) -> None:
    document = team.store("bob", "Metrics", slider())
    page = team.enter(open_page, "bob")
    board, account, shown = (page.context.new_page() for _ in range(3))
    board.goto(f"{team.url}/")
    expect(board.locator(".row")).to_have_count(1)
    account.goto(f"{team.url}/bokeh/account")
    expect(account.locator("#logins > li")).to_have_count(1)
    shown.goto(team.link(document))
    expect(shown.locator("#status")).to_have_text("Live")
    menu(page, "Log out")
    expect(shown.get_by_text("You are logged out.")).to_be_visible(timeout=SOON)
    at_login(board, milliseconds=SOON)
    at_login(account, milliseconds=SOON)
    at_login(page)
    expect(shown.locator("iframe")).to_have_count(0)
    shown.get_by_role("link", name="Log in again").click()
    log_in(shown, "bob")
    expect(shown.locator("#status")).to_have_text("Live")


# The account


def test_a_login_is_ended_from_another_browser(team: Team, open_page: OpenPage) -> None:
    document = team.store("bob", "Metrics", slider())
    other = team.enter(open_page, "bob", user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0")
    other.goto(team.link(document))
    expect(other.locator("#status")).to_have_text("Live")
    page = team.enter(open_page, "bob")
    menu(page, "Account")
    expect(page.locator("#logins > li")).to_have_count(2)
    expect(page.locator("#logins .tag:visible")).to_have_text(["this one"])
    page.get_by_role("button", name="Log out Firefox on Linux").click()
    expect(other.get_by_text("You are logged out.")).to_be_visible(timeout=SOON)
    expect(page.locator("#logins > li")).to_have_count(1)
    page.get_by_role("button", name="Log out everywhere").click()
    page.get_by_role("dialog").get_by_role("button", name="Log out").click()
    at_login(page)
    assert team.status("bob", "GET", "/api/v1/account") == 401, "its token came by logging in"


def test_a_token_made_in_the_page_works_until_it_is_revoked_there(team: Team, open_page: OpenPage) -> None:
    document = team.store("bob", MARKUP, slider())
    team.store("bob", "Other", slider())
    page = team.enter(open_page, "bob", permissions=["clipboard-write"])
    menu(page, "Account")
    page.get_by_text("New token").click()
    page.get_by_label("Name", exact=True).fill(MARKUP)
    page.get_by_label("write").check()
    page.get_by_label("For", exact=True).select_option(f"Only “{MARKUP}”")
    page.get_by_label("Good for").select_option("7 days")
    page.get_by_role("button", name="Make the token").click()
    field = page.get_by_label("The new token")
    expect(field).to_have_value(re.compile("^bst_"))
    token = field.input_value()
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#toasts")).to_contain_text("Copied")
    page.get_by_text("New token").click()
    page.get_by_label("Name", exact=True).focus()
    page.keyboard.press("Control+V")
    expect(page.get_by_label("Name", exact=True)).to_have_value(token)
    entry = page.locator("#tokens > li").filter(has=page.get_by_text(MARKUP, exact=True))
    expect(entry.locator(".tag")).to_have_text(["read", "write"])
    expect(entry.locator(".meta")).to_contain_text(f"only “{MARKUP}”")
    expect(entry.locator(".meta")).to_contain_text("never used")
    (until_when,) = [t["until"] for t in team.call("bob", "GET", "/api/v1/account/tokens") if t["name"] == MARKUP]
    assert until_when == pytest.approx(time.time() + 7 * 86_400, abs=60)
    expect(entry.locator(".meta")).to_contain_text(f"until {moment(page, until_when)}")
    assert [i["id"] for i in team.call("", "GET", "/api/v1/documents", token=token)] == [document]
    assert team.status("", "GET", "/api/v1/account/tokens", token=token) == 403
    header = {"Authorization": f"Bearer {token}"}
    page.reload()
    expect(entry.locator(".meta")).to_contain_text("used just now")
    with connect(team.socket(document), additional_headers=header, compression=None) as program:
        program.recv(5)
        page.get_by_role("button", name=f"Revoke “{MARKUP}”").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        begin = time.monotonic()
        with pytest.raises(ConnectionClosed) as closed:
            until(lambda: program.recv(5), lambda _: False)
        assert time.monotonic() - begin < SOON / 1000
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.reason == "revoked"
    assert team.status("", "GET", "/api/v1/documents", token=token) == 401
    expect(entry).to_have_count(0)
    page.reload()
    expect(page.locator("#tokens > li")).to_have_count(1)
    expect(page.get_by_label("The new token")).to_be_hidden()


def moment(page: Page, seconds: float) -> str:
    """A time as the browser tells it."""
    told = page.evaluate(
        "(s) => new Intl.DateTimeFormat(undefined, {dateStyle: 'medium', timeStyle: 'short'}).format(s * 1000)", seconds
    )
    return str(told)


def test_the_password_is_changed_and_other_logins_end(team: Team, open_page: OpenPage) -> None:
    other = team.enter(open_page, "bob")
    page = team.enter(open_page, "bob")
    menu(page, "Account")
    page.get_by_label("Old password").fill("wrong")
    page.get_by_label("New password").fill("another set of words")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_role("alert").filter(has_text="old password")).to_have_text("The old password is wrong.")
    page.get_by_label("Old password").fill(PASSWORD)
    page.get_by_role("button", name="Change the password").click()
    expect(page.locator("#toasts")).to_contain_text("The password is changed")
    at_login(other, milliseconds=SOON)
    log_in(other, "bob", PASSWORD)
    expect(other.get_by_role("alert")).to_contain_text("wrong")
    log_in(other, "bob", "another set of words")
    expect(other.get_by_role("heading", level=1)).to_contain_text("Documents")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Account")


# Administrators


def test_an_administrator_sees_what_each_stores_and_keeps_users_out(team: Team, open_page: OpenPage) -> None:
    document = team.store("bob", MARKUP, slider())
    team.store("bob", "Second", slider())
    shown, board = team.enter(open_page, "bob"), team.enter(open_page, "bob")
    shown.goto(team.link(document))
    expect(shown.locator("#status")).to_have_text("Live")
    page = team.enter(open_page, "ann")
    menu(page, "Users")
    entry = page.locator("#users > li").filter(has=page.get_by_text("bob", exact=True))
    expect(entry.locator(".meta")).to_contain_text("2 documents, ")
    entry.locator("summary").click()
    expect(entry.get_by_role("link")).to_have_text(["Second", MARKUP])
    entry.get_by_role("button", name="Disable").click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(shown.get_by_text("You are logged out.")).to_be_visible(timeout=SOON)
    at_login(board, milliseconds=SOON)
    log_in(board, "bob")
    expect(board.get_by_role("alert")).to_contain_text("wrong")
    assert team.status("bob", "GET", "/api/v1/account") == 401
    entry.get_by_role("button", name="Let in again").click()
    expect(entry.get_by_text("disabled", exact=True)).to_be_hidden()
    log_in(board, "bob")
    expect(board.locator(".row")).to_have_count(2)


def test_an_administrator_makes_another_and_the_last_one_stays(team: Team, open_page: OpenPage) -> None:
    page = team.enter(open_page, "ann")
    menu(page, "Users")
    page.get_by_role("button", name="Make ordinary user: ann").click()
    expect(page.locator("#toasts")).to_contain_text("last administrator")
    page.get_by_role("button", name="Make administrator: bob").click()
    page.get_by_role("dialog").get_by_role("button", name="Make administrator").click()
    expect(page.get_by_role("button", name="Make ordinary user: bob")).to_be_visible()
    bob = team.enter(open_page, "bob")
    menu(bob, "Users")
    expect(bob.locator("#users > li")).to_have_count(3)
    eve = team.enter(open_page, "eve")
    eve.locator(".who").click()
    expect(eve.get_by_role("link", name="Users")).to_have_count(0)
    eve.goto(f"{team.url}/bokeh/users")
    expect(eve.locator(".message")).to_have_text("Only an administrator may do this.")


def test_an_invitation_is_shown_once_and_can_be_taken_back(team: Team, open_page: OpenPage) -> None:
    page = team.enter(open_page, "ann")
    menu(page, "Users")
    page.get_by_role("button", name="Invite somebody").click()
    expect(page.get_by_label("The invitation")).to_have_value(re.compile("#bsi_"))
    link = page.get_by_label("The invitation").input_value()
    expect(page.locator("#invitations > li")).to_contain_text(["by ann"])
    page.get_by_role("button", name="Take back").click()
    expect(page.locator("#open")).to_be_hidden()
    guest = open_page(link)
    guest.get_by_label("User name").fill("kim")
    guest.get_by_label("Password", exact=True).fill(PASSWORD)
    guest.get_by_role("button", name="Make the account").click()
    expect(guest.get_by_role("alert")).to_contain_text("not valid")
    page.get_by_role("button", name="Invite somebody").click()
    until(lambda: page.get_by_label("The invitation").input_value(), lambda text: text not in ("", link))
    guest.goto("about:blank")
    guest.goto(page.get_by_label("The invitation").input_value())
    guest.get_by_label("User name").fill("kim")
    guest.get_by_label("Password", exact=True).fill(PASSWORD)
    guest.get_by_role("button", name="Make the account").click()
    expect(guest.locator(".who")).to_have_text("kim")
    page.reload()
    expect(page.locator("#users > li")).to_have_count(4)


def test_a_password_is_reset_by_an_administrator(team: Team, open_page: OpenPage) -> None:
    board = team.enter(open_page, "bob")
    page = team.enter(open_page, "ann")
    menu(page, "Users")
    page.get_by_role("button", name="Reset password: bob").click()
    given = page.get_by_role("dialog").get_by_role("textbox").input_value()
    assert len(given) >= 15
    page.get_by_role("dialog").get_by_role("button", name="Reset").click()
    expect(page.locator("#toasts")).to_contain_text("has a new password")
    at_login(board, milliseconds=SOON)
    log_in(board, "bob", given)
    expect(board.get_by_role("heading", level=1)).to_contain_text("Documents")
