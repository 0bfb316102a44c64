"""Tickets: good once, soon, for one document; and nobody who sees the server's memory can use one."""

from __future__ import annotations

import re

import pytest

from bokeh_server.accounts.tickets import Tickets, digest
from bokeh_server.core.authorise import DEFAULT_USER
from bokeh_server.errors import Unauthorized
from bokeh_server.limits import Limits


class Clock:
    """Seconds that pass when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tickets(clock: Clock) -> Tickets:
    return Tickets(Limits(ticket=30.0, tickets=3), clock=clock)


def test_a_ticket_tells_once_whom_it_was_issued_to(tickets: Tickets) -> None:
    ticket = tickets.issue("doc", DEFAULT_USER)
    assert tickets.redeem(ticket, "doc") == DEFAULT_USER
    with pytest.raises(Unauthorized):
        tickets.redeem(ticket, "doc")


def test_a_ticket_opens_no_other_document_and_is_spent_by_the_attempt(tickets: Tickets) -> None:
    ticket = tickets.issue("doc", DEFAULT_USER)
    with pytest.raises(Unauthorized):
        tickets.redeem(ticket, "other")
    with pytest.raises(Unauthorized):
        tickets.redeem(ticket, "doc")


@pytest.mark.parametrize(("later", "good"), [(0.0, True), (30.0, True), (30.1, False), (1e6, False)])
def test_a_ticket_is_good_for_its_time_only(tickets: Tickets, clock: Clock, later: float, good: bool) -> None:
    ticket = tickets.issue("doc", DEFAULT_USER)
    clock.now += later
    if good:
        tickets.redeem(ticket, "doc")
    else:
        with pytest.raises(Unauthorized):
            tickets.redeem(ticket, "doc")
    assert len(tickets) == 0


def test_their_number_is_bounded_and_the_oldest_end_first(tickets: Tickets) -> None:
    issued = [tickets.issue("doc", DEFAULT_USER) for _ in range(5)]
    assert len(tickets) == 3
    for ticket in issued[:2]:
        with pytest.raises(Unauthorized):
            tickets.redeem(ticket, "doc")
    for ticket in issued[2:]:
        tickets.redeem(ticket, "doc")


def test_those_that_have_ended_are_forgotten_when_the_next_is_issued(tickets: Tickets, clock: Clock) -> None:
    tickets.issue("doc", DEFAULT_USER)
    tickets.issue("doc", DEFAULT_USER)
    clock.now += 31
    tickets.issue("doc", DEFAULT_USER)
    assert len(tickets) == 1


def test_only_a_hash_is_remembered(tickets: Tickets) -> None:
    ticket = tickets.issue("doc", DEFAULT_USER)
    assert list(tickets._grants) == [digest(ticket)]
    assert ticket.encode() not in repr(tickets._grants).encode()


def test_tickets_are_128_random_bits_that_a_header_can_carry(tickets: Tickets) -> None:
    issued = {tickets.issue("doc", DEFAULT_USER) for _ in range(1000)}
    assert len(issued) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", ticket) for ticket in issued)


@pytest.mark.parametrize("guess", ["", "x", "\udc80", "x" * 100_000])
def test_a_guess_opens_nothing(tickets: Tickets, guess: str) -> None:
    tickets.issue("doc", DEFAULT_USER)
    with pytest.raises(Unauthorized):
        tickets.redeem(guess, "doc")
