"""The few HTTP requests that a program makes: find or create a document, read it, ask what is there.

Plain ``urllib``, straight to the server (no proxy: a program and its bokeh-server are on one network). An answer of the
server with a problem becomes the error of that code; no answer at all becomes ``ServerAway``, which says what to do.
"""

from __future__ import annotations

import logging
import platform
import urllib.error
import urllib.parse
import urllib.request
from functools import cache
from http.client import HTTPException
from importlib.metadata import version
from typing import Any

import orjson

from bokeh_server.client.keys import of_environment
from bokeh_server.errors import (
    BadValue,
    BokehServerError,
    ClientError,
    Conflict,
    NotFound,
    ServerAway,
    ServerFault,
    Unauthorized,
)
from bokeh_server.limits import LIMITS

log = logging.getLogger("bokeh_server.client")
TIMEOUT = 30.0
"""Seconds for one answer: a document of 100 MB takes its time."""
WHO = "log in once (`bokeh-server login`, or session.login(name, password)), or set BOKEH_SERVER_TOKEN."
PROBLEM = {"type", "title", "status", "detail", "code"}
"""What a problem of our server has. Others write JSON, too, and some of it has a ``code``."""


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """What is sent to a server, its user's key above all, goes nowhere else."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing: the answer that names another address stays an ``HTTPError``."""


class Rest:
    """Requests below ``root`` (which ends in a slash), each with ``headers``."""

    def __init__(self, root: str, headers: dict[str, str]) -> None:
        self.root = root
        self.headers = headers
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirects)

    def request(self, method: str, path: str, body: Any = None, *, known: bool = True) -> Any:
        """The JSON answer to ``method`` on ``path`` (below the root) with the JSON ``body``; None where it is empty.

        ``known``: whether to say who asks.
        """
        headers = {"Accept": "application/json", "User-Agent": agent(), **(self.headers if known else {})}
        data = None
        if body is not None:
            try:
                data = orjson.dumps(body)
            except orjson.JSONEncodeError as error:
                raise BadValue(f"This can't be sent: {error}.") from None
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.root + path, data, headers, method=method)  # noqa: S310 - checked root
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                content = response.read()
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error, known=known) from None
        except (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError) as error:
            raise away(self.root, getattr(error, "reason", error)) from None
        try:
            return orjson.loads(content) if content else None
        except orjson.JSONDecodeError:
            raise away(self.root, "what answers there is no bokeh-server") from None

    def _refusal(self, error: urllib.error.HTTPError, *, known: bool) -> BokehServerError:
        if 300 <= error.code < 400:
            return away(self.root, f"what answers there leads to {error.headers['Location']}")
        told = problem(error.code, error.read(), self.root)
        if isinstance(told, Unauthorized) and known and not self.headers:
            return Unauthorized(f"{self.root} asks who you are: {WHO}")
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if isinstance(told, Unauthorized) and known and given == of_environment():
            return Unauthorized(f"{told} It is the one in BOKEH_SERVER_TOKEN: set that anew, or unset it.")
        return told

    def check(self) -> None:
        """Say, in one line, where the server or its bokeh is of another version than here (the first two numbers)."""
        try:
            there = self.request("GET", "version")
        except NotFound:
            raise away(self.root, "there is nothing at this path") from None
        for package in ("bokeh", "bokeh-server"):
            here, other = version(package), there.get(package) if isinstance(there, dict) else None
            if not isinstance(other, str):
                raise away(self.root, "what answers there is no bokeh-server")
            if here.split(".")[:2] != other.split(".")[:2]:
                log.warning(
                    "%s has %s %s, this program %s: install the same version where something does not show.",
                    self.root,
                    package,
                    other,
                    here,
                )

    def document(self, title: str) -> dict[str, Any]:
        """What the server tells of this user's document ``title``, which is made where it does not exist.

        It is looked for first: a token that may not make documents, or is good for one only, does not need to.
        """
        found = self._titled(title)
        if found is None:
            try:
                found = self.request("POST", "api/v1/documents", {"title": title})
            except Conflict:  # another program was faster
                found = self._titled(title)
        if found is None:
            raise NotFound(f"The document {title!r} was deleted just now.")
        return found

    def _titled(self, title: str) -> dict[str, Any] | None:
        """This user's document of this title; not by its path: "a/b" and "." are no parts of one, and an id may look
        like a title."""
        if len(title.strip()) > LIMITS.title:
            return None  # the server says what a title is where one is to be made
        listed: list[dict[str, Any]] = self.request("GET", f"api/v1/documents?title={quote(title)}")
        return next(iter(listed), None)

    def info(self, name: str) -> dict[str, Any]:
        """What the server tells of a document by id, or of this user's of this title."""
        if not is_part(name):
            listed = self._titled(name)
            if listed is None:
                raise NotFound(f"There is no document {name!r}.")
            return listed
        found: dict[str, Any] = self.request("GET", f"api/v1/documents/{quote(name)}/info")
        return found

    def content(self, name: str) -> dict[str, Any]:
        """A document as Bokeh's JSON, binary values inline."""
        found: dict[str, Any] = self.request("GET", f"api/v1/documents/{quote(name)}")
        return found


@cache
def agent() -> str:
    """What a program calls itself: lists of keys name it."""
    name = f"bokeh-server/{version('bokeh-server')} ({platform.node() or 'a machine'})"
    return name.encode("ascii", "replace").decode()


def quote(name: str) -> str:
    """A title, name or id as one part of a path or query; ``BadValue`` where it is no Unicode."""
    try:
        return urllib.parse.quote(name, safe="")
    except UnicodeEncodeError as error:
        raise BadValue(f"This can't be sent: {error}.") from None


def is_part(name: str) -> bool:
    """Whether a name can be one part of a path."""
    return name not in ("", ".", "..") and name.isprintable() and not {"/", "\\"} & set(name)


def part(name: str, kind: str) -> str:
    """A name of some ``kind`` as one part of a path; ``NotFound`` where it can't be one: nothing has it."""
    if not is_part(name):
        raise NotFound(f"There is no {kind} {name!r}.")
    return quote(name)


def away(root: str, reason: object) -> ServerAway:
    """The error of a server that does not answer."""
    return ServerAway(f"No bokeh-server answers at {root} ({reason}); start one with `bokeh-server`.")


def busy(root: str, reason: object) -> ServerAway:
    """The error of a server that answers, and can take nothing."""
    return ServerAway(f"The bokeh-server at {root} can take nothing now ({reason}).")


def problem(status: int, content: bytes, root: str) -> BokehServerError:
    """The error that an answer with an HTTP status of 400 or more stands for."""
    told = problem_in(content)
    if told is None:
        return away(root, f"what answers there says HTTP {status}")
    return error_of(told["code"], str(told["detail"] or told["title"]), status)


def problem_in(content: bytes) -> dict[str, Any] | None:
    """The problem that a bokeh-server tells of in this body; None where something else answers, as a proxy."""
    try:
        told = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    ours = isinstance(told, dict) and PROBLEM <= told.keys() and isinstance(told["code"], str)
    return told if ours else None


def error_of(code: str, text: str, status: int = 400) -> BokehServerError:
    """The error with this code, or the branch that ``status`` belongs to."""
    todo: list[type[BokehServerError]] = [BokehServerError]
    while todo:
        kind = todo.pop()
        if kind.code == code and "code" in vars(kind):
            return kind(text or None)
        todo.extend(kind.__subclasses__())
    return (ClientError if status < 500 else ServerFault)(text or None)
