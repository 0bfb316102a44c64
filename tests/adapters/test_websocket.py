"""Our websocket protocol, bytes by bytes: frames made beforehand, back-pressure both ways, farewells that arrive."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

from bokeh_server.adapters import websocket
from bokeh_server.adapters.asgi import Application
from bokeh_server.core.wire import Outgoing
from bokeh_server.limits import Limits
from tests.adapters.conftest import Place, store
from tests.adapters.hosting import hosted
from tests.adapters.raw import BINARY, CLOSE, PING, PONG, TEXT, Raw, change, frame, message
from tests.running import HOSTED_BY, RunningServer
from tests.web.asking import ask, handshake

SIZES = st.sampled_from([0, 1, 125, 126, 127, 65535, 65536, 70000])


@given(st.lists(SIZES, min_size=1, max_size=4), st.lists(SIZES, max_size=3))
def test_frames_made_beforehand_are_the_bytes_that_the_websockets_library_sends(
    texts: list[int], payloads: list[int]
) -> None:
    ids = [str(number) for number in range(len(payloads))]
    message = Outgoing(
        tuple(b"x" * size for size in texts),
        tuple((name, os.urandom(n)) for name, n in zip(ids, payloads, strict=True)),
    )
    expected = b""
    for part in message.parts:
        opcode, data = (Opcode.TEXT, part.encode()) if isinstance(part, str) else (Opcode.BINARY, part)
        expected += Frame(opcode, data).serialize(mask=False)
    assert message.frames == expected


# What comes


def test_a_message_may_come_in_any_pieces(place: Place) -> None:
    content = orjson.dumps(change(7))
    pieces = [
        frame(b'{"msgid": "1", ', fin=False),
        frame(b'"msgtype": "PATCH-DOC"}', 0),
        frame(b"{}"),
        frame(content[:10], fin=False),
        frame(b"still there?", PING),
        frame(content[10:20], 0, fin=False),
        frame(content[20:], 0),
    ]
    with Raw(place.port, place.document) as client:
        client.pull()
        for byte in b"".join(pieces):
            client.send(bytes([byte]))
        assert client.next() == (PONG, b"still there?")
        client.send(message("SERVER-INFO-REQ"))
        client.until("SERVER-INFO-REPLY")
    assert place.value() == 7


class Slow(Application):
    """An application that takes its time before it lets a socket in."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await asyncio.sleep(0.3)
        await super().__call__(scope, receive, send)


def test_what_a_client_sends_before_its_handshake_is_answered_is_not_lost() -> None:
    with hosted(Slow) as port:
        place = store(port)
        with Raw(port, place.document, early=message("PATCH-DOC", change(8)) + message("PULL-DOC-REQ")) as client:
            assert client.until("PULL-DOC-REPLY")[1]["doc"]["roots"][0]["attributes"]["value"] == 8


def test_a_ping_before_the_handshake_is_answered_does_not_spoil_the_answer() -> None:
    with hosted(Slow) as port:
        place = store(port)
        with Raw(port, place.document, early=frame(b"too early", PING) + message("PULL-DOC-REQ")) as client:
            client.until("PULL-DOC-REPLY")
            client.send(frame(b"in time", PING))
            assert client.next() == (PONG, b"in time")


def test_messages_before_a_mistake_in_the_same_bytes_count(place: Place) -> None:
    with Raw(place.port, place.document) as client:
        client.pull()
        client.send(message("PATCH-DOC", change(9)) + frame(b"unmasked", mask=False))
        assert client.closed()[0] == 1002
    assert place.value() == 9


HUGE = frame(b"", BINARY)[:1] + b"\xff" + (1 << 40).to_bytes(8, "big") + b"\0\0\0\0"
BROKEN: dict[str, tuple[bytes, int]] = {
    "a frame without mask": (frame(b"{}", mask=False), 1002),
    "an opcode that there is not": (frame(b"{}", 3), 1002),
    "reserved bits": (bytes([0xF1]) + frame(b"{}")[1:], 1002),
    "a continuation of nothing": (frame(b"{}", 0), 1002),
    "a second beginning": (frame(b"{", fin=False) + frame(b"{}"), 1002),
    "a ping of more than 125 bytes": (frame(b"x" * 126, PING), 1002),
    "a frame of a tebibyte": (HUGE, 1009),
    "text that is no UTF-8": (frame(b"\xff\xfe"), 1007),
    "text that ends within a character": (frame(b"\xc3"), 1007),
    "a close code that is none": (frame(b"\x00\x01", CLOSE), 1002),
}


