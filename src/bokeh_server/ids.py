"""The ids of documents: they say nothing, and nobody guesses one."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable


def new_id(random: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """128 random bits as 26 characters of lower-case base32."""
    return base64.b32encode(random(16)).decode().rstrip("=").lower()
