"""Bokeh's framing: three text fragments, then a pair for each buffer; and the frames that go out, made once."""

from __future__ import annotations

import json
import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import orjson
import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource
from bokeh.models.widgets import Slider
from bokeh.protocol import Protocol
from bokeh.protocol.messages.patch_doc import patch_doc
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from bokeh_server.core import Buffers
from bokeh_server.core.wire import Assembler, Header, Message, Outgoing, encode_text, exact, outgoing
from bokeh_server.errors import BadMessage, TooLarge
from bokeh_server.limits import LIMITS

HEADER = '{"msgid":"m1","msgtype":"PATCH-DOC"}'
WITH_TWO = '{"msgid":"m1","msgtype":"PATCH-DOC","num_buffers":2}'


def feed(assembler: Assembler, *fragments: str | bytes) -> Message:
    """The message that the last of the fragments completes; the others complete none."""
    *first, last = fragments
    for fragment in first:
        assert assembler.receive(fragment) is None
    message = assembler.receive(last)
    assert message is not None
    return message


def parse(frames: bytes) -> list[tuple[Opcode, bool, bytes]]:
    """Opcode, end mark and payload of each frame, as the websockets library reads them (it refuses what is masked)."""
    reader = StreamReader()
    reader.feed_data(frames)
    reader.feed_eof()
    found = []
    while not drained(reader):
        parsing = Frame.parse(reader.read_exact, mask=False)
        try:
            next(parsing)
        except StopIteration as end:
            found.append((end.value.opcode, end.value.fin, bytes(end.value.data)))
    return found


def drained(reader: StreamReader) -> bool:
    """Whether nothing is left to read."""
    try:
        next(reader.at_eof())
    except StopIteration as end:
        return bool(end.value)
    raise AssertionError("the reader waits for more")


# What comes in


def test_three_text_fragments_are_a_message() -> None:
    message = feed(Assembler(), HEADER, "{}", '{"events":[]}')
    assert message == Message(Header("m1", "PATCH-DOC"), b'{"events":[]}', ())


def test_the_content_is_kept_byte_for_byte() -> None:
    content = '{ "events" : [] ,"x":"é\\u00e9" }'
    assert feed(Assembler(), HEADER, "{}", content).content == content.encode()


def test_buffers_follow_in_pairs_of_a_name_and_a_payload() -> None:
    message = feed(Assembler(), WITH_TWO, "{}", "{}", '{"id":"p7"}', b"\x00\x01", '{"id":"0"}', b"")
    assert message.buffers == (("p7", b"\x00\x01"), ("0", b""))


def test_the_size_of_a_message_is_that_of_its_content_and_its_payloads() -> None:
    assert feed(Assembler(), WITH_TWO, "{}", '"é"', '{"id":"a"}', b"12", '{"id":"b"}', b"345").size == 4 + 5


def test_one_message_follows_another_on_the_same_socket() -> None:
    assembler = Assembler()
    feed(assembler, WITH_TWO, "{}", "1", '{"id":"a"}', b"", '{"id":"b"}', b"")
    assert feed(assembler, HEADER, "{}", "2") == Message(Header("m1", "PATCH-DOC"), b"2")


def test_a_header_tells_request_number_and_place_and_what_else_it_says_is_ignored() -> None:
    text = '{"msgid":"m","msgtype":"OK","reqid":"r","number":3,"epoch":1,"seq":9,"token":{"deep":[1]},"x":null}'
    header = feed(Assembler(), text, "{}", "{}").header
    assert header == Header("m", "OK", reqid="r", number=3, epoch=1, seq=9)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"msgid":"m"}',
        '{"msgtype":"OK"}',
        '{"msgid":1,"msgtype":"OK"}',
        '{"msgid":"m","msgtype":"OK","num_buffers":"1"}',
        '{"msgid":"m","msgtype":"OK","num_buffers":-1}',
        '{"msgid":"m","msgtype":"OK","num_buffers":1e999}',
        '{"msgid":"m","msgtype":"OK","number":1.5}',
        '{"msgid":"m","msgtype":"OK","number":0}',
        '{"msgid":"m","msgtype":"OK","number":9223372036854775808}',
        '{"msgid":"\\ud800","msgtype":"OK"}',
        '{"msgid":"m","msgtype":"OK","x":' + "[" * 8000 + "]" * 8000 + "}",
        '{"msgid":"\ud800","msgtype":"OK"}',
    ],
)
def test_a_header_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(BadMessage) as refused:
        Assembler().receive(header)
    assert refused.type is BadMessage


