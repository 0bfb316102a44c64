"""The settings of one server, checked when they are made.

A ``Config`` that exists can be used: whatever is wrong with a flag is a ``BadSetting`` with a sentence that says what
to do. Where nobody has to show who he is, everybody who reaches the server is its one user, so it listens on this
machine only. It answers only to its exact names (a page of another site that points its own name here gets nothing).
"""

from __future__ import annotations

import ipaddress
import re
import socket
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bokeh_server.errors import BadSetting

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
"""The names of this machine, as a Host header has them."""
PORT = 5006
SHORTEST_TOKEN = 20
"""Characters of a token that somebody chose; how often others guess is not counted."""
DEFAULT_PORTS = {"http": 80, "https": 443}
LEAST_BYTES = 65_536
"""Bytes below which a budget of streamed rows is a mistake: 64M was meant, not 64."""
LEAST_RAW = 1.0
"""Seconds."""
UNIX = "unix"
"""The peer of a unix socket, among the proxies that are believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What can be chosen when a server starts."""

    data: Path | None = None
    """The folder of all data; None keeps everything in memory."""
    address: str = "localhost"
    """Where to listen: localhost (both its addresses), or an IP address; without ``locked``, of this machine."""
    port: int = PORT
    """0 takes a free one."""
    prefix: str = ""
    """In front of every path: empty, or ``/plots``."""
    durability: Literal["disk", "process"] = "disk"
    """Whether an acknowledged patch is flushed to disk, or only written."""
    document_scripts: bool = True
    """Whether the JavaScript that documents carry runs in their frames."""
    ssl_certfile: Path | None = None
    """The certificate, for ``https:``."""
    ssl_keyfile: Path | None = None
    """Its key, where the file of the certificate does not have it."""
    multi_user: bool = False
    """Whether people have accounts; otherwise everybody is ``defaultuser``."""
    token: str | None = field(default=None, repr=False)
    """Without accounts: what everybody must show; who does may do everything."""
    registration: Literal["closed", "invitation", "open"] = "invitation"
    """Who may make an account for himself: nobody, who is invited, or everybody."""
    public_urls: tuple[str, ...] = ()
    """Under which addresses people reach the server, if not under its own: ``https://plots.example.org``."""
    trusted_proxies: tuple[str, ...] = ()
    """Whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed: IP addresses, networks, ``unix``."""
    unix_socket: Path | None = None
    """Where to listen instead of on a port: for a proxy on the same machine."""
    unix_socket_mode: int = 0o600
    """Who may connect to it, as a file has it; without ``locked``, its owner only."""
    mounted: bool = False
    """Whether a host application serves it: on which address, port and names is then the host's business."""
    identified: bool = False
    """Whether the host application says who is asking: people have accounts here, and log in there."""
    admins: tuple[str, ...] = ()
    """With ``identify``: the names of the administrators."""
    login_url: str = ""
    """With ``identify``: where the host application logs people in, like ``/login``; gets ``next``, the way back."""
    retain_bytes: int | None = None
    """Bytes that the streamed sources of a document may take together; then the oldest give way. None: no limit."""
    retain_raw: float | None = None
    """Seconds for which streamed rows stay as they came; then they are thinned. None: for ever."""
    debug: bool = False
    """Whether the log tells more."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "prefix", canonical_prefix(self.prefix))
        if self.address != "localhost":
            object.__setattr__(self, "address", canonical_address(self.address) or self.address)
        object.__setattr__(self, "public_urls", tuple(map(canonical_origin, self.public_urls)))
        object.__setattr__(self, "trusted_proxies", tuple(map(canonical_proxy, self.trusted_proxies)))
        if self.identified:
            object.__setattr__(self, "multi_user", True)
            object.__setattr__(self, "registration", "closed")
        if self.address != "localhost" and canonical_address(self.address) is None:
            raise BadSetting(f"The server listens on localhost or on an IP address, not on {self.address!r}.")
        if self.address != "localhost" and not is_loopback(self.address) and not self.locked:
            raise BadSetting(
                f"Without accounts everybody who reaches the server may do everything, so it listens on this machine "
                f"only, not on {self.address!r}: leave --address out, give people accounts with -m, or ask them for a "
                "token with --token."
            )
        if not self.locked and not all(map(is_own, self.public_urls)):
            raise BadSetting(
                "Without accounts everybody who reaches the server may do everything, so it has no public address: "
                "leave --public-url out, give people accounts with -m, or ask them for a token with --token."
            )
        if self.token is not None and self.multi_user:
            raise BadSetting("With accounts (-m) people have tokens of their own: leave --token out.")
        if not (self.mounted if self.identified else not self.admins and not self.login_url):
            raise BadSetting(
                "Only a host application says who people are: give its identify to blueprint or create_app."
            )
        if self.login_url and not re.match(r"(?:/(?![/\\])|https?://)[!-~]*$", self.login_url):
            raise BadSetting(f"The host's log-in is at a path like /login, or a URL, not at {self.login_url!r}.")
        if self.token is not None and (len(self.token) < SHORTEST_TOKEN or not self.token.isascii()):
            raise BadSetting(f"The token that lets everybody in has {SHORTEST_TOKEN} ASCII characters or more.")
        if self.registration != "invitation" and not self.multi_user:
            raise BadSetting("There is nothing to register for without accounts (-m).")
        if not 0 <= self.port <= 65535:
            raise BadSetting(f"A port is a number from 0 to 65535, not {self.port}.")
        if self.unix_socket is not None:
            self._check_unix_socket()
        if self.retain_bytes is not None and self.retain_bytes < LEAST_BYTES:
            raise BadSetting(f"A document may take {LEAST_BYTES} bytes or more (--retain-bytes), like 64M.")
        if self.retain_raw is not None and self.retain_raw < LEAST_RAW:
            raise BadSetting("Rows stay as they came for a second or more (--retain-raw), like 1d.")
        if self.ssl_keyfile and not self.ssl_certfile:
            raise BadSetting("A key (--ssl-keyfile) needs its certificate (--ssl-certfile).")
        for file in (self.ssl_certfile, self.ssl_keyfile):
            if file is not None and not file.is_file():
                raise BadSetting(f"There is no file {file}.")

    def _check_unix_socket(self) -> None:
        if not hasattr(socket, "AF_UNIX"):
            raise BadSetting("This system has no unix sockets for Python: leave --unix-socket out.")
        if self.address != "localhost":
            raise BadSetting("The server listens on a unix socket or on an address: leave --address out.")
        if not 0 <= self.unix_socket_mode <= 0o777:
            raise BadSetting("The mode of the unix socket (--unix-socket-mode) is one of a file, like 660.")
        if not self.locked and self.unix_socket_mode & 0o077:
            raise BadSetting(
                "Without accounts everybody who reaches the server may do everything, so only you may use its unix "
                "socket: leave --unix-socket-mode at 600, give people accounts with -m, or ask them for a token with "
                "--token."
            )

    @property
    def locked(self) -> bool:
        """Whether a request must show who it is from, by an account or by the token; otherwise all are let in."""
        return self.multi_user or self.token is not None

    @property
    def host(self) -> str:
        """The address as a URL has it; "localhost" where it listens on all: that is no address to go to."""
        if self.address == "localhost" or ipaddress.ip_address(self.address).is_unspecified:
            return "localhost"
        return f"[{self.address}]" if ":" in self.address else self.address

    @property
    def tls(self) -> bool:
        """Whether it speaks https and wss."""
        return self.ssl_certfile is not None

    @property
    def scheme(self) -> str:
        """``http``, or ``https`` with a certificate."""
        return "https" if self.tls else "http"


def canonical_prefix(prefix: str) -> str:
    """``/a/b`` for any way to write it; ``BadSetting`` where it can't be a path."""
    segments = [segment for segment in prefix.split("/") if segment]
    if not all(re.fullmatch(r"[\w~-][\w.~-]*", segment, re.ASCII) for segment in segments):
        raise BadSetting(f"A prefix is a path like /plots, not {prefix!r}.")
    return "".join(f"/{segment}" for segment in segments)


