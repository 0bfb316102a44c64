"""What a document keeps of what is streamed to it: its owner says so, and its room does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.running import RunningServer
from tests.web.asking import ask, content
from tests.web.conftest import Shared

ROWS = b"t,n,who\n" + b"".join(b"%d.5,%d,eva\n" % (row, row) for row in range(2_000))


def retention(shared: Shared, method: str = "GET", body: Any = None) -> Any:
    return ask(shared.port, method, f"/api/v1/documents/{shared.document}/retention", body=body)


def rows(port: int, document: str) -> int:
    """How many rows the source has, after 2,000 more were streamed to it twice."""
    for _ in range(2):
        headers = [("Content-Type", "text/csv")]
        answer = ask(port, "POST", f"/api/v1/documents/{document}/sources/c1/rows", headers, body=ROWS)
        assert answer.status == 200, answer.body
    (columns,) = [value for value in [ask(port, "GET", f"/api/v1/documents/{document}/models/c1/data").json]]
    return len(columns["entries"][0][1])


def test_an_owner_chooses_and_is_told_what_holds(shared: Shared) -> None:
    everything = {"bytes": None, "raw": None}
    assert retention(shared).json == {**everything, "holds": everything}
    told = retention(shared, "PUT", b'{"bytes": 100000}').json
    assert told == {"bytes": 100_000, "raw": None, "holds": {"bytes": 100_000, "raw": None}}
    assert retention(shared).json == told
    assert retention(shared, "PUT", b"{}").json == {**everything, "holds": everything}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"bytes": -1}', b'{"bytes": 1.5}', b'{"raw": "1d"}', b'{"row": 1}'])
def test_what_is_no_choice_is_refused(shared: Shared, body: bytes) -> None:
    answer = retention(shared, "PUT", body)
    assert answer.status == 400
    assert answer.json["code"] == "bad-message"


def test_it_holds_at_once_and_after_a_restart(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        document = ask(server.port, "PUT", "/api/v1/documents/plain", body=content()).json["id"]
        before = rows(server.port, document)
        assert before > 4_000
        ask(server.port, "PUT", f"/api/v1/documents/{document}/retention", body=b'{"bytes": 30000}')
        kept = rows(server.port, document)
        assert 500 < kept < 2_000
    with RunningServer(tmp_path / "data") as server:
        assert abs(rows(server.port, document) - kept) < kept / 10
        ask(server.port, "PUT", f"/api/v1/documents/{document}/retention", body=b'{"bytes": 0}')
        assert rows(server.port, document) > 4_000


def test_the_server_says_what_holds_for_whoever_says_nothing(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", "--retain-bytes", "64K", "--retain-raw", "1d") as server:
        document = ask(server.port, "PUT", "/api/v1/documents/plain", body=content()).json["id"]
        assert ask(server.port, "GET", f"/api/v1/documents/{document}/retention").json["holds"] == {
            "bytes": 65_536,
            "raw": 86_400.0,
        }
        rows(server.port, document)
        assert rows(server.port, document) < 5_000
