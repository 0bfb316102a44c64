"""The parts of our scripts that need no document: the browser's own modules, asked in a page of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import OpenPage
from tests.browser.server import Server

Ask = Callable[..., Any]
pytestmark = pytest.mark.common_server

PENDING = """
  const [{ Pending, touched }, { reconcile, definitions }] = await Promise.all([load("pending"), load("reconcile")]);
  const set = (id, attr, value) => ({ kind: "ModelChanged", model: { id }, attr, new: value });
  const stream = (id) => ({ kind: "ColumnsStreamed", model: { id }, attr: "data", data: { type: "map" } });
  const click = { kind: "MessageSent", msg_type: "bokeh_event", msg_data: null };
  const pending = new Pending();
  const add = (...events) => pending.add(
    { content: JSON.stringify({ events }), buffers: [] }, { edit: !events.includes(click), now: 0 });
  const sent = () => {
    const all = [];
    for (let patch; (patch = pending.take()); ) all.push([patch.number, patch.events]);
    return all;
  };
"""


@pytest.fixture
def ask(server: Server, open_page: OpenPage) -> Ask:
    """Run statements with ``load(name)`` for one of our modules; returns what they return."""
    page = open_page(server.url)
    script = """(arg) => (async () => {{
      const { href } = document.querySelector("link[rel=stylesheet]");
      const load = (name) => import(new URL(`${name}.js`, href));
      STATEMENTS
    }})()""".replace("{{", "{").replace("}}", "}")
    return lambda statements, arg=None: page.evaluate(script.replace("STATEMENTS", statements), arg)


def test_what_changes_while_nobody_listens_becomes_one_patch(ask: Ask) -> None:
    got = ask(PENDING + "for (let i = 0; i < 500; i++) add(set('a', 'value', i), set('b', 'x', -i)); return sent();")
    assert got == [[1, [
        {"kind": "ModelChanged", "model": {"id": "a"}, "attr": "value", "new": 499},
        {"kind": "ModelChanged", "model": {"id": "b"}, "attr": "x", "new": -499},
    ]]]  # fmt: skip


def test_only_what_means_the_same_in_one_patch_is_merged(ask: Ask) -> None:
    model = "{ type: 'object', name: 'Div', id: 'n' }"
    got = ask(
        PENDING + f"add(set('a', 'x', 1)); add(stream('s')); add(set('a', 'x', 2)); add(set('a', 'child', {model}));"
        "add(set('a', 'x', 3)); return sent().map(([number, events]) => [number, events.length]);"
    )
    assert got == [[1, 1], [2, 1], [3, 1], [4, 1], [5, 1]]


def test_patches_keep_their_numbers_when_they_are_sent_again(ask: Ask) -> None:
    got = ask(
        PENDING
        + "for (const id of 'abcd') add(stream(id)); const first = sent(); const settled = pending.acknowledged(2);"
        "pending.cut(0); add(stream('e')); const second = sent(); pending.refused(4);"
        "return [first, second].map((all) => all.map(([number]) => number)).concat(settled, pending.size);"
    )
    assert got == [[1, 2, 3, 4], [3, 4, 5], 2, 2]


def test_no_more_than_64_patches_are_on_their_way(ask: Ask) -> None:
    got = ask(
        PENDING + "for (let i = 0; i < 100; i++) add(stream('s')); const first = sent().length;"
        "pending.acknowledged(10); return [first, sent().length, pending.size];"
    )
    assert got == [64, 10, 90]


def test_old_clicks_are_let_go_and_old_edits_are_not(ask: Ask) -> None:
    got = ask(PENDING + "add(click); add(stream('s')); const edits = pending.edits; pending.cut(11000);"
              "return [edits, pending.size, pending.touches('columns s')];")  # fmt: skip
    assert got == [1, 1, True]


def test_what_a_visitor_changes_over_and_over_does_not_pile_up(ask: Ask) -> None:
    got = ask(
        PENDING + "const stay = (event, buffers = []) => pending.add("
        "  { content: JSON.stringify({ events: [event] }), buffers }, { edit: false, now: 0, stays: true });"
        "stay(set('a', 'value', 7)); const sizes = [];"
        "for (let i = 0; i < 50; i++) { stay(stream('s')); stay(set('s', 'data', i), [['0', new ArrayBuffer(8)]]); }"
        "sizes.push(pending.size);"
        "stay(set('b', 'child', { type: 'object', name: 'Div', id: 'n' })); stay(set('b', 'child', { id: 'n' }));"
        "sizes.push(pending.size);"
        "for (let i = 0; i < 3000; i++) stay(stream('t'));"
        "return [sizes, pending.size, ['a.value', 'columns s', 'columns t'].map((key) => pending.touches(key))];"
    )
    assert got == [[2, 4], 1000, [True, False, True]]


@pytest.mark.parametrize(
    ("own", "remote", "applied", "doubts"),
    [
        ("set('a', 'x', 1)", "set('a', 'x', 2)", "MessageSent", []),
        ("set('a', 'x', 1)", "set('a', 'y', 2)", "ModelChanged", []),
        ("set('a', 'x', 1)", "set('b', 'x', 2)", "ModelChanged", []),
        ("set('a', 'data', 1)", "set('a', 'data', 2)", "MessageSent", []),
        ("stream('a')", "set('a', 'data', 2)", "ModelChanged", ["columns a"]),
        ("set('a', 'data', 1)", "stream('a')", "ColumnsStreamed", ["columns a"]),
        ("stream('a')", "stream('a')", "ColumnsStreamed", ["columns a"]),
        ("stream('a')", "stream('b')", "ColumnsStreamed", []),
        ("{kind: 'RootAdded', model: {id: 'a'}}", "{kind: 'RootRemoved', model: {id: 'b'}}", "RootRemoved", ["roots"]),
        ("{kind: 'TitleChanged', title: 'a'}", "{kind: 'TitleChanged', title: 'b'}", "MessageSent", []),
    ],
)
def test_a_change_by_others_against_one_of_our_own(
    ask: Ask, own: str, remote: str, applied: str, doubts: list[str]
) -> None:
    got = ask(
        PENDING + f"add({own}); const {{ content, doubts }} = reconcile({{ events: [{remote}] }}, pending);"
        "return [content.events[0].kind, doubts];"
    )
    assert got == [applied, doubts]


def test_models_defined_in_a_change_that_is_overruled_are_still_known(ask: Ask) -> None:
    got = ask(
        PENDING + "add(set('a', 'child', null)); const model = { type: 'object', name: 'Div', id: 'n' };"
        "const { content } = reconcile({ events: [set('a', 'child', { x: [model] })] }, pending);"
        "return [content.events[0].msg_data.x[0].id, [...definitions(content)]];"
    )
    assert got == ["n", ["n"]]


def test_ages_are_said_as_people_say_them(ask: Ask) -> None:
    ages = {
        0: "just now", 44: "just now", 46: "1 min ago", 200: "3 min ago", 3500: "58 min ago", 3600: "1 h ago",
        7300: "2 h ago", 30 * 3600: "yesterday", 75 * 3600: "3 days ago",
        40 * 86400: "5 Oct", 400 * 86400: "10 Oct 2025",
    }  # fmt: skip
    got = ask(
        "const { ago } = await load('words'); const now = new Date(2026, 10, 14, 12);"
        "return arg.map((seconds) => ago(new Date(now - seconds * 1000), now));",
        list(ages),
    )
    said = [*ages.values()]
    assert got[:-2] == said[:-2]
    assert all(set(a.replace(",", "").split()) == set(b.split()) for a, b in zip(got[-2:], said[-2:], strict=True))


def test_sizes_and_pictures(ask: Ask) -> None:
    kinds = {
        "1 plot": "plot", "12 plots": "plots", "2 plots, 3 widgets": "app", "1 plot, 1 table": "plot",
        "1 table": "table", "4 widgets": "widgets", "": "empty", "1 table, 2 widgets": "table",
    }  # fmt: skip
    sizes = {0: "0 B", 812: "812 B", 1024: "1.0 kB", 24_500: "24 kB", 1_040_000: "1.0 MB", 3_250_586: "3.1 MB"}
    got = ask(
        "const { glyph, size } = await load('words'); return [arg[0].map(glyph), arg[1].map(size)];",
        [list(kinds), list(sizes)],
    )
    assert got == [list(kinds.values()), list(sizes.values())]
