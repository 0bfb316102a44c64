"""How the first administrator comes, and that closed registration is closed: on real servers that each test starts."""

from __future__ import annotations

from typing import Any

from tests.running import RunningServer
from tests.web.test_account import REGISTER, credentials, told, who
from tests.web.town import API, Person, Town, cookie_of, key_of


def test_the_link_that_is_printed_makes_the_administrator_once(tmp_path: Any) -> None:
    with RunningServer(tmp_path / "data", "-m") as server:
        key = server.invitation
        assert key.startswith("bsi_")
        nobody = Person(server.port)
        assert "is by invitation" in told(nobody("POST", REGISTER, credentials("mallory")), 403)
        made = nobody("POST", REGISTER, credentials("Root", invitation=key))
        assert (made.status, made.body) == (201, b"")
        root = Person(server.port, "root", (("Cookie", cookie_of(made)),))
        account = root("GET", f"{API}/account").json
        assert account == {"username": "root", "admin": True, "scopes": ["manage", "read", "stream", "watch", "write"]}
        assert "not valid" in told(nobody("POST", REGISTER, credentials("ben", invitation=key)), 403)
        assert key not in server.log.read_text()
        server.kill()
        server.start()
        assert who(root) == "root"


def test_where_registration_is_closed_an_administrator_makes_accounts_and_invites_nobody(tmp_path: Any) -> None:
    with RunningServer(tmp_path / "data", "-m") as server:
        town = Town(server)
        made_before = key_of(town.root("POST", f"{API}/invitations", {}))
        server.kill()
        server.flags = ("-m", "--registration", "closed")
        server.start()
        closed_to_all = "Registration is closed on this server; ask its administrator for an account."
        for more in ({}, {"invitation": made_before}, {"invitation": "bsi_guess"}):
            for path in (REGISTER, f"{API}/register"):
                assert told(town.nobody("POST", path, credentials("mallory", **more)), 403) == closed_to_all
        assert "nobody can be invited" in told(town.root("POST", f"{API}/invitations", {}), 403)
        assert town.root("GET", f"{API}/invitations").json == []
        page = town.root("GET", "/bokeh/users").body.decode()
        assert "nobody can be invited" in page
        assert '<form id="invite" class="inline" hidden>' in page
        assert "Its administrator can make an account for you." in town.nobody("GET", "/bokeh/register").body.decode()
        assert who(town.person("ann")) == "ann"
