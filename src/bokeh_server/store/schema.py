"""The tables, and how a database comes to have them.

A fresh database gets the newest tables at once; an older one is taken through the revisions in ``migrations/`` by
Alembic, in one transaction, and only then is Alembic imported (it costs 0.1 s and 13 MB). A database of a newer
revision, or of another program, is refused before anything is written to it. The tests hold the two ways to the same
tables, byte for byte.

There are no foreign keys: a record is kept only by an append that has just moved its document's own row.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    inspect,
    select,
)

from bokeh_server.errors import StoreVersion

HEAD: Final = "0005"
MIGRATIONS: Final = Path(__file__).with_name("migrations")

metadata = MetaData(naming_convention={"ix": "%(column_0_label)s"})

documents = Table(
    "documents",
    metadata,
    Column("id", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("changed", Double, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    PrimaryKeyConstraint("id", name="documents_key"),
    UniqueConstraint("owner", "title", name="documents_title"),
)
"""One row a document: the fields of ``Info``, in their order."""


def _record_columns() -> tuple[Column[object], ...]:
    """The fields of ``Record``, in their order."""
    return (
        Column("document", Text, nullable=False),
        Column("epoch", Integer, nullable=False),
        Column("seq", BigInteger, nullable=False),
        Column("kind", Text, nullable=False),
        Column("author", Text, nullable=False),
        Column("client", Text, nullable=False),
        Column("number", BigInteger, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("crc", BigInteger, nullable=False),
    )


records = Table("records", metadata, *_record_columns(), PrimaryKeyConstraint("document", "seq", name="records_key"))
"""The log. Its key is the fence: a place in the order of a document is taken once."""

snapshots = Table(
    "snapshots",
    metadata,
    *_record_columns(),
    Column("clients", JSON, nullable=False),
    PrimaryKeyConstraint("document", name="snapshots_key"),
)
"""The newest snapshot of each document, with the last number of each counting client."""

pieces = Table(
    "pieces",
    metadata,
    Column("document", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("document", "number", name="pieces_key"),
)
"""The bodies of large snapshots, in pieces (see ``store.pieces``)."""

leftovers = Table(
    "leftovers",
    metadata,
    Column("document", Text, nullable=False),
    PrimaryKeyConstraint("document", name="leftovers_key"),
)
"""Documents, also deleted ones, that may have records or pieces which nothing refers to."""

retentions = Table(
    "retentions",
    metadata,
    Column("document", Text, nullable=False),
    Column("bytes", BigInteger),
    Column("raw", Double),
    PrimaryKeyConstraint("document", name="retentions_key"),
)
"""What documents keep that do not go by the settings of the server; 0 is all, null as the server says."""

users = Table(
    "users",
    metadata,
    Column("name", Text, nullable=False),
    Column("password", Text, nullable=False),
    Column("admin", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created", Double, nullable=False),
    PrimaryKeyConstraint("name", name="users_key"),
)
"""Who has an account; ``password`` is an argon2id hash with its parameters."""


def _secret_columns() -> tuple[Column[object], Column[object]]:
    """What is kept of a secret that is shown once: a public id, and its SHA-256."""
    return Column("id", Text, nullable=False), Column("digest", LargeBinary, nullable=False)


invitations = Table(
    "invitations",
    metadata,
    *_secret_columns(),
    Column("author", Text, nullable=False),
    Column("admin", Boolean, nullable=False),
    Column("created", Double, nullable=False),
    Column("until", Double, nullable=False),
    PrimaryKeyConstraint("id", name="invitations_key"),
    UniqueConstraint("digest", name="invitations_digest"),
)
"""Invitations to register that nobody has used yet."""

logins = Table(
    "logins",
    metadata,
    *_secret_columns(),
    Column("user", Text, nullable=False, index=True),
    Column("links", JSON, nullable=False),
    Column("agent", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("used", Double, nullable=False),
    Column("until", Double, nullable=False),
    PrimaryKeyConstraint("id", name="logins_key"),
    UniqueConstraint("digest", name="logins_digest"),
)
"""Browsers that are logged in, or (with the user "") have opened links."""

tokens = Table(
    "tokens",
    metadata,
    *_secret_columns(),
    Column("user", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("by_login", Boolean, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("document", Text),
    Column("created", Double, nullable=False),
    Column("used", Double),
    Column("until", Double),
    PrimaryKeyConstraint("id", name="tokens_key"),
    UniqueConstraint("digest", name="tokens_digest"),
)
"""Keys of programs; ``by_login`` are those that a program got for a password."""

grants = Table(
    "grants",
    metadata,
    Column("document", Text, nullable=False),
    Column("user", Text, nullable=False, index=True),
    Column("role", Integer, nullable=False),
    Column("created", Double, nullable=False),
    PrimaryKeyConstraint("document", "user", name="grants_key"),
)
"""Named users that a document is shared with."""

links = Table(
    "links",
    metadata,
    *_secret_columns(),
    Column("document", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("role", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("opened", Integer, nullable=False),
    Column("most", Integer),
    Column("created", Double, nullable=False),
    Column("until", Double),
    PrimaryKeyConstraint("id", name="links_key"),
    UniqueConstraint("digest", name="links_digest"),
)
"""Links that carry a role: ``opened`` of at ``most`` so many times."""

embedders = Table(
    "embedders",
    metadata,
    Column("link", Text, nullable=False),
    Column("origin", Text, nullable=False),
    PrimaryKeyConstraint("link", "origin", name="embedders_key"),
)
"""The sites whose pages may show, in an iframe, what a link leads to."""

published = Table(
    "published",
    metadata,
    Column("document", Text, nullable=False),
    Column("created", Double, nullable=False),
    PrimaryKeyConstraint("document", name="published_key"),
)
"""Documents that everybody may see."""

version = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own table: the revision that the database is at."""


def revision(connection: Connection) -> str | None:
    """The revision of a database, None for an empty one; ``StoreVersion`` where it is not for this version of ours."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if version.name not in tables:
        raise StoreVersion("The database was made by another program; choose another folder with --data.")
    found: str | None = connection.scalar(select(version.c.version_num))
    known = {file.name.split("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py")}
    if found not in known:
        raise StoreVersion(
            f"The database is at revision {found}, this version of bokeh-server knows only up to {HEAD}; "
            "it was left as it is: use the newer version that made it, or another folder with --data."
        )
    return found


def prepare(connection: Connection) -> None:
    """Bring a database to the newest tables, in the transaction that is under way: whole or not at all."""
    match revision(connection):
        case None:
            metadata.create_all(connection, checkfirst=False)
            connection.execute(version.insert().values(version_num=HEAD))
        case found if found != HEAD:
            migrate(connection)


def migrate(connection: Connection, to: str = "head") -> None:
    """Take a database through the revisions up to ``to``, in the same transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
