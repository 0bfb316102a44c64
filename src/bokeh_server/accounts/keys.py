"""Secrets that are shown once: tokens, logins, links, invitations.

Each is 128 random bits or more. Only its SHA-256 is kept (a random key needs no slow hash: there is nothing to guess),
beside a public ``id`` by which people and logs name it. The prefix tells a person, and a scanner of leaked secrets,
what was found.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from hashlib import sha256

PREFIXES = {"token": "bst_", "login": "bsl_", "link": "bsk_", "invitation": "bsi_"}


@dataclass(frozen=True, slots=True)
class Key:
    """A new secret: ``text`` is for its holder only."""

    text: str
    id: str
    digest: bytes


def new_key(kind: str) -> Key:
    """A secret of one of the kinds in ``PREFIXES``: 160 bits, of which the id is no part."""
    text = PREFIXES[kind] + secrets.token_urlsafe(20)
    return Key(text, secrets.token_hex(6), digest(text))


def digest(text: str) -> bytes:
    """What is kept of a secret."""
    return sha256(text.encode(errors="surrogatepass")).digest()
