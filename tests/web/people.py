"""A multi-user server with a few people on it, each with a key of his own: see ``World``."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.running import RunningServer
from tests.web.asking import Answer, ask, content

PASSWORD = "correct horse battery"
USERS = {"owner": "anna", "viewer": "ben", "editor": "eva", "stranger": "sam", "administrator": "root"}
JSON = ("Content-Type", "application/json")


@dataclass
class World:
    """A server with all these people, and the keys of each."""

    server: RunningServer
    keys: dict[str, str]
    static: dict[str, tuple[str, str]]

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.port

    def call(self, user: str, method: str, path: str, body: Any = None) -> Any:
        """The answer to something that this user may do."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        answer = ask(self.port, method, path, [bearer(self.keys[user]), JSON], data)
        assert answer.status < 300, answer
        return answer.json if answer.body else None

    def new_token(self, user: str, *scopes: str, seconds: float | None = 600) -> tuple[str, str]:
        """Text and id of a token."""
        wanted = scopes or ("read", "stream", "write", "manage")
        made = self.call(user, "POST", "/api/v1/account/tokens", {"name": "t", "scopes": wanted, "seconds": seconds})
        return made["token"], made["id"]

    def new_document(self) -> str:
        """A document of anna's, shared with ben and eva."""
        title = secrets.token_hex(8)
        document: str = self.call("anna", "PUT", f"/api/v1/documents/{title}", content())["id"]
        for user, role in (("ben", "viewer"), ("eva", "editor")):
            self.call("anna", "PUT", f"/api/v1/documents/{document}/grants/{user}", {"role": role})
        return document

    def new_link(self, document: str) -> tuple[str, str]:
        """Key and id of a link."""
        made = self.call("anna", "POST", f"/api/v1/documents/{document}/links", {})
        return made["url"].rpartition("#")[2], made["id"]

    def headers(self, actor: str) -> list[tuple[str, str]]:
        """What an actor shows."""
        match actor:
            case "anonymous":
                return []
            case "streamer":
                return [bearer(self.new_token("anna", "stream")[0])]
            case "revoked":
                text, id = self.new_token("anna")
                self.call("anna", "DELETE", f"/api/v1/account/tokens/{id}")
                return [bearer(text)]
            case "other":
                key, _ = self.new_link(self.new_document())
                opened = ask(self.port, "POST", "/bokeh/link", [JSON], json.dumps({"key": key}).encode())
                return [("Cookie", opened.headers["set-cookie"].partition(";")[0])]
        return [bearer(self.new_token(USERS[actor], seconds=None)[0])]  # one that ends makes no others


def bearer(text: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {text}")


@contextmanager
def peopled(folder: Path) -> Iterator[World]:
    """The server with all these people, while the block runs."""
    with RunningServer(folder, "-m") as server:
        first = {"username": "root", "password": PASSWORD, "invitation": server.invitation}
        keys = {"root": json.loads(raw(server, "register", first).body)["token"]}
        made = World(server, keys, {})
        for user in USERS.values():
            if user != "root":
                made.call("root", "POST", "/api/v1/users", {"username": user, "password": PASSWORD})
                login = raw(server, "login", {"username": user, "password": PASSWORD}).json["token"]
                keys[user] = login
                keys[user], _ = made.new_token(user, seconds=None)  # one that no change of password ends
        keys["root"], _ = made.new_token("root", seconds=None)
        document = made.new_document()
        frame = [bearer(keys["anna"]), ("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "same-origin")]
        page = ask(server.port, "GET", f"/bokeh/frame/{document}", frame).body.decode()
        for kind, file in (("app", r"frame\.js"), ("bokeh", r"js/bokeh\.min\.js")):
            place = re.search(rf"/static/{kind}/([\w.]+)/({file})", page)
            assert place
            made.static[kind] = (place[1], place[2])
        yield made


def raw(server: RunningServer | World, what: str, body: Any) -> Answer:
    """Log in or register."""
    return ask(server.port, "POST", f"/api/v1/{what}", [JSON], json.dumps(body).encode())
