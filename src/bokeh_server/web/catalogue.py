"""The models of the installed bokeh, as JSON: their properties, what those take, and their defaults.

Run by ``schema`` in a process of its own: the server itself never imports bokeh. What each property takes is a list of
*kinds*, of which a value must be one; ``kinds`` has what they mean. Of what can't be told here, anything is taken: what
Bokeh takes must never be refused.
"""

from __future__ import annotations

import json
from typing import Any

import bokeh.models
import bokeh.plotting  # noqa: F401 - it has models of its own
from bokeh.core.has_props import HasProps
from bokeh.core.properties import (
    Alias,
    Bool,
    Bytes,
    Date,
    Datetime,
    Dict,
    Either,
    Enum,
    Float,
    Image,
    Instance,
    Int,
    Null,
    Nullable,
    Seq,
    Set,
    String,
    Struct,
    Time,
    TimeDelta,
    Tuple,
)
from bokeh.core.property.bases import Property, SingleParameterizedProperty
from bokeh.core.property.color import RGB
from bokeh.core.property.data_class import Dataclass
from bokeh.core.property.data_frame import EagerDataFrame, EagerSeries, PandasDataFrame, PandasGroupBy
from bokeh.core.property.vectorization import Expr, Field, Value
from bokeh.core.serialization import Serializer
from bokeh.model import Model

Kind = str | list[Any]
PLAIN: dict[type[Any], list[Kind]] = {
    Null: ["null"],
    Bool: ["bool"],
    Int: ["int"],
    Float: ["number"],
    String: ["text"],
    Bytes: ["bytes"],
    RGB: ["text"],
    Image: ["text", ["list", ["any"]]],
    Date: ["date", "number"],
    Datetime: ["date", "number"],
    Time: ["text", "number"],
    TimeDelta: ["number"],
    **{never: [] for never in (Dataclass, EagerDataFrame, EagerSeries, PandasDataFrame, PandasGroupBy)},
}
"""Of the simpler properties. What the last take is never found in JSON."""
MOST = 50
"""Values of an enumeration that are told one by one; of one with more (colours) any text is taken."""


def kinds(of: Any, owner: type[HasProps]) -> list[Kind]:
    """What a property takes, and what Bokeh turns into that; each kind once."""
    if isinstance(of, Alias):
        return kinds(owner.lookup(of.aliased_name).property, owner)
    found = [*own_kinds(of, owner), *(kind for other, _ in of.alternatives for kind in kinds(other, owner))]
    return [kind for at, kind in enumerate(found) if kind not in found[:at]]


def own_kinds(of: Property[Any], owner: type[HasProps]) -> list[Kind]:
    """What a property takes as it is."""
    match of:
        case Enum():
            values = list(of.allowed_values)
            return [["one of", *values]] if len(values) <= MOST and of._enum._case_sensitive else ["text"]
        case Instance():
            return [instance(of.instance_type)]
        case Dict():
            return [["map", kinds(of.keys_type, owner), kinds(of.values_type, owner)]]
        case Set():
            return [["set", kinds(of.item_type, owner)]]
        case Seq():
            return [["list", kinds(of.item_type, owner)]]
        case Tuple():
            return [["tuple", *(kinds(part, owner) for part in of.type_params)]]
        case Struct():
            return [["map", [["one of", *of._fields]], ["any"]]]
        case Either():
            return [kind for part in of.type_params for kind in kinds(part, owner)]
        case Nullable():
            return ["null", *kinds(of.type_param, owner)]
        case SingleParameterizedProperty():
            return kinds(of.type_param, owner)
    return next((plain for kind, plain in PLAIN.items() if isinstance(of, kind)), ["any"])


def instance(kind: type[Any]) -> Kind:
    """An object: of a type of models, or what says where the values of a glyph are."""
    if issubclass(kind, Model):
        return ["model", kind.__qualified_model__]
    return "spec" if kind in (Value, Field, Expr) else "any"


def is_plain(value: Any) -> bool:
    """Whether there is no model in a value."""
    if isinstance(value, dict):
        return "id" not in value and all(map(is_plain, value.values()))
    return all(map(is_plain, value)) if isinstance(value, list) else True


def default(owner: type[HasProps], name: str) -> list[Any]:
    """The default of a property, or nothing where it is none that JSON can tell without models."""
    try:
        value = Serializer(deferred=False).encode(owner.lookup(name).class_default(owner))
        json.dumps(value, allow_nan=False)
    except Exception:  # noqa: BLE001 - whatever a default does when it is made, there is none to tell
        return []
    return [value] if is_plain(value) else []


def catalogue() -> dict[str, Any]:
    """``kinds``: all lists of kinds; ``models``: of each type what it is and has, the kinds by number."""
    lists: list[list[Kind]] = []
    models = {}
    for name, owner in Model.model_class_reverse_map.items():
        has = {}
        for attribute in sorted(owner.properties()):
            takes = kinds(owner.lookup(attribute).property, owner)
            if takes not in lists:
                lists.append(takes)
            has[attribute] = [lists.index(takes), *default(owner, attribute)]
        bases = [base.__qualified_model__ for base in owner.__mro__ if issubclass(base, Model)]
        models[name] = {"is": bases, "has": has}
    return {"kinds": lists, "models": models}


if __name__ == "__main__":
    print(json.dumps(catalogue()))
