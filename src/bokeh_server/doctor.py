"""``bokeh-server doctor URL``: what is wrong with a deployment, as it is seen from outside.

It asks what a browser and a program would ask, in the order in which they would fail, and names for each thing the line
to change; directives are nginx's. Who has no right there gets everything but the last part, a stream through a document
that is made for it and deleted. Nothing else is changed, and no token is sent where the certificate is not good.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from bokeh_server.client.rest import agent, problem_in
from bokeh_server.config import DEFAULT_PORTS, is_own
from bokeh_server.errors import BadSetting
from bokeh_server.findings import Finding
from bokeh_server.limits import LIMITS

TIMEOUT = 10.0
SOON = 14 * 86_400.0
"""Seconds before its end in which a certificate should be renewed."""
APART = 30.0
"""Seconds between two clocks that matter."""
SLOW = 1.0
"""Seconds on the way for a row."""
COOKIE, BODY = 16 * 1024, 2 * 1024 * 1024
"""Bytes that every proxy should pass."""
ELSEWHERE = "https://elsewhere.invalid"
NO_PAGE = "bokeh/there-is-no-such-page"
RIGHTS = {"read", "write", "stream", "manage"}
SAME_HOST = "proxy_set_header Host $http_host;"
UPGRADE = 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
}


class Hopeless(Exception):
    """There is no use in looking further."""

    def __init__(self, name: str, said: str, change: str = "") -> None:
        super().__init__(said)
        self.finding = Finding(name, "fail", said, change)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """The problem that a bokeh-server tells of; empty where something else answers."""
        return problem_in(self.body) or {}

    @property
    def json(self) -> Any:
        """The body; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(slots=True)
