"""Secrets: random, told apart by their prefix, and kept only as a hash."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest

from bokeh_server.accounts.keys import PREFIXES, digest, new_key


@pytest.mark.parametrize("kind", sorted(PREFIXES))
def test_a_key_has_a_prefix_that_tells_what_it_is_and_160_random_bits(kind: str) -> None:
    made = [new_key(kind) for _ in range(200)]
    assert all(re.fullmatch(re.escape(PREFIXES[kind]) + r"[A-Za-z0-9_-]{27}", key.text) for key in made)
    assert len({key.text for key in made}) == len({key.id for key in made}) == 200


def test_no_two_kinds_have_the_same_prefix() -> None:
    assert len(set(PREFIXES.values())) == len(PREFIXES)


def test_what_is_kept_is_a_hash_and_the_id_says_nothing_of_the_text() -> None:
    key = new_key("token")
    assert key.digest == digest(key.text) == sha256(key.text.encode()).digest()
    assert key.id not in key.text


@pytest.mark.parametrize("text", ["", "é", "\udc80", "x" * 100_000])
def test_whatever_is_given_as_a_secret_has_a_digest(text: str) -> None:
    assert len(digest(text)) == 32
