"""A patch without a socket that its sender has counted is taken once, however often it comes."""

from __future__ import annotations

from bokeh_server.core.authorise import DEFAULT_USER
from bokeh_server.core.events import Submitted
from tests.core.playbook import Playbook, live, patch, streamed

PRODUCER = "producer-one"


def submits(book: Playbook, token: int, number: int, x: int) -> list[str]:
    content = patch(streamed("s", x=[x], y=[x]))
    return book.receive(Submitted(token, "patch", content, (), DEFAULT_USER, book.now, PRODUCER, number))


def columns(book: Playbook) -> list[int]:
    return list(book.room.document.models["s"].attributes["data"]["x"].live)


def test_a_counted_patch_is_taken_once_and_answered_each_time() -> None:
    book = live()
    assert submits(book, 5, 1, 7) == ["append 2"]
    assert submits(book, 6, 1, 7) == []
    assert [line for line in book.appended() if "answer" in line] == ["answer 5: 2", "answer 6: 2"]
    assert columns(book)[-2:].count(7) == 1
    assert submits(book, 7, 2, 8) == ["append 3"]
    assert columns(book)[-2:] == [7, 8]


def test_numbers_of_one_are_not_those_of_another() -> None:
    book = live()
    submits(book, 5, 4, 7)
    content = patch(streamed("s", x=[9], y=[9]))
    book.receive(Submitted(6, "patch", content, (), DEFAULT_USER, book.now, "producer-two", 1))
    assert columns(book)[-2:] == [7, 9]
    assert book.room.numbers[PRODUCER] == 4
