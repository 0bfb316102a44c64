"""Every error of bokeh-server, in one tree.

    BokehServerError
    ├── ClientError                  the peer's or the user's fault: say what to do
    │   ├── BadMessage               a frame, JSON text or patch that is malformed
    │   │   ├── TooLarge             it is over one of the bounds of limits.py
    │   │   ├── BadValue             a name, password, title or number that can't be one
    │   │   └── UnknownMediaType     a body of a kind that nobody reads here
    │   ├── RefusedPatch             well-formed, but this document can't take it
    │   │   ├── UnknownModel         it names a model that the document does not have
    │   │   └── TypeClash            an id, attribute or column exists with another type
    │   ├── NotFound                 no such document, or none that the actor may see
    │   ├── Conflict                 a title or an id that is taken already
    │   ├── Unauthorized             nobody is logged in, or the ticket is spent
    │   ├── Forbidden                logged in, but without the right
    │   │   └── AccessRevoked        had it, until it was taken back just now
    │   ├── TooManyAttempts          to log in or register
    │   ├── MethodNotAllowed         the path exists, not with this method
    │   ├── ServerAway               (in programs) no server answers where one was expected
    │   └── BadSetting               a flag, variable or file that can't be used
    └── ServerFault                  ours: the client did nothing wrong and may try again
        ├── Unavailable              it is stopping, or can't serve where it runs
        ├── StoreFailed              the store could not keep what it was given
        │   └── StoreFull            because the disk is full
        ├── StoreDamaged             the database is not readable; it is left untouched
        ├── StoreLocked              another server uses the same data folder
        └── StoreVersion             the database was made by another version

The docstring of a class is its default message: one plain sentence that says what to do. ``code`` is the word on the
wire and in problem+json, ``status`` the HTTP status, ``close`` the websocket close code where the error ends a socket.
``tests/test_errors.py`` holds the table total: every class has exactly one code and one status.
"""

from __future__ import annotations

from math import ceil
from typing import ClassVar


class BokehServerError(Exception):
    """Something went wrong in bokeh-server."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    close: ClassVar[int] = 1011

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class ClientError(BokehServerError):
    """The request can't be carried out as it was sent."""

    code = "client-error"
    status = 400
    close = 1008


class OneLine:
    """A user's mistake that its own message explains: programs end with that line, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in place of a traceback."""
        return [str(self)]


class BadMessage(ClientError):
    """The message is not well-formed."""

    code = "bad-message"
    close = 1002


class TooLarge(BadMessage):
    """The message is larger than the server takes; send it in smaller parts."""

    code = "too-large"
    status = 413
    close = 1009


class BadValue(BadMessage, OneLine):
    """This name, password, title or number can't be one; choose another."""

    code = "bad-value"


class UnknownMediaType(BadMessage, OneLine):
    """Nobody here reads a body of this kind; send JSON, NDJSON or CSV."""

    code = "unknown-media-type"
    status = 415
    close = 1003


class RefusedPatch(ClientError):
    """The document can't take this patch; pull the document again."""

    code = "refused-patch"
    status = 409


class UnknownModel(RefusedPatch):
    """The document has no model of this id; pull the document again."""

    code = "unknown-model"


class TypeClash(RefusedPatch):
    """The value has another type than what the document holds."""

    code = "type-clash"


class NotFound(ClientError, OneLine):
    """There is nothing here; check the address."""

    code = "not-found"
    status = 404


class Conflict(ClientError, OneLine):
    """This name is taken already; choose another."""

    code = "conflict"
    status = 409


class Unauthorized(ClientError, OneLine):
    """Log in first."""

    code = "unauthorized"
    status = 401


class Forbidden(ClientError, OneLine):
    """You have no right to do this."""

    code = "forbidden"
    status = 403


class AccessRevoked(Forbidden):
    """The right to see this document was taken back."""

    code = "revoked"


class TooManyAttempts(ClientError, OneLine):
    """Too many attempts; wait some minutes and try again."""

    code = "too-many-attempts"
    status = 429

    def __init__(self, message: str | None = None, *, seconds: float | None = None) -> None:
        """``seconds``: how long to wait, where that is known."""
        self.wait = None if seconds is None else max(1, ceil(seconds))
        minutes = ceil((self.wait or 0) / 60)
        told = f"Too many attempts; wait {minutes} minute{'s' if minutes > 1 else ''}." if self.wait else None
        super().__init__(message or told)


class MethodNotAllowed(ClientError):
    """This address does not take this method."""

    code = "method-not-allowed"
    status = 405


class ServerAway(ClientError, OneLine):
    """No bokeh-server answers; start one with `bokeh-server`."""

    code = "server-away"


class BadSetting(ClientError, OneLine):
    """A setting can't be used; see `bokeh-server --help`."""

    code = "bad-setting"


class ServerFault(BokehServerError):
    """The server could not do this; try again."""

    code = "server-fault"
    status = 500


class Unavailable(ServerFault):
    """The server can't take this just now, or not where it runs."""

    code = "unavailable"
    status = 503
    close = 1013


class StoreFailed(ServerFault):
    """The store could not keep this; nothing was acknowledged, try again."""

    code = "store-failed"
    status = 503
    close = 1013


class StoreFull(StoreFailed):
    """The disk is full; nothing was acknowledged, free some space and try again."""

    code = "store-full"
    status = 507


class StoreDamaged(ServerFault):
    """The database is damaged; it was left as it is, restore a backup or move it away."""

    code = "store-damaged"
    status = 503
    close = 1013


class StoreLocked(ServerFault):
    """Another bokeh-server uses this data folder; stop it, or choose another folder with --data."""

    code = "store-locked"
    status = 503


class StoreVersion(ServerFault):
    """The database was made by another version of bokeh-server; use that version, or a newer one."""

    code = "store-version"
    status = 503