class Deployment:
    """What is examined, at ``url`` (which ends in a slash)."""

    url: str
    token: str = ""
    authority: Path | None = None
    """Who is believed to sign certificates, besides those whom the system believes."""
    idle: float = LIMITS.ping + 5
    """Seconds for which a socket is left silent."""
    plain_port: int = 80
    """Where the way to https should be shown."""
    trust: ssl.SSLContext | None = field(init=False, default=None)
    version: str = field(init=False, default="")

    def __post_init__(self) -> None:
        if self.tls:
            self.trust = ssl.create_default_context()
            if self.authority is not None:
                try:
                    self.trust.load_verify_locations(self.authority)
                except OSError as error:
                    raise BadSetting(f"{self.authority} holds no certificates: {error.strerror or error}.") from None

    @property
    def tls(self) -> bool:
        """Whether it is to speak https."""
        return self.url.startswith("https:")

    @property
    def name(self) -> str:
        """Its host."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Its port."""
        return urlsplit(self.url).port or DEFAULT_PORTS[urlsplit(self.url).scheme]

    @property
    def host(self) -> str:
        """The Host header by which a browser asks."""
        return urlsplit(self.url).netloc

    @property
    def origin(self) -> str:
        """The origin of its pages."""
        return f"{urlsplit(self.url).scheme}://{self.host}"

    @property
    def prefix(self) -> str:
        """The path below which it is, without the last slash."""
        return urlsplit(self.url).path.rstrip("/")

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        known: bool = False,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """A request below the prefix, or for a whole path; ``known``: with the token. Raises ``OSError`` or
        ``HTTPException``."""
        headers = {"Host": self.host, "User-Agent": agent(), **(headers or {})}
        if known and self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        kind = http.client.HTTPConnection(self.name, self.port, timeout=TIMEOUT)
        if self.trust is not None:
            kind = http.client.HTTPSConnection(self.name, self.port, timeout=TIMEOUT, context=self.trust)
        try:
            kind.request(method, path if path.startswith("/") else f"{self.prefix}/{path}", body, headers)
            answer = kind.getresponse()
            return Answer(answer.status, answer.headers, answer.read(1 << 24))
        finally:
            kind.close()

    def socket(self, path: str) -> Socket:
        """A program's websocket."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        more: dict[str, Any] = {"ssl": self.trust} if self.trust is not None else {}
        return Socket(f"{self.url.replace('http', 'ws', 1)}{path}", additional_headers=headers, **more)


class Socket:
    """A websocket that is open; what is waited for runs in a loop of its own.

    ``websockets.sync`` reads in one thread and writes in another. By TLS both use one SSL object, which CPython guards
    since 3.13 only: about one handshake in 1,000 hung.
    """

    def __init__(self, url: str, **options: Any) -> None:
        async def opened() -> ClientConnection:
            return await connect(url, compression=None, proxy=None, max_size=None, **options)

        self._runner = asyncio.Runner()
        try:
            self._socket = self._runner.run(opened())
        except BaseException:
            self._runner.close()
            raise

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.run(self._socket.close())
        self._runner.close()

    def send(self, text: str) -> None:
        """Send a text."""
        self._runner.run(self._socket.send(text))

    def recv(self, timeout: float = TIMEOUT) -> str | bytes:
        """The next message; ``TimeoutError`` where none comes in so many seconds."""
        return self._runner.run(asyncio.wait_for(self._socket.recv(), timeout))


def examine(at: Deployment) -> Iterator[Finding]:
    """All findings, as they come."""
    try:
        for step in STEPS:
            yield from step(at)
    except Hopeless as end:
        yield end.finding
    except (OSError, http.client.HTTPException) as error:
        yield Finding("connection", "fail", f"The connection broke: {str(error) or type(error).__name__}.")


def address(at: Deployment) -> Iterator[Finding]:
    """The name has addresses, and something listens at each."""
    try:
        found = sorted({info[4][0] for info in socket.getaddrinfo(at.name, at.port, type=socket.SOCK_STREAM)})
    except (OSError, UnicodeError) as error:
        raise Hopeless("dns", f"{at.name} has no address ({error}).", f"an A or AAAA record for {at.name}") from None
    yield Finding("dns", "ok", f"{at.name} is {', '.join(map(str, found))}.")
    deaf = {}
    for one in found:
        try:
            socket.create_connection((str(one), at.port), TIMEOUT).close()
        except OSError as error:
            deaf[str(one)] = error.strerror or str(error)
    if len(deaf) == len(found):
        said = f"Nothing listens at port {at.port} of {' and '.join(deaf)} ({next(iter(deaf.values()))})."
        raise Hopeless("connection", said, f"listen {at.port};, and a firewall that lets it through")
    if deaf and not is_own(at.url):
        said = f"Nothing listens at port {at.port} of {' and '.join(deaf)}, which browsers may try first."
        yield Finding("connection", "warn", said, "listen [::]:443 ssl;, or no record for that address")
    else:
        yield Finding("connection", "ok", f"Something listens at port {at.port}.")


def certificate(at: Deployment) -> Iterator[Finding]:
    """The certificate is one that browsers take, and will be in two weeks."""
    if not at.tls:
        if is_own(at.url):
            yield Finding("tls", "ok", "Without TLS, on this machine.")
        else:
            said = "Without TLS everybody on the way can read passwords and documents."
            yield Finding("tls", "warn", said, "listen 443 ssl;, and --public-url https://…")
        return
    assert at.trust is not None
    try:
        with (
            socket.create_connection((at.name, at.port), TIMEOUT) as plain,
            at.trust.wrap_socket(plain, server_hostname=at.name) as secure,
        ):
            ends = ssl.cert_time_to_seconds(str((secure.getpeercert() or {})["notAfter"]))
            spoken = secure.version()
    except ssl.SSLCertVerificationError as error:
        at.trust.check_hostname, at.trust.verify_mode = False, ssl.CERT_NONE
        at.token = ""
        change = "ssl_certificate with the whole chain of a new one, for this name"
        yield Finding("certificate", "fail", f"Browsers refuse it: {error.verify_message.rstrip('.')}.", change)
        return
    except OSError as error:
        raise Hopeless("tls", f"Port {at.port} does not speak TLS ({error}).", f"listen {at.port} ssl;") from None
    left = ends - time.time()
    if left < SOON:
        yield Finding("certificate", "warn", f"It ends in {left / 86_400:.0f} days.", "renew it, and reload the proxy")
    else:
        yield Finding("certificate", "ok", f"It is good for {left / 86_400:.0f} days ({spoken}).")


def server(at: Deployment) -> Iterator[Finding]:
    """A bokeh-server answers, by this name and at this path."""
    answer = at.ask("GET", "version", headers={"Accept": "application/json"})
    told = answer.json
    if answer.status == 200 and isinstance(told, dict) and isinstance(told.get("bokeh-server"), str):
        at.version = told["bokeh-server"]
        yield Finding("server", "ok", f"bokeh-server {at.version} with bokeh {told.get('bokeh')} answers.")
        healthy = at.ask("GET", "readyz", headers={"Accept": "application/json"})
        if healthy.status != 200:
            yield Finding("health", "fail", f"It is not ready: {healthy.problem.get('detail', healthy.status)}")
        yield clock(answer)
        return
    refused(at, answer)


def refused(at: Deployment, answer: Answer) -> None:
    """Say why what answers does not tell its version."""
    detail = str(answer.problem.get("detail", ""))
    if called := re.search(r"is not called '([^']*)'", detail):
        if called[1] == at.host:
            raise Hopeless("host", f"The server does not know that it is {at.host}.", f"--public-url {at.origin}")
        said = f"The proxy asks the server by the name {called[1]!r}, not by the one that it was asked by."
        raise Hopeless("host", said, SAME_HOST)
    if place := re.search(r"This server is at (\S+)\.$", detail):
        wanted = urlsplit(place[1]).path
        if wanted == f"{at.prefix}/":
            said = f"The proxy takes {at.prefix} off the path, and the server is below it."
            raise Hopeless("prefix", said, "proxy_pass http://bokeh_server; (no path or slash behind the name)")
        said = f"The server is at {wanted}, not at {at.prefix}/."
        raise Hopeless("prefix", said, f"--prefix {at.prefix or '/'}, or ask for {at.origin}{wanted}")
    if answer.status == 404:
        for above in parents(at.prefix):
            if at.ask("GET", f"{above}/version").body.startswith(b'{"bokeh-server"'):
                raise Hopeless("prefix", f"The server is at {above}/, not at {at.prefix}/.", f"--prefix {at.prefix}")
    if detail:
        raise Hopeless("server", detail)
    if 300 <= answer.status < 400:
        raise Hopeless("server", f"What answers leads to {answer.headers['Location']}.", "that address")
    if answer.status in (502, 503, 504):
        said = f"The proxy does not reach the server (HTTP {answer.status})."
        raise Hopeless("server", said, "proxy_pass with the address or the socket on which the server listens")
    by = answer.headers.get("Server", "somebody")
    said = f"What answers is no bokeh-server (HTTP {answer.status} from {by})."
    raise Hopeless("server", said, f"location {at.prefix}/ {{ proxy_pass http://bokeh_server; }}")


def parents(prefix: str) -> list[str]:
    """The paths above one, the nearest first."""
    parts = prefix.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


def clock(answer: Answer) -> Finding:
    """Both clocks tell the same time."""
    try:
        apart = parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()
    except (TypeError, ValueError):
        return Finding("clock", "warn", "The answer has no date.")
    if abs(apart) > APART:
        said = f"Its clock and this one are {abs(apart):.0f} seconds apart; the ends of logins and links are its own."
        return Finding("clock", "warn", said, "timedatectl set-ntp true, on both")
    return Finding("clock", "ok", "Its clock tells the time that it is here.")


def pages(at: Deployment) -> Iterator[Finding]:
    """Pages come as the server sends them: below the path, with its policies, also those that tell of an error."""
    answer = at.ask("GET", NO_PAGE, headers={"Accept": "text/html", "Accept-Encoding": "identity"})
    links = re.findall(rb'(?:href|src)="([^"]*)/static/app/', answer.body)
    if not links:
        said = f"The server's own pages of errors do not arrive (HTTP {answer.status}); programs need its word, too."
        yield Finding("errors", "fail", said, "proxy_intercept_errors off;")
        return
    if links[0].decode("latin-1") != at.prefix:
        said = f"Pages lead to {links[0].decode('latin-1')}/, not to {at.prefix}/, where they are."
        change = f"--prefix {at.prefix}, and proxy_pass http://bokeh_server; (no path or slash behind the name)"
        yield Finding("prefix", "fail", said, change)
        return
    yield Finding("prefix", "ok", f"Pages lead to {at.prefix}/.")
    found = answer.headers.get_all("Content-Security-Policy", [])
    if len(found) != 1 or "default-src 'none'" not in found[0] or answer.headers.get_all("X-Frame-Options") != ["DENY"]:
        said = f"The proxy changes the server's policies: a page has {len(found)} of them, and not the server's own."
        yield Finding("policies", "fail", said, "no add_header or proxy_hide_header of such headers")
    else:
        yield Finding("policies", "ok", "The server's policies arrive as it sends them.")
    packed = at.ask("GET", NO_PAGE, headers={"Accept": "text/html", "Accept-Encoding": "gzip"}).headers.get(
        "Content-Encoding"
    )
    how = "The proxy packs pages, which does no harm." if packed else "Answers come as the server sends them."
    yield Finding("compression", "ok", how)


def origin(at: Deployment) -> Iterator[Finding]:
    """The server's own pages may act, and no others."""
    ours = at.ask("GET", "api/v1/documents", headers={"Origin": at.origin})
    theirs = at.ask("GET", "api/v1/documents", headers={"Origin": ELSEWHERE})
    if is_foreign(ours):
        said = f"The server takes its own pages at {at.origin} for those of another site: nobody can log in."
        yield Finding("origin", "fail", said, f"--public-url {at.origin}")
    elif not is_foreign(theirs):
        said = "A page of another site is taken for one of the server's: the proxy changes the Origin header."
        yield Finding("origin", "fail", said, "no proxy_set_header Origin")
    else:
        yield Finding("origin", "ok", "Its own pages may act, and those of other sites may not.")


