"""Users and what they show, what they share: the tables of ``accounts``.

A revision is history: it says everything itself, takes nothing from ``schema.py``, and is never changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    people()
    keys()
    shares()
    for table, column in (("logins", "user"), ("tokens", "user"), ("grants", "user"), ("links", "document")):
        op.create_index(f"{table}_{column}", table, [column])


def people() -> None:
    """Users, and who may become one."""
    op.create_table(
        "users",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("password", sa.Text, nullable=False),
        sa.Column("admin", sa.Boolean, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("name", name="users_key"),
    )
    op.create_table(
        "invitations",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("admin", sa.Boolean, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="invitations_key"),
        sa.UniqueConstraint("digest", name="invitations_digest"),
    )


def keys() -> None:
    """What users show: cookies and tokens."""
    op.create_table(
        "logins",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("links", sa.JSON, nullable=False),
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("used", sa.Double, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="logins_key"),
        sa.UniqueConstraint("digest", name="logins_digest"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("by_login", sa.Boolean, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("document", sa.Text, nullable=True),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("used", sa.Double, nullable=True),
        sa.Column("until", sa.Double, nullable=True),
        sa.PrimaryKeyConstraint("id", name="tokens_key"),
        sa.UniqueConstraint("digest", name="tokens_digest"),
    )


def shares() -> None:
    """What is shared, and with whom."""
    op.create_table(
        "grants",
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("role", sa.Integer, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("document", "user", name="grants_key"),
    )
    op.create_table(
        "links",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Integer, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("opened", sa.Integer, nullable=False),
        sa.Column("most", sa.Integer, nullable=True),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("until", sa.Double, nullable=True),
        sa.PrimaryKeyConstraint("id", name="links_key"),
        sa.UniqueConstraint("digest", name="links_digest"),
    )
    op.create_table(
        "published",
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("document", name="published_key"),
    )
