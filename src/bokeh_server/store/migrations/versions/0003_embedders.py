"""Sites that show private documents in their pages, by a link.

A revision is history: it says everything itself, takes nothing from ``schema.py``, and is never changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "embedders",
        sa.Column("link", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("link", "origin", name="embedders_key"),
    )
