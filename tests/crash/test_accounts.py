"""kill -9 of a server with accounts, while people are let in, keys are made and taken back, and documents are shared.

``CRASH_CYCLES`` / 10 kills at random moments. After every start what was acknowledged is so, and what was under way at
the kill has happened or not. Passwords and keys go on working.
"""

from __future__ import annotations

import http.client
import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.asking import ask
from tests.web.people import World, bearer, peopled
from tests.web.town import PASSWORD

CYCLES = max(5, int(os.environ.get("CRASH_CYCLES", "100")) // 10)
API = "/api/v1"
Subject = tuple[str, str]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A server with anna, ben and others, that may be killed."""
    with peopled(tmp_path / "data") as made:
        yield made


class People:
    """They change things, and note in ``so`` what was acknowledged: what is true of each thing by its kind and name.

    A thing that is being changed is not in it.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.document = f"{API}/documents/{world.new_document()}"
        self.so: dict[Subject, Any] = {("grant", "ben"): "viewer", ("grant", "eva"): "editor", ("published", ""): False}
        self.texts: dict[str, str] = {}
        """Texts of tokens and invitations, by their ids."""
        self.coming: tuple[str, str] | None = None
        """An invitation that is being used just now, and the name of who comes by it."""

    def changes(self) -> list[Callable[[random.Random], None]]:
        """All that they do."""
        return [
            self.new_user,
            self.new_token,
            self.new_link,
            self.invite,
            self.register,
            self.withdraw,
            self.disable,
            self.promote,
            self.password,
            self.revoke,
            self.grant,
            self.publish,
            self.change_link,
        ]

    def live(self, seed: int) -> None:
        """Change things until the server is gone."""
        choose = random.Random(seed)
        while True:
            try:
                choose.choice(self.changes())(choose)
            except (OSError, http.client.HTTPException):
                return

    def new_user(self, choose: random.Random) -> None:
        name = f"u{secrets.token_hex(6)}"
        self.world.call("root", "POST", f"{API}/users", {"username": name, "password": PASSWORD})
        self.so["user", name] = True

    def invite(self, choose: random.Random) -> None:
        made = self.world.call("root", "POST", f"{API}/invitations", {})
        self.texts[made["id"]] = made["url"].partition("#")[2]
        self.so["invitation", made["id"]] = True

    def withdraw(self, choose: random.Random) -> None:
        id = self._any(choose, "invitation", lambda good: good)
        if id is not None:
            self._change(("invitation", id), False, "DELETE", f"{API}/invitations/{id}", by="root")

    def register(self, choose: random.Random) -> None:
        id = self._any(choose, "invitation", lambda good: good)
        if id is None:
            return
        self.coming = id, f"u{secrets.token_hex(6)}"
        del self.so["invitation", id]
        body = {"username": self.coming[1], "password": PASSWORD, "invitation": self.texts[id]}
        assert self.world.town.nobody("POST", f"{API}/register", body).status == 201
        self.so["invitation", id], self.so["user", self.coming[1]], self.coming = False, True, None

    def disable(self, choose: random.Random) -> None:
        self._switch(choose, "disabled")

    def promote(self, choose: random.Random) -> None:
        self._switch(choose, "admin")

    def _switch(self, choose: random.Random, what: str) -> None:
        name = self._any(choose, "user", lambda good: good)
        if name is not None:
            on = choose.random() < 0.5
            self._change((what, name), on, "PATCH", f"{API}/users/{name}", {what: on}, by="root")

    def password(self, choose: random.Random) -> None:
        """Sam's own change where he knows the old one, or else an administrator's."""
        old, new = self.so.get(("password", "sam")), f"password {secrets.token_hex(6)}"
        if old is not None and choose.random() < 0.5:
            entered = self.world.town.nobody("POST", f"{API}/login", {"username": "sam", "password": old})
            self.world.keys["sam"] = entered.json["token"]  # the one before may have ended with his password
            change = {"old": old, "new": new}
            self._change(("password", "sam"), new, "PUT", f"{API}/account/password", change, by="sam")
        else:
            self._change(("password", "sam"), new, "PATCH", f"{API}/users/sam", {"password": new}, by="root")

    def new_token(self, choose: random.Random) -> None:
        text, id = self.world.new_token("anna", seconds=None)
        self.texts[id] = text
        self.so["token", id] = True

    def revoke(self, choose: random.Random) -> None:
        id = self._any(choose, "token", lambda good: good)
        if id is not None:
            self._change(("token", id), False, "DELETE", f"{API}/account/tokens/{id}")

    def grant(self, choose: random.Random) -> None:
        user, role = choose.choice(["ben", "eva", "sam"]), choose.choice(["viewer", "editor", None])
        place = f"{self.document}/grants/{user}"
        if role is not None:
            self._change(("grant", user), role, "PUT", place, {"role": role})
        elif self.so.get(("grant", user)):
            self._change(("grant", user), None, "DELETE", place)

    def publish(self, choose: random.Random) -> None:
        on = choose.random() < 0.5
        self._change(("published", ""), on, "PUT" if on else "DELETE", f"{self.document}/published")

    def new_link(self, choose: random.Random) -> None:
        if sum(kind == "link" and state is not None for (kind, _), state in self.so.items()) > 50:
            return  # a document has so many at most
        made = self.world.call("anna", "POST", f"{self.document}/links", {})
        self.so["link", made["id"]] = True

    def change_link(self, choose: random.Random) -> None:
        id = self._any(choose, "link", lambda state: state is not None)
        if id is None:
            return
        state = choose.choice([True, False, None])
        place = f"{self.document}/links/{id}"
        if state is None:
            self._change(("link", id), None, "DELETE", place)
        else:
            self._change(("link", id), state, "PATCH", place, {"enabled": state})

    def _any(self, choose: random.Random, kind: str, fits: Callable[[Any], bool]) -> str | None:
        names = sorted(name for (of, name), state in self.so.items() if of == kind and fits(state))
        return choose.choice(names) if names else None

    def _change(
        self, subject: Subject, then: Any, method: str, path: str, body: Any = None, *, by: str = "anna"
    ) -> None:
        self.so.pop(subject, None)
        self.world.call(by, method, path, body)
        self.so[subject] = then

    def check(self) -> None:
        """Ask the server about everything."""
        call = self.world.call
        users = {user["name"]: user for user in call("root", "GET", f"{API}/users")}
        invitations = {invitation["id"] for invitation in call("root", "GET", f"{API}/invitations")}
        tokens = {token["id"] for token in call("anna", "GET", f"{API}/account/tokens")}
        grants = {grant["user"]: grant["role"] for grant in call("anna", "GET", f"{self.document}/grants")}
        links = {link["id"]: link["enabled"] for link in call("anna", "GET", f"{self.document}/links")}
        published = call("anna", "GET", f"{self.document}/info")["published"]
        found: dict[str, Callable[[str], Any]] = {
            "user": lambda name: name in users,
            "disabled": lambda name: users[name]["disabled"],
            "admin": lambda name: users[name]["admin"],
            "invitation": lambda id: id in invitations,
            "password": self.known,
            "token": lambda id: id in tokens,
            "grant": grants.get,
            "link": links.get,
            "published": lambda _: published,
        }
        assert {subject: found[subject[0]](subject[1]) for subject in self.so} == self.so
        if self.coming is not None:  # somebody who was coming in is here, or his invitation is still good
            (id, name), self.coming = self.coming, None
            assert (name in users) != (id in invitations)
            self.so["user", name], self.so["invitation", id] = name in users, id in invitations
        for (kind, name), good in list(self.so.items())[-20:]:
            if kind == "token":
                answer = ask(self.world.port, "GET", f"{API}/account", [bearer(self.texts[name])])
                assert answer.status == (200 if good else 401)

    def known(self, name: str) -> str | None:
        """The password that was acknowledged last, if it is still the one."""
        body = {"username": name, "password": self.so["password", name]}
        return body["password"] if self.world.town.nobody("POST", f"{API}/login", body).status == 200 else None


@pytest.mark.timeout(60 + 10 * CYCLES)
def test_kill_9_takes_nothing_from_accounts_and_gives_nothing_back(world: World) -> None:
    seed = int(os.environ.get("CRASH_SEED", time.time_ns()))
    print(f"CRASH_SEED={seed}")
    choose, people, checked = random.Random(seed), People(world), set[str]()
    for change in people.changes():
        change(choose)
    for cycle in range(CYCLES):
        people.password(choose)  # the slowest: on a busy machine it might be under way at every kill
        thread = threading.Thread(target=people.live, args=(seed + cycle,))
        thread.start()
        time.sleep(choose.uniform(0.05, 0.8))
        world.server.kill()
        thread.join(30)
        world.server.start()
        people.check()
        checked |= {kind for kind, _ in people.so}
    assert checked == {
        *("user", "disabled", "admin", "password", "invitation"),
        *("token", "grant", "link", "published"),
    }
    name = next(
        name
        for (kind, name), here in people.so.items()
        if kind == "user" and here and not people.so.get(("disabled", name))
    )
    for password, status in ((PASSWORD, 200), (PASSWORD + "x", 401)):
        body = {"username": name, "password": password}
        assert world.town.nobody("POST", f"{API}/login", body).status == status
