"""No secret is told where it does not belong: one run with people, programs and links, and then a search for each.

Searched are the server's log with ``--debug``, every address that browsers asked for and every Referer, every answer
but the one that a secret is shown in once, what went over websockets, the pages at the end, the list of processes, the
server's files (which keep hashes), and what the program left at home (where only its token is).
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.browser.conftest import LOST, OpenPage, Screen
from tests.browser.team import Team
from tests.browser.test_accounts import at_login, menu
from tests.running import environment

FIRST, SECOND, WRONG = "canary first password", "canary second password", "canary wrong password"
SHOWN_ONCE = ("/ticket", "/account/tokens", "/links", "/api/v1/invitations")
"""The ends of addresses that a POST is answered with a secret at."""


class Watched:
    """What browsers said and heard: all their traffic, once their contexts are closed."""

    def __init__(self, folder: Path, open_page: OpenPage) -> None:
        self.frames: list[str] = []
        self._files = [folder / name for name in ("person.har", "guest.har")]
        self.pages = [open_page(record_har_path=str(file), record_har_content="embed") for file in self._files]
        for page in self.pages:
            page.on("websocket", self._socket)

    def _socket(self, socket: WebSocket) -> None:
        def note(frame: str | bytes) -> None:
            self.frames.append(frame if isinstance(frame, str) else frame.decode(errors="replace"))

        socket.on("framesent", note)
        socket.on("framereceived", note)

    def close(self) -> None:
        """Write everything down."""
        for page in self.pages:
            page.context.close()
        self.entries = [e for file in self._files for e in json.loads(file.read_text())["log"]["entries"]]

    def addresses(self) -> str:
        """Every address and Referer; what is behind a ``#`` no browser sends."""
        requests = [entry["request"] for entry in self.entries]
        referers = [h["value"] for r in requests for h in r["headers"] if h["name"].lower() == "referer"]
        return "\n".join([*(request["url"].partition("#")[0] for request in requests), *referers])

    def answers(self, *, once: bool) -> str:
        """What was answered: with secrets that are shown once, or everything else."""
        return "\n".join(
            entry["response"]["content"].get("text", "")
            for entry in self.entries
            if once is (entry["request"]["method"] == "POST" and entry["request"]["url"].endswith(SHOWN_ONCE))
        )


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Any]:
    """Start the program; it ends with the test."""
    running: list[subprocess.Popen[str]] = []

    def start(url: str) -> None:
        words = [sys.executable, str(Path(__file__).with_name("canary_program.py")), url]
        home = environment() | {"HOME": str(tmp_path / "home")}
        begun = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=home)
        running.append(begun)
        assert begun.stdin is not None
        assert begun.stdout is not None
        begun.stdin.write(f"{SECOND}\n")
        begun.stdin.flush()
        assert "shown\n" in iter(begun.stdout.readline, "")

    yield start
    for process in running:
        process.communicate(timeout=20)


def test_no_secret_is_told_where_it_does_not_belong(
    tmp_path: Path, open_page: OpenPage, program: Any, expected_errors: list[str]
) -> None:
    expected_errors += [*LOST, "status of 40[0-9]"]
    (tmp_path / "home").mkdir()
    watched = Watched(tmp_path, open_page)
    team = Team(tmp_path / "team", "-d")
    try:
        secrets = live(team, watched, program)
        processes = b"\n".join(file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists())
        watched.close()
    finally:
        team.stop()
    secrets |= tickets(watched)
    log = team.log.read_text()
    files = b"\n".join(file.read_bytes() for file in team.folder.rglob("*") if file.is_file())
    home = b"\n".join(file.read_bytes() for file in (tmp_path / "home").rglob("*") if file.is_file())
    places = {
        "the log": log,
        "an address or a Referer": watched.addresses(),
        "another answer": watched.answers(once=False),
        "a websocket": "\n".join(watched.frames),
        "the list of processes": processes.decode(errors="replace"),
        "the server's files": files.decode(errors="replace"),
        "the program's home": home.decode(errors="replace"),
    }
    assert "/api/v1/account/tokens" in log, "the log has the requests"
    places = {place: told + unpacked(told) for place, told in places.items()}
    (kept,) = set(re.findall(r"bst_[\w-]+", places["the program's home"]))
    assert [place for place, told in places.items() if kept in told] == ["the program's home"]
    assert "canary_program.py" in places["the list of processes"]
    assert places["a websocket"].count("RESUMED") >= 2
    once = watched.answers(once=True)
    assert all(secrets[name] in once for name in ("token", "link", "invitation", "ticket 0"))
    found = [
        (name, place)
        for name, text in secrets.items()
        for place, told in places.items()
        if text in told + unpacked(told)
    ]
    assert found == []


