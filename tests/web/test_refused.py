"""What the REST interface refuses since no page could show it: values of a wrong type, models that there are not."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from bokeh.client import pull_session
from bokeh.core.types import ID

from bokeh_server.adapters.asgi import create_app
from bokeh_server.web.api import LARGE
from bokeh_server.web.schema import Table
from tests.web.asking import Answer, ask, call, content
from tests.web.conftest import Shared

DOCUMENTS = "/api/v1/documents"
MODELS = [{"type": "object", "name": "Plot", "id": "fig"}, {"type": "object", "name": "ColumnDataSource", "id": "new"}]


@pytest.fixture
def stored(shared: Shared) -> Iterator[str]:
    """The path of a document that is in the end as it was, so that every program can still read it."""
    path = f"{DOCUMENTS}/refused"
    whole = json.loads(content())
    body = json.dumps({**whole, "roots": [*whole["roots"], *MODELS]}).encode()
    made = ask(shared.port, "PUT", path, body=body).json
    before = ask(shared.port, "GET", path).body
    yield path
    assert ask(shared.port, "GET", path).body == before
    assert ask(shared.port, "GET", f"{path}/info").json["seq"] == made["seq"]
    session = pull_session(session_id=ID("any"), url=made["link"])
    assert len(session.document.roots) == 5
    session.close()


PROPERTIES = [
    ("fig/width", "wide", "Plot 'fig' takes null or a whole number as its width, not \"wide\"."),
    ("speed/value", [1, 2], "Slider 's1' takes a number as its value, not a list."),
    ("speed/value", "bad", "Slider 's1' takes a number as its value, not \"bad\"."),
    ("readings/selected", {"id": "d1"}, "ColumnDataSource 'c1' takes a Selection as its selected, not a Div."),
    ("readings/data", {"t": 5}, "ColumnDataSource 'c1' takes a map (of a list) as its data, not a map with 5."),
    ("new/data", {"t": 5}, "ColumnDataSource 'new' takes a map (of a list) as its data, not a map with 5."),
    ("new/data", [1], "ColumnDataSource 'new' takes a map (of a list) as its data, not a list."),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize(("place", "value", "words"), PROPERTIES)
def test_a_property_takes_no_value_of_another_type(
    shared: Shared, stored: str, place: str, value: Any, words: str
) -> None:
    told = ask(shared.port, "PUT", f"{stored}/models/{place}", body=json.dumps(value).encode())
    assert (told.status, told.json["code"], told.json["detail"]) == (409, "type-clash", words)


WHOLE = [
    ("Plott", {}, 400, "bad-message", "There is no model 'Plott'; perhaps 'Plot'?"),
    ("Plot", {"widht": 3}, 400, "bad-message", "Plot has no property 'widht'; perhaps 'width'"),
    ("Plot", {"width": "x"}, 409, "type-clash", "Plot 'p' takes null or a whole number as its width, not \"x\"."),
    ("ColumnDataSource", {"data": {"t": 5}}, 409, "type-clash", "takes a map (of a list) as its data"),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize(("name", "attributes", "status", "code", "words"), WHOLE)
def test_no_document_may_have_what_no_page_could_show(
    shared: Shared, stored: str, name: str, attributes: Any, status: int, code: str, words: str
) -> None:
    document = {"roots": [{"type": "object", "name": name, "id": "p", "attributes": attributes}]}
    body, before = json.dumps(document).encode(), len(ask(shared.port, "GET", DOCUMENTS).json)
    for answer in (
        ask(shared.port, "PUT", stored, body=body),
        ask(shared.port, "PUT", f"{DOCUMENTS}/never", body=body),
        ask(shared.port, "POST", DOCUMENTS, body=b'{"title": "never", "document": ' + body + b"}"),
    ):
        assert (answer.status, answer.json["code"]) == (status, code)
        assert words in answer.json["detail"]
    assert len(ask(shared.port, "GET", DOCUMENTS).json) == before


def test_models_of_extensions_and_of_the_document_itself_are_let_through(shared: Shared) -> None:
    own = {"type": "model", "name": "Slidr", "properties": [], "extends": {"id": "Model"}}
    for name, defs in (("my_extension.Knob", []), ("Slidr", [own]), ("IonRangeSlider", [])):
        document = {"defs": defs, "roots": [{"type": "object", "name": name, "id": "k", "attributes": {"angle": "x"}}]}
        assert ask(shared.port, "PUT", f"{DOCUMENTS}/extended", body=json.dumps(document).encode()).status < 300
        assert ask(shared.port, "PUT", f"{DOCUMENTS}/extended/models/k/angle", body=b"5").status == 200


@pytest.mark.parametrize("large", [False, True])
def test_what_is_large_is_checked_in_a_thread(large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[bool] = []

    def check(*_: Any) -> None:
        threads.append(threading.current_thread() is not threading.main_thread())

    monkeypatch.setattr(Table, "check", check)
    monkeypatch.setattr(Table, "check_value", check)
    text = "x" * (LARGE if large else 1)

    async def main() -> list[Answer]:
        app = create_app()
        await app.site.hub.start()
        try:
            return [
                await call(app, "PUT", f"{DOCUMENTS}/plain", body=content(title=text)),
                await call(app, "POST", DOCUMENTS, body=b'{"title": "a", "document": ' + content(title=text) + b"}"),
                await call(app, "PUT", f"{DOCUMENTS}/plain/models/speed/title", body=json.dumps(text).encode()),
            ]
        finally:
            await app.site.hub.stop()

    assert [answer.status for answer in asyncio.run(main())] == [201, 201, 200]
    assert threads == [large] * 3
