"""What Alembic runs for every migration: the revisions, on the connection and in the transaction of the store.

It opens no database of its own. An upgrade is therefore whole or not at all, also under kill -9.
"""

from __future__ import annotations

from alembic import context

from bokeh_server.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
