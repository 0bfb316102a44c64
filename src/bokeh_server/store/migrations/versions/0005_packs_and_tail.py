"""Rows of ``records`` may hold several of them, and the newest are in a file beside the database.

No table changes; but a version that does not know of either must not open the database.

A revision is history: it says everything itself, takes nothing from ``schema.py``, and is never changed.
"""

from __future__ import annotations

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    pass
