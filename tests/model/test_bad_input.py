"""Bad input costs its sender an error and nobody else anything: fuzz of ``apply`` and the wire, and the worst by hand.

``FUZZ_SECONDS`` sets how long each of the two fuzz tests runs (10 s in every run, 1,000 s in ``make fuzz``); a failure
prints its seed, and ``FUZZ_SEED=<seed>`` runs that alone.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from bokeh_server.core import Buffers
from bokeh_server.core.apply import Origin, apply
from bokeh_server.core.authorise import Access, Actor
from bokeh_server.core.document import Document
from bokeh_server.core.events import Appended, Effect, Joined, Left, Received, Send
from bokeh_server.core.log import Stored
from bokeh_server.core.room import Room
from bokeh_server.core.wire import Assembler, Header, Message
from bokeh_server.errors import BadMessage, ClientError, TooLarge
from bokeh_server.limits import LIMITS
from tests.model.bad_input import Spoiler, base, events, state, trial

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
SECONDS = float(os.environ.get("FUZZ_SECONDS", "1000" if LONG else "10"))
SEED = os.environ.get("FUZZ_SEED")

Patch = tuple[bytes, Buffers, Origin]


def seeds() -> Iterator[int]:
    """Seeds for as long as there is time."""
    if SEED:
        yield int(SEED)
        return
    end = time.monotonic() + SECONDS
    seed = random.SystemRandom().randrange(10**9)
    while time.monotonic() < end:
        yield seed
        seed += 1


@pytest.mark.timeout(0)
def test_a_spoiled_patch_is_refused_without_a_trace_or_holds_everywhere() -> None:
    taken = refused = 0
    for seed in seeds():
        spoiler = Spoiler(random.Random(seed))
        document = Document.decode(*base())
        for step in range(8):
            content, buffers, origin = spoiler.patch()
            try:
                ok = trial(document, content, buffers, origin)
            except Exception as error:
                error.add_note(f"FUZZ_SEED={seed}, patch {step} of a {origin}: {content!r} {buffers}")
                raise
            taken += ok
            refused += not ok
    assert SEED or (taken > 100 and refused > 100)


@pytest.mark.timeout(0)
def test_spoiled_frames_raise_bad_message_and_nothing_else_and_never_a_room() -> None:
    for seed in seeds():
        rng = random.Random(seed)
        assembler = Assembler()
        room = Room.restore(Access("d", "owner"), Stored(None, {}, []))
        room.receive(Joined(1, "viewer", Actor("user", "owner")))
        try:
            for fragment in fragments(rng):
                converse(room, assembler, fragment)
        except Exception as error:
            error.add_note(f"FUZZ_SEED={seed}")
            raise


def converse(room: Room, assembler: Assembler, fragment: str | bytes) -> None:
    """Give a fragment to an assembler, and what comes out of it to a room."""
    try:
        message = assembler.receive(fragment)
    except BadMessage:
        return
    if message is not None:
        room.receive(Received(1, [message], 0.0))
        room.receive(Appended(room.seq))


def fragments(rng: random.Random) -> Iterator[str | bytes]:
    """The fragments of some messages, some of them spoiled, left out, doubled or of the wrong kind."""
    spoiler = Spoiler(rng)
    for _ in range(rng.randint(1, 6)):
        content, buffers, _ = spoiler.patch()
        kinds = ["PATCH-DOC", "PULL-DOC-REQ", "RESUME", "PUSH-DOC", "OK", "SERVER-INFO-REQ", "x" * 50]
        header: dict[str, Any] = {"msgid": "1", "msgtype": rng.choice(kinds), "num_buffers": len(buffers), "number": 1}
        if header["msgtype"] == "RESUME":
            content = dumps(spoiler.spoil({"client": "abcdefghij", "epoch": 1, "seq": 0, "answers": False}))
        if header["msgtype"] == "PUSH-DOC":
            content, buffers = base()
            content = dumps({"doc": spoiler.spoil(orjson.loads(content))})
            header["num_buffers"] = len(buffers)
        texts = [dumps(spoiler.spoil(header) if rng.random() < 0.3 else header), b"{}", content]
        parts: list[str | bytes] = [text.decode("utf-8", "surrogateescape") for text in texts]
        for name, payload in buffers:
            parts += [orjson.dumps({"id": name}).decode(), bytes(payload)]
        for part in parts:
            yield from spoiled_fragment(rng, part)


def dumps(value: Any) -> bytes:
    """JSON of any depth."""
    return json.dumps(value, ensure_ascii=False).encode()


def spoiled_fragment(rng: random.Random, part: str | bytes) -> Iterator[str | bytes]:
    """A fragment, nearly always as it is."""
    roll = rng.random()
    if roll < 0.02:
        return
    if roll < 0.04:
        yield part
    if roll < 0.06 and isinstance(part, str):
        part = part.encode("utf-8", "surrogateescape")
    elif roll < 0.08 and isinstance(part, bytes):
        part = part.decode("latin-1")
    elif roll < 0.1:
        part = part[: rng.randrange(len(part) + 1)]
    yield part


# The worst by hand


def refused(content: bytes, buffers: Buffers = (), *, origin: Origin = "program") -> ClientError:
    """The error of a patch that must be refused, and leave no trace."""
    document = Document.decode(*base())
    before = state(document)
    with pytest.raises(ClientError) as caught:
        apply(document, content, buffers, origin=origin)
    assert state(document) == before
    return caught.value


def changed(value: bytes, attribute: bytes = b"tags") -> bytes:
    """A patch that sets an attribute of the slider to a JSON text."""
    return b'{"events":[{"kind":"ModelChanged","model":{"id":"w"},"attr":"%s","new":%s}]}' % (attribute, value)


@pytest.mark.parametrize("text", [b"[" * 10**5 + b"]" * 10**5, b'{"a":' * 10**5 + b"1" + b"}" * 10**5, b"[" * 10**5])
def test_json_that_is_nested_100_000_deep_is_refused(text: bytes) -> None:
    refused(changed(text))
    refused(text)
    with pytest.raises(ClientError):
        Document.decode(text)


@pytest.mark.parametrize("depth", [240, 247, 248, 249, 250, 251, 252, 255, 300, 1000])
@pytest.mark.parametrize(
    "wrap",
    [
        b"%s",
        b'{"type":"map","entries":[["k",%s]]}',
        b'[{"id":"s"},%s]',
        b'{"a":%s}',
        b'[{"type":"object","name":"Div","id":"new","attributes":{"tags":%s}}]',
    ],
)
def test_json_at_the_bound_of_depth_is_refused_or_can_be_written_and_read_again(depth: int, wrap: bytes) -> None:
    for text in (lists(depth), b'{"x":' * depth + b"1" + b"}" * depth, maps(depth // 3)):
        for origin in ("program", "viewer"):
            trial(Document.decode(*base()), changed(wrap % text), (), origin)


def lists(depth: int) -> bytes:
    """Nested lists as JSON."""
    return b"[" * depth + b"1" + b"]" * depth


def maps(depth: int) -> bytes:
    """Nested maps as JSON."""
    return b'{"type":"map","entries":[["k",' * depth + b"1" + b"]]}" * depth


def test_a_chain_of_models_as_long_as_you_like_can_be_written_and_read_again() -> None:
    document = Document.decode(*base())
    for at in range(3000):
        new = {"type": "object", "name": "Div", "id": f"n{at}", "attributes": {"tags": [at]}}
        parent = {"id": f"n{at - 1}"} if at else {"id": "w"}
        event = {"kind": "ModelChanged", "model": parent, "attr": "tags", "new": [new]}
        apply(document, orjson.dumps({"events": [event]}))
    trial(document, changed(b"5", b"value"), ())


@pytest.mark.parametrize(
    "text", [b"NaN", b"Infinity", b"-Infinity", b"[1,]", b"01", b'"\\ud800"', b'"\xed\xa0\x80"', b"\xff", b""]
)
def test_text_that_is_not_strict_json_is_refused(text: bytes) -> None:
    assert isinstance(refused(changed(text)), BadMessage)


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**400])
@pytest.mark.parametrize("wrap", [b"%d", b"[%d, 1]", b'{"type":"number","value":%d}'])
def test_numbers_beyond_64_bits_are_refused_or_kept(number: int, wrap: bytes) -> None:
    trial(Document.decode(*base()), changed(wrap % number), ())
    stream = [["f", [number]], ["i", [number]], ["l", [number]], ["s", [number]], ["m", [number]]]
    for event in (
        {"kind": "ColumnsStreamed", "model": {"id": "s"}, "attr": "data", "data": {"type": "map", "entries": stream}},
        {
            "kind": "ColumnsPatched",
            "model": {"id": "s"},
            "attr": "data",
            "patches": {"type": "map", "entries": [["i", [[0, number]]], ["f", [[0, number]]]]},
        },
        {
            "kind": "ColumnsPatched",
            "model": {"id": "s"},
            "attr": "data",
            "patches": {"type": "map", "entries": [["f", [[number, 1]]]]},
        },
    ):
        content = repr({"events": [event]}).replace("'", '"').encode()
        trial(Document.decode(*base()), content, ())


@pytest.mark.parametrize("rollover", [-1, 1.5, "3", True, 2**63, 10**30, {}, [1]])
def test_a_rollover_that_is_no_count_is_refused(rollover: Any) -> None:
    stream = {"type": "map", "entries": [["l", [1]]]}
    event = {"kind": "ColumnsStreamed", "model": {"id": "s"}, "attr": "data", "data": stream, "rollover": rollover}
    document = Document.decode(*base())
    taken = trial(document, repr({"events": [event]}).replace("'", '"').replace("True", "true").encode(), ())
    assert taken == (rollover == 2**63)


@pytest.mark.parametrize(
    "index", [-1, 3, 10**12, 2**63, True, 1.0, "0", None, {"id": "w"}, [0], [0, -1, 0], [0, 9, 9], [[0], 1, 1]]
)
def test_an_index_that_the_column_does_not_have_is_refused(index: Any) -> None:
    for column in ("f", "l", "m"):
        patches = {"type": "map", "entries": [[column, [[index, 1]]]]}
        event = {"kind": "ColumnsPatched", "model": {"id": "s"}, "attr": "data", "patches": patches}
        refused(orjson.dumps({"events": [event]}))


@pytest.mark.parametrize(
    "part", [(-1, 2, 1), (0, 4, 1), (2, 1, 1), (0, 2, 0), (0, 2, -1), (0, 10**12, 1), (None, None, 2**63)]
)
def test_a_slice_that_the_column_does_not_have_is_refused(part: Any) -> None:
    start, stop, step = part
    index = {"type": "slice", "start": start, "stop": stop, "step": step}
    for column in ("f", "l"):
        patches = {"type": "map", "entries": [[column, [[index, [1, 1]]]]]}
        event = {"kind": "ColumnsPatched", "model": {"id": "s"}, "attr": "data", "patches": patches}
        refused(orjson.dumps({"events": [event]}))


def test_arrays_that_lie_about_their_shape_type_or_bytes_are_refused() -> None:
    data = {"type": "bytes", "data": {"id": "b"}}
    good = {"type": "ndarray", "array": data, "dtype": "float64", "shape": [2], "order": "little"}
    lies: list[dict[str, Any]] = [
        {"shape": [3]},
        {"shape": [1]},
        {"shape": [2, 2]},
        {"shape": [-2]},
        {"shape": [2**62, 2**62]},
        {"shape": [2.0]},
        {"shape": "2"},
        {"shape": [1] * 99 + [2]},
        {"dtype": "int64"},
        {"dtype": "object"},
        {"dtype": "O"},
        {"dtype": "V8"},
        {"dtype": "<f8"},
        {"dtype": None},
        {"dtype": "float32,float64"},
        {"order": "up"},
        {"order": 1},
        {"array": 5},
        {"array": {"type": "bytes", "data": {"id": "no"}}},
        {"array": {"type": "bytes", "data": "%%%"}},
        {"array": ["a", "b"]},
        {"array": [[1], 2]},
        {"array": None},
    ]
    for lie in lies:
        refused(changed(orjson.dumps([{**good, **lie}])), (("b", bytes(16)),))
    refused(changed(orjson.dumps([good])), (("b", bytes(15)),))
    assert trial(
        Document.decode(*base()), changed(orjson.dumps([good])), (("b", bytes(16)), ("unused", b"x"), ("b", bytes(16)))
    )


@pytest.mark.parametrize("shape", [[{}], ["2"], [2.0], [None], [[2]], [True], [-2], [10**30], 2])
@pytest.mark.parametrize("entries", ["array", 5, None, "f", {"f": [1]}, [5], [["f"]], [[1, [1]]], [["f", 5]]])
def test_a_stream_that_is_nearly_plain_is_refused_or_holds_everywhere(shape: Any, entries: Any) -> None:
    array = {"type": "ndarray", "array": {"type": "bytes", "data": {"id": "b"}}, "dtype": "float64", "shape": shape}
    if entries == "array":
        entries = [["f", {**array, "order": "little"}]]
    data = {"type": "map", "entries": entries}
    event = {"kind": "ColumnsStreamed", "model": {"id": "s"}, "attr": "data", "data": data}
    refused(json.dumps({"events": [event]}).encode(), (("b", bytes(16)),))


@pytest.mark.parametrize("origin", ["program", "viewer"])
def test_an_event_whose_parts_come_in_another_order_is_the_same_everywhere(origin: Origin) -> None:
    new = {"type": "object", "name": "Div", "id": "n", "attributes": {"tags": [{"id": "w"}]}}
    document = Document.decode(*base())
    for event in (
        {"new": [new, {"id": "w"}], "attr": "children", "model": {"id": "r"}, "kind": "ModelChanged"},
        {"kind": "RootRemoved", "model": {"id": "r"}},
        {"new": [{"id": "s"}, new], "attr": "children", "model": {"id": "r"}, "kind": "ModelChanged"},
        {"new": {"id": "m"}, "attr": "tags", "model": {**new, "id": "m"}, "kind": "ModelChanged"},
        {"kind": "RootAdded", "model": {"id": "r"}},
    ):
        assert trial(document, json.dumps({"events": [event]}).encode(), (), origin)


def test_of_two_buffers_of_one_name_the_last_one_counts() -> None:
    array = {"type": "ndarray", "array": {"type": "bytes", "data": {"id": "b"}}, "dtype": "uint8", "shape": [1]}
    data = {"type": "map", "entries": [["l", {**array, "order": "little"}]]}
    events = [{"kind": "ColumnsStreamed", "model": {"id": "s"}, "attr": "data", "data": data}]
    for more in ([], [{"kind": "TitleChanged", "title": "x"}]):
        document = Document.decode(*base())
        apply(document, orjson.dumps({"events": events + more}), (("b", b"\1"), ("b", b"\2")))
        assert list(document.models["s"].attributes["data"]["l"].live)[-1] == 2


def test_a_binary_value_that_inflates_beyond_the_bound_is_refused() -> None:
    bomb = base64.b64encode(gzip.compress(bytes(2**22))).decode()
    document = Document.decode(*base(), limits=replace(LIMITS, message=2**20))
    with pytest.raises(TooLarge):
        apply(document, changed(orjson.dumps([{"type": "bytes", "data": bomb}])))


def test_an_id_that_exists_with_another_type_is_refused() -> None:
    for origin in ("program", "viewer"):
        other: Origin = "viewer" if origin == "viewer" else "program"
        assert refused(changed(b'[{"type":"object","name":"Div","id":"s"}]'), origin=other).code == "type-clash"


def test_definitions_in_a_circle_and_words_of_javascript_are_just_values() -> None:
    document = Document.decode(*base())
    attributes = b'{"tags":[%s],"__proto__":{"polluted":true},"constructor":1}'
    circle = b'{"type":"object","name":"Div","id":"%s","attributes":' + attributes + b"}"
    assert trial(document, changed(b"[%s]" % (circle % (b"__proto__", circle % (b"b", b'{"id":"__proto__"}')))), ())
    assert trial(document, changed(b'{"__proto__":{"id":"b"},"constructor":{"id":"s"}}', b"__proto__"), ())
    assert document.models["w"].attributes["__proto__"] == {"__proto__": {"id": "b"}, "constructor": {"id": "s"}}
    assert trial(document, changed(b"1"), ())


def test_more_events_than_the_bound_are_refused_before_any_is_carried_out() -> None:
    event = b'{"kind":"TitleChanged","title":"x"}'
    assert isinstance(refused(b'{"events":[' + b",".join([event] * 10**6) + b"]}"), TooLarge)


def test_more_models_than_the_bound_are_refused_and_none_of_them_stays() -> None:
    document = Document.decode(*base(), limits=replace(LIMITS, models=100))
    before = state(document)
    new = [{"type": "object", "name": "Div", "id": f"n{at}"} for at in range(200)]
    with pytest.raises(TooLarge):
        apply(document, changed(orjson.dumps(new)))
    assert state(document) == before


@pytest.mark.parametrize("at", range(11))
def test_a_patch_whose_last_event_is_refused_leaves_nothing_of_the_others(at: int) -> None:
    valid, buffers = events()
    last = {"kind": "ModelChanged", "model": {"id": "nobody"}, "attr": "x", "new": 1}
    refused(orjson.dumps({"events": [valid[at], valid[at], last]}), tuple(buffers.items()))
    refused(orjson.dumps({"events": [*valid, last]}), tuple(buffers.items()))


def test_a_refused_patch_is_told_to_its_sender_alone() -> None:
    content, buffers = base()
    room = Room.restore(Access("d", "owner"), Stored(None, {}, []))
    for key in (1, 2):
        room.receive(Joined(key, "viewer", Actor("user", "owner")))
    room.receive(Received(1, [Message(Header("0", "PUSH-DOC"), b'{"doc":' + content + b"}", buffers)], 0.0))
    room.receive(Appended(1))
    for key in (1, 2):
        room.receive(Received(key, [Message(Header("1", "PULL-DOC-REQ"), b"{}")], 0.0))
    effects = room.receive(Received(1, [Message(Header("2", "PATCH-DOC"), changed(b"NaN"))], 0.0))
    assert all(reaches(effect) <= {1} for effect in effects)
    assert room.receive(Left(1)) is not None


def reaches(effect: Effect) -> set[int]:
    """The clients that an effect reaches."""
    return set(effect.clients) if isinstance(effect, Send) else {getattr(effect, "client", 0)}


def test_the_fuzz_notices_an_apply_that_forgets_to_take_a_change_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(document: Document, content: bytes, buffers: Buffers = (), *, origin: Origin = "program") -> Any:
        try:
            return apply(document, content, buffers, origin=origin)
        except ClientError:
            document.models["w"].put("value", "half done")
            raise

    monkeypatch.setattr("tests.model.bad_input.apply", wrong)
    with pytest.raises(AssertionError, match="left something behind"):
        trial(Document.decode(*base()), changed(b"NaN"), ())