def canonical_origin(url: str) -> str:
    """``https://name[:port]`` for a public address; ``BadSetting`` where it is none. A path belongs into --prefix."""
    wrong = BadSetting(f"A public address looks like https://plots.example.org, not {url!r}.")
    try:
        parts = urllib.parse.urlsplit(url if "://" in url else f"https://{url}")
        port, host = parts.port, parts.hostname or ""
        name = canonical_address(host) or host.encode("idna").decode()
    except ValueError:
        raise wrong from None
    more = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in DEFAULT_PORTS or more or not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+:[0-9a-f:.]*", name):
        raise wrong
    name = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{name}" + (f":{port}" if port not in (None, DEFAULT_PORTS[parts.scheme]) else "")


def canonical_proxy(proxy: str) -> str:
    """``unix``, or the network of a proxy: ``10.0.0.0/8``, for one address ``10.0.0.7/32``; else ``BadSetting``."""
    if proxy == UNIX:
        return UNIX
    try:
        return str(ipaddress.ip_network(canonical_address(proxy) or proxy))
    except ValueError as error:
        why = f": {error}" if "host bits" in str(error) else ""
        raise BadSetting(f"A trusted proxy is an IP address, a network or `unix`, not {proxy!r}{why}.") from None


def is_loopback(address: str) -> bool:
    """Whether this is an IP address that only this machine can reach."""
    found = canonical_address(address)
    return found is not None and ipaddress.ip_address(found).is_loopback


def is_own(url: str) -> bool:
    """Whether this is an address that only this machine has."""
    host = urllib.parse.urlsplit(url).hostname or ""
    return host == "localhost" or is_loopback(host)


def canonical_address(address: str) -> str | None:
    """An IP address in the one way that URLs and sockets have it, without brackets or zone; None where it is none."""
    try:
        ip = ipaddress.ip_address(address.removeprefix("[").removesuffix("]").partition("%")[0])
    except ValueError:
        return None
    return str(getattr(ip, "ipv4_mapped", None) or ip)


def default_data() -> Path:
    """The folder of data of this user, where no other is named."""
    import platformdirs

    return platformdirs.user_data_path("bokeh-server", appauthor=False)
