"""A server with accounts, and its users: each has a token for what tests do behind the pages' back, and a browser."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bokeh.document import Document
from bokeh.model import Model
from playwright.sync_api import Page, expect
from websockets.sync.client import connect

from tests.browser.producer import Producer
from tests.browser.server import Server

PASSWORD = "three words enough"


class Team(Server):
    """``bokeh-server -m``. ``first_link`` is what it printed for the first administrator."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.tokens: dict[str, str] = {}
        super().__init__(folder, "-m", *flags)
        self.first_link = f"{self.url}/bokeh/register#{self.invitation}"

    def populate(self, *names: str) -> None:
        """Make accounts; the first of a new server is its administrator."""
        for name in names:
            body = {"username": name, "password": PASSWORD, "invitation": self.invite().partition("#")[2]}
            self.tokens[name] = self.call("", "POST", "/api/v1/register", body)["token"]

    def invite(self) -> str:
        """The link of a new invitation, by the administrator where there is one."""
        admin = next(iter(self.tokens), None)
        return self.first_link if admin is None else str(self.call(admin, "POST", "/api/v1/invitations", {})["url"])

    def call(self, user: str, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
        """The JSON answer to a request by a user ("": nobody), with the user's token or another."""
        token = self.tokens.get(user) if token is None else token
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def status(self, user: str, method: str, path: str, body: Any = None, *, token: str | None = None) -> int:
        """The status of an answer."""
        try:
            self.call(user, method, path, body, token=token)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        return 200

    def store(self, user: str, title: str, *roots: Model) -> str:
        """Store a document of a user; its id."""
        document = Document()
        for root in roots:
            document.add_root(root)
        content = document.to_json(deferred=False)
        document.clear()
        return str(self.call(user, "PUT", f"/api/v1/documents/{quote(title, safe='')}", content)["id"])

    def share(self, document: str, user: str, role: str = "viewer") -> None:
        """Grant a role, as the document's owner."""
        owner = self.owner(document)
        self.call(owner, "PUT", f"/api/v1/documents/{document}/grants/{user}", {"role": role})

    @contextmanager
    def feed(self, user: str, document: str) -> Iterator[Producer]:
        """A program of a user on a document."""
        header = {"Authorization": f"Bearer {self.tokens[user]}"}
        with connect(self.socket(document), additional_headers=header, max_size=None, compression=None) as socket:
            yield Producer(socket)

    def owner(self, document: str) -> str:
        """The user that a document belongs to."""
        return str(self.call(next(iter(self.tokens)), "GET", f"/api/v1/documents/{document}/info")["owner"])

    def enter(self, open_page: Callable[..., Page], user: str, **options: Any) -> Page:
        """A page in a browser of its own in which the user is logged in, at the board."""
        page = open_page(f"{self.url}/bokeh/login", **options)
        log_in(page, user)
        expect(page.get_by_role("heading", level=1)).to_contain_text("Documents")
        return page


def log_in(page: Page, user: str, password: str = PASSWORD) -> None:
    """Fill in the form."""
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Log in").click()
