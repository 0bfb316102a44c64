"""Rows that are pushed without any document: the plot that the server makes of them, drawn by BokehJS as it is."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from tests.browser.conftest import OpenPage, Screen, until
from tests.browser.server import Server

pytestmark = pytest.mark.common_server


def push(server: Server, title: str, rows: list[dict[str, Any]]) -> str:
    """Push rows; the link."""
    body = "\n".join(map(json.dumps, rows)).encode()
    url = f"{server.url}/api/v1/documents/{title}/rows"
    request = urllib.request.Request(url, body, {"Content-Type": "application/x-ndjson"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        link: str = json.load(answer)["link"]
        return link


def test_a_plot_of_rows_is_drawn_and_grows(server: Server, open_page: OpenPage) -> None:
    start = 1_767_323_045
    rows = [{"time": start + at, "cpu": at % 7, "memory": 10 + at, "host": "x"} for at in range(50)]
    screen = Screen(open_page(push(server, "drawn", rows)))
    ranges = "doc.get_model_by_id('{}').{}"
    until(lambda: screen.ask(ranges.format("y-range", "end")), lambda end: end > 59)
    assert screen.ask(ranges.format("x-range", "start")) < start * 1000 + 1
    screen.do("doc.get_model_by_id('line-1').visible = false")
    until(lambda: screen.ask(ranges.format("y-range", "end")), lambda end: end < 10)  # the axis is the other line's
    push(server, "drawn", [{"time": start + 50, "cpu": 3, "disk": 4.5}])
    until(lambda: screen.ask("doc.get_model_by_id('plot').renderers.length"), lambda count: count == 3)
    names = screen.ask("doc.get_model_by_id('legend').items.map((item) => item.label.value)")
    assert names == ["cpu", "memory", "disk"]
    assert screen.column("rows", "cpu")[-1] == 3
    assert screen.column("rows", "host") == ["x"] * 50 + [None]


def test_a_plot_without_numbers_waits_for_some(server: Server, open_page: OpenPage) -> None:
    link = push(server, "words", [{"who": "ann"}])
    screen = Screen(open_page(link))
    push(server, "words", [{"who": "bob", "n": 1}, {"who": "eve", "n": 2}])
    until(lambda: screen.ask("doc.get_model_by_id('plot').renderers.length"), lambda count: count == 1)
    until(lambda: screen.ask("doc.get_model_by_id('y-range').end"), lambda end: 2 <= end < 3)