def is_foreign(answer: Answer) -> bool:
    """Whether a request was taken for one of another site's page."""
    return answer.status == 403 and "another site" in str(answer.problem.get("detail"))


def redirect(at: Deployment) -> Iterator[Finding]:
    """Who asks without TLS is led to it."""
    if not at.tls or (at.port != 443 and at.plain_port == 80):
        return
    plain = http.client.HTTPConnection(at.name, at.plain_port, timeout=TIMEOUT)
    try:
        plain.request("GET", f"{at.prefix}/", headers={"Host": at.name})
        answer = plain.getresponse()
        place = answer.headers.get("Location", "")
    except (OSError, http.client.HTTPException):
        yield Finding("redirect", "ok", f"Nothing answers at port {at.plain_port}.")
        return
    finally:
        plain.close()
    change = "return 308 https://$host$request_uri;"
    if 300 <= answer.status < 400 and place.startswith(f"https://{at.name}"):
        yield Finding("redirect", "ok", "Who asks without TLS is led to it.")
    elif answer.status < 400:
        yield Finding("redirect", "warn", f"Port {at.plain_port} is served without TLS, too.", change)
    else:
        said = f"Who asks without TLS gets HTTP {answer.status}, and not the way to it."
        yield Finding("redirect", "warn", said, change)


