"""A multi-user server with a few people on it, each with a key of his own: see ``World``."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.running import RunningServer
from tests.web.asking import ask, content
from tests.web.town import API, DOCUMENTS, Person, Town

USERS = {"owner": "anna", "viewer": "ben", "editor": "eva", "stranger": "sam", "administrator": "root"}
ALL = ("read", "stream", "write", "manage")
JSON = ("Content-Type", "application/json")


@dataclass
class World:
    """A town with all these people, and the keys of each."""

    town: Town
    keys: dict[str, str] = field(default_factory=dict)
    static: dict[str, tuple[str, str]] = field(default_factory=dict)
    documents: dict[bool, str] = field(default_factory=dict)
    actors: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    """The keys of the links that were made, by their ids."""

    @property
    def server(self) -> RunningServer:
        return self.town.server

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.port

    def call(self, user: str, method: str, path: str, body: Any = None) -> Any:
        """The answer to something that this user may do."""
        answer = Person(self.port).by(self.keys[user])(method, path, body)
        assert answer.status < 300, answer
        return answer.json if answer.body else None

    def new_token(self, user: str, *scopes: str, seconds: float | None = 600) -> tuple[str, str]:
        """Text and id of a token."""
        wanted = scopes or ALL
        made = self.call(user, "POST", f"{API}/account/tokens", {"name": "t", "scopes": wanted, "seconds": seconds})
        return made["token"], made["id"]

    def new_document(self) -> str:
        """A document of anna's, shared with ben and eva."""
        document: str = self.call("anna", "PUT", f"{DOCUMENTS}/{secrets.token_hex(8)}", content())["id"]
        for user, role in (("ben", "viewer"), ("eva", "editor")):
            self.call("anna", "PUT", f"{DOCUMENTS}/{document}/grants/{user}", {"role": role})
        return document

    def shown(self, *, published: bool) -> str:
        """A document of anna's that nobody changes, shared with ben and eva, and ``published`` or not."""
        if published not in self.documents:
            document = self.documents[published] = self.new_document()
            if published:
                self.call("anna", "PUT", f"{DOCUMENTS}/{document}/published")
        return self.documents[published]

    def new_link(self, document: str, *sites: str) -> tuple[str, str]:
        """Key and id of a link, which may be for pages of these sites."""
        made = self.call("anna", "POST", f"{DOCUMENTS}/{document}/links", {"embed": sites})
        self.links[made["id"]] = made["url"].partition("#")[2]
        return self.links[made["id"]], made["id"]

    def known(self, actor: str) -> list[tuple[str, str]]:
        """What an actor shows, the same each time: for requests that don't change it. Any of anna's may end a login."""
        if actor not in self.actors or actor == "browser":
            self.actors[actor] = self.headers(actor)
        return list(self.actors[actor])

    def headers(self, actor: str) -> list[tuple[str, str]]:
        """What an actor shows, made for this request."""
        match actor:
            case "anonymous":
                return []
            case "streamer":
                return [bearer(self.new_token("anna", "stream")[0])]
            case "revoked":
                text, id = self.new_token("anna")
                self.call("anna", "DELETE", f"{API}/account/tokens/{id}")
                return [bearer(text)]
            case "browser":
                return [*self.town.browser("anna").headers]
            case "elsewhere":
                limited = {"name": "t", "scopes": ALL, "document": self.new_document()}
                return [bearer(self.call("anna", "POST", f"{API}/account/tokens", limited)["token"])]
            case "other":
                key, _ = self.new_link(self.new_document())
                return [*self.town.visitor(key).headers]
        return [bearer(self.new_token(USERS[actor], seconds=None)[0])]  # one that ends makes no others


def bearer(text: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {text}")


@contextmanager
def peopled(folder: Path, program: type[RunningServer] = RunningServer) -> Iterator[World]:
    """The server with all these people, while the block runs."""
    with program(folder, "-m") as server:
        made = World(Town(server))
        for user in USERS.values():
            made.keys[user] = (made.town.root if user == "root" else made.town.person(user)).key
            made.keys[user], _ = made.new_token(user, seconds=None)  # one that no change of password ends
        document = made.new_document()
        frame = [bearer(made.keys["anna"]), ("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "same-origin")]
        page = ask(server.port, "GET", f"/bokeh/frame/{document}", frame).body.decode()
        for kind, file in (("app", r"frame\.js"), ("bokeh", r"js/bokeh\.min\.js")):
            place = re.search(rf"/static/{kind}/([\w.]+)/({file})", page)
            assert place
            made.static[kind] = (place[1], place[2])
        yield made
