"""The talk of one program with a room, message by message."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from bokeh_server.client.dialogue import Dialogue, Live, Patched, Presence, Pulled, Refused, Resync
from bokeh_server.client.outbox import Outbox
from bokeh_server.core.wire import Message, outgoing
from bokeh_server.errors import RefusedPatch
from tests.client.rig import parsed


class Talk:
    """A dialogue, the room's side played by the test."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.dialogue = Dialogue(self.outbox)

    def get(self, msgtype: str, content: dict[str, Any] | None = None, **header: int) -> Any:
        """The room sends a message; what it means."""
        return self.dialogue.received(message(msgtype, content, **header))

    def said(self) -> list[tuple[str, Any]]:
        """What the program sends now: types, with the number where there is one."""
        found = []
        while (out := self.dialogue.next()) is not None:
            header = orjson.loads(out.parts[0])
            found.append((header["msgtype"], header.get("number")))
        return found

    def begin(self, *, fresh: bool = False, number: int = 0, seq: int = 5) -> list[tuple[str, Any]]:
        """Connect as far as RESUMED; what is sent then."""
        self.dialogue.opened()
        assert self.said() == []
        self.get("ACK")
        assert self.said() == [("RESUME", None)]
        content = {"epoch": 1, "seq": seq, "number": number, "fresh": fresh, "writer": True}
        assert self.get("RESUMED", content) == Live(True)
        return self.said()


def message(msgtype: str, content: dict[str, Any] | None = None, **header: Any) -> Message:
    """A message of the room."""
    return parsed(outgoing(msgtype, orjson.dumps(content or {}), msgid="m", **header))


@pytest.fixture
def talk() -> Talk:
    """A dialogue that has not begun."""
    return Talk()


def test_nothing_is_sent_before_the_room_has_resumed(talk: Talk) -> None:
    talk.outbox.put("PATCH-DOC", b"{}")
    talk.dialogue.opened()
    assert talk.said() == []
    talk.get("ACK")
    assert talk.said() == [("RESUME", None)]
    assert talk.said() == []


def test_the_first_time_the_document_is_pulled_and_then_changes_are_sent(talk: Talk) -> None:
    talk.outbox.put("PATCH-DOC", b"{}")
    assert talk.begin(fresh=True) == [("PULL-DOC-REQ", None), ("PATCH-DOC", 1)]
    assert isinstance(talk.get("PULL-DOC-REPLY", {"doc": {}}, epoch=1, seq=5), Pulled)
    assert (talk.dialogue.epoch, talk.dialogue.seq) == (1, 5)


def test_a_program_that_stores_its_document_does_not_pull_it(talk: Talk) -> None:
    talk.outbox.put("PUSH-DOC", b"{}")
    assert talk.begin(fresh=True) == [("PUSH-DOC", 1)]
    talk.get("OK", number=1, seq=6)
    assert (talk.dialogue.epoch, talk.dialogue.seq) == (1, 6)
    assert talk.said() == []


def test_what_others_did_to_a_document_that_is_being_replaced_does_not_matter(talk: Talk) -> None:
    talk.begin(fresh=True)
    talk.get("PULL-DOC-REPLY", {"doc": {}}, epoch=1, seq=5)
    talk.dialogue.pull()
    assert talk.said() == [("PULL-DOC-REQ", None)]
    talk.outbox.put("PUSH-DOC", b"{}")
    assert talk.get("PATCH-DOC", {"events": []}, seq=6) is None
    assert talk.get("PULL-DOC-REPLY", {"doc": {}}, epoch=1, seq=6) is None
    talk.dialogue.pull()
    assert talk.said() == [("PUSH-DOC", 1)]
    talk.get("OK", number=1, seq=7)
    assert talk.said() == []
    assert isinstance(talk.get("PATCH-DOC", {"events": []}, seq=8), Patched)


def test_a_patch_says_which_of_ours_came_before_it(talk: Talk) -> None:
    talk.begin(fresh=True)
    talk.get("PULL-DOC-REPLY", {"doc": {}}, epoch=1, seq=5)
    for _ in range(2):
        talk.outbox.put("PATCH-DOC", b"{}")
    talk.said()
    talk.get("OK", number=1, seq=6)
    assert talk.get("PATCH-DOC", {"events": []}, seq=7).acknowledged == 1
    assert talk.dialogue.seq == 7


def test_a_patch_that_was_seen_is_not_seen_again(talk: Talk) -> None:
    talk.begin(fresh=True)
    talk.get("PULL-DOC-REPLY", {"doc": {}}, epoch=1, seq=5)
    assert talk.get("PATCH-DOC", {"events": []}, seq=5) is None
    assert isinstance(talk.get("PATCH-DOC", {"events": []}, seq=6), Patched)
    assert talk.get("PATCH-DOC", {"events": []}, seq=6) is None
    assert isinstance(talk.get("PATCH-DOC", {"events": []}), Patched)  # a message, which is in no order


def test_an_acknowledgement_does_not_pass_over_patches_that_have_not_come(talk: Talk) -> None:
    talk.begin(fresh=True)
    talk.get("PULL-DOC-REPLY", {"doc": {}}, epoch=1, seq=5)
    talk.outbox.put("PATCH-DOC", b"{}")
    talk.said()
    talk.get("OK", number=1, seq=8)
    assert talk.dialogue.seq == 5
    talk.get("PATCH-DOC", {"events": []}, seq=6)
    talk.get("PATCH-DOC", {"events": []}, seq=7)
    assert talk.dialogue.seq == 8