def upgrade(at: Deployment) -> Iterator[Finding]:
    """Websockets open; who has to log in first is told so by the server, which then has seen the upgrade."""
    try:
        answer = at.ask("GET", "bokeh/board", known=True, headers={"Origin": at.origin, **HANDSHAKE})
    except (OSError, http.client.HTTPException) as error:
        yield Finding("websocket", "fail", f"The connection broke at the upgrade: {error}.", UPGRADE)
        return
    code = answer.problem.get("code")
    if answer.status == 101 or code in ("unauthorized", "forbidden"):
        yield Finding("websocket", "ok", "The upgrade to a websocket reaches the server.")
    elif code in ("not-found", "method-not-allowed") or answer.status in (400, 404, 405, 426):
        said = f"The proxy does not pass the upgrade to a websocket on (HTTP {answer.status}): nothing is live."
        yield Finding("websocket", "fail", said, UPGRADE)
    else:
        detail = answer.problem.get("detail") or f"HTTP {answer.status}"
        yield Finding("websocket", "fail", f"A websocket is refused: {detail}", UPGRADE)


def sizes(at: Deployment) -> Iterator[Finding]:
    """Long cookies and large documents pass."""
    status = status_of(lambda: at.ask("GET", "healthz", headers={"Cookie": "x=" + "x" * COOKIE}))
    if status == "200":
        yield Finding("headers", "ok", f"Cookies of {COOKIE // 1024} KiB pass.")
    else:
        said = f"Cookies of {COOKIE // 1024} KiB do not pass ({status}); all that is at this name shares them."
        yield Finding("headers", "warn", said, "large_client_header_buffers 4 32k;")

    def sent() -> Answer:
        return at.ask("POST", "api/v1/documents", b"x" * BODY, headers={"Content-Type": "application/json"})

    status = status_of(sent)
    if status == "413":
        said = f"Documents of {BODY // 1024 // 1024} MiB do not pass."
        yield Finding("bodies", "fail", said, "client_max_body_size 256m;")
    elif status in ("400", "401", "403"):  # the server's word: it is no document, or nobody's
        yield Finding("bodies", "ok", f"Documents of {BODY // 1024 // 1024} MiB pass.")
    else:
        said = f"What is sent in {BODY // 1024 // 1024} MiB does not get the server's answer ({status})."
        yield Finding("bodies", "warn", said, "client_max_body_size 256m; proxy_request_buffering off;")


