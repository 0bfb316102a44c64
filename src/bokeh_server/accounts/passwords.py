"""Passwords: argon2id (RFC 9106) with the parameters that argon2-cffi recommends, made anew when those grow.

A check takes the same time whether or not there is such a user. Hashing is slow on purpose, takes 64 MiB, and is
done in threads, two at a time, so that a crowd at the door neither stops the server nor fills the memory.
"""

from __future__ import annotations

import asyncio
import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from bokeh_server.errors import BadValue

SHORTEST, LONGEST = 8, 1000
AT_ONCE = 2


class Passwords:
    """Makes and checks hashes. ``hasher`` is given by tests, which have no time."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobodys: str | None = None
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def hash(self, password: str) -> str:
        """The hash of a password, with its salt and parameters."""
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, normal(password))

    async def check(self, password: str, known: str | None) -> bool:
        """Whether the password is that of the hash ``known``; False, after as long, where that is None."""
        if self._nobodys is None:
            self._nobodys = await self.hash(secrets.token_hex())
        async with self._turn:
            right = await asyncio.to_thread(self._verify, normal(password), known or self._nobodys)
        return right and known is not None

    def outdated(self, known: str) -> bool:
        """Whether the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(known)

    def _verify(self, password: str, known: str) -> bool:
        try:
            return self._hasher.verify(known, password)
        except (VerificationError, InvalidHashError):
            return False


def ensure_good(password: str, name: str) -> None:
    """``BadValue`` for a password that nobody should have. No rules about kinds of characters (NIST SP 800-63B)."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadValue(f"A password has {SHORTEST} to {LONGEST} characters.")
    if password.casefold() in (name.casefold(), "password", "12345678", "123456789", "qwertyui", "password1"):
        raise BadValue("This password is the first that anybody would try; choose another.")


def normal(password: str) -> str:
    """The password in the one form that all keyboards give (RFC 8265); a lone surrogate counts as a question mark."""
    return unicodedata.normalize("NFC", password).encode(errors="replace").decode()
