"""``bokeh-server check``: what is unsafe or missing in the settings of a server that is not started yet.

It looks at the same options as the server, and at what they name: certificate, key, data folder, port, unix socket. It
changes nothing, and asks nobody outside of this machine.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import ssl
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.exc import DBAPIError

from bokeh_server.adapters.process import bind, check_certificate
from bokeh_server.config import UNIX, Config, is_loopback, is_own
from bokeh_server.errors import BadSetting, BokehServerError, StoreLocked
from bokeh_server.findings import Finding
from bokeh_server.limits import MIB
from bokeh_server.store.sql import file_of
from bokeh_server.store.sqlite import Sqlite

DAY = 86_400.0
SOON = 14
"""Days before its end in which a certificate should be renewed."""
WIDE = {4: 8, 6: 16}
"""Bits of a network below which it is more than anybody's own."""
NETWORKED = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "ceph",
    "glusterfs",
    "lustre",
    "afs",
    "fuse.sshfs",
    "fuse.s3fs",
)
LITTLE = 500 * MIB
"""Bytes that should be free."""
HANDLES = 4096
"""Files that may be open: each socket is one."""


def check(config: Config) -> Iterator[Finding]:
    """All findings about settings that can be used."""
    yield from way_in(config)
    yield from public_address(config)
    yield from proxies(config)
    if config.ssl_certfile is not None:
        yield certificate(config, config.ssl_certfile)
        yield key(config.ssl_keyfile or config.ssl_certfile)
    yield listening(config)
    yield from data(config)
    yield from process()


def is_exposed(config: Config) -> bool:
    """Whether other machines reach the server without a proxy."""
    return config.unix_socket is None and config.address != "localhost" and not is_loopback(config.address)


def is_public(config: Config) -> bool:
    """Whether other machines reach it at all, as far as the settings tell."""
    return is_exposed(config) or not all(map(is_own, config.public_urls)) or bool(config.trusted_proxies)


def way_in(config: Config) -> Iterator[Finding]:
    """Who gets in, and whether anybody on the way can listen."""
    if not config.locked:
        who = "whoever may use its unix socket" if config.unix_socket else "whoever is on this machine"
        yield Finding("accounts", "ok", f"Without accounts or a token {who} may do everything; nobody else gets in.")
        return
    yield Finding("accounts", "ok", "People have accounts." if config.multi_user else "Everybody must show the token.")
    open_for_all = config.registration == "open" and is_public(config)
    if open_for_all:
        yield Finding(
            "registration", "warn", "Everybody who reaches the server can make an account.", "--registration invitation"
        )
    if config.tls or not is_exposed(config):
        return
    if any(url.startswith("https:") for url in config.public_urls):
        said = f"The proxy speaks https, but who asks {config.address} itself goes around it, without TLS."
        yield Finding("tls", "warn", said, "--address localhost or --unix-socket, where the proxy is on this machine")
    else:
        said = "Passwords, tokens and documents cross the network so that everybody on the way can read them."
        yield Finding("tls", "fail", said, "--ssl-certfile, or a proxy with TLS and --public-url https://…")


def public_address(config: Config) -> Iterator[Finding]:
    """Under which addresses people reach it."""
    if not config.locked:
        return
    if not config.public_urls:
        if config.trusted_proxies:
            said = "Behind a proxy it answers only to localhost and its own addresses, which people do not ask for."
            yield Finding("public-url", "fail", said, "--public-url https://plots.example.org")
        elif is_exposed(config):
            said = "It answers only to localhost and the addresses of this machine, by no name."
            yield Finding("public-url", "warn", said, "--public-url https://plots.example.org")
        return
    plain = [url for url in config.public_urls if url.startswith("http:") and not is_own(url)]
    if plain:
        said = f"At {plain[0]} everybody on the way can read passwords and documents."
        yield Finding("public-url", "warn", said, f"--public-url {plain[0].replace('http:', 'https:', 1)}")
    else:
        yield Finding("public-url", "ok", f"People reach it at {config.public_urls[0]}{config.prefix}/.")


def proxies(config: Config) -> Iterator[Finding]:
    """Whose word it believes."""
    for named in config.trusted_proxies:
        if named != UNIX and (network := ipaddress.ip_network(named)).prefixlen < WIDE[network.version]:
            said = f"Everybody in {named} can say that he is somebody else: it is more than your proxies."
            yield Finding("proxies", "fail", said, "--trusted-proxy with the address of the proxy")
            return
    by_unix = config.unix_socket is not None
    if by_unix and config.public_urls and UNIX not in config.trusted_proxies:
        yield Finding(
            "proxies", "warn", "All who come by the unix socket are one client to it.", "--trusted-proxy unix"
        )
    elif UNIX in config.trusted_proxies and not by_unix:
        yield Finding("proxies", "warn", "Nobody comes by a unix socket: there is none.", "--unix-socket PATH")
    elif (
        not by_unix
        and not config.tls
        and not config.trusted_proxies
        and any(url.startswith("https:") and not is_own(url) for url in config.public_urls)
    ):
        said = "All who come by the proxy are one client to it: some wrong passwords of one keep everybody out."
        yield Finding("proxies", "warn", said, "--trusted-proxy with the address of the proxy")
    elif config.trusted_proxies:
        yield Finding("proxies", "ok", f"It believes {', '.join(config.trusted_proxies)} who a client is.")