@pytest.mark.parametrize("header", ["", "{}", '{"id":1}', "[" * 9000, '{"id":"\ud800"}'])
def test_a_buffer_without_a_name_is_refused(header: str) -> None:
    assembler = Assembler()
    for fragment in (WITH_TWO, "{}", "{}"):
        assembler.receive(fragment)
    with pytest.raises(BadMessage):
        assembler.receive(header)


def test_content_with_a_lone_surrogate_is_refused() -> None:
    assembler = Assembler()
    assembler.receive(HEADER)
    assembler.receive("{}")
    with pytest.raises(BadMessage, match="surrogate"):
        assembler.receive('"\udfff"')
    assert encode_text("𝄞") == b"\xf0\x9d\x84\x9e"


@pytest.mark.parametrize("before", [(), (HEADER,), (HEADER, "{}"), (WITH_TWO, "{}", "{}")])
def test_a_binary_fragment_where_text_belongs_is_refused(before: tuple[str, ...]) -> None:
    assembler = Assembler()
    for fragment in before:
        assembler.receive(fragment)
    with pytest.raises(BadMessage, match="binary"):
        assembler.receive(b"{}")


def test_a_text_fragment_where_a_payload_belongs_is_refused() -> None:
    assembler = Assembler()
    for fragment in (WITH_TWO, "{}", "{}", '{"id":"a"}'):
        assembler.receive(fragment)
    with pytest.raises(BadMessage, match="text"):
        assembler.receive("payload")


def test_after_a_refused_fragment_the_next_message_is_read_afresh() -> None:
    assembler = Assembler(replace(LIMITS, message=len(HEADER) + 10))
    assembler.receive(HEADER)
    assembler.receive("{}")
    with pytest.raises(TooLarge):
        assembler.receive("x" * 20)
    assert feed(assembler, HEADER, "{}", "1").content == b"1"


def test_a_message_may_be_as_large_as_the_limit_and_not_a_byte_larger() -> None:
    limits = replace(LIMITS, message=len(WITH_TWO) + 2 + 4 + 2 * 10 + 5)
    fragments = (WITH_TWO, "{}", "1234", '{"id":"a"}', b"12", '{"id":"b"}')
    assert feed(Assembler(limits), *fragments, b"345").size == 9
    with pytest.raises(TooLarge, match="smaller parts"):
        feed(Assembler(limits), *fragments, b"3456")


def test_the_size_of_a_message_is_counted_in_bytes_not_in_characters() -> None:
    limits = replace(LIMITS, message=len(HEADER) + 2 + 20)
    assert feed(Assembler(limits), HEADER, "{}", '"' + "é" * 9 + '"').size == 20
    with pytest.raises(TooLarge):
        feed(Assembler(limits), HEADER, "{}", '"' + "é" * 9 + 'x"')


def test_an_overlong_header_or_metadata_or_name_of_a_buffer_is_refused() -> None:
    assembler = Assembler(replace(LIMITS, header=60))
    with pytest.raises(TooLarge, match="header of a message"):
        assembler.receive(HEADER + " " * 60)
    assembler.receive(HEADER)
    with pytest.raises(TooLarge, match="metadata"):
        assembler.receive(" " * 61)
    for fragment in (WITH_TWO, "{}", "{}"):
        assembler.receive(fragment)
    with pytest.raises(TooLarge, match="header of a buffer"):
        assembler.receive('{"id":"' + "a" * 60 + '"}')


