"""One server as its routes see it: settings, hub, tickets, templates, static files, and the names it answers to."""

from __future__ import annotations

import hashlib
import importlib.util
import platform
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2

from bokeh_server.accounts.accounts import Accounts
from bokeh_server.accounts.shared_token import SharedToken
from bokeh_server.accounts.tickets import Tickets
from bokeh_server.config import LOOPBACK_NAMES, Config, canonical_address, canonical_origin, is_own
from bokeh_server.core.authorise import Access, Action, Actor, Allowed, Refused, may
from bokeh_server.errors import BadSetting, Forbidden, NotFound
from bokeh_server.hub import Hub
from bokeh_server.limits import LIMITS, Limits
from bokeh_server.store import Info
from bokeh_server.web.http import Request
from bokeh_server.web.schema import Schema

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".ico": "image/x-icon",
}


NONE = Info("", "", "", 0.0, 0.0)
"""What is looked up where there is no document."""


@dataclass(frozen=True)
class Site:
    """What every handler gets. ``port`` is the one that the server really listens on."""

    config: Config
    hub: Hub
    accounts: Accounts
    tickets: Tickets
    port: int
    limits: Limits = LIMITS

    @cached_property
    def origins(self) -> dict[str, str]:
        """The origin of our pages under each exact Host header that is ours.

        Everything else is somebody who points a name of theirs here.
        """
        own = {host: origin for name in {*LOOPBACK_NAMES, self.config.host} for host, origin in self._under(name)}
        return own | {origin.partition("://")[2]: origin for origin in self.config.public_urls}

    def _under(self, name: str) -> list[tuple[str, str]]:
        """Host and origin of our pages under a name or address, in each spelling that a browser may use."""
        scheme = self.config.scheme
        default = {"http": 80, "https": 443}[scheme]
        hosts = [f"{name}:{self.port}", *([name] if self.port == default else [])]
        return [(host, f"{scheme}://{host}") for host in hosts]

    def origin(self, request: Request) -> str | None:
        """The origin of our pages under the Host header of the request; None where that is no name of ours.

        Where the server listens on all addresses, the one that the connection came to is a name of ours: no page of
        another site has an origin that is an address of this machine.
        """
        asked = f"{request.scheme.replace('ws', 'http', 1)}://{request.host}"
        if self.config.trusted_proxies and asked in self.config.public_urls:
            return asked
        if self.config.mounted:
            return self._origin_of_host(request)
        own = self.origins.get(request.host)
        if own is None and self.config.locked and (address := canonical_address(request.server)) is not None:
            own = dict(self._under(f"[{address}]" if ":" in address else address)).get(request.host)
        return own

    def _origin_of_host(self, request: Request) -> str | None:
        """Within a host application: its public addresses where some are named; else, where all show who they are, any
        name, since what they show goes with the name; this machine's own names at whatever port it listens on."""
        named = {origin.partition("://")[2]: origin for origin in self.config.public_urls}
        if request.host in named:
            return named[request.host]
        origin = f"{request.scheme.replace('ws', 'http', 1)}://{request.host}"
        try:
            exact = canonical_origin(origin) == origin
        except BadSetting:
            exact = False
        any_name = self.config.locked and not named
        return origin if exact and (any_name or is_own(origin)) else None

    @property
    def url(self) -> str:
        """The link that is printed when the server is ready."""
        return f"{self._public or f'{self.config.scheme}://{self.config.host}:{self.port}'}{self.config.prefix}/"

    def url_for(self, request: Request) -> str:
        """Where links lead that somebody asks for: without a public address, to where he has found us himself."""
        return f"{self._public or self.origin(request) or ''}{request.prefix}/"

    @property
    def _public(self) -> str:
        return next(iter(self.config.public_urls), "")

    def cookie(self, request: Request) -> str:
        """The name of our cookie: no other server on this machine uses it, nor can one below another name set it."""
        origin = urlsplit(self.origin(request) or "")
        port = (origin.port or 80) if self.config.mounted else self.port
        return "__Host-bokeh-server" if origin.scheme == "https" else f"bokeh-server-{port}"

    async def find(self, actor: Actor, name: str) -> tuple[Info | None, Access]:
        """The document of this id, or else the actor's own of this title, and who is what to it; None where there is
        none that he may see. What he may not see takes as many look-ups as what is not there, and hides no title."""
        by_id, by_title = await self.hub.look(actor.name, name)
        access = await self.hub.access_of(by_id or NONE)
        if by_id is not None and is_seen(actor, access):
            return by_id, access
        access = await self.hub.access_of(by_title or NONE)
        return (by_title if by_title is not None and is_seen(actor, access) else None), access

    @cached_property
    def shared_token(self) -> SharedToken | None:
        """What lets everybody in, on a server that has no accounts and is locked nevertheless."""
        return None if self.config.token is None else SharedToken(self.config.token)

    @cached_property
    def versions(self) -> dict[str, str]:
        """What ``/version`` tells."""
        return {
            "bokeh-server": version("bokeh-server"),
            "bokeh": version("bokeh"),
            "python": platform.python_version(),
        }

    @cached_property
    def static(self) -> StaticFiles:
        """Our own scripts, styles and pictures."""
        return StaticFiles(Path(str(files("bokeh_server") / "web" / "static")))

    @cached_property
    def bokehjs(self) -> StaticFiles:
        """BokehJS, from the installed bokeh package, which is not imported for it."""
        spec = importlib.util.find_spec("bokeh")
        assert spec is not None, "bokeh is a dependency"
        assert spec.submodule_search_locations, "bokeh is a package"
        return StaticFiles(Path(spec.submodule_search_locations[0]) / "server" / "static", version("bokeh"))

    @cached_property
    def schema(self) -> Schema:
        """The properties of bokeh's models."""
        return Schema(version("bokeh"), self.config.data)

    @cached_property
    def _templates(self) -> jinja2.Environment:
        loader = jinja2.FileSystemLoader(str(files("bokeh_server") / "web" / "templates"))
        return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)

    def render(self, template: str, prefix: str, **more: Any) -> bytes:
        """A page from its template, with what every page knows; ``prefix`` is that of the request."""
        page = self._templates.get_template(template).render(
            prefix=prefix,
            static=f"{prefix}/static/app/{self.static.version}",
            bokehjs=f"{prefix}/static/bokeh/{self.bokehjs.version}",
            version=self.versions["bokeh-server"],
            bokeh_version=self.versions["bokeh"],
            **more,
        )
        return page.encode()


