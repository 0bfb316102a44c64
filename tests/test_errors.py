"""The table of errors is total: each has its own code, a fitting status, a sentence, and its place in the tree."""

from __future__ import annotations

import inspect
import re

import pytest

from bokeh_server import errors
from bokeh_server.errors import BokehServerError, ClientError, ServerFault, TooManyAttempts

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BokehServerError)]
CLIENT = [kind for kind in ALL if issubclass(kind, ClientError)]
SERVER = [kind for kind in ALL if issubclass(kind, ServerFault)]


def tree() -> dict[str, str | None]:
    """The parent of each class, as the module's docstring draws it."""
    parents: dict[str, str | None] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if drawn := re.match(r"^ {4}([│ ├└─]*)([A-Z]\w+)(?: {2,}|$)", line):
            depth = len(drawn[1]) // 4
            above[depth:] = [drawn[2]]
            parents[drawn[2]] = above[depth - 1] if depth else None
    return parents


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    assert tree() == {kind.__name__: None if kind is BokehServerError else kind.__bases__[0].__name__ for kind in ALL}


def test_every_error_says_who_is_to_blame() -> None:
    assert set(ALL) - {BokehServerError} == set(CLIENT) | set(SERVER)
    assert not set(CLIENT) & set(SERVER)


def test_every_error_has_its_own_code() -> None:
    codes = [kind.__dict__["code"] for kind in ALL]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize("kind", CLIENT)
def test_an_error_of_the_client_has_a_status_of_the_4xx(kind: type[ClientError]) -> None:
    assert 400 <= kind.status < 500


@pytest.mark.parametrize("kind", SERVER)
def test_a_fault_of_ours_has_a_status_of_the_5xx(kind: type[ServerFault]) -> None:
    assert 500 <= kind.status < 600


@pytest.mark.parametrize("kind", ALL)
def test_the_close_code_is_one_that_a_server_may_send(kind: type[BokehServerError]) -> None:
    assert kind.close in {1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013}


@pytest.mark.parametrize(
    ("seconds", "wait", "told"),
    [(0.0, 1, "1 minute."), (59.2, 60, "1 minute."), (60.1, 61, "2 minutes."), (3600, 3600, "60 minutes.")],
)
def test_who_tried_too_often_is_told_how_long_to_wait(seconds: float, wait: int, told: str) -> None:
    error = TooManyAttempts(seconds=seconds)
    assert (error.wait, str(error)) == (wait, f"Too many attempts; wait {told}")
    assert TooManyAttempts().wait is None


@pytest.mark.parametrize("kind", ALL)
def test_the_docstring_is_the_default_message_and_one_plain_sentence(kind: type[BokehServerError]) -> None:
    message = str(kind())
    assert message == (kind.__doc__ or "").strip()
    assert re.fullmatch(r"[A-Z][^\n]*\.", message)
    assert str(kind("The line has 3 points too many.")) == "The line has 3 points too many."
