"""A database comes to today's tables by the short way or through all revisions, and a newer one is left alone."""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from bokeh_server.errors import StoreVersion
from bokeh_server.store import schema
from bokeh_server.store.sql import FILE, SqlStore
from tests.store.contract import line, several
from tests.store.histories import Contents, contents

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

def upgrade():
    op.add_column("documents", sa.Column("colour", sa.Text, nullable=False, server_default="blue"))
    {then}
"""


def tables(file: Path) -> set[str]:
    """What SQLite remembers of how its tables were made."""
    connection = sqlite3.connect(file)
    found = {re.sub(r"\s+", " ", text) for (text,) in connection.execute("select sql from sqlite_master") if text}
    connection.close()
    return found


def revisions(file: Path) -> list[tuple[str]]:
    connection = sqlite3.connect(file)
    found = connection.execute("select * from alembic_version").fetchall()
    connection.close()
    return found


def opened(folder: Path) -> Contents:
    async def play() -> Contents:
        async with SqlStore(folder) as store:
            return await contents(store)

    return asyncio.run(play())


def filled(folder: Path) -> Contents:
    async def play() -> Contents:
        async with SqlStore(folder) as store:
            await store.create(line())
            await store.append(several("d1", 1, 9), now=2.0)
            return await contents(store)

    return asyncio.run(play())


@pytest.fixture
def a_newer_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program as it will be with one more revision; the revision's file."""
    folder = tmp_path / "100 % newer"
    shutil.copytree(schema.MIGRATIONS, folder)
    monkeypatch.setattr(schema, "MIGRATIONS", folder)
    monkeypatch.setattr(schema, "HEAD", "0006")
    file = folder / "versions" / "0006_colour.py"
    file.write_text(NEXT.format(then="pass"))
    return file


def test_a_fresh_database_has_the_tables_that_the_revisions_make(tmp_path: Path) -> None:
    opened(tmp_path)
    engine = create_engine(f"sqlite:///{tmp_path / 'migrated'}")
    with engine.begin() as connection:
        schema.migrate(connection)
    engine.dispose()
    assert tables(tmp_path / FILE) == tables(tmp_path / "migrated")
    assert revisions(tmp_path / FILE) == revisions(tmp_path / "migrated") == [(schema.HEAD,)]


def test_the_head_is_the_last_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.HEAD]


def test_an_older_database_is_migrated_and_loses_nothing(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    before = filled(tmp_path / "data")
    request.getfixturevalue("a_newer_version")
    opened(tmp_path / "data")
    assert revisions(tmp_path / "data" / FILE) == [("0006",)]
    assert any("colour" in table for table in tables(tmp_path / "data" / FILE))
    connection = sqlite3.connect(tmp_path / "data" / FILE)
    assert connection.execute("select colour, seq from documents").fetchall() == [("blue", before[0][0].seq)]
    connection.close()


def test_a_migration_that_fails_leaves_the_older_database(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    before = filled(tmp_path / "data")
    old = tables(tmp_path / "data" / FILE)
    newer: Path = request.getfixturevalue("a_newer_version")
    newer.write_text(NEXT.format(then="raise RuntimeError('power')"))
    with pytest.raises(RuntimeError, match="power"):
        opened(tmp_path / "data")
    assert tables(tmp_path / "data" / FILE) == old
    assert revisions(tmp_path / "data" / FILE) == [("0005",)]
    request.getfixturevalue("monkeypatch").undo()
    assert opened(tmp_path / "data") == before


def test_the_database_of_a_newer_version_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    filled(tmp_path)
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("update alembic_version set version_num = '0099'")
    connection.commit()
    connection.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(StoreVersion, match=r"revision 0099.* use the newer version that made it"):
        opened(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_alembic_is_not_imported_where_there_is_nothing_to_migrate(tmp_path: Path) -> None:
    program = f"""
import asyncio, sys
from bokeh_server.store.sql import SqlStore

async def play():
    for _ in range(2):
        async with SqlStore({str(tmp_path)!r}) as store:
            await store.documents()

asyncio.run(play())
assert "alembic" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
