"""schemathesis over the whole OpenAPI description, stateful, as each kind of actor: nothing fails, nothing leaks.

It reads the description that the server gives and asks once for each operation, which must come out as the matrix says
where the parts of its path are all that it needs. Then it makes requests that keep to the description and requests that
don't, and goes on with the ids that it was told. Most path parameters are real: of a document that the actors have
rights in, and of carol's, which none of them may see. What an actor does to the server stays done, so each has one of
his own.
``HYPOTHESIS_PROFILE=long`` makes many more requests.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import unquote

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    use_after_free,
)

from tests.web.asking import ask, content
from tests.web.people import JSON, USERS, World, bearer, peopled
from tests.web.test_matrix import ACTORS, ROWS, name_of
from tests.web.town import PASSWORD

REQUESTS = 20_000 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 80
"""As one actor, after each operation once; half of them one by one, half in chains of up to 20."""
ENDS = ["log_out", "log_out_everywhere", "delete_login", "put_password"]
"""Operations that end the actor's own key: each is asked for once, and not among the many requests."""
CHANGE, EVERYWHERE = "PUT /api/v1/account/password", "DELETE /api/v1/account/logins"
SECRET = f"canary{token_hex(8)}"
"""Is in everything of carol's, whose documents nobody else may see."""
NEVER = (PASSWORD, "$argon2", "Traceback", "sqlite", "site-packages", str(Path.cwd()))
"""What no answer has in it, whoever asks."""
FRAMING = frozenset({"connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"})
CHECKS = [
    *(not_a_server_error, content_type_conformance, response_schema_conformance),
    *(negative_data_rejection, use_after_free),
]
SETTINGS: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "phases": [hypothesis.Phase.generate],  # the server does not forget: what failed can't be played again
    "suppress_health_check": list(hypothesis.HealthCheck),
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A server that this test may spoil."""
    with peopled(tmp_path / "data") as made:
        yield made


@pytest.mark.timeout(60 + REQUESTS)
@pytest.mark.parametrize("actor", ACTORS)
def test_no_request_of_anybody_fails_or_is_told_a_secret(actor: str, world: World) -> None:
    statuses, failures, answered = Counter[int](), list[Exception](), dict[str, int]()
    known = real_parts(world)
    secrets = [*NEVER, *world.keys.values(), *([SECRET] if actor != "administrator" else [])]
    said = set[str]()  # hypothesis takes words for its requests from our code, and what is stored is told again
    url = f"http://localhost:{world.port}/api/v1/openapi.json"
    whole = schemathesis.openapi.from_url(url)
    schema = whole.exclude(operation_id=ENDS)

    @schema.hook
    def flatmap_path_parameters(context: object, path_parameters: dict[str, Any] | None) -> st.SearchStrategy[Any]:
        parts = (path_parameters or {}).items()
        return st.fixed_dictionaries({n: st.sampled_from([*known.get(n, ()), value]) for n, value in parts})

    def judge(case: Case[Any], response: Response, **more: Any) -> None:
        statuses[response.status_code] += 1
        told = response.content.decode(errors="replace") + str(response.headers)
        try:
            case.validate_response(response, checks=CHECKS, **more)
            asked = said_by(response.request)
            said.update(text for text in NEVER if text in asked)
            assert [text for text in secrets if text in told and text not in asked and text not in said] == []
        except Exception as error:
            failures.append(error)
            raise

    @hypothesis.settings(max_examples=1, **SETTINGS)
    @hypothesis.given(st.data())
    def each_once(data: st.DataObject) -> None:
        found = [each.ok() for each in whole.get_all_operations() if isinstance(each, Ok)]
        for operation in sorted(found, key=rank):
            case = data.draw(operation.as_strategy())
            real = {**known, "login": [new_login(world, actor)]} if "{login}" in operation.path else known
            case.path_parameters = {n: real.get(n, [value])[0] for n, value in (case.path_parameters or {}).items()}
            case.query = {}
            if operation.label == CHANGE:
                case.body = {"old": PASSWORD, "new": PASSWORD}
            response = case.call(headers=dict(world.headers(actor)))  # made for this request: it may be their last
            judge(case, response)
            answered[operation.label] = response.status_code

    @hypothesis.settings(max_examples=REQUESTS // 2, **SETTINGS)
    @hypothesis.given(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]), st.data())
    def single(mode: GenerationMode, data: st.DataObject) -> None:
        case = within_http(data.draw(schema.as_strategy(generation_mode=mode)))
        judge(case, case.call(headers=headers))

    class Chain(schema.as_state_machine()):  # type: ignore[misc]
        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:
            return {"headers": headers}

        def call(self, case: Case[Any], **more: Any) -> Response:
            response: Response = super().call(within_http(case), **more)
            return response

        def validate_response(self, response: Response, case: Case[Any], **more: Any) -> None:
            judge(case, response, recorder=self.recorder)

    each_once()
    assert answered.keys() == described(schema.raw_schema)
    assert answered | {name: status for name, status in expected(actor).items() if name in answered} == answered
    headers = dict(world.headers(actor))
    single()
    while statuses.total() < REQUESTS + len(answered) and not failures:
        with suppress(Flaky):  # the second of two equal chains meets what the first left behind
            Chain.run(settings=hypothesis.settings(max_examples=4, stateful_step_count=20, **SETTINGS))
    print(actor, sorted(statuses.items()))
    assert failures == []


def within_http(case: Case[Any]) -> Case[Any]:
    """The request without made-up headers of HTTP itself: with those it is none, and does not come to the interface."""
    for name in [name for name in case.headers or () if name.lower() in FRAMING]:
        del case.headers[name]
    return case


def said_by(request: Any) -> str:
    """What a request says itself, but for its key, as its answer or a later one may say it back."""
    body = request.body or b""
    headers = [value for name, value in request.headers.items() if name.lower() not in ("authorization", "cookie")]
    told = body if isinstance(body, str) else body.decode(errors="replace")
    return "\n".join([unquote(request.url), told, *map(str, headers)])


def rank(operation: Any) -> int:
    """Looking comes first, what needs no body next; last the document goes, and another may come."""
    last = ["DELETE /api/v1/documents/{name}", "PUT /api/v1/documents/{name}"]
    if operation.label in last:
        return 3 + last.index(operation.label)
    return 0 if operation.method == "get" else 2 if operation.body else 1


def described(openapi: dict[str, Any]) -> set[str]:
    """Every operation of the description but how itself is fetched."""
    names = {f"{method.upper()} {path}" for path, item in openapi["paths"].items() for method in item}
    return names - {"GET /api/v1/openapi.json"}


def expected(actor: str) -> dict[str, int]:
    """How the matrix answers the actor, where a request needs nothing but real parts of its path; a login that is there
    ends for whoever may end all of his."""
    cells = {
        name_of(row): int(row[actor])
        for row in ROWS
        if (row["method"] in ("GET", "DELETE") or row["path"].endswith(("/published", "/password")))
        and ("{name}" in row["path"] or "{" not in row["path"])
        and row["path"].startswith("/api/")
    }
    return cells | {f"{EVERYWHERE}/{{login}}": cells[EVERYWHERE]}


def new_login(world: World, actor: str) -> str:
    """The id of a login that the actor's user has just made in another browser."""
    user = USERS.get(actor, "anna")
    world.town.browser(user)
    newest, *_ = world.call(user, "GET", "/api/v1/account/logins")
    id: str = newest["id"]
    return id


def real_parts(world: World) -> dict[str, list[str]]:
    """Values for the parts of paths; each has carol's beside those that the actor may meet."""
    document = world.new_document()
    link = world.new_link(document)[1]
    carol = world.town.person("carol").key
    stored = ask(world.port, "PUT", f"/api/v1/documents/{SECRET}", [bearer(carol)], content(title=SECRET)).json
    place = f"/api/v1/documents/{stored['id']}/links"
    hidden = ask(world.port, "POST", place, [bearer(carol), JSON], b"{}").json["id"]
    return {
        **{key: [document, stored["id"]] for key in ("name", "document")},
        **{"model": ["speed", "s1"], "source": ["readings", "c1"], "property": ["value", "data"]},
        **{"user": ["ben", "carol"], "link": [link, hidden], "token": [world.new_token("ben")[1]]},
    }