def status_of(ask: Callable[[], Answer]) -> str:
    """The status of an answer, or why there is none."""
    try:
        return str(ask().status)
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__


def stream(at: Deployment) -> Iterator[Finding]:
    """Rows that are sent arrive at once, and a silent socket stays open; needs the right to make a document."""
    asked = at.ask("GET", "api/v1/account", known=True)
    scopes = set(asked.json.get("scopes", ())) if asked.status == 200 and isinstance(asked.json, dict) else set()
    if not scopes >= RIGHTS:
        why = "a token with all scopes in BOKEH_SERVER_TOKEN, or bokeh-server login"
        yield Finding("stream", "warn", "Not looked at: that takes a document, and the right to make one.", why)
        return
    title = f"bokeh-server doctor {secrets.token_hex(4)}"
    source = {"type": "object", "name": "ColumnDataSource", "id": "c1", "attributes": {"name": "rows", "data": COLUMNS}}
    content = json.dumps({"version": "3.9.0", "title": title, "roots": [source]}).encode()
    made = at.ask("PUT", f"api/v1/documents/{title.replace(' ', '%20')}", content, known=True)
    if made.status not in (200, 201):
        yield Finding("stream", "fail", f"No document can be made: {made.problem.get('detail', made.status)}")
        return
    document = made.json["id"]
    try:
        with at.socket(f"bokeh/doc/{document}/ws") as viewer:
            yield timed(at, document, viewer)
            if at.idle:
                yield silent(at, viewer)
    except (OSError, InvalidHandshake, ConnectionClosed) as error:
        yield Finding("stream", "fail", f"The websocket of a document broke: {error}.", UPGRADE)
    finally:
        at.ask("DELETE", f"api/v1/documents/{document}", known=True)


COLUMNS = {"type": "map", "entries": [["t", [0]]]}


def timed(at: Deployment, document: str, viewer: Socket) -> Finding:
    """How long rows take from here to the server and back by the socket."""
    for part in ({"msgid": "1", "msgtype": "PULL-DOC-REQ"}, {}, {}):
        viewer.send(json.dumps(part))
    until(viewer, "PULL-DOC-REPLY")
    longest = 0.0
    for number in range(3):
        begin = time.monotonic()
        row = json.dumps({"t": number}).encode()
        path = f"api/v1/documents/{document}/sources/rows/rows"
        sent = at.ask("POST", path, row, known=True, headers={"Content-Type": "application/json"})
        if sent.status != 200:
            return Finding("stream", "fail", f"A row is refused: {sent.problem.get('detail', sent.status)}")
        try:
            until(viewer, "PATCH-DOC")
        except TimeoutError:
            said = f"Rows that are sent do not arrive within {TIMEOUT:.0f} seconds."
            return Finding("stream", "fail", said, "proxy_buffering off; proxy_request_buffering off;")
        longest = max(longest, time.monotonic() - begin)
    if longest > SLOW:
        said = f"A row takes {longest:.1f} seconds to the server and back."
        return Finding("stream", "warn", said, "proxy_buffering off; proxy_request_buffering off;")
    return Finding("stream", "ok", f"A row takes {longest * 1000:.0f} ms to the server and back.")


def until(viewer: Socket, msgtype: str) -> None:
    """Read up to the next message of this type."""
    while True:
        header = json.loads(viewer.recv())
        for _ in range(2 + 2 * header.get("num_buffers", 0)):
            viewer.recv()
        if header["msgtype"] == msgtype:
            return


def silent(at: Deployment, viewer: Socket) -> Finding:
    """A socket on which nothing happens stays open until the server asks for a sign of life."""
    begin = time.monotonic()
    try:
        viewer.recv(at.idle)
    except TimeoutError:
        return Finding("idle", "ok", f"A socket that was silent for {at.idle:.0f} seconds is open.")
    except ConnectionClosed:
        after = time.monotonic() - begin
        said = f"A silent socket is cut after {after:.0f} seconds, before the server asks for a sign of life."
        return Finding("idle", "fail", said, "proxy_read_timeout 120s; proxy_send_timeout 120s;")
    return Finding("idle", "ok", "A socket is open.")


Step = Callable[[Deployment], Iterator[Finding]]
STEPS: tuple[Step, ...] = (address, certificate, server, pages, origin, redirect, upgrade, sizes, stream)
