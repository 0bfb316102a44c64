"""Real proxies in front of a real server, by the files of ``deploy/``: only addresses and paths are replaced."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.typing import Origin

from bokeh_server.doctor import Socket
from tests.running import RunningServer
from tests.web.asking import Answer

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
NAME = "plots.example.org"
SOCKET = "/run/bokeh-server/bokeh-server.sock"
CERTIFICATE, KEY = f"/etc/ssl/certs/{NAME}.pem", f"/etc/ssl/private/{NAME}.key"
START = 15.0
WHERE = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin"
"""Where programs are; Debian's administrators have /usr/sbin in it."""


def program(name: str) -> str:
    """The path of a program that ``scripts/proxies`` has installed."""
    found = shutil.which(name, path=WHERE)
    assert found, f"no {name}: run the tests by `make test`, which installs it, or scripts/proxies"
    return found


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def adapted(text: str, *pairs: tuple[str, str]) -> str:
    """A file for this machine; each thing that is replaced must be in it."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def make_certificate(folder: Path, days: int = 2, name: str = NAME) -> tuple[Path, Path]:
    """A certificate for ``name`` and its key; with -1 day it has expired."""
    made, key, asked = folder / "cert.pem", folder / "key.pem", folder / "asked.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key)]
    names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    signed = ["-signkey", str(key), "-days", str(days), "-copy_extensions", "copy", "-out", str(made)]
    for words in (["req", "-new", *curve, *names, "-out", str(asked)], ["x509", "-req", "-in", str(asked), *signed]):
        subprocess.run(["openssl", *words], check=True, capture_output=True)
    return made, key


@dataclass(frozen=True)
class Outside:
    """The deployment as it is seen from outside: by TLS at ``port``, below ``prefix``."""

    port: int
    certificate: Path
    prefix: str = ""

    @property
    def origin(self) -> str:
        """The origin of its pages."""
        return f"https://{NAME}:{self.port}"

    @property
    def trust(self) -> ssl.SSLContext:
        """What believes the certificate, as if an authority had signed it."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def plug(self, source: str = "127.0.0.1") -> socket.socket:
        """A connection from an address of this machine."""
        return socket.create_connection(("127.0.0.1", self.port), 20, (source, 0))

    def ask(
        self, method: str, path: str, body: Any = None, *, source: str = "127.0.0.1", whole: bool = False, **more: str
    ) -> Answer:
        """A request below the prefix (``whole``: exactly there); ``more`` are headers, with ``_`` for ``-``."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection(NAME, self.port, timeout=20)
        try:
            connection.sock = self.trust.wrap_socket(self.plug(source), server_hostname=NAME)
            headers = {name.replace("_", "-"): value for name, value in more.items()}
            connection.request(method, path if whole else self.prefix + path, data, headers)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def socket(self, path: str, origin: str | None = None, **headers: str) -> Socket:
        """An open websocket."""
        return Socket(
            f"wss://{NAME}:{self.port}{self.prefix}{path}",
            sock=self.plug(),
            ssl=self.trust,
            origin=None if origin is None else Origin(origin),
            additional_headers=headers,
        )


@contextmanager
def run(command: list[str], log: Path, *ports: int, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A proxy, once it listens."""
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=errors, stderr=errors, env={**os.environ, **variables}) as process,
    ):
        try:
            for port in ports:
                wait_for(port, process, log)
            yield process
        finally:
            process.terminate()


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until something listens."""
    deadline = time.monotonic() + START
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)


MAIN = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 200; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


@contextmanager
def nginx(folder: Path, site: str, *ports: int) -> Iterator[subprocess.Popen[bytes]]:
    """nginx with this site and a main file as Debian's."""
    folder.mkdir()
    (folder / "site.conf").write_text(site)
    user = "user root;" if os.getuid() == 0 else ""  # else its worker could not reach the test's folder
    (folder / "main.conf").write_text(MAIN.format(folder=folder, user=user))
    command = [program("nginx"), "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "main.conf")]
    with run(command, folder / "nginx.log", *ports) as process:
        yield process


def nginx_site(port: int, plain: int, files: tuple[Path, Path], *more: tuple[str, str]) -> str:
    """The site of ``deploy/``, on these ports, with this certificate."""
    return adapted(
        (DEPLOY / "nginx.conf").read_text(),
        ("listen 80;\n    server", f"listen 127.0.0.1:{plain};\n    server"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        (CERTIFICATE, str(files[0])),
        (KEY, str(files[1])),
        *more,
    )


@contextmanager
def apache(folder: Path, site: str, *ports: int) -> Iterator[subprocess.Popen[bytes]]:
    """Apache with this site and the modules that it asks for."""
    folder.mkdir()
    (folder / "site.conf").write_text(site)
    modules = ("mpm_event", "authz_core", "proxy", "proxy_http", "headers", "ssl", "alias")
    lines = [
        *(
            f"ServerRoot {folder}",
            f"PidFile {folder}/apache.pid",
            f"DefaultRuntimeDir {folder}",
            "ServerName localhost",
        ),
        *(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in modules),
        *(f"Listen 127.0.0.1:{port}" for port in ports),
        *(f"ErrorLog {folder}/error.log", f"Mutex file:{folder} default", f"Include {folder}/site.conf"),
        *(["User nobody", "Group root"] if os.getuid() == 0 else []),
    ]
    (folder / "main.conf").write_text("\n".join(lines) + "\n")
    with run(
        [program("apache2"), "-D", "FOREGROUND", "-f", str(folder / "main.conf")], folder / "log", *ports
    ) as process:
        yield process


@contextmanager
def caddy(folder: Path, site: str, *ports: int) -> Iterator[subprocess.Popen[bytes]]:
    """Caddy with this site."""
    folder.mkdir()
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + site)
    command = [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    places = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    with run(command, folder / "log", *ports, **places) as process:
        yield process


class Behind(RunningServer):
    """A server with accounts behind a proxy at ``port`` of the public address."""

    def __init__(self, folder: Path, public: int, *flags: str, name: str = NAME) -> None:
        own = free_port()
        super().__init__(folder, "-m", "--public-url", f"https://{name}:{public}", *flags, port=own)
        self.port = own  # it prints the other one
