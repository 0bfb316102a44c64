"""The client library: bokeh documents of a Python program, live on a bokeh-server.

Read in this order: ``session`` and ``output`` (what a program calls), ``connection`` (one live document), ``sync`` and
``reconcile`` (a bokeh document and the server's), ``outbox`` and ``dialogue`` (numbered changes and the talk about
them), ``transport`` (the socket) and ``callbacks`` (the thread of the user's functions). It imports ``core.wire`` and
bokeh, and nothing of the server.
"""