@pytest.mark.parametrize(("data", "code"), BROKEN.values(), ids=BROKEN)
def test_frames_that_are_no_websocket_are_answered_with_their_close_code(place: Place, data: bytes, code: int) -> None:
    with Raw(place.port, place.document) as client:
        client.pull()
        client.send(data)
        assert client.closed()[0] == code


def test_the_sender_of_far_too_much_sees_why_it_is_closed(place: Place) -> None:
    """It is still sending when the close frame comes: a reset of the connection would hide it."""
    size = 300 * 2**20
    with Raw(place.port, place.document) as client:
        client.pull()
        client.send(frame(b"")[:1] + b"\xff" + size.to_bytes(8, "big") + b"\0\0\0\0")
        client.socket.settimeout(5)
        for _ in range(200):
            client.send(b"x" * 2**20)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.closed()[0] == 1009


def test_a_library_that_sends_bad_utf8_sees_1007(place: Place) -> None:
    with connect(f"ws://localhost:{place.port}/bokeh/doc/{place.document}/ws", compression=None) as client:
        client.send(b"\xff\xfe" * 10, text=True)
        while True:
            try:
                client.recv(5)
            except Exception:  # noqa: BLE001 - whatever it is, the code tells
                break
        assert client.close_code == 1007


WRONG: dict[str, tuple[bytes, int, str]] = {
    "a header that is no JSON": (frame(b"{"), 1002, "bad-message"),
    "a header that is a list": (frame(b"[]"), 1002, "bad-message"),
    "a header without a type": (frame(b'{"msgid": "1"}'), 1002, "bad-message"),
    "a header past its bound": (frame(b'{"msgid": "' + b"x" * 20_000 + b'"}'), 1009, "too-large"),
    "metadata past its bound": (frame(b'{"msgid":"1","msgtype":"OK"}') + frame(b"x" * 20_000), 1009, "too-large"),
    "binary where text is due": (frame(b"{}", BINARY), 1002, "bad-message"),
    "too many buffers": (frame(b'{"msgid":"1","msgtype":"OK","num_buffers":100000}'), 1009, "too-large"),
    "fewer than no buffers": (frame(b'{"msgid":"1","msgtype":"OK","num_buffers":-1}'), 1002, "bad-message"),
    "text where a buffer is due": (
        b"".join(map(frame, (b'{"msgid":"1","msgtype":"OK","num_buffers":1}', b"{}", b"{}", b'{"id":"a"}', b"text"))),
        1002,
        "bad-message",
    ),
}


@pytest.mark.parametrize(("data", "code", "word"), WRONG.values(), ids=WRONG)
def test_fragments_that_are_no_message_get_an_error_and_their_close_code(
    place: Place, data: bytes, code: int, word: str
) -> None:
    with Raw(place.port, place.document) as other, Raw(place.port, place.document) as client:
        other.pull()
        client.pull()
        client.send(data)
        _, told = client.until("ERROR")
        assert (told["code"], told["traceback"]) == (word, None)
        assert client.closed() == (code, word)
        place.put(3)
        assert other.until("PATCH-DOC")[1]["events"][0]["new"] == 3


def patch(value: bytes) -> bytes:
    """A patch that sets a property to a JSON text."""
    event = b'{"kind":"ModelChanged","model":{"id":"s1"},"attr":"tags","new":%s}'
    return message("PATCH-DOC", b'{"events":[' + event % value + b"]}")


def array(**lie: object) -> bytes:
    """A patch with an array of two numbers, or what it says of it."""
    buffer = {"id": "b"}
    told = {"type": "ndarray", "array": {"type": "bytes", "data": buffer}, "dtype": "float64", "order": "little"}
    content = change([{**told, "shape": [2], **lie}], attribute="tags")
    return message("PATCH-DOC", content, num_buffers=1) + frame(orjson.dumps(buffer)) + frame(bytes(16), BINARY)


