"""Authentication and publishing as the guide of 2015 had them: register, log in, publish, ``?public=true``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import RunningServer, environment

REGISTER = """
from bokeh_server.session import Session

session = Session(root_url={url!r})
session.register("mrauthor", "password of the author", {invitation!r})
"""
LOGIN = """
from bokeh_server.session import Session

session = Session(root_url={url!r})
session.login("mrauthor", {password!r})
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


@pytest.fixture
def team(tmp_path: Path) -> Iterator[tuple[RunningServer, str]]:
    """A multi-user server, and its first invitation."""
    with RunningServer(tmp_path / "data", "-m") as server:
        yield server, f"{server.url}/bokeh/register#{server.invitation}"


def run(script: str, home: Path) -> subprocess.CompletedProcess[str]:
    """A script of a user with this home."""
    environs = {**environment(), "HOME": str(home)}
    return subprocess.run([sys.executable, "-c", script], env=environs, capture_output=True, text=True, timeout=60)


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


def test_register_log_in_and_publish(team: tuple[RunningServer, str], tmp_path: Path) -> None:
    server, invitation = team
    home = tmp_path / "home"
    home.mkdir()
    made = run(REGISTER.format(url=server.url, invitation=invitation), home)
    assert made.returncode == 0, made.stderr
    assert os.stat(home / ".bokeh" / "config.json").st_mode & 0o777 == 0o600
    shown = run(PUBLISH.format(url=server.url), home)
    assert shown.returncode == 0, shown.stderr
    link = shown.stdout.split()[-1]
    assert status(link) == 200
    private = link.partition("?")[0]
    assert status(private) == 200, "what is published everybody may see"
    (home / ".bokeh" / "config.json").unlink()
    nobody = run(PUBLISH.format(url=server.url), home)
    assert nobody.stderr.strip().endswith("Log in first.")
    again = run(LOGIN.format(url=server.url, password="password of the author"), home)
    assert again.returncode == 0, again.stderr
    unpublish = PUBLISH.format(url=server.url).replace("publish()", "unpublish()")
    assert run(unpublish, home).returncode == 0
    assert (status(link), status(private)) == (404, 303)


@pytest.mark.parametrize(
    ("script", "line"),
    [
        (LOGIN.format(url="{url}", password="wrong password"), "The user name or the password is wrong."),
        (REGISTER.format(url="{url}", invitation=None), "Registration is closed on this server"),
        (REGISTER.format(url="{url}", invitation="bsi_guessed"), "This invitation is not valid"),
    ],
)
def test_what_is_refused_is_one_line(team: tuple[RunningServer, str], tmp_path: Path, script: str, line: str) -> None:
    refused = run(script.replace("{url}", team[0].url), tmp_path)
    assert refused.returncode == 1
    assert re.search(rf"{line}[^\n]*$", refused.stderr.strip()), refused.stderr
    assert not (tmp_path / ".bokeh").exists()