def certificate(config: Config, file: Path) -> Finding:
    """How long it is good, and for which names."""
    change = "--ssl-certfile with a new one"
    try:
        check_certificate(file, config.ssl_keyfile)
        told = read_certificate(file, config.ssl_keyfile)
    except BadSetting as error:
        return Finding("certificate", "fail", str(error))
    except ssl.SSLCertVerificationError as error:
        return Finding("certificate", "fail", f"Browsers refuse {file}: {error.verify_message}.", change)
    days = (ssl.cert_time_to_seconds(str(told["notAfter"])) - time.time()) / DAY
    if days < SOON:
        return Finding("certificate", "warn", f"{file} ends in {days:.0f} days.", change)
    names = {str(name) for kind, name in told.get("subjectAltName", ()) if kind in ("DNS", "IP Address")}
    hosts = [urlsplit(url).hostname or "" for url in config.public_urls if url.startswith("https:")]
    missing = [host for host in hosts if host not in names and f"*.{host.partition('.')[2]}" not in names]
    if missing:
        return Finding(
            "certificate", "fail", f"{file} is not for {missing[0]}, but for {', '.join(sorted(names))}.", change
        )
    return Finding("certificate", "ok", f"{file} is good for {days:.0f} days.")


def read_certificate(file: Path, keyfile: Path | None) -> dict[str, tuple[tuple[str, str], ...]]:
    """What a certificate says, as ``SSLSocket.getpeercert``: a handshake with itself, which also finds what is wrong.

    Raises ``SSLCertVerificationError`` where it has expired or does not begin yet.
    """
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(file, keyfile)
    client.check_hostname = False
    client.load_verify_locations(cafile=file)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # who has signed it is not the question
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)]
    for end in ends * 3:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return ends[0].getpeercert() or {}  # type: ignore[return-value]


def key(file: Path) -> Finding:
    """Who may read the key."""
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        return Finding("key", "fail", f"Others on this machine may read or change {file}.", f"chmod 600 {file}")
    return Finding("key", "ok", f"{file} is for its owner{' and group' if mode & stat.S_IRGRP else ''} only.")


def listening(config: Config) -> Finding:
    """Whether it can listen where it shall."""
    if config.unix_socket is not None:
        return unix_socket(config.unix_socket)
    try:
        for found in bind(config.address, config.port):
            found.close()
    except BadSetting as error:
        return Finding("port", "fail", str(error))
    return Finding(
        "port", "ok", f"Port {config.port} of {config.address} is free." if config.port else "It takes a free one."
    )


def unix_socket(path: Path) -> Finding:
    """Whether its socket can be made."""
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return Finding("port", "fail", f"Nothing can be made in {path.parent}.", "--unix-socket in a folder of yours")
    if path.exists() and not path.is_socket():
        return Finding("port", "fail", f"{path} is there and no socket.", "--unix-socket with another path")
    with closing(socket.socket(socket.AF_UNIX)) as other:
        try:
            other.connect(str(path))
        except OSError:
            return Finding("port", "ok", f"{path} is free.")
    return Finding("port", "fail", f"Another server listens on {path}.", "--unix-socket with another path")


def data(config: Config) -> Iterator[Finding]:
    """Whether documents are safe where they are kept."""
    folder = config.data
    if folder is None:
        yield Finding("data", "warn", "Documents are kept in memory, and gone when the server ends.", "--data FOLDER")
        return
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield Finding(
            "data", "fail", f"Nothing can be written to {there}.", "--data with a folder of the server's user"
        )
        return
    kind = file_system(there)
    if kind in NETWORKED:
        said = f"{there} is on a network file system ({kind}), which may lose or damage a database."
        yield Finding("data", "fail", said, "--data with a folder on a disk of this machine")
    elif folder.exists() and stat.S_IMODE(folder.stat().st_mode) & (stat.S_IRWXO | stat.S_IWGRP):
        yield Finding("data", "fail", f"Others on this machine may read or change {folder}.", f"chmod 700 {folder}")
    elif (free := shutil.disk_usage(there).free) < LITTLE:
        yield Finding("data", "warn", f"The disk of {there} has only {free // MIB} MiB left.", "free some space")
    else:
        yield Finding("data", "ok", f"Documents are kept in {folder}.")
    yield database(folder)


def file_system(folder: Path) -> str:
    """The kind of file system that a folder is on; "" where the system does not tell."""
    try:
        lines = Path("/proc/mounts").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    mounts = [(line.split()[1].replace("\\040", " "), line.split()[2]) for line in lines if len(line.split()) > 2]
    above = [(place, kind) for place, kind in mounts if folder.resolve().is_relative_to(place)]
    return max(reversed(above), key=lambda mount: len(mount[0]), default=("", ""))[1]  # the last one covers others


def database(folder: Path) -> Finding:
    """Whether the database can be opened."""
    file = file_of(folder)
    if not file.exists():
        return Finding("database", "ok", f"There is none in {folder} yet; the first start makes it.")
    if not os.access(file, os.R_OK | os.W_OK):
        return Finding(
            "database", "fail", f"{file} can't be written.", f"chown it to the server's user, and chmod 600 {file}"
        )
    found = Sqlite(file)
    try:
        found.lock()
        try:
            found.check()
        finally:
            found.unlock()
    except StoreLocked:
        return Finding("database", "ok", "A server uses it just now.")
    except BokehServerError as error:
        return Finding("database", "fail", str(error))
    except DBAPIError as error:
        return Finding("database", "fail", str(found.fault(error.orig or error)))
    return Finding("database", "ok", f"{file} is whole, and of a version that is known.")


def process() -> Iterator[Finding]:
    """As whom it runs, and how many may come."""
    if os.name != "posix":
        return
    import resource

    if os.geteuid() == 0:
        said = "It would run as root; a mistake in it would be one in everything here."
        yield Finding("user", "warn", said, "a user of its own, as in deploy/bokeh-server.service")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if most < HANDLES:
        said = f"At most {most} files may be open, and every viewer is one."
        yield Finding("files", "warn", said, f"ulimit -n {HANDLES}, or LimitNOFILE={HANDLES} in the unit")
