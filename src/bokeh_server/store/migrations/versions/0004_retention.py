"""Large snapshots in pieces, and how long and how large documents keep what is streamed to them.

A revision is history: it says everything itself, takes nothing from ``schema.py``, and is never changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "pieces",
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("document", "number", name="pieces_key"),
    )
    op.create_table(
        "leftovers",
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("document", name="leftovers_key"),
    )
    op.create_table(
        "retentions",
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger),
        sa.Column("raw", sa.Double),
        sa.PrimaryKeyConstraint("document", name="retentions_key"),
    )
