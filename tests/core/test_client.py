"""What a room knows of its clients."""

from __future__ import annotations

from bokeh_server.core.authorise import DEFAULT_USER
from bokeh_server.core.client import Client, Resume, decode_resume


def test_a_client_has_the_name_that_it_keeps_over_reconnects() -> None:
    client = Client("viewer", DEFAULT_USER)
    assert client.name == ""
    client.cursor.name = "abc"
    assert client.name == "abc"


def test_a_program_that_never_resumed_is_a_stock_one() -> None:
    assert Client("program", DEFAULT_USER).stock_program
    assert not Client("program", DEFAULT_USER, ours=True).stock_program
    assert not Client("viewer", DEFAULT_USER).stock_program


def test_a_resume_of_another_version_is_read_as_far_as_it_is_known() -> None:
    assert decode_resume(b'{"client": "c", "more": 1}') == Resume("c", None, None, False)