def test_after_a_cut_only_what_the_room_lacks_is_sent_and_the_order_is_asked_for(talk: Talk) -> None:
    talk.begin(fresh=True)
    talk.get("PULL-DOC-REPLY", {"doc": {}}, epoch=1, seq=5)
    for _ in range(3):
        talk.outbox.put("PATCH-DOC", b"{}")
    assert talk.said() == [("PATCH-DOC", 1), ("PATCH-DOC", 2), ("PATCH-DOC", 3)]
    assert talk.begin(number=2, seq=9) == [("PULL-DOC-REQ", None), ("PATCH-DOC", 3)]


def sent_three(talk: Talk) -> None:
    """Three patches are on their way when the connection is cut; the room had seen patch 5 before."""
    talk.begin(fresh=True)
    talk.get("PULL-DOC-REPLY", {"doc": {}}, epoch=1, seq=5)
    for _ in range(3):
        talk.outbox.put("PATCH-DOC", b"{}")
    assert talk.said() == [("PATCH-DOC", 1), ("PATCH-DOC", 2), ("PATCH-DOC", 3)]


def test_after_a_cut_in_which_only_this_program_has_changed_anything_nothing_is_pulled(talk: Talk) -> None:
    sent_three(talk)
    talk.get("OK", number=1, seq=6)
    assert talk.begin(number=2, seq=7) == [("PATCH-DOC", 3)]
    assert talk.dialogue.seq == 7
    talk.get("OK", number=3, seq=8)
    assert talk.dialogue.seq == 8
    assert isinstance(talk.get("PATCH-DOC", {"events": []}, seq=9), Patched)


@pytest.mark.parametrize("since", [None, 6])
def test_after_a_cut_a_patch_of_others_in_the_place_of_a_refused_one_has_the_order_asked_for(
    talk: Talk, since: int | None
) -> None:
    sent_three(talk)
    assert talk.begin(number=2, seq=7) == [("PATCH-DOC", 3)]
    more = {} if since is None else {"since": since}
    assert talk.get("PATCH-DOC", {"events": []}, seq=7 if since is None else 9, **more) is None
    assert talk.said() == [("PULL-DOC-REQ", None)]


def test_after_a_cut_with_nothing_under_way_nothing_is_pulled(talk: Talk) -> None:
    talk.begin(fresh=True)
    talk.get("PULL-DOC-REPLY", {"doc": {}}, epoch=1, seq=5)
    talk.outbox.put("PATCH-DOC", b"{}")
    assert talk.begin(number=0) == [("PATCH-DOC", 1)]


def test_a_copy_that_was_cut_off_is_asked_for_again(talk: Talk) -> None:
    assert talk.begin(fresh=True) == [("PULL-DOC-REQ", None)]
    assert talk.begin(fresh=False) == [("PULL-DOC-REQ", None)]


def test_one_copy_is_under_way_at_a_time(talk: Talk) -> None:
    talk.begin(fresh=True)
    pulling = [talk.dialogue.pulling]
    talk.dialogue.pull()
    assert talk.said() == []
    talk.get("PULL-DOC-REPLY", {"doc": {}}, epoch=1, seq=5)
    assert [*pulling, talk.dialogue.pulling] == [True, False]
    talk.dialogue.pull()
    assert talk.said() == [("PULL-DOC-REQ", None)]


def test_a_refusal_names_the_change_and_has_the_document_pulled(talk: Talk) -> None:
    talk.begin(fresh=True)
    talk.get("PULL-DOC-REPLY", {"doc": {}}, epoch=1, seq=5)
    talk.outbox.put("PATCH-DOC", b"{}")
    talk.said()
    refused = talk.get("ERROR", {"text": "No.", "code": "refused-patch"}, number=1)
    assert isinstance(refused, Refused)
    assert (refused.entry.number, type(refused.why), str(refused.why)) == (1, RefusedPatch, "No.")
    assert talk.get("RESYNC", {"reason": "refused-patch"}) == Resync("refused-patch")
    assert talk.said() == [("PULL-DOC-REQ", None)]
    assert talk.outbox.acknowledged == 1


def test_an_error_without_a_number_is_logged(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    talk.begin()
    assert talk.get("ERROR", {"text": "Something else."}) is None
    assert "Something else." in caplog.text


def test_a_change_of_answers_is_told_at_once(talk: Talk) -> None:
    talk.dialogue.answer(True)
    talk.begin()
    talk.dialogue.answer(True)
    assert talk.said() == []
    talk.dialogue.answer(False)
    assert talk.said() == [("RESUME", None)]
    content = {"epoch": 1, "seq": 5, "number": 0, "fresh": True}
    assert talk.get("RESUMED", content) is None


def test_presence_and_unknown_messages(talk: Talk) -> None:
    talk.begin()
    assert talk.get("PRESENCE", {"programs": 1, "answering": 1, "viewers": 3}) == Presence(1, 1, 3)
    assert talk.get("SOMETHING-NEW") is None


def test_an_old_acknowledgement_without_number_means_nothing(talk: Talk) -> None:
    talk.begin()
    assert talk.get("OK") is None
