"""A unix socket to listen on, for a proxy on the same machine: one server has it, and only who may is let in.

What a server that was killed has left behind is taken away; a socket on which a server answers, and a file that is no
socket, are not. The folder is locked meanwhile, so that of two servers that start at once one is refused. Nobody can
connect before the mode is set: until ``listen`` the system refuses everybody.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bokeh_server.errors import BadSetting


@contextmanager
def listening(path: Path, mode: int, backlog: int) -> Iterator[socket.socket]:
    """The socket, with the ``mode`` of its file, which is gone at the end. Raises ``BadSetting`` where it can't be."""
    try:
        with locked(path.parent):
            clear(path)
            found = bound(path, mode, backlog)
    except OSError as error:
        raise BadSetting(f"Can't listen on {path}: {error.strerror or error}.") from None
    ours = identity(path)
    try:
        yield found
    finally:
        if identity(path) == ours:
            path.unlink(missing_ok=True)


def bound(path: Path, mode: int, backlog: int) -> socket.socket:
    """A socket that listens there."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        found.bind(str(path))
        path.chmod(mode)
        found.listen(backlog)
    except OSError:
        found.close()
        raise
    found.setblocking(False)
    return found


def clear(path: Path) -> None:
    """Take away what a server that has ended has left there; ``BadSetting`` where anything else is."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise BadSetting(f"{path} is there and no socket: name another --unix-socket, or take it away.")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        try:
            other.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise BadSetting(f"Another server listens on {path}: stop it, or name another --unix-socket.")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other servers from the folder's sockets; it holds for the moment in which one is made."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def identity(path: Path) -> tuple[int, int] | None:
    """Which file it is; None where there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
