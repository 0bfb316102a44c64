"""What waits to be sent: numbered once, kept until it is acknowledged, replaced by a whole document."""

from __future__ import annotations

import threading
import tracemalloc

from bokeh_server.client.encode import dumps
from bokeh_server.client.outbox import REMEMBERED, Outbox
from bokeh_server.errors import ClientError

NO = ClientError("No.")


def filled(count: int) -> Outbox:
    """An outbox with patches 1 … ``count``."""
    outbox = Outbox()
    for number in range(1, count + 1):
        assert outbox.put("PATCH-DOC", b"%d" % number) == number
    return outbox


def numbers(outbox: Outbox) -> list[int]:
    """The numbers of all that can be taken now."""
    taken = []
    while (entry := outbox.take()) is not None:
        taken.append(entry.number)
    return taken


def test_changes_leave_in_order_and_once() -> None:
    outbox = filled(3)
    assert numbers(outbox) == [1, 2, 3]
    assert outbox.take() is None
    assert outbox.under_way == 1


def test_an_acknowledgement_settles_all_up_to_it() -> None:
    outbox = filled(3)
    numbers(outbox)
    assert [entry.number for entry in outbox.acknowledge(2)] == [1, 2]
    assert outbox.acknowledged == 2
    assert outbox.acknowledge(2) == []
    outbox.acknowledge(3)
    assert outbox.acknowledged == outbox.last == 3
    assert outbox.under_way is None


def test_a_cut_puts_what_was_under_way_in_front_again() -> None:
    outbox = filled(4)
    for _ in range(3):
        outbox.take()
    outbox.acknowledge(1)
    outbox.interrupt()
    assert numbers(outbox) == [2, 3, 4]


def test_after_a_cut_what_the_server_holds_is_not_sent_again() -> None:
    outbox = filled(4)
    numbers(outbox)
    outbox.interrupt()
    assert [entry.number for entry in outbox.acknowledge(3)] == [1, 2, 3]
    assert numbers(outbox) == [4]


def test_a_refused_change_is_let_go_and_the_others_stay() -> None:
    outbox = filled(3)
    numbers(outbox)
    refused = outbox.refuse(2, NO)
    assert refused is not None
    assert refused.number == 2
    assert outbox.acknowledged == 0
    outbox.acknowledge(1)
    assert outbox.acknowledged == 2
    assert outbox.refuse(2, NO) is None
    assert outbox.refuse(3, NO) is not None
    assert outbox.acknowledged == 3


def test_what_was_refused_is_told_once_to_who_waits_for_it_a_whole_document_before_all_else() -> None:
    outbox = filled(3)
    outbox.put("PUSH-DOC", b"whole")
    outbox.put("PATCH-DOC", b"after")
    outbox.put("PATCH-DOC", b"last")
    numbers(outbox)
    reasons = {number: ClientError(str(number)) for number in (4, 5, 6)}
    for number, why in reasons.items():
        assert outbox.refuse(number, why) is not None
    assert outbox.refusal(3) is None
    assert outbox.refusal(5) == ("PUSH-DOC", reasons[4])
    assert outbox.refusal(5) is None
    assert outbox.refusal(6) == ("PATCH-DOC", reasons[6])
    for number in range(REMEMBERED + 2):
        outbox.put("PATCH-DOC", b"")
        numbers(outbox)
        outbox.refuse(7 + number, ClientError(f"no {number}"))
    refused = outbox.refusal(outbox.last)
    assert refused is not None
    assert str(refused[1]) == "no 2"


def test_a_whole_document_takes_the_place_of_what_has_not_left() -> None:
    outbox = filled(3)
    outbox.take()
    assert outbox.bytes == 2
    assert outbox.put("PUSH-DOC", b"whole") == 4
    assert outbox.bytes == 0
    assert outbox.replaces
    outbox.put("PATCH-DOC", b"after")
    assert numbers(outbox) == [4, 5]
    outbox.acknowledge(1)
    assert outbox.settled == 1  # 2 and 3 are in 4
    outbox.acknowledge(4)
    assert outbox.acknowledged == 4
    assert not outbox.replaces


def test_a_whole_document_takes_the_place_of_one_before_it() -> None:
    outbox = Outbox()
    outbox.put("PUSH-DOC", b"old")
    outbox.put("PUSH-DOC", b"new")
    assert numbers(outbox) == [2]
    outbox.refuse(2, NO)
    assert not outbox.replaces
    assert outbox.acknowledged == 2


def test_bytes_count_the_patches_that_wait() -> None:
    outbox = Outbox()
    outbox.put("PATCH-DOC", b"1234", (("a", b"56"),))
    outbox.put("PATCH-DOC", b"7")
    assert outbox.bytes == 7
    outbox.take()
    assert outbox.bytes == 1
    outbox.interrupt()
    assert outbox.bytes == 7
    outbox.acknowledge(1)
    assert outbox.bytes == 1


def test_their_memory_is_more_than_their_bytes() -> None:
    outbox = filled(0)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(1000):
        content = dumps({"events": [{"x": number}]})
        outbox.put("PATCH-DOC", content, keys=frozenset({("model", f"x{number}")}))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < outbox.memory < 2 * (after - before)


def test_while_a_copy_is_under_way_acknowledged_changes_are_kept() -> None:
    outbox = filled(3)
    outbox.keep()
    outbox.keep()
    numbers(outbox)
    outbox.acknowledge(2)
    assert [entry.number for entry in outbox.after(1)] == [2, 3]
    outbox.release()
    assert [entry.number for entry in outbox.after(0)] == [1, 2, 3]
    outbox.release()
    assert [entry.number for entry in outbox.after(0)] == [3]


def test_only_what_may_leave_leaves() -> None:
    outbox = filled(3)
    outbox.until = 2
    assert numbers(outbox) == [1, 2]
    outbox.until = None
    assert numbers(outbox) == [3]


def test_a_whole_document_may_leave_where_a_part_of_it_may() -> None:
    outbox = filled(3)
    outbox.until = 2
    assert outbox.put("PUSH-DOC", b"{}") == 4
    assert numbers(outbox) == [4]
    outbox.put("PATCH-DOC", b"5")
    outbox.put("PUSH-DOC", b"{}")
    assert numbers(outbox) == []


def test_waiting_ends_with_the_acknowledgement_or_the_time() -> None:
    outbox = filled(1)
    outbox.take()
    assert not outbox.wait(1, 0.01)
    threading.Timer(0.05, outbox.acknowledge, [1]).start()
    assert outbox.wait(1, 10)
    assert outbox.wait(1, None)


def test_clearing_lets_those_who_wait_go() -> None:
    outbox = filled(2)
    outbox.take()
    threading.Timer(0.05, outbox.clear).start()
    assert outbox.wait(2, 10)
    assert outbox.take() is None
    assert outbox.bytes == 0


def test_a_message_carries_its_number_and_its_buffers() -> None:
    outbox = Outbox()
    outbox.put("PATCH-DOC", b"{}", (("b1", b"\x01\x02"),))
    entry = outbox.take()
    assert entry is not None
    header, metadata, content, name, payload = entry.message().parts
    assert header == '{"msgid":"1","msgtype":"PATCH-DOC","num_buffers":1,"number":1}'
    assert (metadata, content, name, payload) == ("{}", "{}", '{"id":"b1"}', b"\x01\x02")
