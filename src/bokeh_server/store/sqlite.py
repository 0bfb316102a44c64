"""One SQLite file: how it is opened, locked and checked, and what its errors mean. All that only SQLite has is here.

WAL with synchronous=FULL: a commit is on the disk when it returns. With NORMAL it is not (``experiments/power_cut.py``:
nearly every power cut loses acknowledged records), so NORMAL serves only ``durability="process"``. One connection
writes and checkpoints, the others are read-only; so a second process must stay out, and a lock sees to that. The lock
is a second, empty SQLite file held in an exclusive transaction: the operating system lets go of it when the process
dies, on every platform, and children that a fork leaves behind do not inherit it.
"""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import URL, Connection, Engine, create_engine, event

from bokeh_server.errors import BadSetting, ServerFault, StoreDamaged, StoreFailed, StoreFull, StoreLocked
from bokeh_server.limits import MIB
from bokeh_server.store import Durability
from bokeh_server.store.schema import revision
from bokeh_server.store.tail import File, Tail

Mode = Literal["write", "read", "look"]

PRAGMAS: Final = (
    "journal_mode = WAL",
    "fullfsync = ON",  # macOS: its fsync leaves data in the cache of the drive
    "checkpoint_fullfsync = ON",
    "secure_delete = ON",  # deleted is deleted: its bytes are overwritten
    f"journal_size_limit = {16 * MIB}",  # what stays of the WAL after a large transaction
)
OF_A_NEW_FILE: Final = "PRAGMA auto_vacuum = INCREMENTAL"  # it then shrinks when much of it is free (see ``shrink``)
SYNCHRONOUS: Final[dict[Durability, str]] = {"disk": "FULL", "process": "NORMAL"}
CHECKED: Final = 64 * MIB
"""A file up to this size is checked as a whole when it is opened (0.02 s); of a larger one, each page as it is read."""
SHRUNK: Final = 256
"""Pages (of 4 KiB) by which a file shrinks in one transaction."""
SPARE: Final = 4096
"""Free pages that a file may always have."""
PATIENCE: Final = 1.0
"""Seconds to wait for somebody who looks into the file with another tool."""

FULL: Final = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
NO_SPACE: Final = {errno.ENOSPC, errno.EDQUOT}
DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Sqlite:
    """The SQLite database in ``file``; its folder is made if need be."""

    error: type[Exception] = sqlite3.Error
    """What the driver raises."""

    def __init__(self, file: Path, durability: Durability = "disk") -> None:
        self.file = file.absolute()
        self.durability = durability
        self._lock: sqlite3.Connection | None = None

    def connect(self, mode: Mode) -> Any:
        """A connection of the driver. One that looks leaves no trace, not even beside a file that is damaged."""
        uri = f"{self.file.as_uri()}?mode={'rwc' if mode == 'write' else 'ro'}"
        if mode == "look" and not self._beside("wal").exists():
            uri += "&immutable=1"
        return sqlite3.connect(uri, uri=True, timeout=PATIENCE, check_same_thread=False)

    def engine(self, mode: Mode, connections: int = 1) -> Engine:
        """An engine over ``connect`` whose transactions begin where SQLAlchemy says so, for reads and DDL too."""

        def opened() -> Any:
            connection = self.connect(mode)
            if mode == "write":
                if not self.file.stat().st_size:  # of any other it would write a page, for which there may be no room
                    connection.cursor().execute(OF_A_NEW_FILE)
                for pragma in PRAGMAS:
                    connection.cursor().execute(f"PRAGMA {pragma}")
                connection.cursor().execute(f"PRAGMA synchronous = {SYNCHRONOUS[self.durability]}")
            return connection

        url = URL.create("sqlite", database=str(self.file))
        engine = create_engine(url, creator=opened, pool_size=connections, max_overflow=0)
        event.listen(engine, "begin", _begin)
        return engine

    def tail(self) -> Tail:
        """What keeps the newest records, in a file of its own."""
        return Tail(lambda: self.bare("tail"), flushes=self.durability == "disk")

    def bare(self, what: str) -> File:
        """A file of ours beside it, made if need be."""
        return File(self._beside(what))

    def lock(self) -> None:
        """Keep other servers out until ``unlock`` or the end of the process; ``StoreLocked`` where one is inside."""
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = sqlite3.connect(self._beside("lock"), timeout=0, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise BadSetting(f"The data folder {self.file.parent} can't be used ({error}); choose another.") from error
        try:
            lock.execute("PRAGMA journal_mode = MEMORY")  # nothing is ever written, on a full disk neither
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            lock.close()
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise BadSetting(f"The data folder {self.file.parent} can't be used ({error}).") from error
            raise StoreLocked(
                f"Another bokeh-server uses the data folder {self.file.parent}; stop it, or choose another with --data."
            ) from None
        self._lock = lock

    def unlock(self) -> None:
        """Let others in."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def check(self) -> None:
        """Look before anything is written: ``StoreDamaged``, or ``StoreVersion`` where it is not this version's."""
        if not self._exists():
            return
        engine = self.engine("look")
        try:
            with engine.connect() as connection:
                if self.file.stat().st_size <= CHECKED:
                    self._ensure_whole(connection)
                revision(connection)
        finally:
            engine.dispose()

    def _exists(self) -> bool:
        """Whether a database is there; with a rollback journal beside it, it was only being made as the power went."""
        return self.file.is_file() and self.file.stat().st_size > 0 and not self._beside("journal").exists()

    def _ensure_whole(self, connection: Connection) -> None:
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if found != "ok":
            raise self._damaged(found)

    def forget(self, engine: Engine) -> None:
        """Empty the WAL, so that what was deleted is in no file any more; where that can't be done now, it is later."""
        with closing(engine.raw_connection()) as connection, suppress(self.error):
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def shrink(self, engine: Engine) -> bool:
        """Give free pages back to the system, some at a time, while more than half of the file is free; whether it did.

        Half stays: the next snapshot needs it. A file that an older version made only reuses what is free in it.
        """
        with closing(engine.raw_connection()) as connection:
            pragma = connection.cursor()

            def asked(name: str) -> int:
                return int(pragma.execute(f"PRAGMA {name}").fetchone()[0])

            free = asked("freelist_count")
            if free < SPARE or free * 2 < asked("page_count") or asked("auto_vacuum") != 2:
                return False
            pragma.execute(f"PRAGMA incremental_vacuum({SHRUNK})").fetchall()
            connection.commit()
            return asked("freelist_count") < free

    def fault(self, error: Exception) -> ServerFault:
        """Our error for one of the driver's."""
        code = getattr(error, "sqlite_errorcode", 0)
        if code in FULL or getattr(error, "errno", None) in NO_SPACE:
            return StoreFull()
        if code & 0xFF in DAMAGED:
            return self._damaged(error)
        return StoreFailed(f"The store could not do this ({error}); nothing was acknowledged, try again.")

    def _beside(self, what: str) -> Path:
        return self.file.with_name(f"{self.file.name}-{what}")

    def _damaged(self, found: object) -> StoreDamaged:
        return StoreDamaged(
            f"The database {self.file} is damaged ({found}); it was left as it is: restore a backup, or move it away."
        )


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
