"""The models of bokeh, as the installed bokeh knows them: their properties, what those take, and their defaults.

A model or property that there is not, or a value of another type, would be stored, and from then on break every page
with the document: BokehJS throws on it. The server never imports bokeh; a process of its own writes the table
(``catalogue``) when it is first needed (about a second), and it is kept in the data folder under bokeh's version. What
the table can't know is let through: a type of an extension, whose name has a dot in it or is none like bokeh's, or that
the document defines itself (``defs``), with all its properties; and anything where no table can be made.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import structlog

from bokeh_server.core.document import Document, Flattener, Model
from bokeh_server.errors import BadMessage, NotFound, TypeClash
from bokeh_server.web.kinds import Judge, words

log = structlog.get_logger("bokeh_server.web")
PATIENCE = 60.0
"""Seconds that the process may take."""
SCRIPT = Path(__file__).with_name("catalogue.py")
ALIKE = 0.82
"""How like one of bokeh's a name must be to be a slip of the pen (``difflib``)."""

STRANGE = 50
"""Types of a document that are not known and are compared with those that are: each takes a millisecond."""


class Property(msgspec.Struct, array_like=True, frozen=True):
    """What a property takes, as a number in ``Table.kinds``, and its default as JSON: empty where it is a model, or
    where it has none."""

    kinds: int
    default: msgspec.Raw = msgspec.Raw(b"")


class Type(msgspec.Struct, frozen=True):
    """A type of models: itself and its bases, and its properties."""

    bases: frozenset[str] = msgspec.field(name="is")
    has: dict[str, Property]


class Table(msgspec.Struct, frozen=True):
    """What ``catalogue`` writes."""

    kinds: list[list[str | list[Any]]]
    models: dict[str, Type]

    def check(self, document: Document) -> None:
        """Raise ``BadMessage`` where a document has a model or property that there is not, and ``TypeClash`` where a
        property has what it does not take."""
        self._check_models(document, document.models)

    def check_value(self, document: Document, key: str, name: str, value: Any) -> None:
        """The same for a value, as parsed JSON, that a property of the model ``key`` is to get in a document that is
        ``copied``."""
        flattener = Flattener(document, {})
        flat, refs = (flattener.data if name == "data" else flattener.value)(value)
        self._check_value(self._judge(document), key, document.models[key], name, flat)
        self._check_models(document, [*flattener.definitions, *(sorted(refs) if flattener.redefined else ())])

    def _check_models(self, document: Document, keys: Iterable[str]) -> None:
        judge, own, strange = self._judge(document), defined(document), dict[str, None]()
        for key in keys:
            model = document.models[key]
            if model.name in self.models:
                for name, value in model.attributes.items():
                    self._check_value(judge, key, model, name, value)
            elif model.name not in own:
                strange[model.name] = None
        for name in list(strange)[:STRANGE]:
            self._check_name(name)

    def _check_value(self, judge: Judge, key: str, model: Model, name: str, value: Any) -> None:
        known = self.models.get(model.name)
        if known is None:
            return
        if name not in known.has:
            raise BadMessage(no_property(model, name, known))
        kinds = self.kinds[known.has[name].kinds]
        if not judge.takes(kinds, value):
            it = f"{model.name} {key[:100]!r}"
            raise TypeClash(f"{it} takes {words(kinds)} as its {name}, not {judge.came(kinds, value)}.")

    def _check_name(self, name: str) -> None:
        """An extension that is made in a script has a name without a dot, too: only what is like another is none."""
        if "." in name:
            return
        spelt = {known.lower(): known for known in self.models}
        close = [spelt[each] for each in difflib.get_close_matches(name.lower(), spelt, n=3, cutoff=ALIKE)]
        close = [each for each in close if not (name.endswith(each) or each.endswith(name))]  # MySlider is another
        if close:
            raise BadMessage(f"There is no model {name[:100]!r}; perhaps {' or '.join(map(repr, close))}?")

    def _judge(self, document: Document) -> Judge:
        return Judge(document.models, lambda name: self.models[name].bases if name in self.models else None)


class Schema:
    """The table of one server; ``folder`` keeps it between runs (None: it is made again)."""

    def __init__(self, version: str, folder: Path | None) -> None:
        self._file = folder / f"models-{version}.json" if folder is not None else None
        self._making: asyncio.Future[Table] | None = None

    async def default(self, model: Model, property_: str) -> msgspec.Raw | None:
        """The default of a property as JSON, or None where it is none that JSON can tell.

        Raises ``NotFound``, with names that are like it, where models of this type have no such property.
        """
        known = (await self.table()).models.get(model.name)
        if known is None:
            return None
        if property_ not in known.has:
            raise NotFound(no_property(model, property_, known))
        default = known.has[property_].default
        return default if bytes(default) else None

    async def table(self) -> Table:
        """The table, made or read at the first use; an empty one, which lets everything through, if that fails."""
        if self._making is None:
            self._making = asyncio.ensure_future(asyncio.to_thread(self._load))
        return await asyncio.shield(self._making)

    def _load(self) -> Table:
        try:
            if self._file is not None and self._file.is_file():
                return decode(self._file.read_bytes())
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("the table of models is made again", error=str(error))
        try:
            made = subprocess.run(  # noqa: S603 - our own script, in our own Python
                [sys.executable, "-P", SCRIPT], capture_output=True, timeout=PATIENCE, check=True
            ).stdout
            table = decode(made)
        except (OSError, subprocess.SubprocessError, msgspec.MsgspecError) as error:
            log.warning("the models of bokeh are not known; everything is allowed", error=repr(error)[:500])
            return Table([], {})
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
            log.warning("the table of models can't be kept", error=str(error))


def no_property(model: Model, name: str, known: Type) -> str:
    """That models of this type have no such property, with names that are like it."""
    close = difflib.get_close_matches(name, known.has, n=3)
    hint = f"; perhaps {' or '.join(map(repr, close))}?" if close else "."
    return f"{model.name} has no property {name[:100]!r}{hint}"


def defined(document: Document) -> frozenset[str]:
    """The types of models that a document defines itself."""
    defs = document.parts.attributes.get("defs")
    names = (each.get("name") for each in defs if isinstance(each, dict)) if isinstance(defs, list) else ()
    return frozenset(name for name in names if isinstance(name, str))


def copied(document: Document) -> Document:
    """A copy for a try: what is defined in it, or anew, is not so in the document; dead models may be named."""
    copy = Document(document.limits)
    buried = {key: model for key, (_, model) in document.grave.items()}
    for key, model in (buried | document.models).items():
        copy.models[key] = same = Model(model.name)
        same.attributes, same.refs = dict(model.attributes), model.refs
    copy.parts = document.parts
    return copy


decode = msgspec.json.Decoder(Table).decode
