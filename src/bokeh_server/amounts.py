"""Bytes and times as people write them on a command line: ``64M``, ``1d``."""

from __future__ import annotations

import re

from bokeh_server.errors import BadSetting

BYTES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"


def bytes_of(text: str) -> int:
    """``64M`` in bytes, a KiB being 1,024; ``BadSetting`` where it is no size."""
    found = re.fullmatch(rf"(\d{{1,15}}|{NUMBER}([KMGT]))(?:i?B)?", text.strip(), re.IGNORECASE | re.ASCII)
    if found is None:
        raise BadSetting(f"A size is a number of bytes, or one with K, M, G or T, like 64M, not {text!r}.")
    return int(found[1]) if found[2] is None else int(float(found[2]) * BYTES[found[3].upper()])


def seconds_of(text: str) -> float:
    """``1d`` in seconds; ``BadSetting`` where it is no time."""
    found = re.fullmatch(rf"{NUMBER}([smhdw])", text.strip(), re.ASCII)
    if found is None:
        raise BadSetting(f"A time is a number with s, m, h, d or w, like 1d or 90m, not {text!r}.")
    return float(found[1]) * SECONDS[found[2]]
