"""Accounts over HTTP, on a real server: coming, going, tokens, administrators, and what a server without them says."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bokeh_server.accounts.logins import LONGEST
from bokeh_server.adapters.asgi import Application, create_app
from bokeh_server.web.account import NO_ACCOUNTS
from tests.accounts.ledgers import cheap
from tests.running import HOSTED_BY
from tests.web.asking import Answer, Pairs, ask, call
from tests.web.conftest import Shared
from tests.web.town import API, DOCUMENTS, PASSWORD, Person, Town, basic, closed, cookie_of, key_of, numbers

WRONG = "The user name or the password is wrong."
NOT_VALID = "This token is not valid, or not any more; log in again, or make a new one."
LOGIN, REGISTER = "/bokeh/login", "/bokeh/register"


def told(answer: Answer, status: int) -> str:
    """The detail of a problem of this status."""
    assert answer.status == status, answer.body
    assert "Traceback" not in answer.body.decode()
    detail: str = answer.json["detail"]
    return detail


def who(person: Person) -> str:
    """Whom the server takes somebody for; "" for nobody."""
    answer = person("GET", f"{API}/account")
    return answer.json["username"] if answer.status == 200 else ""


def credentials(name: str, password: str = PASSWORD, **more: Any) -> dict[str, Any]:
    return {"username": name, "password": password, **more}


def flags(answer: Answer) -> set[str]:
    """What the cookie of an answer is followed by."""
    _, *rest = answer.headers["set-cookie"].split("; ")
    return set(rest)


# Registration; more in test_registration.py


def test_an_invitation_lets_one_person_register(town: Town) -> None:
    key = key_of(town.root("POST", f"{API}/invitations", {}))
    name = f"user{next(numbers)}"
    made = town.nobody("POST", f"{API}/register", credentials(name, invitation=key))
    assert made.status == 201
    assert set(made.json) == {"username", "token"}
    assert "set-cookie" not in made.headers
    assert who(Person(town.port).by(made.json["token"])) == name
    again = town.nobody("POST", f"{API}/register", credentials("another", invitation=key))
    assert told(again, 403) == "This invitation is not valid, or not any more; ask for a new one."


def test_without_an_invitation_it_says_that_one_is_needed(town: Town) -> None:
    for path in (REGISTER, f"{API}/register"):
        assert "by invitation" in told(town.nobody("POST", path, credentials("mallory")), 403)


def test_a_taken_name_and_a_bad_password_are_told_before_the_invitation_is_used(town: Town) -> None:
    key = key_of(town.root("POST", f"{API}/invitations", {}))
    taken = town.nobody("POST", REGISTER, credentials("ROOT", invitation=key))
    assert told(taken, 409) == "The user name 'root' is taken; choose another."
    assert "set-cookie" not in taken.headers
    assert "8 to 1000" in told(town.nobody("POST", REGISTER, credentials("new", "short", invitation=key)), 400)
    assert "1 to 64" in told(town.nobody("POST", REGISTER, credentials("a b", invitation=key)), 400)
    assert town.nobody("POST", REGISTER, credentials(f"user{next(numbers)}", invitation=key)).status == 201


def test_where_registration_is_open_nobody_needs_an_invitation() -> None:
    async def play() -> None:
        async with Inside(registration="open") as app:
            made = await post(app, f"{API}/register", credentials("anna"))
            assert made.status == 201
            token = ("authorization", f"Bearer {made.json['token']}")
            account = (await call(app, "GET", f"{API}/account", headers=(HOST, token))).json
            assert (account["username"], account["admin"]) == ("anna", False)

    asyncio.run(play())


# Cookies


def test_a_browser_that_logs_in_gets_a_cookie_that_no_script_and_no_other_site_can_use(town: Town) -> None:
    person = town.person()
    answer = town.nobody("POST", LOGIN, credentials(person.name))
    assert (answer.status, answer.body) == (204, b"")
    assert cookie_of(answer).startswith(f"bokeh-server-{town.port}=bsl_")
    assert flags(answer) == {"Path=/", f"Max-Age={LONGEST:.0f}", "HttpOnly", "SameSite=Lax"}
    assert answer.headers["cache-control"] == "no-store"
    assert who(Person(town.port, "", (("Cookie", cookie_of(answer)),))) == person.name


def test_every_log_in_has_a_key_of_its_own_and_ends_the_one_before(town: Town) -> None:
    person = town.person()
    first = town.browser(person.name)
    again = first("POST", LOGIN, credentials(person.name))
    second = Person(town.port, "", (("Cookie", cookie_of(again)),))
    assert cookie_of(again) != first.headers[0][1]
    assert (who(first), who(second)) == ("", person.name)


@pytest.mark.parametrize("planted", ["x", "bsl_AAAAAAAAAAAAAAAAAAAAAAAAAAA", "", "%0d%0aSet-Cookie:%20a=b"])
def test_a_key_that_was_planted_is_not_taken_over(town: Town, planted: str) -> None:
    person = town.person()
    cookie = f"bokeh-server-{town.port}={planted}"
    answer = town.nobody("POST", LOGIN, credentials(person.name), Cookie=cookie)
    assert answer.status == 204
    assert cookie_of(answer) != cookie
    assert answer.headers["set-cookie"].count("bsl_") == 1
    assert who(Person(town.port, "", (("Cookie", cookie),))) == ""


def test_a_log_in_as_another_user_closes_what_the_first_had_open(town: Town) -> None:
    anna, ben = town.person(), town.person()
    browser = town.browser(anna.name)
    with browser.board() as board:
        assert browser("POST", LOGIN, credentials(ben.name)).status == 204
        assert closed(board) == (1008, "revoked")
    assert who(browser) == ""


def test_a_cookie_that_comes_twice_counts_as_missing(town: Town) -> None:
    browser = town.browser(town.person().name)
    [(_, mine)] = browser.headers
    name = mine.partition("=")[0]
    for cookies in (f"{mine}; {mine}", f"{mine}; {name}=x", f"{name}=x; {mine}", f"{name}=; {mine}"):
        assert who(Person(town.port, "", (("Cookie", cookies),))) == ""
    for cookies in (f"a=b; {mine}; c=d", f"{mine};x", f" {mine} ;", f"x{name}=x; {mine}"):
        assert who(Person(town.port, "", (("Cookie", cookies),))) == browser.name
    if HOSTED_BY is None:  # WSGI joins two headers by a comma; browsers send one (RFC 6265, 5.4)
        assert who(Person(town.port, "", (("Cookie", "a=b"), ("Cookie", mine)))) == browser.name
    assert who(Person(town.port, "", (("Cookie", mine), ("Cookie", mine)))) == ""


def test_logging_out_takes_the_cookie_away_and_closes_sockets(town: Town) -> None:
    person = town.person()
    document = person.store()
    browser, other = town.browser(person.name), town.browser(person.name)
    with browser.board() as board, browser.socket(document) as socket, other.board() as left:
        answer = browser("DELETE", f"{API}/account/login")
        assert answer.status == 204
        assert answer.headers["set-cookie"].startswith(f"bokeh-server-{town.port}=; ")
        assert "Max-Age=0" in flags(answer)
        assert closed(board) == closed(socket) == (1008, "revoked")
        left.ping().wait(5)
    assert (who(browser), who(other)) == ("", person.name)
    told(browser("DELETE", f"{API}/account/login"), 401)


def test_nothing_that_is_sent_becomes_a_header(town: Town) -> None:
    person = town.person()
    evil = "a\r\nSet-Cookie: evil=1\r\n\r\n"
    for body in (credentials(evil), credentials(person.name, evil), credentials(person.name, invitation=evil)):
        answer = town.nobody("POST", LOGIN, body)
        assert answer.status in (400, 401)
        assert "set-cookie" not in answer.headers
    for path in ("/bokeh/account", "/bokeh/account?x=%0d%0aSet-Cookie:%20evil=1", "/?next=%0aLocation:%20//evil"):
        answer = town.nobody("GET", path, Accept="text/html")
        assert answer.status == 303
        assert "set-cookie" not in answer.headers
        assert answer.headers["location"].startswith("/bokeh/login?next=/")
        assert not set("\r\n") & set(answer.headers["location"])


class Inside:
    """The application in this process, under a public name, with passwords that cost nothing."""

    def __init__(self, **settings: Any) -> None:
        self.app = create_app(multi_user=True, **settings)
        self.app.site.accounts.users._passwords = cheap()

    async def __aenter__(self) -> Application:
        await self.app.site.hub.start()
        return self.app

    async def __aexit__(self, *exc: object) -> None:
        await self.app.site.hub.stop()


HOST = ("host", "localhost:5006")


async def post(app: Application, path: str, body: Any, *headers: tuple[str, str], host: str = HOST[1]) -> Answer:
    """A POST to the application."""
    return await call(app, "POST", path, headers=(("host", host), *headers), body=json.dumps(body).encode())


def test_under_https_the_cookie_is_for_this_host_only_and_for_https_only() -> None:
    async def play() -> None:
        settings: dict[str, Any] = {"public_urls": ("https://plots.example.org",), "registration": "open"}
        async with Inside(**settings) as app:
            public = "plots.example.org"
            made = await post(app, REGISTER, credentials("anna"), host=public)
            assert (made.status, cookie_of(made)[:24]) == (201, "__Host-bokeh-server=bsl_")
            assert flags(made) == {"Path=/", f"Max-Age={LONGEST:.0f}", "HttpOnly", "SameSite=Lax", "Secure"}
            cookie = cookie_of(made)
            for name, value, status in [
                ("host", cookie, 200),
                ("host", cookie.removeprefix("__Host-"), 401),
                ("host", cookie.replace("__Host-bokeh-server", "bokeh-server-5006"), 401),
            ]:
                headers: Pairs = ((name, public), ("cookie", value))
                assert (await call(app, "GET", f"{API}/account", headers=headers)).status == status
            plain = await post(app, LOGIN, credentials("anna"))
            assert cookie_of(plain).startswith("bokeh-server-5006=bsl_")
            assert "Secure" not in flags(plain)
            out = await call(app, "DELETE", f"{API}/account/login", headers=(("host", public), ("cookie", cookie)))
            assert out.headers["set-cookie"].startswith("__Host-bokeh-server=; Path=/; Max-Age=0; ")
            assert "Secure" in flags(out)

    asyncio.run(play())


# Programs


def test_a_program_that_logs_in_gets_a_token_and_no_cookie(town: Town) -> None:
    person = town.person()
    answer = town.nobody("POST", f"{API}/login", credentials(person.name.upper()), User_Agent="a job")
    assert set(answer.json) == {"username", "token"}
    assert answer.json["username"] == person.name
    assert "set-cookie" not in answer.headers
    newest = person("GET", f"{API}/account/tokens").json[0]
    assert newest["name"] == "login by a job"
    assert who(person.by(answer.json["token"])) == person.name


def test_a_page_can_not_ask_for_a_token_by_a_password(town: Town) -> None:
    person = town.person()
    for origin in (f"http://localhost:{town.port}", "http://evil.example", "null"):
        for path in (f"{API}/login", f"{API}/register"):
            told(town.nobody("POST", path, credentials(person.name), Origin=origin), 403)
    told(town.nobody("POST", LOGIN, credentials(person.name), Origin="http://evil.example"), 403)
    told(town.nobody("POST", LOGIN, credentials(person.name), Sec_Fetch_Site="cross-site"), 403)


def test_a_wrong_password_and_an_unknown_user_are_answered_alike(town: Town) -> None:
    person = town.person()
    for path in (LOGIN, f"{API}/login"):
        answers = [
            town.nobody("POST", path, credentials(name, password))
            for name, password in [(person.name, "wrong password"), ("nobody-here", PASSWORD), (person.name, "")]
        ]
        assert {told(answer, 401) for answer in answers} == {WRONG}
        assert len({answer.body for answer in answers}) == 1


def test_after_ten_failures_one_has_to_wait(town: Town) -> None:
    person = town.person()
    for _ in range(10):
        told(town.nobody("POST", f"{API}/login", credentials(person.name, "wrong password")), 401)
    for path in (LOGIN, f"{API}/login"):
        answer = town.nobody("POST", path, credentials(person.name))
        assert told(answer, 429) == "Too many attempts; wait 1 minute."
        assert 0 < int(answer.headers["retry-after"]) <= 60
    assert who(person) == person.name


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"username": "a"}', b'{"username": 1, "password": "x"}', b"\xff", b'{"username": "\\ud800"}'],
)
def test_a_body_that_is_none_is_refused(town: Town, body: bytes) -> None:
    for path in (LOGIN, REGISTER, f"{API}/login", f"{API}/register", "/bokeh/link"):
        told(town.nobody("POST", path, body), 400)


def test_a_body_that_is_too_large_is_refused(town: Town) -> None:
    told(town.nobody("POST", LOGIN, credentials("a", "x" * 20_000)), 413)


def test_a_token_may_come_as_basic_credentials_with_its_users_name(town: Town) -> None:
    person, other = town.person(), town.person()
    token = person.headers[0][1].removeprefix("Bearer ")
    nobody = town.nobody
    assert nobody("GET", f"{API}/account", **basic(person.name, token)).json["username"] == person.name
    wrong = nobody("GET", f"{API}/account", **basic(other.name, token))
    assert told(wrong, 401) == "This token belongs to another user."
    assert told(nobody("GET", f"{API}/account", **basic(person.name, PASSWORD)), 401) == NOT_VALID
    assert nobody("GET", f"{API}/account", Authorization=f"bearer  {token} ").json["username"] == person.name


@pytest.mark.parametrize(
    "given",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer bst_x y",
        "Basic",
        "Basic x",
        "Basic %%%",
        "Basic é",
        "basic /w==",
        "BASIC OjE=",
    ],
)
def test_credentials_that_mean_nothing_are_refused_and_not_passed_over(town: Town, given: str) -> None:
    [cookie] = town.browser(town.person().name).headers
    answer = Person(town.port, "", (cookie,))("GET", f"{API}/account", Authorization=given)
    told(answer, 401)


# One's own account


def test_changing_the_password_ends_other_logins_and_tokens_by_login_and_nothing_else(town: Town) -> None:
    program = town.person()
    job = program.token("read")
    here, there = town.browser(program.name), town.browser(program.name)
    change = {"old": PASSWORD, "new": "another password"}
    with here.board() as left, there.board() as ended, program.socket(program.store()) as socket:
        assert (
            told(here("PUT", f"{API}/account/password", {**change, "old": "wrong"}), 401)
            == "The old password is wrong."
        )
        assert here("PUT", f"{API}/account/password", change).status == 204
        assert closed(ended) == closed(socket) == (1008, "revoked")
        left.ping().wait(5)
    assert [who(each) for each in (here, there, program, job)] == [program.name, "", "", program.name]
    told(town.nobody("POST", f"{API}/login", credentials(program.name)), 401)
    assert who(town.program(program.name, "another password")) == program.name


def test_logging_out_everywhere_leaves_only_the_tokens_that_were_made(town: Town) -> None:
    program = town.person()
    job = program.token("read")
    here, there = town.browser(program.name), town.browser(program.name)
    answer = here("DELETE", f"{API}/account/logins")
    assert answer.status == 204
    assert "Max-Age=0" in flags(answer)
    assert [who(each) for each in (here, there, program, job)] == ["", "", "", program.name]


def test_logins_are_listed_and_ended_one_by_one(town: Town) -> None:
    program, other = town.person(), town.person()
    here = town.browser(program.name, User_Agent="first")
    there = town.browser(program.name, User_Agent="second")
    listed = here("GET", f"{API}/account/logins").json
    assert {(login["agent"], login["here"]) for login in listed} == {("first", True), ("second", False)}
    assert set(listed[0]) == {"id", "agent", "created", "used", "until", "here"}
    [id] = [login["id"] for login in listed if not login["here"]]
    told(other("DELETE", f"{API}/account/logins/{id}"), 404)
    with there.board() as board:
        assert here("DELETE", f"{API}/account/logins/{id}").status == 204
        assert closed(board) == (1008, "revoked")
    assert (who(here), who(there)) == (program.name, "")
    told(here("DELETE", f"{API}/account/logins/{id}"), 404)


# Administrators


def test_what_administrators_do_nobody_else_can(town: Town) -> None:
    person = town.person()
    asked: list[tuple[str, str, Any]] = [
        ("GET", "/users", None),
        ("POST", "/users", credentials("new")),
        ("PATCH", "/users/root", {"disabled": True}),
        ("GET", f"/users/{person.name}/documents", None),
        ("GET", "/invitations", None),
        ("POST", "/invitations", {"admin": True}),
        ("DELETE", "/invitations/x", None),
    ]
    for method, path, body in asked:
        assert told(person(method, API + path, body), 403) == "Only an administrator may do this."
        needs = "This token is not good for that: it needs the scope manage, and has read and write."
        assert told(town.root.token("read", "write")(method, API + path, body), 403) == needs
        assert told(town.nobody(method, API + path, body), 401) == "Log in first."
    assert person("GET", "/bokeh/users", Accept="text/html").status == 403
    assert town.root("GET", "/bokeh/users").status == 200


def test_an_administrator_sees_every_user_and_what_he_stores(town: Town) -> None:
    person = town.person()
    document = person.store()
    [listed] = [user for user in town.root("GET", f"{API}/users").json if user["name"] == person.name]
    assert (listed["admin"], listed["disabled"], listed["documents"]) == (False, False, 1)
    assert listed["size"] > 0
    assert set(listed) == {"name", "admin", "disabled", "created", "documents", "size"}
    [stored] = town.root("GET", f"{API}/users/{person.name.upper()}/documents").json
    assert (stored["id"], stored["title"]) == (document.id, document.title)
    told(town.root("GET", f"{API}/users/nobody-here/documents"), 404)


def test_a_disabled_user_loses_everything_at_once_until_he_is_let_in_again(town: Town) -> None:
    person = town.person()
    browser, document = town.browser(person.name), person.store()
    with browser.board() as board, person.socket(document) as socket:
        changed = town.root("PATCH", f"{API}/users/{person.name}", {"disabled": True})
        assert changed.json["disabled"] is True
        assert closed(board) == closed(socket) == (1008, "revoked")
    assert told(town.nobody("POST", f"{API}/login", credentials(person.name)), 401) == WRONG
    assert (who(browser), who(person)) == ("", "")
    assert town.root("PATCH", f"{API}/users/{person.name}", {"disabled": False}).status == 200
    assert (who(browser), who(person)) == ("", person.name)


def test_the_last_administrator_stays_and_an_account_is_changed_whole_or_not(town: Town) -> None:
    for change in ({"admin": False}, {"disabled": True}, {"password": "another password", "disabled": True}):
        assert "last administrator" in told(town.root("PATCH", f"{API}/users/root", change), 409)
    person = town.person()
    told(town.root("PATCH", f"{API}/users/{person.name}", {"admin": True, "password": "short"}), 400)
    told(town.root("PATCH", f"{API}/users/nobody-here", {"admin": True}), 404)
    [listed] = [user for user in town.root("GET", f"{API}/users").json if user["name"] == person.name]
    assert listed["admin"] is False
    assert who(town.program("root")) == "root"


def test_an_administrator_gives_another_password_and_all_that_was_there_before_ends(town: Town) -> None:
    person = town.person()
    browser, job = town.browser(person.name), person.token("manage", "read")
    with browser.board() as board, job.socket(person.store()) as socket:
        change = {"password": "another password", "admin": True}
        assert town.root("PATCH", f"{API}/users/{person.name}", change).json["admin"] is True
        assert closed(board) == closed(socket) == (1008, "revoked")
    assert [who(each) for each in (person, browser, job)] == ["", "", ""]
    again = town.program(person.name, "another password")
    assert again("GET", f"{API}/account").json["admin"] is True
    assert town.root("PATCH", f"{API}/users/{person.name}", {"admin": False}).json["admin"] is False
    told(again("GET", f"{API}/users"), 403)


def test_who_makes_tokens_all_the_time_keeps_none_when_the_password_is_reset(town: Town) -> None:
    intruder = town.person().token("manage")

    def make(_: int) -> int:
        status = 201
        while status in (201, 409):  # at some time he has the most that one may have
            status = intruder("POST", f"{API}/account/tokens", {"name": "x", "scopes": ["manage"]}).status
        return status

    with ThreadPoolExecutor(4) as pool:
        statuses = pool.map(make, range(4))
        time.sleep(0.2)
        assert town.root("PATCH", f"{API}/users/{intruder.name}", {"password": "another password"}).status == 200
        assert set(statuses) == {401}
    again = town.program(intruder.name, "another password")
    assert [each["name"][:5] for each in again("GET", f"{API}/account/tokens").json] == ["login"]


def test_who_is_no_administrator_any_more_is_none_though_he_asks_for_it_all_the_time(town: Town) -> None:
    chief = town.person(admin=True)
    place = f"{API}/users/{chief.name}"

    def ask_for_it(_: int) -> int:
        status = 200
        while status == 200:
            status = chief("PATCH", place, {"admin": True}).status
        return status

    with ThreadPoolExecutor(4) as pool:
        statuses = pool.map(ask_for_it, range(4))
        time.sleep(0.2)
        assert town.root("PATCH", place, {"admin": False}).json["admin"] is False
        assert set(statuses) <= {401, 403}
    assert chief("GET", f"{API}/account").json["admin"] is False


def test_invitations_are_listed_without_their_key_and_taken_back(town: Town) -> None:
    made = town.root("POST", f"{API}/invitations", {"admin": True})
    assert made.status == 201
    assert made.json["url"].startswith(f"http://localhost:{town.port}/bokeh/register#bsi_")
    listed = town.root("GET", f"{API}/invitations")
    assert key_of(made).encode() not in listed.body
    newest = listed.json[0]
    assert (newest["author"], newest["admin"]) == ("root", True)
    assert newest == {name: value for name, value in made.json.items() if name != "url"}
    assert town.root("DELETE", f"{API}/invitations/{newest['id']}").status == 204
    told(town.root("DELETE", f"{API}/invitations/{newest['id']}"), 404)
    told(town.nobody("POST", REGISTER, credentials("late", invitation=key_of(made))), 403)


# Nobody, and no accounts


def test_pages_show_nobody_the_way_to_log_in_and_back(town: Town) -> None:
    for path in ("/", "/bokeh/account", "/bokeh/users", "/bokeh/doc/anything", "/bokeh/doc/a/b?public=false"):
        answer = town.nobody("GET", path, Accept="text/html")
        assert (answer.status, answer.body) == (303, b"")
        assert answer.headers["location"].startswith("/bokeh/login?next=/")
    for path in (LOGIN, REGISTER, "/bokeh/link"):
        assert town.nobody("GET", path).status == 200


def test_nothing_works_without_an_account_but_what_is_public(town: Town) -> None:
    for path in ("/healthz", "/readyz", "/version", "/bokeh/ping", f"{API}/openapi.json"):
        assert town.nobody("GET", path).status == 200
    for method, path in (("GET", DOCUMENTS), ("POST", DOCUMENTS), ("GET", f"{API}/account"), ("PUT", f"{DOCUMENTS}/x")):
        assert told(town.nobody(method, path, {}), 401) == "Log in first."
    assert town.nobody.handshake("/bokeh/doc/x/ws") == 404


def test_too_many_parameters_are_refused_and_are_no_fault_of_ours(town: Town) -> None:
    assert "at most 100" in told(town.nobody("GET", f"{DOCUMENTS}?{'a&' * 200}"), 400)


ACCOUNT_ROUTES: list[tuple[str, str, Any]] = [
    ("POST", LOGIN, credentials("anna")),
    ("POST", REGISTER, credentials("anna")),
    ("POST", f"{API}/login", credentials("anna")),
    ("POST", f"{API}/register", credentials("anna")),
    ("PUT", f"{API}/account/password", {"old": "a", "new": "b"}),
    ("DELETE", f"{API}/account/login", None),
    ("GET", f"{API}/account/logins", None),
    ("DELETE", f"{API}/account/logins", None),
    ("DELETE", f"{API}/account/logins/x", None),
    ("GET", f"{API}/account/tokens", None),
    ("POST", f"{API}/account/tokens", {"name": "x", "scopes": ["read"]}),
    ("DELETE", f"{API}/account/tokens/x", None),
    ("GET", f"{API}/users", None),
    ("POST", f"{API}/users", credentials("anna")),
    ("PATCH", f"{API}/users/anna", {"admin": True}),
    ("GET", f"{API}/users/anna/documents", None),
    ("GET", f"{API}/invitations", None),
    ("POST", f"{API}/invitations", {}),
    ("DELETE", f"{API}/invitations/x", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ACCOUNT_ROUTES)
def test_a_server_without_accounts_says_so_in_one_line(shared: Shared, method: str, path: str, body: Any) -> None:
    answer = Person(shared.port)(method, path, body)
    assert told(answer, 403) == NO_ACCOUNTS
    assert "set-cookie" not in answer.headers


def test_without_accounts_everybody_is_the_default_user_whatever_he_shows(shared: Shared) -> None:
    for headers in ([], [("Authorization", "Bearer x")], [("Cookie", f"bokeh-server-{shared.port}=x")]):
        assert ask(shared.port, "GET", f"{API}/account", headers).json["username"] == "defaultuser"
