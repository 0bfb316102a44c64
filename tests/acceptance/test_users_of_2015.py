"""Authentication and publishing as the guide of 2015 had them: register, log in, publish, ``?public=true``."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bokeh_server.client.session import Session
from tests.programs import Programs, line_of
from tests.running import RunningServer

PASSWORD = "password of the author"
REGISTER = """
from bokeh_server.session import Session

session = Session(root_url={url!r})
session.register("mrauthor", "password of the author"{more})
"""
LOGIN = """
from bokeh_server.session import Session

session = Session(root_url={url!r})
session.login({name!r}, {password!r})
"""
PUBLISH = """
from bokeh_server.plotting import cursession, figure, output_server, show

output_server("myplot", url={url!r})
p = figure(width=400, height=400)
p.line([1, 2, 3], [4, 5, 6])
show(p)
cursession().publish()
print(cursession().object_link(p) + "?public=true")
"""


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A multi-user server on which registration is closed."""
    with RunningServer(tmp_path_factory.mktemp("team") / "data", "-m") as server:
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
        done = programs.run(script, tmp_path)
        assert (done.status, done.stderr) == (0, "")
        return done.stdout

    runs(REGISTER.format(url=team.url, more=f", {team.url + '/bokeh/register#' + team.invitation!r}"))
    assert os.stat(tmp_path / ".bokeh" / "config.json").st_mode & 0o777 == 0o600
    link = runs(PUBLISH.format(url=team.url)).split()[-1]
    assert status(link) == 200
    private = link.partition("?")[0]
    assert status(private) == 200, "what is published everybody may see"
    (tmp_path / ".bokeh" / "config.json").unlink()
    assert line_of(programs.run(PUBLISH.format(url=team.url), tmp_path)) == "Log in first."
    runs(LOGIN.format(url=team.url, name="mrauthor", password=PASSWORD))
    runs(PUBLISH.format(url=team.url).replace("publish()", "unpublish()"))
    assert (status(link), status(private)) == (404, 303)


def test_where_registration_is_open_the_snippet_of_2015_registers_as_it_is(
    open_server: RunningServer, programs: Programs, tmp_path: Path
) -> None:
    done = programs.run(REGISTER.format(url=open_server.url, more=""), tmp_path)
    assert (done.status, done.stderr) == (0, "")
    assert "mrauthor" in (tmp_path / ".bokeh" / "config.json").read_text()
    taken = programs.run(REGISTER.format(url=open_server.url, more=""), tmp_path)
    assert line_of(taken) == "The user name 'mrauthor' is taken; choose another."


@pytest.mark.parametrize(
    ("script", "line"),
    [
        (REGISTER.format(url="{url}", more=""), "Registration is closed on this server; ask its administrator"),
        (REGISTER.format(url="{url}", more=", 'bsi_guessed'"), "This invitation is not valid, or not any more;"),
    ],
)
def test_a_closed_registration_is_said_in_one_line(
    team: RunningServer, programs: Programs, tmp_path: Path, script: str, line: str
) -> None:
    assert line_of(programs.run(script.replace("{url}", team.url), tmp_path)).startswith(line)
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
    script = LOGIN.replace("login", method).format(url=open_server.url, name=name, password=password)
    assert line_of(programs.run(script, tmp_path)).startswith(line)
    assert not (tmp_path / ".bokeh").exists()
