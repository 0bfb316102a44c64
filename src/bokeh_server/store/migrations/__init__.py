"""Alembic's folder: how an older database becomes one of today. ``schema.py`` has the tables as they are now."""

from __future__ import annotations
