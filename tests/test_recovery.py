"""``bokeh-server user reset``: a way back for who has forgotten his password, on a folder that no server uses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import RunningServer, environment
from tests.web.town import API, PASSWORD, Town

NEW = "another password"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A server with accounts, which this test stops and starts."""
    with RunningServer(tmp_path / "data", "-m") as server:
        yield Town(server)


def command(*words: object, typed: str = NEW, fails: bool = False) -> str:
    """What ``bokeh-server WORDS`` prints; where it ``fails``, the one line on standard error."""
    line = [sys.executable, "-m", "bokeh_server", *map(str, words)]
    ended = subprocess.run(
        line, input=f"{typed}\n", capture_output=True, text=True, timeout=30, env=environment(), check=False
    )
    assert bool(ended.returncode) == fails, ended
    told, silent = (ended.stderr, ended.stdout) if fails else (ended.stdout, ended.stderr)
    assert (silent, len(told.splitlines()) == 1 or "--json" in words) == ("", True), ended
    return told.strip()


def test_the_only_administrator_gets_in_again_and_nobody_with_what_was_his(town: Town) -> None:
    ben, folder = town.person("ben"), town.server.folder
    before = [town.root, town.browser("root"), town.root.token("manage")]
    town.server.stop()
    assert command("user", "reset", "Root", "--data", folder) == "root has a new password."
    town.server.start()
    assert [person("GET", f"{API}/account").status for person in [*before, ben]] == [401, 401, 401, 200]
    old = {"username": "root", "password": PASSWORD}
    assert town.nobody("POST", f"{API}/login", old).status == 401
    assert town.program("root", NEW)("GET", f"{API}/account").json["admin"] is True


def test_the_folder_may_be_named_in_front_and_the_answer_be_json(town: Town) -> None:
    town.person("eva")
    assert town.root("PATCH", f"{API}/users/eva", {"disabled": True}).status == 200
    town.server.stop()
    told = json.loads(command("--data", town.server.folder, "user", "reset", "eva", "--json"))
    assert (told["name"], told["admin"], told["disabled"]) == ("eva", False, True)
    assert "but is disabled" in command("user", "reset", "eva", "--data", town.server.folder)


def test_what_can_not_be_reset_is_one_line_and_changes_nothing(town: Town, tmp_path: Path) -> None:
    folder, empty = town.server.folder, tmp_path / "nothing"
    reset = "user", "reset", "root", "--data"
    assert "Another bokeh-server uses the data folder" in command(*reset, folder, fails=True)
    town.server.stop()
    assert "8 to 1000 characters" in command(*reset, folder, typed="short", fails=True)
    assert "There is no user 'nobody'" in command("user", "reset", "nobody", "--data", folder, fails=True)
    assert "There is no data in" in command(*reset, empty, fails=True)
    assert not empty.exists()
    town.server.start()
    assert town.root("GET", f"{API}/account").status == 200
    assert town.program("root").name == "root"
