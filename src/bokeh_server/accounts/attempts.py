"""How often somebody may try: logins and registrations, by account and by address.

The pair of both is what a person is; it gets few tries. An account alone gets many more, so that nobody can lock
another one out from one address, and an address alone too, since many people may be behind one.
"""

from __future__ import annotations

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from bokeh_server.errors import TooManyAttempts

PAIR = RateLimitItemPerMinute(10)
ACCOUNT = RateLimitItemPerHour(200)
ADDRESS = RateLimitItemPerMinute(60)


class Attempts:
    """The failures of the last hour; forgotten with the process."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def ensure_left(self, account: str, address: str) -> None:
        """``TooManyAttempts`` where no try is left. It is asked before anything is looked up or hashed."""
        for item, key in kinds(account, address):
            if not self._limiter.test(item, *key):
                raise TooManyAttempts

    def failed(self, account: str, address: str) -> None:
        """Count a try that failed."""
        for item, key in kinds(account, address):
            self._limiter.hit(item, *key)


def kinds(account: str, address: str) -> tuple[tuple[RateLimitItem, tuple[str, ...]], ...]:
    """What is limited, and by what name."""
    return (PAIR, ("pair", account, address)), (ACCOUNT, ("account", account)), (ADDRESS, ("address", address))
