"""A program's session with a bokeh-server: it names a stored document, and keeps one of bokeh's live with it.

After ``store_document`` or ``load_document`` nothing else needs to be called: what the program changes goes to the
server, what others change arrives here, callbacks run in a thread of the session. The session never blocks the
program, outlives restarts of the server, and at the end of the program waits a few seconds for what is on its way.
The names are those of ``bokeh.session.Session`` of 2015.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import time
import urllib.parse
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Literal, Self

from bokeh.document import Document
from bokeh.document.document import DEFAULT_TITLE
from bokeh.model import Model

from bokeh_server.client import keys
from bokeh_server.client.bounds import WhenFull, bounds_of
from bokeh_server.client.connection import GOODBYE, Connection, Forked
from bokeh_server.client.plainly import say_plainly
from bokeh_server.client.rest import Rest, part
from bokeh_server.errors import BadSetting, BadValue, ClientError, NotFound, Unauthorized

log = logging.getLogger("bokeh_server.client")

DEFAULT_SERVER_URL = "http://localhost:5006/"
AT_EXIT = 5.0
"""Seconds that the end of a program waits for the server, all sessions together."""


class Session:
    """A session of ``username`` with the server at ``root_url``.

    Parameters
    ----------
    root_url
        Where the server is; ``"default"`` is the variable ``BOKEH_SERVER_URL``, or ``http://localhost:5006/``.
    username, userapikey
        Who this is. A server for a single user asks for nothing else than the defaults. In the place of the default
        key comes the variable ``BOKEH_SERVER_TOKEN``, or what ``login`` or ``register`` has kept for this server.
    load_from_config
        Whether to use what was kept.
    configdir
        The folder where keys are kept; by default ``~/.bokeh``.
    memory, spool, spool_dir
        Bytes of changes that wait in memory for a server that is slow or away (64 MiB), then in temporary files
        (1 GiB; 0: none), in the folder ``spool_dir`` (by default where the system has such files).
    when_full
        What happens where both are full: the ``"oldest"`` rows that were streamed give way, the ``"newest"`` do, or
        ``source.stream`` waits (``"block"``). All other changes are kept.
    at_exit
        Seconds that the end of the program waits for the server (5).

    What is not given of the last five comes from the variables ``BOKEH_SERVER_MEMORY``, ``BOKEH_SERVER_SPOOL``,
    ``BOKEH_SERVER_SPOOL_DIR``, ``BOKEH_SERVER_WHEN_FULL`` and ``BOKEH_SERVER_AT_EXIT``.

    Raises ``BadSetting`` where the address, or one of the bounds, is none. Nothing is sent before a method needs it. In
    another process (``multiprocessing``) the session stays the parent's: make another one there.
    """

    def __init__(
        self,
        root_url: str = "default",
        username: str = "defaultuser",
        userapikey: str = "nokey",
        *,
        load_from_config: bool = True,
        configdir: str | os.PathLike[str] | None = None,
        memory: int | None = None,
        spool: int | None = None,
        spool_dir: str | os.PathLike[str] | None = None,
        when_full: WhenFull | None = None,
        at_exit: float | None = None,
    ) -> None:
        say_plainly()
        chosen = {"memory": memory, "spool": spool, "spool_dir": spool_dir, "when_full": when_full, "at_exit": at_exit}
        self.bounds = bounds_of(chosen)
        self.root_url = root_of(root_url)
        self.username = username
        self.userapikey = (keys.of_environment() if userapikey == "nokey" else userapikey) or "nokey"
        self.configdir = configdir
        saved = keys.load(self.root_url, configdir) if load_from_config and self.userapikey == "nokey" else None
        if saved is not None and username in ("defaultuser", saved.username):
            self.username, self.userapikey = saved.username, saved.userapikey
        self.docid: str | None = None
        self.title: str | None = None
        self._autopush = True
        self._connection: Connection | None = None
        self._on_disconnect: list[Callable[[str], object]] = []
        self._rest = Rest(self.root_url, headers_of(self.userapikey))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __reduce__(self) -> str:
        raise Forked(
            "A session can't be given to another process: make one there, by Session(…) or output_server(title)."
        )

    def __repr__(self) -> str:
        return f"<Session {self.link if self.docid else self.root_url}>"

    # Who this is

    def register(self, username: str, password: str, invitation: str | None = None) -> None:
        """Make an account and keep its key, so that the next run needs neither name nor password.

        ``invitation`` is the link or the text of one, where the server asks for it. Raises ``Conflict`` for a name
        that is taken, ``Forbidden`` where registration is closed, ``BadValue`` for a name or password that can't be
        one.
        """
        body = {"username": username, "password": password}
        if invitation is not None:
            body["invitation"] = invitation.rpartition("#")[2]
        self._become(self._rest.request("POST", "api/v1/register", body, known=False))

    def login(self, username: str, password: str) -> None:
        """Log in and keep the key; ``Unauthorized`` where name or password are wrong."""
        body = {"username": username, "password": password}
        self._become(self._rest.request("POST", "api/v1/login", body, known=False))  # the old key may have ended

    def logout(self) -> None:
        """End the key that this session uses and the one that is kept for the server, and keep none any more. What is
        live in the session ends, too. The token in ``BOKEH_SERVER_TOKEN`` stays: other programs may live by it.
        """
        self.close()
        saved, given = keys.load(self.root_url, self.configdir), keys.of_environment()
        for key in {self.userapikey, saved.userapikey if saved else "nokey"} - {"nokey", given}:
            with suppress(Unauthorized):  # it had ended before
                Rest(self.root_url, headers_of(key)).request("DELETE", "api/v1/account/login")
        keys.forget(self.root_url, self.configdir)
        self._use("defaultuser", "nokey")
        if given:
            log.warning("The token in BOKEH_SERVER_TOKEN was left alone; it is still in force.")

    def _become(self, told: dict[str, str]) -> None:
        self._use(told["username"], told["token"])
        keys.save(keys.Saved(self.root_url, self.username, self.userapikey), self.configdir)
        if keys.of_environment():
            log.warning("BOKEH_SERVER_TOKEN is set: the next session takes that, not the key that is kept; unset it.")

    def _use(self, username: str, userapikey: str) -> None:
        self.close()
        self.username, self.userapikey = username, userapikey
        self._rest.headers = headers_of(userapikey)

    # Which document

    def use_doc(self, name: str | None = None, docid: str | None = None) -> None:
        """Bind the session to the document with the title ``name`` (made where it does not exist), or to ``docid``.

        Raises ``ServerAway`` where no server answers, ``NotFound`` for an unknown ``docid``.
        """
        if name is None and docid is None:
            raise BadSetting("Give use_doc() the title of a document, or its docid.")
        if self.docid is None:
            self._rest.check()
        found = self._rest.document(name) if name is not None else self._rest.info(str(docid))
        if name is None and found["id"] != docid:  # it is somebody's title, too
            raise NotFound(f"There is no document {docid!r}.")
        if found["id"] != self.docid and self._connection is not None:
            self._let_go(self._connection, AT_EXIT)
        self.docid, self.title = found["id"], found["title"]

    @property
    def document(self) -> Document | None:
        """The bokeh document that is live in this session."""
        return self._connection.document if self._connection is not None else None

    @property
    def link(self) -> str:
        """The address of the whole document."""
        return f"{self.root_url}bokeh/doc/{self._docid()}"

    def object_link(self, obj: Model | Document | None = None) -> str:
        """The address of one plot or widget of the document, or of the whole document."""
        return f"{self.link}/{obj.id}" if isinstance(obj, Model) else self.link

    # Storing

    def store_document(self, doc: Document) -> None:
        """Put ``doc`` in the place of the stored document, in one step, and keep it live from now on.

        Returns when the server has stored it. Where ``doc`` is live already, what was changed since is stored. Raises
        ``ServerAway`` after 10 seconds without touch, or in which the server could take nothing (its disk is full);
        what a live document has to send is kept, and sent later. Raises what the server said where it did not take the
        document, or a change of one that is live.
        """
        connection = self._connection
        if connection is not None and isinstance(connection.over, Forked):
            raise connection.over
        if connection is not None and connection.document is doc and connection.over is None:
            connection.stored(self._release(connection))
            return
        if doc.title == DEFAULT_TITLE and self.title:
            doc.title = self.title
        connection = self._open(doc)
        try:
            connection.stored(connection.start(push=True))
        except BaseException:
            self._let_go(connection, 0.0)
            raise
        self._apply_autopush()

    def store_objects(self, *objs: Model) -> None:
        """Send the data of the sources among ``objs`` and all that they refer to, though nothing was assigned.

        For data that was changed in place (``ds.data["y"][3] = 5``). Does not wait for the server.
        """
        connection = self._live()
        models: dict[str, Model] = {}
        for obj in objs:
            if obj.document is not connection.document:
                raise ClientError(f"{obj} is not part of the stored document; add it with show() first.")
            models.update((model.id, model) for model in obj.references())
        connection.replica.store(models.values())
        if not self.autopush:
            self._release(connection)

    def push(self, timeout: float | None = 30.0) -> bool:
        """Send what has not been sent, and wait until the server has stored it; whether it has.

        ``timeout`` in seconds, None for no limit. False as well where the server did not take a change (the log says
        why, and the document here is the server's again), or where the document is gone for good.
        """
        connection = self._live()
        return connection.settled(self._release(connection), timeout)

    def _release(self, connection: Connection) -> int:
        """Send what waits, with ``autopush`` also what comes from now on; the number of the last."""
        last = connection.outbox.last
        connection.outbox.until = None if self._autopush else last
        connection.transport.wake()
        return last

    @property
    def autopush(self) -> bool:
        """Whether changes are sent as they are made (True), or when ``push()`` is called."""
        return self._autopush

    @autopush.setter
    def autopush(self, autopush: bool) -> None:
        self._autopush = autopush
        self._apply_autopush()

    def _apply_autopush(self) -> None:
        if self._connection is not None:
            self._release(self._connection)

    def flush(self, timeout: float | None = 30.0) -> bool:
        """Wait until the server has all changes, for ``timeout`` seconds at most (None: no limit); whether it has.

        False as well where ``push`` is. True where nothing is live.
        """
        return self._connection is None or self.push(timeout)

    # Loading

    def load_document(self, doc: Document) -> None:
        """Make ``doc`` what is stored, and keep it live from now on. Roots that it has already are added to that.

        Returns when all is there. Callbacks run for what changed.
        """
        connection = self._connection
        if connection is not None and connection.document is doc and connection.over is None:
            connection.pull_now()
            return
        roots = doc.roots
        connection = self._open(doc)
        try:
            connection.start(push=False)
            connection.pulled(1)
        except BaseException:
            self._let_go(connection, 0.0)
            raise
        for root in roots:
            doc.add_root(root)
        self._apply_autopush()

    def pull(self, typename: str | None = None, objid: str | None = None) -> Any:
        """The stored models as JSON: a list of ``{"type", "id", "attributes"}``, or the one with ``objid``.

        ``NotFound`` where there is no model of this id (and type).
        """
        models = list(models_of(self._rest.content(self._docid())))
        if objid is None:
            return [model for model in models if typename in (None, model["type"])]
        for model in models:
            if model["id"] == objid and typename in (None, model["type"]):
                return model
        raise NotFound(f"The document has no {typename or 'model'} {objid}.")

    def poll_document(self, document: Document, interval: float = 0.5) -> None:
        """Keep the program running for its callbacks, until Ctrl-C or until the document is gone for good.

        ``interval`` (seconds) is only how often this looks whether to end: changes arrive at once.
        """
        if self.document is not document:
            self.load_document(document)
        connection = self._live()
        try:
            while connection.over is None:
                time.sleep(interval)
        except KeyboardInterrupt:
            return

    def retain(self, bytes: int | None = None, raw: float | None = None) -> None:
        """Say what the document keeps of that which is streamed to it; only its owner may.

        ``bytes`` is what all sources that rows are streamed to may take together: past that the oldest rows give way,
        as by a rollover. After ``raw`` seconds rows are thinned to a tenth, in which the least and greatest values
        stay. 0 is no limit; None is what the server says.
        """
        self._rest.request("PUT", f"api/v1/documents/{self._docid()}/retention", {"bytes": bytes, "raw": raw})

    # Sharing

    def publish(self) -> None:
        """Show the document to everybody: ``…?public=true`` behind any of its links is the public view."""
        self._rest.request("PUT", f"api/v1/documents/{self._docid()}/published")

    def unpublish(self) -> None:
        """Show the document to everybody no longer; who looks at it is shown the door."""
        self._rest.request("DELETE", f"api/v1/documents/{self._docid()}/published")

    def share(
        self,
        username: str | None = None,
        role: Literal["viewer", "editor"] = "viewer",
        *,
        name: str = "",
        seconds: float | None = None,
        most: int | None = None,
        embed: str | Sequence[str] = (),
    ) -> str:
        """Make ``username`` a viewer or an editor of the document; returns its link.

        Without a name: make a link that carries the role, called ``name`` in lists, for ``seconds`` and to be opened
        ``most`` times (None: no limit). Who has the link has the role. With ``embed`` it is for pages of these sites
        (``"https://intranet.example"``): ``autoload_server(model, session, link=…)`` makes the tag of it. Raises
        ``NotFound`` for an unknown user, ``BadValue`` for a user with what only a link has.
        """
        sites = [embed] if isinstance(embed, str) else list(embed)
        if role not in ("viewer", "editor"):
            raise BadValue(f"A role is 'viewer' or 'editor', not {role!r}.")
        if username is not None and (name, seconds, most, sites) != ("", None, None, []):
            raise BadValue(
                "Only a link has a name, an end or a count, or is for pages of a site; what a user is given holds "
                "until unshare()."
            )
        if seconds is not None and not math.isfinite(seconds):
            raise BadValue(f"The life of a link is a number of seconds, not {seconds}; None for one without end.")
        path = f"api/v1/documents/{self._docid()}"
        if username is not None:
            self._rest.request("PUT", f"{path}/grants/{part(username, 'user')}", {"role": role})
            return self.link
        link = {"role": role, "name": name, "seconds": seconds, "most": most, "embed": sites}
        return str(self._rest.request("POST", f"{path}/links", link)["url"])

    def unshare(self, username: str) -> None:
        """Share the document with a user no longer; ``NotFound`` where it is not."""
        self._rest.request("DELETE", f"api/v1/documents/{self._docid()}/grants/{part(username, 'user')}")

    # The end

    def on_disconnect(self, callback: Callable[[str], object]) -> None:
        """Call ``callback(reason)`` whenever touch with the server is lost. The session comes back by itself."""
        self._on_disconnect.append(callback)

    @property
    def connected(self) -> bool:
        """Whether there is touch with the server just now."""
        return self._connection is not None and self._connection.over is None and self._connection.live

    @property
    def waiting(self) -> int:
        """Bytes of changes that wait for the server, in memory and on disk."""
        return self._connection.outbox.bytes if self._connection is not None else 0

    @property
    def dropped(self) -> int:
        """Rows of the live document that gave way, because there was no room for what waits for the server."""
        return self._connection.outbox.dropped if self._connection is not None else 0

    def close(self, timeout: float = AT_EXIT) -> bool:
        """Send what is on its way, in at most ``timeout`` seconds, and let go of the document; whether all was stored.

        The stored document stays, and so does the bokeh document, which is no longer live.
        """
        return self._let_go(self._connection, timeout) if self._connection is not None else True

    def _let_go(self, connection: Connection, timeout: float) -> bool:
        connection.hasten()
        done = connection.close(timeout)
        if connection is self._connection:
            self._connection = None
        OPEN.discard(connection)
        if not done and timeout:
            log.warning("%s: changes were not stored: no touch with the server", connection.name)
        return done and connection.outbox.refusal(connection.outbox.last) is None

    def _open(self, document: Document) -> Connection:
        if self._connection is not None:
            self._let_go(self._connection, AT_EXIT)
        docid = self._docid()
        parts = urllib.parse.urlsplit(f"{self.root_url}bokeh/doc/{docid}/ws")
        url = urllib.parse.urlunsplit(parts._replace(scheme="wss" if parts.scheme == "https" else "ws"))
        connection = Connection(url, self._rest.headers, document, self.link, self.bounds)
        connection.disconnected = self._on_disconnect
        self._connection = connection
        OPEN.add(connection)
        return connection

    def _docid(self) -> str:
        if self.docid is None:
            raise BadSetting("Choose a document first: output_server(title), or session.use_doc(title).")
        return self.docid

    def _live(self) -> Connection:
        if self._connection is None:
            raise BadSetting("No document is live in this session: show() something, or session.load_document(doc).")
        if isinstance(self._connection.over, Forked):
            raise self._connection.over
        return self._connection


OPEN: weakref.WeakSet[Connection] = weakref.WeakSet()


def headers_of(userapikey: str) -> dict[str, str]:
    """What tells the server who this is; ``BadSetting`` for what can be no key."""
    if not (userapikey.isascii() and userapikey.isprintable()):
        raise BadSetting("The key or token is none: a key has only plain letters, digits and signs; copy it once more.")
    return {} if userapikey == "nokey" else {"Authorization": f"Bearer {userapikey}"}


def root_of(url: str) -> str:
    """The address of a server with its last slash; ``BadSetting`` where it is none."""
    if url == "default":
        url = os.environ.get("BOKEH_SERVER_URL", DEFAULT_SERVER_URL)
    if not is_address(url):
        raise BadSetting(f"{url!r} is no address of a server; it looks like {DEFAULT_SERVER_URL}.")
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + "/", "", ""))


def is_address(url: str) -> bool:
    """Whether this can be asked: it has a host, and no user, space or port that is none."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:
        return False
    good = bool(host) and "@" not in parts.netloc and parts.path.isascii() and " " not in url
    return good and parts.scheme in ("http", "https")


def models_of(value: Any) -> Iterator[dict[str, Any]]:
    """All models that are defined in a Bokeh JSON value."""
    if isinstance(value, list):
        for item in value:
            if isinstance(item, dict | list):
                yield from models_of(item)
    elif isinstance(value, dict):
        if value.get("type") == "object" and "id" in value:
            yield {"type": value["name"], "id": value["id"], "attributes": value.get("attributes", {})}
        for item in value.values():
            if isinstance(item, dict | list):
                yield from models_of(item)


def end() -> None:
    """The program ends: give what is on its way a few seconds, all sessions at the same time, then let go."""
    connections = list(OPEN)
    OPEN.clear()
    for connection in connections:
        connection.hasten()
    began = time.monotonic()
    for connection in connections:
        left = began + connection.bounds.at_exit - time.monotonic()
        connection.outbox.wait(connection.outbox.last, max(0.0, left))
    for connection in connections:
        connection.transport.stop(0.0)
    deadline = time.monotonic() + GOODBYE
    for connection in connections:
        if not connection.close(0.0, goodbye=max(0.0, deadline - time.monotonic())):
            log.warning("%s: some changes were not stored: no touch with the server", connection.name)


def abandon() -> None:
    """This is a forked process: what is live belongs to the parent."""
    for connection in list(OPEN):
        connection.abandon()
    OPEN.clear()


atexit.register(end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=abandon)
