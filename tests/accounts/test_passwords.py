"""Passwords: argon2id, the same work for users and for nobody, a few at a time, and no silly ones."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from argon2 import PasswordHasher, Type

from bokeh_server.accounts.passwords import AT_ONCE, LONGEST, Passwords, ensure_good, normal
from bokeh_server.errors import BadValue
from tests.accounts.ledgers import CHEAP, GOOD, cheap


class Counting(PasswordHasher):
    """A hasher that counts what it is asked, and how much of it at once."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.hashed = self.verified = self.now = self.most = 0
        self._lock = threading.Lock()

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.hashed += 1
        return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]
        with self._lock:
            self.verified += 1
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        with self._lock:
            self.now -= 1
        return super().verify(hash, password)


def test_a_password_is_that_of_its_hash_only() -> None:
    async def play() -> None:
        passwords = cheap()
        known = await passwords.hash(GOOD)
        assert known.startswith("$argon2id$")
        assert known != await passwords.hash(GOOD), "each has a salt of its own"
        assert await passwords.check(GOOD, known)
        assert not await passwords.check("Correct horse", known)
        assert not await passwords.check("", known)

    asyncio.run(play())


def test_nobody_has_no_password_and_asking_costs_as_much() -> None:
    async def play() -> None:
        hasher = Counting()
        passwords = Passwords(hasher)
        known = await passwords.hash(GOOD)
        await passwords.check("first", known)
        before = (hasher.hashed, hasher.verified)
        assert not await passwords.check(GOOD, None)
        assert not await passwords.check("wrong", known)
        assert (hasher.hashed, hasher.verified) == (before[0], before[1] + 2), "each is one check, and no more"

    asyncio.run(play())


def test_the_first_question_costs_the_same_whomever_it_is_about() -> None:
    async def play() -> None:
        known = await cheap().hash(GOOD)
        work = []
        for about in (known, None):
            hasher = Counting()
            await Passwords(hasher).check("wrong", about)
            work.append((hasher.hashed, hasher.verified))
        assert work[0] == work[1]

    asyncio.run(play())


@pytest.mark.parametrize("known", ["", "plain", "$argon2id$v=19$m=8,t=1,p=1$bad", "$2b$12$" + "x" * 53])
def test_a_hash_that_is_none_is_nobodys_password(known: str) -> None:
    assert not asyncio.run(cheap().check(GOOD, known))


def test_few_are_hashed_at_once() -> None:
    async def play() -> None:
        hasher = Counting()
        passwords = Passwords(hasher)
        known = await passwords.hash(GOOD)
        assert all(await asyncio.gather(*(passwords.check(GOOD, known) for _ in range(8))))
        assert hasher.most <= AT_ONCE

    asyncio.run(play())


def test_weak_parameters_are_told_from_those_of_today() -> None:
    strong = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    weak = asyncio.run(cheap().hash(GOOD))
    assert Passwords(strong).outdated(weak)
    assert not cheap().outdated(weak)
    assert Passwords().outdated(weak)
    assert Passwords().outdated(PasswordHasher(type=Type.I).hash(GOOD))


def test_the_parameters_are_no_weaker_than_those_of_rfc_9106_for_little_memory() -> None:
    hasher = Passwords()._hasher
    assert (hasher.type, hasher.time_cost >= 3, hasher.memory_cost >= 64 * 1024) == (Type.ID, True, True)


@pytest.mark.parametrize("password", ["x" * 8, "x" * LONGEST, "    spaces    ", "пароль-пароль", "1234567890"])
def test_any_password_of_some_length_will_do(password: str) -> None:
    ensure_good(password, "anna")


@pytest.mark.parametrize("password", ["", "x" * 7, "x" * (LONGEST + 1)])
def test_a_password_that_is_too_short_or_endless_is_refused(password: str) -> None:
    with pytest.raises(BadValue, match="8 to 1000 characters"):
        ensure_good(password, "anna")


@pytest.mark.parametrize("password", ["PassWord1", "12345678", "annamaria", "AnnaMaria"])
def test_a_password_that_anybody_would_try_is_refused(password: str) -> None:
    with pytest.raises(BadValue, match="first that anybody would try"):
        ensure_good(password, "AnnaMaria")


def test_a_password_is_the_same_from_every_keyboard() -> None:
    composed, taken_apart = "p\u00e4ssw\u00f6rter", "pa\u0308sswo\u0308rter"
    assert normal(composed) == normal(taken_apart)

    async def play() -> None:
        passwords = cheap()
        assert await passwords.check(taken_apart, await passwords.hash(composed))

    asyncio.run(play())


def test_half_a_character_can_be_hashed_too() -> None:
    assert normal("a\ud800b") == "a?b"
    assert asyncio.run(cheap().hash("\udc80" * 8))
    assert CHEAP.type is Type.ID
