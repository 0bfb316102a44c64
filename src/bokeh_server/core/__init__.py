"""The sans-IO core: one live document, from the bytes of a patch to the bytes that every viewer gets.

Read in this order: ``wire`` (bytes to message), ``authorise``, ``document``, ``values`` and ``column`` (plain JSON and
columns), ``apply`` (a patch on a document), ``log`` (records and replay), ``fanout`` (who gets which bytes) and
``room``, the state machine that runs the five steps in order. Nothing here waits, reads a clock, draws a random
number, opens a file or knows a framework.
"""

from __future__ import annotations

Payload = bytes | memoryview
"""The bytes of one binary buffer; they never change. A view of a column is as good as a copy of it, and free."""
Buffers = tuple[tuple[str, Payload], ...]
"""Binary buffers of one message, in order: (id, payload). Ids mean something only inside that message."""
Patch = tuple[bytes, Buffers]
"""Content and buffers of a PATCH-DOC."""