BEYOND = {
    "kind": "ColumnsPatched",
    "model": {"id": "c1"},
    "attr": "data",
    "patches": {"type": "map", "entries": [["n", [[2**63, 1]]]]},
}
REFUSED: dict[str, bytes] = {
    "content that is no JSON": frame(b'{"msgid":"1","msgtype":"PATCH-DOC"}') + frame(b"{}") + frame(b"{"),
    "no events": message("PATCH-DOC", {}),
    "an event of no kind": message("PATCH-DOC", {"events": [{"kind": "Explode"}]}),
    "an unknown model": message("PATCH-DOC", change(1, "nobody")),
    "an unknown model after a known one": message(
        "PATCH-DOC", {"events": change("half", attribute="title")["events"] + change(1, "nobody")["events"]}
    ),
    "an unknown type": message("SHUTDOWN"),
    "a RESUME without a name": message("RESUME", {}),
    "a document that is none": message("PUSH-DOC", {"doc": 3}),
    "lists that are 100,000 deep": patch(b"[" * 10**5 + b"]" * 10**5),
    "objects that are 100,000 deep": patch(b'{"a":' * 10**5 + b"1" + b"}" * 10**5),
    "a document that is 100,000 deep": message("PUSH-DOC", b'{"doc":' + b"[" * 10**5 + b"]" * 10**5 + b"}"),
    "NaN": patch(b"NaN"),
    "infinity": patch(b"[-Infinity]"),
    "half of a surrogate pair": patch(b'"\\ud800"'),
    "a number that is none": patch(b"1" * 400),
    "an index of 2^63": message("PATCH-DOC", {"events": [BEYOND]}),
    "an array of more than there is": array(shape=[3]),
    "an array of less than there is": array(shape=[1]),
    "an array of far too much": array(shape=[2**62, 2**62]),
    "an array of minus two": array(shape=[-2]),
    "an array of objects": array(dtype="object"),
    "an array in another buffer": array(array={"type": "bytes", "data": {"id": "c"}}),
    "an id that has another type": patch(b'[{"type":"object","name":"Div","id":"c1"}]'),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_messages_that_can_not_be_carried_out_are_refused_and_nobody_else_hears_of_them(
    place: Place, data: bytes
) -> None:
    with Raw(place.port, place.document) as client, Raw(place.port, place.document) as other:
        client.pull()
        before = other.pull()
        client.send(data)
        assert client.until("ERROR")[1]["traceback"] is None
        client.send(message("PATCH-DOC", change(4)) + message("SERVER-INFO-REQ"))
        client.until("SERVER-INFO-REPLY")
        header, content = other.message()
        assert (header["msgtype"], content) == ("PATCH-DOC", change(4))
        before["roots"][0]["attributes"]["value"] = 4
        assert other.pull() == before
    assert place.value() == 4


@pytest.mark.parametrize("number", [2**63, 2**64])
def test_a_number_beyond_64_bits_reaches_others_as_it_is(place: Place, number: int) -> None:
    with Raw(place.port, place.document) as client, Raw(place.port, place.document) as other:
        other.pull()
        client.send(patch(b"%d" % number) + message("PATCH-DOC", change(4)))
        assert [other.message()[1]["events"][0]["new"] for _ in range(2)] == [number, 4]
        assert other.pull()["roots"][0]["attributes"]["tags"] == number


def test_a_peer_that_closes_is_answered_and_gone(place: Place) -> None:
    with Raw(place.port, place.document) as client:
        client.pull()
        client.send(frame(b"still there?", PING) + message("SERVER-INFO-REQ") + frame(b"\x03\xe8bye", CLOSE))
        seen = list(client.frames())
    assert seen[-1] == (CLOSE, b"\x03\xe8bye")
    assert CLOSE not in [opcode for opcode, _ in seen[:-1]]
    assert (PONG, b"still there?") in seen


@pytest.mark.parametrize("fragments", [1, 3])
def test_a_ping_is_answered_before_what_came_after_it_and_a_close_after_all(place: Place, fragments: int) -> None:
    asked = message("SERVER-INFO-REQ")
    if fragments == 3:  # the ping is within the message's last part
        asked = asked.replace(frame(b"{}") * 2, frame(b"{}") + frame(b"{", fin=False) + b"%s" + frame(b"}", 0))
    else:
        asked = b"%s" + asked
    with Raw(place.port, place.document) as client:
        client.pull()
        client.send(asked % frame(b"1", PING) + asked % frame(b"2", PING) + frame(b"\x03\xe8", CLOSE))
        seen = [(opcode, payload if opcode == PONG else b"") for opcode, payload in client.frames()]
    reply = [(TEXT, b"")] * 3
    assert seen == [(PONG, b"1"), *reply, (PONG, b"2"), *reply, (CLOSE, b"")]


def test_a_peer_may_close_within_a_message(place: Place) -> None:
    with Raw(place.port, place.document) as client:
        client.pull()
        client.send(frame(b'{"msgid":', fin=False) + frame(b"\x03\xe8bye", CLOSE) + frame(b'"1"}', 0))
        assert list(client.frames()) == [(CLOSE, b"\x03\xe8bye")]


# Back-pressure


def rss(pid: int) -> float:
    """Resident memory in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_a_peer_that_reads_nothing_can_not_make_the_server_write_for_ever(running: RunningServer, place: Place) -> None:
    """It asks for a document of 4 MB again and again; without a pause of reading that is 4 GB in the server."""
    text = "x" * 4_000_000
    assert running.request("PUT", f"/api/v1/documents/{place.document}/models/speed/title", text) is not None
    with Raw(place.port, place.document, buffer=8192) as client:
        before = rss(running.pid)
        client.socket.settimeout(0.5)
        asked = 0
        try:
            while asked < 5000:
                client.send(message("PULL-DOC-REQ") * 20)
                asked += 20
        except TimeoutError:
            pass
        time.sleep(1)
        assert rss(running.pid) - before < 100
        begin = time.monotonic()
        place.put(6)
        assert time.monotonic() - begin < 2, "nobody else waits for it"
    deadline = time.monotonic() + 5
    while ask(place.port, "GET", f"/api/v1/documents/{place.document}/info").json["programs"]:
        assert time.monotonic() < deadline, "it has gone, and its seat is still taken"
        time.sleep(0.05)


def test_a_peer_that_reads_again_goes_on(place: Place) -> None:
    with Raw(place.port, place.document, buffer=8192) as slow:
        slow.send(message("RESUME", {"client": "slow-client"}) + message("PULL-DOC-REQ"))
        slow.until("PULL-DOC-REPLY")
        for at in range(40):
            body = orjson.dumps("x" * 50_000 + str(at))
            with connect(f"ws://localhost:{place.port}/bokeh/doc/{place.document}/ws", compression=None) as program:
                for part in (b'{"msgid":"1","msgtype":"PATCH-DOC"}', b"{}", orjson.dumps(change("?"))):
                    program.send(part.replace(b'"?"', body), text=True)
                program.send(b'{"msgid":"2","msgtype":"SERVER-INFO-REQ"}', text=True)
                program.send(b"{}", text=True)
                program.send(b"{}", text=True)
                while b"INFO-REPLY" not in (got := program.recv(10, decode=False)):
                    assert got
        slow.send(message("PATCH-DOC", change("last", attribute="title"), number=1))
        seen: list[Any] = []
        while True:
            header, content = slow.message()
            if header["msgtype"] == "RESYNC":
                slow.send(message("PULL-DOC-REQ"))
            elif header["msgtype"] == "PATCH-DOC":
                seen += [event["new"] for event in content["events"]]
            elif header["msgtype"] == "OK":
                break
        assert len(seen) <= 40
        place.put(2)
        slow.until("PATCH-DOC")


def test_a_document_of_any_size_arrives_whole(running: RunningServer, place: Place) -> None:
    text = "y" * 3_000_000
    running.request("PUT", f"/api/v1/documents/{place.document}/models/speed/title", text)
    with Raw(place.port, place.document, buffer=8192) as client:
        assert client.pull()["roots"][0]["attributes"]["title"] == text


# The handshake


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        # How long a header may be, the host says.
        ([("Cookie", "c" * 9000)], 101 if HOSTED_BY == "werkzeug" else 431),
        ([("X", "y")] * 200, 431),
        ([("Content-Length", "1")], 400 if HOSTED_BY is None else 101),
    ],
)
def test_a_handshake_that_can_not_be_read_is_answered(
    place: Place, headers: list[tuple[str, str]], status: int
) -> None:
    """A browser sends the cookies of all programs of this machine."""
    assert handshake(place.port, f"/bokeh/doc/{place.document}/ws", headers) == status


def test_a_handshake_that_is_refused_is_no_error_of_ours(running: RunningServer, place: Place) -> None:
    assert handshake(place.port, f"/bokeh/doc/{place.document}/ws", [("Origin", "null")]) == 403
    assert handshake(place.port, "/bokeh/doc/nobody/ws") == 404
    place.put(1)
    assert HOSTED_BY is not None or running.log.read_text() == ""  # a host's server notes every request


# The pinger


def test_a_silent_peer_is_cut_off_and_one_that_says_anything_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "LIMITS", Limits(ping=0.5))
    with hosted() as port:
        place = store(port)
        with (
            Raw(port, place.document) as dead,
            Raw(port, place.document) as pongs,
            Raw(port, place.document) as talks,
        ):
            for client in (dead, pongs, talks):
                client.pull()
                client.socket.settimeout(0.05)
            end, gone = time.monotonic() + 3, {"pongs": False, "talks": False}
            upload = iter(frame(b"x" * 1000))  # one message that takes its time
            while time.monotonic() < end:
                talks.send(bytes([next(upload)]))
                for name, client in (("pongs", pongs), ("talks", talks)):
                    try:
                        opcode, payload = client.next()
                    except TimeoutError:
                        continue
                    except (EOFError, OSError):
                        gone[name] = True
                        continue
                    if opcode == PING and name == "pongs":
                        client.send(frame(payload, PONG))
            assert gone == {"pongs": False, "talks": False}
            pinged = [opcode for opcode, _ in dead.frames()]
            assert pinged == [PING], "it was asked once, and then cut off without a word"


def test_a_peer_that_reads_slowly_is_not_the_pingers_business(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pong waits behind what it has not read, so nothing is heard of it; the room has a clock for that."""
    monkeypatch.setattr(websocket, "LIMITS", Limits(ping=0.3))
    with hosted() as port:
        place = store(port)
        body = orjson.dumps("x" * 8_000_000)
        path = f"/api/v1/documents/{place.document}/models/speed/title"
        assert ask(port, "PUT", path, body=body).status == 200
        with Raw(port, place.document, buffer=8192) as slow:
            slow.send(message("PULL-DOC-REQ"))
            time.sleep(2)
            document = slow.until("PULL-DOC-REPLY")[1]["doc"]
            assert len(document["roots"][0]["attributes"]["title"]) == 8_000_000
            slow.send(message("SERVER-INFO-REQ"))
            slow.until("SERVER-INFO-REPLY")


def test_a_viewer_that_reads_nothing_for_too_long_is_shown_the_door() -> None:
    with hosted(limits=Limits(pause=1.0, idle_room=1.0)) as port:
        place = store(port)
        body = orjson.dumps("x" * 8_000_000)
        assert ask(port, "PUT", f"/api/v1/documents/{place.document}/models/speed/title", body=body).status == 200
        with Raw(port, place.document, buffer=8192) as slow:
            slow.send(message("PULL-DOC-REQ"))
            time.sleep(3)
            opcodes = [opcode for opcode, _ in slow.frames()]
            assert opcodes[-1] == CLOSE


def test_a_viewer_that_reads_slowly_but_steadily_gets_all_of_a_large_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket.FramesProtocol, "farewell", 0.5)
    with hosted(limits=Limits(pause=1.0, idle_room=1.0)) as port:
        place, size = store(port), 4_000_000
        body = orjson.dumps("x" * size)
        assert ask(port, "PUT", f"/api/v1/documents/{place.document}/models/speed/title", body=body).status == 200
        with Raw(port, place.document, buffer=16_384) as slow:
            slow.send(message("PULL-DOC-REQ"))
            read, begin = 0, time.monotonic()
            while read < size:
                fragment = slow.socket.recv(8192)
                assert fragment, f"cut off after {read} bytes"
                read += len(fragment)
                time.sleep(len(fragment) / 1_000_000)
            assert time.monotonic() - begin > 3


