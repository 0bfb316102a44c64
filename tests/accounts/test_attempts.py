"""Attempts: few for a person, more for an account or an address, all at once no more than one after the other."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from types import SimpleNamespace

import limits.storage.memory
import pytest

from bokeh_server.accounts import attempts as attempts_module
from bokeh_server.accounts.attempts import ACCOUNT, ADDRESS, PAIR, PAIR_LONG, UNINVITED, Attempts, network_of
from bokeh_server.errors import Conflict, Forbidden, TooManyAttempts, Unauthorized
from tests.accounts.ledgers import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that the limiter looks at."""
    made = Clock()
    for module in (limits.storage.memory, attempts_module):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=made))
    return made


def fail(attempts: Attempts, account: str, address: str, times: int = 1) -> None:
    for _ in range(times):
        with suppress(Unauthorized, TooManyAttempts), attempts.one(account, address):
            raise Unauthorized


def left(attempts: Attempts, account: str, address: str) -> bool:
    try:
        with attempts.one(account, address):
            return True
    except TooManyAttempts:
        return False


def wait(attempts: Attempts, account: str, address: str) -> int | None:
    """The seconds that are told to whom has no try left."""
    with pytest.raises(TooManyAttempts) as refused, attempts.one(account, address):
        pass
    return refused.value.wait


def test_a_person_has_few_tries_and_gets_new_ones_after_a_minute(clock: Clock) -> None:
    attempts = Attempts()
    fail(attempts, "anna", "10.0.0.1", PAIR.amount)
    assert not left(attempts, "anna", "10.0.0.1")
    assert left(attempts, "ben", "10.0.0.1")
    assert left(attempts, "anna", "10.0.0.2")
    clock.now += 61
    assert left(attempts, "anna", "10.0.0.1")


def test_who_has_no_try_left_is_told_how_long_to_wait_and_has_one_then(clock: Clock) -> None:
    attempts = Attempts()
    fail(attempts, "anna", "10.0.0.1")
    clock.now += 20
    fail(attempts, "anna", "10.0.0.1", PAIR.amount - 1)
    assert wait(attempts, "anna", "10.0.0.1") == 40
    clock.now += 41
    fail(attempts, "anna", "10.0.0.1")
    assert wait(attempts, "anna", "10.0.0.1") == 19


def test_of_all_limits_that_are_reached_the_longest_wait_is_told(clock: Clock) -> None:
    attempts = Attempts()
    for _ in range(5):
        fail(attempts, "anna", "10.0.0.1", PAIR.amount)
        clock.now += 61
    assert wait(attempts, "anna", "10.0.0.1") == 3600 - 5 * 61
    with pytest.raises(TooManyAttempts, match="wait 55 minutes"), attempts.one("anna", "10.0.0.1"):
        pass


def test_who_comes_while_too_many_are_under_way_waits_a_moment(clock: Clock) -> None:
    attempts = Attempts()
    with ExitStack() as under_way:
        for _ in range(PAIR.amount):
            under_way.enter_context(attempts.one("anna", "10.0.0.1"))
        assert wait(attempts, "anna", "10.0.0.1") == 1


def test_what_succeeds_or_fails_for_another_reason_counts_as_no_failure(clock: Clock) -> None:
    attempts = Attempts()
    for _ in range(PAIR.amount * 2):
        with attempts.one("anna", "10.0.0.1"):
            pass
        with suppress(Conflict), attempts.one("anna", "10.0.0.1"):
            raise Conflict
    assert left(attempts, "anna", "10.0.0.1")


def test_registrations_that_nobody_invited_are_counted_by_address(clock: Clock) -> None:
    attempts = Attempts()
    for _ in range(UNINVITED.amount):
        attempts.uninvited("10.0.0.1")
    clock.now += 600
    with pytest.raises(TooManyAttempts, match="wait 50 minutes"):
        attempts.uninvited("10.0.0.1")
    attempts.uninvited("10.0.0.2")
    clock.now += 3001
    attempts.uninvited("10.0.0.1")


def test_a_wrong_invitation_counts_as_a_failure(clock: Clock) -> None:
    attempts = Attempts()
    for _ in range(PAIR.amount):
        with suppress(Forbidden), attempts.one("", "10.0.0.1"):
            raise Forbidden
    assert not left(attempts, "", "10.0.0.1")


def test_many_at_once_are_not_more_than_one_after_the_other(clock: Clock) -> None:
    attempts = Attempts()
    with ExitStack() as under_way:
        for _ in range(PAIR.amount):
            under_way.enter_context(attempts.one("anna", "10.0.0.1"))
        assert not left(attempts, "anna", "10.0.0.1")
        assert left(attempts, "ben", "10.0.0.1")
    assert left(attempts, "anna", "10.0.0.1")
    assert not attempts._under_way, "nothing is remembered of what has ended"


def test_nobody_can_lock_another_one_out_from_one_address(clock: Clock) -> None:
    attempts = Attempts()
    for _ in range(59):
        fail(attempts, "anna", "10.0.0.1", 20)
        clock.now += 60
    assert not left(attempts, "anna", "10.0.0.1")
    assert left(attempts, "anna", "10.0.0.2")
    assert PAIR_LONG.amount * 3 < ACCOUNT.amount


def test_an_account_has_an_end_of_tries_from_everywhere(clock: Clock) -> None:
    attempts = Attempts()
    for number in range(ACCOUNT.amount):
        fail(attempts, "anna", f"10.0.{number // 200}.{number % 200}")
    assert not left(attempts, "anna", "10.9.9.9")
    assert left(attempts, "ben", "10.9.9.9")
    clock.now += 3601
    assert left(attempts, "anna", "10.9.9.9")


def test_an_address_has_an_end_of_tries_for_all_accounts(clock: Clock) -> None:
    attempts = Attempts()
    for number in range(ADDRESS.amount):
        fail(attempts, f"user{number}", "10.0.0.1")
    assert not left(attempts, "anna", "10.0.0.1")
    assert left(attempts, "anna", "10.0.0.2")


def test_those_who_register_do_not_use_up_each_others_tries(clock: Clock) -> None:
    attempts = Attempts()
    for number in range(ACCOUNT.amount + 1):
        fail(attempts, "", f"10.0.{number // 200}.{number % 200}")
    assert left(attempts, "", "10.9.9.9")


def test_all_addresses_of_one_ipv6_network_are_one(clock: Clock) -> None:
    attempts = Attempts()
    for number in range(PAIR.amount):
        fail(attempts, "anna", f"2001:db8:0:1::{number:x}")
    assert not left(attempts, "anna", "2001:db8:0:1:ffff::1")
    assert left(attempts, "anna", "2001:db8:0:2::1")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8::7", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
    ],
)
def test_an_address_is_counted_by_the_network_of_one_person(address: str, network: str) -> None:
    assert network_of(address) == network
