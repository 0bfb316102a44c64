"""What the page about scripts of 2015 says of users and publishing: register, log in, publish, ``?public=true``."""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bokeh_server import plotting
from bokeh_server.client.session import Session
from tests.documented import ROOT, blocks
from tests.programs import Programs, line_of
from tests.running import RunningServer

PAGE = "docs/howto/from-2015.md"
URL = "https://plots.example.org"
PASSWORD = "password of the author"
ANYONE = '"mrauthor", "password of the author"'
_, REGISTER, REGISTER_INVITED, LOGIN, PUBLISH, SHARE = blocks(PAGE, "python")
"""The scripts of the page about users."""


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A multi-user server on which registration is closed."""
    with RunningServer(tmp_path_factory.mktemp("team") / "data", "-m", "--registration", "closed") as server:
        yield server


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A multi-user server on which everybody may register, as annie has."""
    folder = tmp_path_factory.mktemp("open")
    with RunningServer(folder / "data", "-m", "--registration", "open") as server:
        Session(server.url, configdir=folder).register("annie", PASSWORD)
        yield server


def status(url: str) -> int:
    """How a stranger is answered."""
    opener = urllib.request.build_opener(NoRedirects)
    try:
        with opener.open(url, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other."""

    def redirect_request(self, *args: object) -> None:
        """Do not follow."""


def test_register_log_in_and_publish(team: RunningServer, programs: Programs, tmp_path: Path) -> None:
    def runs(script: str) -> str:
        done = programs.run(script.replace(URL, team.url), tmp_path)
        assert (done.status, done.stderr) == (0, "")
        return done.stdout

    runs(REGISTER_INVITED.replace("bsi_…", team.invitation))
    assert os.stat(tmp_path / ".bokeh" / "config.json").st_mode & 0o777 == 0o600
    link = runs(PUBLISH).split()[-1]
    assert status(link) == 200
    private = link.partition("?")[0]
    assert status(private) == 200, "what is published everybody may see"
    (tmp_path / ".bokeh" / "config.json").unlink()
    line = line_of(programs.run(PUBLISH.replace(URL, team.url), tmp_path))
    assert line == (
        f"{team.url}/ asks who you are: log in once (`bokeh-server login`, or session.login(name, password)), "
        "or set BOKEH_SERVER_TOKEN."
    )
    runs(LOGIN)
    runs(PUBLISH.replace("publish()", "unpublish()"))
    assert (status(link), status(private)) == (404, 303)


def test_the_names_that_stayed_are_there() -> None:
    rows = (ROOT / PAGE).read_text().partition("## Names that stayed")[2].partition("## What differs")[0]
    plain, methods = (
        re.findall(r"`(\w+)`", row) for row in rows.splitlines() if row.startswith(("| `show`", "| `reg"))
    )
    assert {"push", "curdoc"} <= set(plain)
    assert {"store_objects", "publish"} <= set(methods)
    assert all(hasattr(plotting, name) for name in plain)
    assert all(hasattr(Session, name) for name in methods)


def test_where_registration_is_open_the_snippet_of_2015_registers_as_it_is(
    open_server: RunningServer, programs: Programs, tmp_path: Path
) -> None:
    done = programs.run(REGISTER.replace(URL, open_server.url), tmp_path)
    assert (done.status, done.stderr) == (0, "")
    assert "mrauthor" in (tmp_path / ".bokeh" / "config.json").read_text()
    taken = programs.run(REGISTER.replace(URL, open_server.url), tmp_path)
    assert line_of(taken) == "The user name 'mrauthor' is taken; choose another."


def test_a_plot_is_shared_with_a_user_and_by_a_link(
    open_server: RunningServer, programs: Programs, tmp_path: Path
) -> None:
    owner = Session(open_server.url, configdir=tmp_path / ".bokeh")
    owner.register("sharer", PASSWORD)
    first, second = (programs.run(script.replace(URL, open_server.url), tmp_path) for script in (PUBLISH, SHARE))
    assert (first.status, first.stderr, second.status, second.stderr) == (0, "", 0, "")
    assert second.stdout.startswith(f"{open_server.url}/bokeh/link#bsk_")
    owner.use_doc("myplot")
    annie = Session(open_server.url, load_from_config=False, configdir=tmp_path / "annie")
    annie.login("annie", PASSWORD)
    annie.use_doc(docid=owner.docid)
    assert len(annie.pull("Line")) >= 1
    assert first.stdout.split()[-1].startswith(annie.link)


@pytest.mark.parametrize("script", [REGISTER, REGISTER_INVITED])
def test_a_closed_registration_is_said_in_one_line(
    team: RunningServer, programs: Programs, tmp_path: Path, script: str
) -> None:
    told = line_of(programs.run(script.replace(URL, team.url), tmp_path))
    assert told == "Registration is closed on this server; ask its administrator for an account."
    assert not (tmp_path / ".bokeh").exists()


def test_an_invitation_that_is_none_is_said_in_one_line(
    open_server: RunningServer, programs: Programs, tmp_path: Path
) -> None:
    told = line_of(programs.run(REGISTER_INVITED.replace(URL, open_server.url), tmp_path))
    assert told == "This invitation is not valid, or not any more; ask for a new one."
    assert not (tmp_path / ".bokeh").exists()


@pytest.mark.parametrize(
    ("method", "name", "password", "line"),
    [
        ("login", "annie", "wrong password", "The user name or the password is wrong."),
        ("login", "nobody", PASSWORD, "The user name or the password is wrong."),
        ("register", "bob", "short", "A password has 8 to 1000 characters."),
        ("register", "bob", "password", "This password is the first that anybody would try; choose another."),
        (
            "register",
            "bob smith",
            PASSWORD,
            "A user name has 1 to 64 letters, digits, dots, dashes or",
        ),
        ("register", "\ud800", PASSWORD, "This can't be sent: "),
    ],
)
def test_what_is_refused_is_one_line(
    open_server: RunningServer, programs: Programs, tmp_path: Path, method: str, name: str, password: str, line: str
) -> None:
    script = LOGIN.replace("login", method).replace(ANYONE, f"{name!r}, {password!r}").replace(URL, open_server.url)
    assert line_of(programs.run(script, tmp_path)).startswith(line)
    assert not (tmp_path / ".bokeh").exists()