def is_seen(actor: Actor, access: Access) -> bool:
    """Whether the document is there for the actor, whatever he may do with it."""
    verdict = may(actor, Action.VIEW, access)
    return isinstance(verdict, Allowed) or not verdict.hidden


def ensure(verdict: Allowed | Refused) -> None:
    """``Forbidden`` with the reason."""
    if isinstance(verdict, Refused):
        raise Forbidden(verdict.reason)


class StaticFiles:
    """The files below one folder, by a manifest made at the first use: no request ever names a path on the disk.

    Without ``version`` it is a hash of all contents, so that a URL always means the same bytes.
    """

    def __init__(self, folder: Path, version: str | None = None) -> None:
        self._files = {
            file.relative_to(folder).as_posix(): file
            for file in sorted(folder.rglob("*"))
            if file.suffix in TYPES and file.is_file()
        }
        self._cache: dict[str, bytes] = {}
        self.version = version or self._hash()

    def _hash(self) -> str:
        digest = hashlib.sha256()
        for name, file in self._files.items():
            digest.update(name.encode() + b"\0" + file.read_bytes())
        return digest.hexdigest()[:12]

    def read(self, name: str) -> tuple[bytes, str]:
        """Contents and media type of a file; ``NotFound`` where the manifest has none of this name."""
        file = self._files.get(name)
        if file is None:
            raise NotFound
        if name not in self._cache:
            self._cache[name] = file.read_bytes()
        return self._cache[name], TYPES[file.suffix]
