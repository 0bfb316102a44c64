"""Documents, their records and snapshots: the first tables.

A revision is history: it says everything itself, takes nothing from ``schema.py``, and is never changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "documents",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("changed", sa.Double, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="documents_key"),
        sa.UniqueConstraint("owner", "title", name="documents_title"),
    )
    op.create_table(
        "records",
        *_record_columns(),
        sa.PrimaryKeyConstraint("document", "seq", name="records_key"),
    )
    op.create_table(
        "snapshots",
        *_record_columns(),
        sa.Column("clients", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("document", name="snapshots_key"),
    )


def _record_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("crc", sa.BigInteger, nullable=False),
    ]
