"""How often somebody may try: logins and registrations, by account and by address.

The pair of both is what a person is; it gets few tries. An account alone gets many more, so that nobody can lock
another one out from one address, and an address alone too, since many people may be behind one. Where one person has
2**64 addresses (IPv6), they count as one.
"""

from __future__ import annotations

import ipaddress
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from bokeh_server.config import canonical_address
from bokeh_server.errors import Forbidden, TooManyAttempts, Unauthorized

PAIR = RateLimitItemPerMinute(10)
PAIR_LONG = RateLimitItemPerHour(50)
ACCOUNT = RateLimitItemPerHour(200)
ADDRESS = RateLimitItemPerMinute(60)
UNINVITED = RateLimitItemPerHour(60)
MOMENT = 1.0
"""Seconds that a try may take."""
Kinds = list[tuple[RateLimitItem, tuple[str, ...]]]


class Attempts:
    """The failures of the last hour; forgotten with the process."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._under_way: Counter[tuple[str, ...]] = Counter()

    def uninvited(self, address: str) -> None:
        """Count a registration that nobody invited, also one that succeeds; ``TooManyAttempts`` where none is left."""
        key = "uninvited", network_of(address)
        if not self._limiter.hit(UNINVITED, *key):
            raise TooManyAttempts(seconds=self._wait(UNINVITED, key))

    @contextmanager
    def one(self, account: str, address: str) -> Iterator[None]:
        """One try: it has failed where the block raises ``Unauthorized`` or ``Forbidden``.

        Raises ``TooManyAttempts`` where none is left, counting those that are under way: it is asked before anything is
        looked up or hashed, and a hundred at once are a hundred. ``account`` is "" where there is none yet.
        """
        limited = kinds(account, address)
        waits = [self._wait(item, key) for item, key in limited if not self._left(item, key)]
        if waits:
            raise TooManyAttempts(seconds=max(waits))
        keys = {key for _, key in limited}
        self._under_way.update(keys)
        try:
            yield
        except (Unauthorized, Forbidden):
            for item, key in limited:
                self._limiter.hit(item, *key)
            raise
        finally:
            self._under_way -= Counter(keys)

    def _left(self, item: RateLimitItem, key: tuple[str, ...]) -> bool:
        return self._limiter.test(item, *key, cost=self._under_way[key] + 1)

    def _wait(self, item: RateLimitItem, key: tuple[str, ...]) -> float:
        """Seconds until the oldest failure is forgotten; a moment where those that are under way may yet succeed."""
        known = self._limiter.get_window_stats(item, *key)
        return MOMENT if known.remaining > 0 else known.reset_time - time.time()


def kinds(account: str, address: str) -> Kinds:
    """What is limited, and by what name."""
    network = network_of(address)
    of_account: Kinds = [(ACCOUNT, ("account", account))] if account else []
    pair = ("pair", account, network)
    return [(PAIR, pair), (PAIR_LONG, pair), *of_account, (ADDRESS, ("address", network))]


def network_of(address: str) -> str:
    """The addresses that one person has: an IPv4 address (also as a socket of both kinds tells it), or an IPv6 network
    of 64 bits."""
    known = canonical_address(address)
    if known is None or ":" not in known:
        return known or address
    return str(ipaddress.ip_network((known, 64), strict=False))
