"""No secret is told where it does not belong, by commands and programs: tests/browser/test_canary.py is about pages.

Searched are the server's log with ``--debug``, the lists of processes while all this goes on, what commands print
besides the secret that they were asked for, the server's files (which keep hashes), and what is left at home.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.running import RunningServer, environment
from tests.web.asking import Answer, ask
from tests.web.people import JSON, bearer
from tests.web.town import cookie_of

FIRST, SECOND, WRONG, GUESTS = (f"canary {which} password" for which in ("first", "second", "wrong", "guest's"))
OWN = "canary-token-that-lets-everybody-in"
PLOT = """
from bokeh_server.plotting import figure, output_server, show

output_server("canary")
p = figure()
p.line([1, 2, 3], [4, 5, 6])
show(p)
"""


@dataclass
class Machine:
    """Where commands are typed: its home keeps keys, ``told`` is all that they printed."""

    url: str
    home: Path
    told: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str, typed: str = "", fails: bool = False) -> str:
        """Run Python with these words; what it prints."""
        settings = {"HOME": str(self.home), "BOKEH_SERVER_URL": self.url, **self.variables}
        done = subprocess.run(
            [sys.executable, *words],
            input=typed,
            capture_output=True,
            text=True,
            env=environment() | settings,
            timeout=60,
            check=False,
        )
        assert (done.returncode != 0) == fails, done
        self.told.append(done.stderr)
        return done.stdout

    def type(self, *words: str, typed: str = "", fails: bool = False) -> None:
        """Type a command that tells no secret."""
        self.told.append(self.run("-m", "bokeh_server", *words, typed=typed, fails=fails))

    def made(self, prefix: str, *words: str) -> str:
        """The secret that a command makes."""
        (secret,) = re.findall(rf"{prefix}[\w-]+", self.run("-m", "bokeh_server", *words))
        return str(secret)


class Chosen(RunningServer):
    """A server whose token somebody chose."""

    variables = MappingProxyType({"BOKEH_SERVER_TOKEN": OWN})


@contextmanager
def processes() -> Iterator[set[bytes]]:
    """The command lines of all processes while the block runs, looked up again and again."""
    seen, done = set[bytes](), threading.Event()

    def look() -> None:
        while not done.wait(0.01):
            for name in os.listdir("/proc"):
                if name.isdigit():
                    try:
                        seen.add(Path("/proc", name, "cmdline").read_bytes())
                    except OSError:
                        pass  # it has just ended

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        done.set()
        looking.join()


def text_of(folder: Path) -> str:
    """All files of a folder."""
    return "\n".join(file.read_bytes().decode(errors="replace") for file in folder.rglob("*") if file.is_file())


def value_of(answer: Answer) -> str:
    """The value of the cookie that an answer sets."""
    return cookie_of(answer).partition("=")[2]


def found(secrets: dict[str, str], places: dict[str, str]) -> set[tuple[str, str]]:
    """Which secret is where."""
    assert all(len(text) > 20 for text in secrets.values()), secrets
    assert all(places.values()), "there is something everywhere"
    return {(name, place) for name, text in secrets.items() for place, told in places.items() if text in told}


@pytest.mark.timeout(300)
def test_commands_tell_a_secret_to_nobody_but_who_asks_for_it(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", "-m", "-d") as server, processes() as seen:
        machine = Machine(server.url, tmp_path / "home")
        guest = Machine(server.url, tmp_path / "guest")
        secrets = a_day(machine, guest, server)
        server.stop()
    places = {
        "the log": server.log.read_text(),
        "what commands print": "\n".join(machine.told + guest.told),
        "the list of processes": b"\n".join(seen).decode(errors="replace"),
        "the server's files": text_of(server.folder),
        "home": text_of(machine.home),
        "the guest's home": text_of(guest.home),
    }
    assert "/api/v1/account/tokens" in places["the log"]
    assert "\0login\0" in places["the list of processes"]
    assert found(secrets, places) == {("key", "home"), ("guest's key", "the guest's home")}


def a_day(machine: Machine, guest: Machine, server: RunningServer) -> dict[str, str]:
    """What an administrator and his guest do with commands; the secrets of the day."""
    secrets = {"first": FIRST, "second": SECOND, "wrong": WRONG, "guest's": GUESTS, "first link": server.invitation}
    machine.type("register", "ann", "--invited", typed=f"{server.invitation}\n{FIRST}\n{FIRST}\n")
    machine.type("account", "password", typed=f"{FIRST}\n{SECOND}\n{SECOND}\n")
    machine.type("login", "ann", typed=f"{WRONG}\n", fails=True)
    machine.type("login", "ann", typed=f"{SECOND}\n")
    (secrets["key"],) = re.findall(r"bst_[\w-]+", text_of(machine.home))
    secrets["invitation"] = machine.made("bsi_", "user", "invite")
    guest.type("register", "bob", "--invited", typed=f"{secrets['invitation']}\n{GUESTS}\n{GUESTS}\n")
    (secrets["guest's key"],) = re.findall(r"bst_[\w-]+", text_of(guest.home))
    machine.told.append(machine.run("-c", PLOT))
    secrets["token"] = machine.made("bst_", "token", "add", "job", "--scope", "read")
    secrets["link"] = machine.made("bsk_", "link", "add", "canary")
    machine.type("token", "list")
    machine.type("link", "list", "canary")
    key = b'{"key": "%s"}' % secrets["link"].encode()
    opened = ask(server.port, "POST", "/bokeh/link", [JSON], key)
    secrets["visitor's cookie"] = value_of(opened)
    machine.variables["BOKEH_SERVER_TOKEN"] = secrets["token"]
    machine.type("doc", "list")
    machine.variables.clear()
    return secrets


@pytest.mark.timeout(300)
@pytest.mark.parametrize("made", [True, False], ids=["a token that is made", "a token of one's own"])
def test_the_token_that_lets_everybody_in_is_told_to_nobody(made: bool, tmp_path: Path) -> None:
    with processes() as seen:
        server = (RunningServer if made else Chosen)(tmp_path / "data", "--token", "-d")
        machine = Machine(server.url, tmp_path / "home", variables={"BOKEH_SERVER_TOKEN": server.token or OWN})
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "empty").write_text("nothing is kept here")
        secrets = {"token": server.token or OWN}
        machine.told.append(machine.run("-c", PLOT))
        machine.type("doc", "list")
        secrets["link"] = machine.made("bsk_", "link", "add", "canary")
        shown = b'{"username": "defaultuser", "password": "%s"}' % secrets["token"].encode()
        entered = ask(server.port, "POST", "/bokeh/login", [JSON], shown)
        secrets["cookie"] = value_of(entered)
        assert ask(server.port, "GET", "/", [("Cookie", cookie_of(entered))]).status == 200
        wrong = [bearer(secrets["token"] + "-wrong")]
        assert ask(server.port, "GET", "/api/v1/documents", wrong).status == 401
        server.stop()
    places = {
        "the log": server.log.read_text(),
        "what programs print": "\n".join(machine.told),
        "the list of processes": b"\n".join(seen).decode(errors="replace"),
        "the server's files": text_of(server.folder),
        "home": text_of(machine.home),
    }
    assert "/api/v1/documents" in places["the log"]
    assert found(secrets, places) == set()