def unpacked(told: str) -> str:
    """What is in the words that may be base64, as a ticket's is when it goes over a socket."""
    words = re.findall(r"[\w+/-]{24,}", told, re.ASCII)
    whole = [word[: len(word) // 4 * 4] for word in words]
    return "\n".join(base64.urlsafe_b64decode(word).decode(errors="replace") for word in whole)


def live(team: Team, watched: Watched, program: Any) -> dict[str, str]:
    """A day with the server: the secrets that were made, by what they are."""
    secrets = {
        "first password": FIRST,
        "second password": SECOND,
        "wrong password": WRONG,
        "first link": team.invitation,
    }
    page, guest = watched.pages
    page.goto(team.first_link)
    fill(page, {"User name": "ann", "Password": FIRST}, "Make the account")
    expect(page.locator(".who")).to_have_text("ann")
    secrets["cookie"] = cookie(page)
    menu(page, "Account")
    fill(page, {"Old password": FIRST, "New password": SECOND}, "Change the password")
    expect(page.locator("#toasts")).to_contain_text("The password is changed")
    menu(page, "Log out")
    at_login(page)
    fill(page, {"User name": "ann", "Password": WRONG}, "Log in")
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    fill(page, {"User name": "ann", "Password": SECOND}, "Log in")
    expect(page.locator(".who")).to_have_text("ann")
    secrets["second cookie"] = cookie(page)
    menu(page, "Account")
    page.get_by_text("New token").click()
    fill(page, {"Name": "job"}, "Make the token")
    secrets["token"] = shown(page, "The new token", "bst_")
    menu(page, "Users")
    page.get_by_role("button", name="Invite somebody").click()
    secrets["invitation"] = shown(page, "The invitation", "bsi_")
    program(team.url)
    page.goto(f"{team.url}/")
    page.get_by_role("link", name="canary").first.click()
    expect(page.locator("#status")).to_have_text("Live")
    page.get_by_role("button", name="Share").click()
    page.get_by_role("button", name="Make a link").click()
    link = shown(page, "The new link", "bsk_", whole=True)
    secrets["link"] = link.partition("#")[2]
    guest.goto(link)
    expect(guest.locator("#status")).to_have_text("Live")
    Screen(guest)
    secrets["guest's cookie"] = cookie(guest)
    for one in (page, guest):
        one.reload()
        expect(one.locator("#status")).to_have_text("Live")
    for name, text in secrets.items():
        assert text not in page.content() + guest.content() + page.url + guest.url, name
    return secrets


def tickets(watched: Watched) -> dict[str, str]:
    """The tickets that the pages got."""
    answers = [e["response"] for e in watched.entries if e["request"]["url"].endswith("/ticket")]
    texts = [json.loads(answer["content"]["text"])["ticket"] for answer in answers if answer["status"] == 200]
    assert len(texts) >= 4
    return {f"ticket {number}": text for number, text in enumerate(texts)}


def fill(page: Page, fields: dict[str, str], go: str) -> None:
    """Fill in a form and send it."""
    for label, text in fields.items():
        page.get_by_label(label, exact=True).fill(text)
    page.get_by_role("button", name=go, exact=True).click()


def shown(page: Page, label: str, prefix: str, *, whole: bool = False) -> str:
    """The secret that a field shows once."""
    box = page.get_by_label(label)
    expect(box).to_have_value(re.compile(prefix))
    text = box.input_value()
    return text if whole else prefix + text.rpartition(prefix)[2]


def cookie(page: Page) -> str:
    """The value of our cookie."""
    (found,) = page.context.cookies()
    return found["value"]
