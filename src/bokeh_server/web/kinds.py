"""Whether a value is of a kind that a property takes, in words that say what it takes.

A kind is a word (``WORDS``), or a list: of a word and what that is of (``["model", type]``, ``["one of", *values]``,
``["list", kinds]``, ``["set", kinds]``, ``["tuple", *kinds]``, ``["map", kinds of keys, kinds of values]``). Values are
those of a ``core.document``: taken apart, with models by their ids.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from bokeh_server.core.column import SCALARS, Column, Columns
from bokeh_server.core.document import Model
from bokeh_server.core.values import pairs

Kind = str | list[Any]
Kinds = Sequence[Kind]


def number(value: Any) -> Any:
    """The number that a value is, as it is or as Bokeh's ``{"type": "number"}``; None where it is none."""
    if type(value) is dict and value.get("type") == "number":
        value = value.get("value")
        return float(value) if type(value) is str else value
    return value if type(value) in (int, float) else None


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number; to a browser, 5.0 is one."""
    found = number(value)
    return found is not None and (type(found) is int or found.is_integer())


def is_date(value: Any) -> bool:
    """Whether a value is a text with a date, and perhaps a time."""
    try:
        return type(value) is str and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def is_spec(value: Any) -> bool:
    """Whether a value says where a glyph's values are."""
    return type(value) is dict and value.get("type") in ("field", "value", "expr")


CHECKS: dict[str, Callable[[Any], bool]] = {
    "any": lambda value: True,
    "null": lambda value: value is None,
    "bool": lambda value: type(value) is bool,
    "int": is_whole,
    "number": lambda value: number(value) is not None,
    "text": lambda value: type(value) is str,
    "bytes": lambda value: type(value) is bytes,
    "date": is_date,
    "spec": is_spec,
}
WORDS = {
    "any": "anything",
    "null": "null",
    "bool": "true or false",
    "int": "a whole number",
    "number": "a number",
    "text": "text",
    "bytes": "binary data",
    "date": "a date",
    "spec": "a field or value",
}
FEW = 12
"""Values of an enumeration that are named."""
MANY = 1000
"""Plain values of a list, of which from here on one of each type is looked at."""


class Judge:
    """Knows the models that values name: ``models`` by their ids, and what each type of them is (``bases``)."""

    def __init__(self, models: Mapping[str, Model], bases: Callable[[str], Container[str] | None]) -> None:
        self._models = models
        self._bases = bases

    def takes(self, kinds: Kinds, value: Any) -> bool:
        """Whether a value is of one of the kinds."""
        return any(self._fits(kind, value) for kind in kinds)

    def _fits(self, kind: Kind, value: Any) -> bool:
        match kind:
            case str():
                return CHECKS[kind](value)
            case "model", str(name):
                return self._is_model(name, value)
            case "one of", *values:
                return type(value) in SCALARS and value in values
        found = parts(kind, value)
        return found is not None and all(self.takes(*part) for part in found)

    def _is_model(self, name: str, value: Any) -> bool:
        """Whether a value is a model of this type; one of a type that is not known may be."""
        if not is_model(value):
            return False
        model = self._models.get(value["id"])
        bases = self._bases(model.name) if model is not None else None
        return bases is None or name in bases

    def came(self, kinds: Kinds, value: Any) -> str:
        """What came where something else is taken; of a list or map, its first part that is not taken, too."""
        whole = self._named(value)
        for kind in kinds:
            for inner, part in parts(kind, value) or ():
                if not self.takes(inner, part):
                    return f"{whole} with {self.came(inner, part)}"
        return whole

    def _named(self, value: Any) -> str:
        if is_model(value):
            return a(self._models[value["id"]].name[:100] if value["id"] in self._models else "model")
        if type(value) in SCALARS:
            return json.dumps(value, ensure_ascii=False)[:100]
        if isinstance(value, bytes):
            return WORDS["bytes"]
        if isinstance(value, list | Column | np.ndarray):
            return "a list"
        return "a map" if mapped(value) is not None else a(str(value.get("type"))[:100])


def parts(kind: Kind, value: Any) -> Iterable[tuple[Kinds, Any]] | None:
    """The parts of a list or map, and the kinds that each must be of; None where it is not such a one."""
    match kind:
        case "list", items:
            found = listed(value)
            return None if found is None else () if "any" in items else [(items, each) for each in found]
        case "set", items if type(value) is dict and value.get("type") == "set":
            return [(items, each) for each in value.get("entries", ())]
        case "tuple", *items if type(value) is list and len(value) == len(items):
            return list(zip(items, value, strict=True))
        case "map", keys, items:
            entries = mapped(value)
            return None if entries is None else [part for key, each in entries for part in ((keys, key), (items, each))]
    return None


def listed(value: Any) -> Iterable[Any] | None:
    """What is to be looked at of a list; None of anything else. Arrays of numbers are what they are."""
    if isinstance(value, Column):
        value = value.live
    if isinstance(value, np.ndarray) or (type(value) is dict and value.get("type") == "ndarray"):
        return ()
    if type(value) is dict and value.get("type") == "array":
        value = value.get("entries", [])
    if type(value) is not list:
        return None
    types = {type(each): each for each in value} if len(value) >= MANY else {}
    return types.values() if types and types.keys() <= SCALARS else value


def mapped(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """The entries of a map; None of anything else."""
    return value.items() if isinstance(value, Columns) else pairs(value)


def is_model(value: Any) -> bool:
    """Whether a value names a model."""
    return type(value) is dict and value.keys() == {"id"} and type(value["id"]) is str


def words(kinds: Kinds) -> str:
    """What is taken, for people."""
    told = list(dict.fromkeys(map(word, kinds)))
    return " or ".join((", ".join(told[:-1]), told[-1]) if len(told) > 1 else told)


def word(kind: Kind) -> str:
    """One kind, for people."""
    match kind:
        case str():
            return WORDS[kind]
        case "model", name:
            return a(name)
        case "one of", *values:
            return f"one of {', '.join(map(repr, values[:FEW]))}{', …' if len(values) > FEW else ''}"
        case "tuple", *items:
            return f"a list of {len(items)}"
        case [str(name), *_, items]:
            return f"a {name}" if "any" in items else f"a {name} (of {words(items)})"
    return WORDS["any"]


def a(name: str) -> str:
    """A name with its article."""
    return f"{'an' if name[:1] in 'AEIOaeio' else 'a'} {name}"
