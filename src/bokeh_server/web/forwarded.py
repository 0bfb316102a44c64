"""What proxies say of the client for whom they ask: believed only of the ones that are named in the settings.

``X-Forwarded-For`` grows to the right, each proxy adds whom it was asked by: the client is the rightmost address that
is not itself a trusted proxy, and what stands left of it anybody may have written. ``X-Forwarded-Proto`` says how the
client came. ``X-Forwarded-Host`` is never believed: a proxy that does not set it passes on what the client sent, and
the Host must be one of ours; it has to pass the Host on. uvicorn's ``ProxyHeadersMiddleware`` does nearly the same, but
knows no unix socket and takes any word for an address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from bokeh_server.config import UNIX, canonical_address
from bokeh_server.web.http import Request

SIGNS = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
"""Headers that no client sends by itself: a proxy has passed the request on."""
SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
UNKNOWN = "unknown"
"""The client where a proxy says something that is no address."""
NOT_NAMED = (
    "A proxy has passed this request on, and without accounts this server answers only to the machine that it runs on: "
    "give people accounts with -m, or ask them for a token with --token; a proxy for this machine alone is named by "
    "--trusted-proxy."
)
NOT_SAID = (
    "The proxy does not say for whom it asks, and without accounts this server answers only to the machine that it "
    "runs on: have the proxy send X-Forwarded-For."
)


class Proxies:
    """The proxies that are believed, as ``Config.trusted_proxies`` has them."""

    def __init__(self, named: Iterable[str]) -> None:
        self._unix = UNIX in named
        self._networks = [ipaddress.ip_network(one) for one in named if one != UNIX]

    def trusts(self, address: str) -> bool:
        """Whether this peer is one of them; a unix socket has no address ("")."""
        if not address:
            return self._unix
        known = canonical_address(address)
        return known is not None and any(ipaddress.ip_address(known) in network for network in self._networks)

    def believe(self, request: Request) -> str | None:
        """Put the client and the scheme into the request that a trusted proxy tells of it, and nothing that others do.

        What is doubtful where the client's address is all that lets it in, in a sentence; None where nothing is.
        """
        if not self.trusts(request.client):
            return NOT_NAMED if any(sign in request.headers for sign in SIGNS) else None
        scheme = last(request.headers.get("x-forwarded-proto", ""))
        request.scheme = SCHEMES.get(scheme.lower(), request.scheme)
        client = self.client(request.headers.get("x-forwarded-for", ""))
        if not client:
            return NOT_SAID
        request.client = client
        return None

    def client(self, chain: str) -> str:
        """Whom a chain of addresses begins with, as far as it can be believed; "" where it is empty."""
        client = ""
        for said in reversed([piece.strip() for piece in chain.split(",") if piece.strip()]):
            client = address_of(said) or UNKNOWN
            if not self.trusts(client):
                break
        return client


def last(listed: str) -> str:
    """What the nearest proxy has added."""
    return listed.rpartition(",")[2].strip()


def address_of(said: str) -> str | None:
    """The IP address in what a proxy says: by itself, with a port, in brackets; None where there is none."""
    if (found := canonical_address(said)) is not None:
        return found
    if said.startswith("["):
        return canonical_address(said.partition("]")[0])
    return canonical_address(said.partition(":")[0])
