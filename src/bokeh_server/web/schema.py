"""The properties of bokeh's models, as the installed bokeh knows them: ``{model type: {property: [default] or []}}``.

A property that a model does not have would be stored, and from then on break every page with the document: BokehJS
throws on it. The server never imports bokeh; a process of its own writes the table when it is first needed (about
a second), and it is kept in the data folder under bokeh's version. A type that the table does not know, as of an
extension, may have any property; so may all where no table can be made.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import structlog

from bokeh_server.core.document import Model
from bokeh_server.errors import NotFound

log = structlog.get_logger("bokeh_server.web")
Table = dict[str, dict[str, list[msgspec.Raw]]]
"""Defaults are JSON; a property whose default is a model, or that has none, has an empty list."""
PATIENCE = 60.0
"""Seconds that the process may take."""
SCRIPT = """
import json, bokeh.models, bokeh.plotting
from bokeh.core.serialization import Serializer
from bokeh.model import Model

def plain(value):
    if isinstance(value, dict):
        return "id" not in value and all(map(plain, value.values()))
    return all(map(plain, value)) if isinstance(value, list) else True

def default(cls, name):
    try:
        value = Serializer(deferred=False).encode(cls.lookup(name).class_default(cls))
        json.dumps(value, allow_nan=False)
    except Exception:
        return []
    return [value] if plain(value) else []

print(json.dumps({
    name: {prop: default(cls, prop) for prop in sorted(cls.properties())}
    for name, cls in Model.model_class_reverse_map.items()
}))
"""


class Schema:
    """The table of one server; ``folder`` keeps it between runs (None: it is made again)."""

    def __init__(self, version: str, folder: Path | None) -> None:
        self._file = folder / f"properties-{version}.json" if folder is not None else None
        self._making: asyncio.Future[Table] | None = None

    async def default(self, model: Model, property_: str) -> msgspec.Raw | None:
        """The default of a property as JSON, or None where it is none that JSON can tell.

        Raises ``NotFound``, with names that are like it, where models of this type have no such property.
        """
        known = (await self._table()).get(model.name)
        if known is None:
            return None
        if property_ not in known:
            close = difflib.get_close_matches(property_, known, n=3)
            hint = f"; perhaps {' or '.join(map(repr, close))}?" if close else "."
            raise NotFound(f"{model.name} has no property {property_[:100]!r}{hint}")
        return next(iter(known[property_]), None)

    async def _table(self) -> Table:
        if self._making is None:
            self._making = asyncio.ensure_future(asyncio.to_thread(self._load))
        return await asyncio.shield(self._making)

    def _load(self) -> Table:
        try:
            if self._file is not None and self._file.is_file():
                return decode(self._file.read_bytes())
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("the properties of models are made again", error=str(error))
        try:
            made = subprocess.run(  # noqa: S603 - our own script, in our own Python
                [sys.executable, "-P", "-c", SCRIPT], capture_output=True, timeout=PATIENCE, check=True
            ).stdout
            table = decode(made)
        except (OSError, subprocess.SubprocessError, msgspec.MsgspecError) as error:
            log.warning("the properties of models are not known; all are allowed", error=repr(error)[:500])
            return {}
        self._keep(made)
        return table

    def _keep(self, made: bytes) -> None:
        if self._file is None:
            return
        new = self._file.with_suffix(f".{os.getpid()}.new")
        try:
            new.write_bytes(made)
            new.replace(self._file)
        except OSError as error:
            log.warning("the properties of models can't be kept", error=str(error))


decode = msgspec.json.Decoder(Table).decode