def test_a_slow_peer_that_is_closed_does_not_stay_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for it is dropped after a while: its close frame would wait behind that for as long as it likes."""
    monkeypatch.setattr(websocket.FramesProtocol, "farewell", 0.5)
    with hosted() as port:
        place = store(port)
        body = orjson.dumps("x" * 8_000_000)
        assert ask(port, "PUT", f"/api/v1/documents/{place.document}/models/speed/title", body=body).status == 200
        with Raw(port, place.document, buffer=8192) as slow:
            slow.send(message("PULL-DOC-REQ"))
            time.sleep(0.5)
            assert ask(port, "DELETE", f"/api/v1/documents/{place.document}").status == 204
            time.sleep(1)
            read = sum(len(payload) for _, payload in slow.frames())
            assert read < 8_000_000


# The end


def test_the_sockets_of_a_server_that_ends_are_closed_with_1012(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        place = store(server.port)
        clients = [Raw(place.port, place.document) for _ in range(20)]
        for client in clients:
            client.pull()
        begin = time.monotonic()
        deaf = Raw(place.port, place.document, buffer=8192)
        assert server.stop() == 0
        assert time.monotonic() - begin < 5
        for client in clients:
            assert client.closed() == (1012, "restart")
            client.socket.close()
        deaf.socket.close()
