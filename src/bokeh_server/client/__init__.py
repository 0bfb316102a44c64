"""The client library: bokeh documents of a Python program, live on a bokeh-server.

Read in this order: ``session``, ``asyncsession`` and ``output`` (what a program calls), ``connection`` (one live
document), ``sync``, ``steps``, ``reconcile`` and ``copies`` (a bokeh document and the server's), ``outbox`` and
``dialogue`` (numbered changes and the talk about them), ``backlog`` (those that wait: ``changes``, ``rows`` of them put
together and ``waiting`` in memory, or in the ``spool`` on disk, within ``bounds``), ``porter`` (the thread that looks
after them), ``transport`` (the socket), ``callbacks`` (the thread of the user's functions) and ``clock`` (those that
time calls). It imports ``core.wire`` and bokeh, and nothing of the server.

Importing it makes the ids of models globally unique (bokeh counts ``p1001, p1002, …`` in each process, so that two
programs on one document would make models with the same id).
"""

from __future__ import annotations

from bokeh.settings import settings

settings.simple_ids = False