def test_more_buffers_than_the_limit_are_refused_before_they_come() -> None:
    limits = replace(LIMITS, buffers=2)
    assert Assembler(limits).receive(WITH_TWO) is None
    with pytest.raises(TooLarge, match="at most 2 buffers"):
        Assembler(limits).receive('{"msgid":"m","msgtype":"OK","num_buffers":3}')


SMALL = replace(LIMITS, message=200, header=80, buffers=2)
whole = st.sampled_from(
    [
        (HEADER, "{}", '{"events":[]}'),
        (HEADER, "{}", "é" * 30),
        (HEADER, "{}", "x" * 100),
        (WITH_TWO, "{}", "1", '{"id":"a"}', b"12", '{"id":"b"}', b""),
    ]
)
broken: st.SearchStrategy[tuple[str | bytes, ...]] = st.sampled_from(
    [
        ("{}", "{}", "{}"),
        (HEADER, "{}", "\ud800"),
        (HEADER, "{}", "x" * 200),
        (HEADER, "{" + " " * 80 + "}", "{}"),
        (HEADER + " " * 80, "{}", "{}"),
        (b"binary", "{}", "{}"),
        (HEADER, "{}", b"binary"),
        (HEADER,),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(whole, max_size=5), broken, st.lists(whole, max_size=2), st.lists(st.integers(1, 9), max_size=9))
def test_fragments_that_come_together_are_the_same_messages(
    good: list[tuple[str | bytes, ...]],
    bad: tuple[str | bytes, ...],
    after: list[tuple[str | bytes, ...]],
    sizes: list[int],
) -> None:
    fragments = [fragment for message in (*good, bad, *after) for fragment in message]
    one_by_one, together = Assembler(SMALL), Assembler(SMALL)
    expected: list[Message | str] = []
    found: list[Message | str] = []
    try:
        for fragment in fragments:
            message = one_by_one.receive(fragment)
            expected += [message] if message is not None else []
    except BadMessage as error:
        expected.append(str(error))
    at = 0
    try:
        for size in (*sizes, len(fragments)):
            found.extend(together.messages(fragments[at : at + size]))
            at += size
    except BadMessage as error:
        found.append(str(error))
    assert found == expected


def test_a_push_of_bokehs_own_client_is_understood() -> None:
    document = Document()
    document.add_root(ColumnDataSource(data={"x": np.arange(3.0)}))
    push = Protocol().create("PUSH-DOC", document)
    fragments: list[str | bytes] = [push.header_json, push.metadata_json, push.content_json]
    for buffer in push.buffers:
        fragments += [json.dumps(buffer.ref), buffer.to_bytes()]
    message = feed(Assembler(), *fragments)
    assert message.header.msgtype == "PUSH-DOC"
    assert [payload for _, payload in message.buffers] == [np.arange(3.0).tobytes()]


# What goes out


def test_a_message_goes_out_as_header_metadata_content_and_pairs() -> None:
    buffers: Buffers = (("a", b"\x01"), ('"', b""))
    message = outgoing("PULL-DOC-REPLY", b'{"doc":{}}', msgid="7", buffers=buffers, reqid="r", seq=4, epoch=None)
    header, *rest = message.parts
    assert json.loads(header) == {
        "msgid": "7",
        "msgtype": "PULL-DOC-REPLY",
        "reqid": "r",
        "num_buffers": 2,
        "seq": 4,
    }
    assert rest == ["{}", '{"doc":{}}', '{"id":"a"}', b"\x01", '{"id":"\\""}', b""]


def test_the_header_says_no_more_than_it_must() -> None:
    assert json.loads(str(outgoing("ACK", b"{}", msgid="1").parts[0])) == {"msgid": "1", "msgtype": "ACK"}


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_the_frames_are_what_a_websocket_library_reads(size: int) -> None:
    message = Outgoing((b"h", b"m", b"c" * size), (("p", b"\xff" * size),))
    assert parse(message.frames) == [
        (Opcode.TEXT, True, b"h"),
        (Opcode.TEXT, True, b"m"),
        (Opcode.TEXT, True, b"c" * size),
        (Opcode.TEXT, True, b'{"id":"p"}'),
        (Opcode.BINARY, True, b"\xff" * size),
    ]


def test_the_frames_are_made_once_for_all_receivers() -> None:
    message = outgoing("PATCH-DOC", b"{}", msgid="1")
    assert message.frames is message.frames


def test_a_message_that_is_kept_takes_hardly_more_than_its_size() -> None:
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    kept = [outgoing("PATCH-DOC", b"{}", msgid="1", buffers=(("a", b"1"),), number=number) for number in range(1000)]
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < sum(message.size + 1000 for message in kept)


def test_the_size_is_that_of_the_fragments() -> None:
    message = Outgoing((b"12", b"{}", b"345"), (("p", b"1234"),))
    assert message.size == 2 + 2 + 3 + len('{"id":"p"}') + 4


def test_what_goes_out_comes_in_again() -> None:
    sent = outgoing("PATCH-DOC", b'{"events":[]}', msgid="1", buffers=(("b", b"12"),), number=5, seq=8)
    received = feed(Assembler(), *sent.parts)
    assert received == Message(
        Header("1", "PATCH-DOC", num_buffers=1, number=5, seq=8), b'{"events":[]}', (("b", b"12"),)
    )


def test_bokehs_own_client_understands_what_goes_out() -> None:
    document = Document()
    slider = Slider(start=0, end=9, value=1)
    document.add_root(slider)
    event = {"kind": "ModelChanged", "model": {"id": slider.id}, "attr": "value", "new": 5}
    sent = outgoing("PATCH-DOC", json.dumps({"events": [event]}).encode(), msgid="1", seq=2)
    header, metadata, content = sent.parts
    message = Protocol().assemble(str(header), str(metadata), str(content))
    assert isinstance(message, patch_doc)
    message.apply_to_document(document)
    assert slider.value == 5


def test_bokehs_own_client_finds_the_buffers_of_what_goes_out() -> None:
    document = Document()
    source = ColumnDataSource(data={"x": []})
    document.add_root(source)
    array = {"type": "ndarray", "array": {"type": "bytes", "data": {"id": "b0"}}, "dtype": "uint8"}
    data = {"type": "map", "entries": [["x", {**array, "shape": [2], "order": "little"}]]}
    event = {"kind": "ModelChanged", "model": {"id": source.id}, "attr": "data", "new": data}
    sent = outgoing("PATCH-DOC", json.dumps({"events": [event]}).encode(), msgid="1", buffers=(("b0", b"\x05\x06"),))
    header, metadata, content, name, payload = sent.parts
    message = Protocol().assemble(str(header), str(metadata), str(content))
    assert isinstance(payload, bytes)
    message.assemble_buffer(json.loads(name), payload)
    assert isinstance(message, patch_doc)
    message.apply_to_document(document)
    assert list(source.data["x"]) == [5, 6]


def test_messages_in_a_row_leave_as_one_with_the_same_bytes() -> None:
    first, second = Outgoing((b"a", b"{}"), (("p", b"12"),)), Outgoing((b"b",))
    joined = Outgoing.joined([first, second])
    assert joined.frames == first.frames + second.frames
    assert joined.parts == (*first.parts, *second.parts)
    assert b"".join(joined.pieces) == joined.frames
    assert joined.size == first.size + second.size
    assert Outgoing.joined([first]) is first


def test_what_a_message_does_not_have_it_says() -> None:
    with pytest.raises(AttributeError, match="seq"):
        _ = Outgoing((b"{}",)).seq


def test_a_short_text_is_kept_in_no_more_than_it_needs() -> None:
    made = orjson.dumps({"msgid": "1"})
    assert exact(made) == made
    assert sys.getsizeof(exact(made)) < 100


def test_the_pieces_of_a_message_are_its_frames() -> None:
    message = Outgoing((b"a" * 70_000, b"{}"), (("p", b"12"),))
    assert b"".join(message.pieces) == message.frames
