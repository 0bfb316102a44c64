"""Make a document here equal to a fresh copy from the server, touching only what differs.

Models are matched by id: those that exist keep their identity, their callbacks and every attribute that is the same
already; others are made or dropped. Changes of ours that the copy does not hold yet stay on top of it, so nothing that
is on its way is undone for a moment. Building the models of the copy happens before the document is locked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import orjson
from bokeh.model import Model
from bokeh.models import ColumnDataSource

from bokeh_server.client.changes import ROOTS, TITLE, Entry, Key, Waits
from bokeh_server.client.encode import Reader, canonical, data_models, same, set_attribute
from bokeh_server.client.sync import Callback, Replica, change, key_of
from bokeh_server.core.wire import Message

log = logging.getLogger("bokeh_server.client")

PLAIN = (str, int, float, bool, Model)
Plan = list[tuple[Model, dict[str, Any]]]


def reconcile(replica: Replica, message: Message, under_way: Callable[[], list[Waits] | None]) -> list[Callback]:
    """Merge a PULL-DOC-REPLY into the document of ``replica``; what to run afterwards (callbacks of the user).

    ``under_way`` gives the changes of ours that the copy does not hold, in order, or None where a whole document of
    ours is to replace it anyway. Raises ``ValueError`` where bokeh can't
    build a model of the copy; the document is then as before.
    """
    plan: Plan = []
    reader = Reader(
        replica.find,
        replica.reuse,
        message.buffers,
        setter=replica,
        found=lambda model, attributes: plan.append((model, attributes)),
    )
    doc = orjson.loads(message.content)["doc"]
    names = [each.get("name") for each in doc.get("defs") or () if isinstance(each, dict)]
    doc["defs"] = []  # the classes are here, or can't be had
    copy = reader.read(doc)
    with replica.applying() as deferred:
        sent = under_way()
        if sent is None:
            return []
        pending: list[Waits] = [*sent, *replica.held()]
        ours = {key for entry in pending for key in entry.keys}
        defined = {name: entry.number for entry in sent for name in entry.models}
        models = replica.document.models
        models._push_freeze()
        try:
            for model, attributes in plan:
                if model.id in defined:
                    replica.on_doubt(defined[model.id])
                else:
                    _update(replica, model, attributes, ours, pending)
            _set_roots(replica, _roots(replica, copy["roots"], pending))
            if TITLE not in ours:
                replica.document.set_title(copy["title"], setter=replica)  # type: ignore[arg-type]
        finally:
            models._pop_freeze()
        replica.document._config = copy.get("config", replica.document.config)
        _take_callbacks(replica, copy)
        replica.defs = {kind for name, kind in data_models().items() if name in names}
        known = {model.id for model in reader.defined}.union(defined)
        if sent and replica.known & models._models.keys() - known:  # ours brings back what the server has dropped
            replica.on_doubt(sent[-1].number)
        replica.known = known & models._models.keys()
        replica.settle(reader, sent[0].number - 1 if sent else 2**63)
    return deferred


def _update(replica: Replica, model: Model, attributes: dict[str, Any], ours: set[Key], pending: list[Waits]) -> None:
    for name, value in attributes.items():
        key = (model.id, name)
        if name == "data" and isinstance(model, ColumnDataSource) and isinstance(value, dict):
            if key in ours:
                value = _with_ours(replica, model, key, value, pending)
            if _differs(model, name, value):
                set_attribute(model, name, value, replica)
        elif key not in ours and _differs(model, name, value):
            set_attribute(model, name, value, replica)
    for name in set(model._property_values) - attributes.keys():
        if (model.id, name) not in ours:
            _reset(replica, model, name)


def _differs(model: Model, name: str, value: Any) -> bool:
    """Whether the server's value is another one to a reader (a date here and its number there are the same)."""
    descriptor = model.lookup(name, raises=False)
    if descriptor is None or not descriptor.serialized:
        return False
    here = descriptor.get_value(model)
    if here is value or (type(here) is type(value) and isinstance(value, PLAIN) and here == value):
        return False
    try:
        return not same(canonical(here), canonical(value))
    except Exception:  # noqa: BLE001 - bokeh raises anything on a value that it can't write: it could never be sent
        return True


def _reset(replica: Replica, model: Model, name: str) -> None:
    """Back to the default: the server has no value for this attribute."""
    descriptor = model.lookup(name)
    if not descriptor.serialized or descriptor.readonly:
        return
    old = model._property_values.pop(name)
    new = descriptor.__get__(model, type(model))
    if not descriptor.property.matches(old, new):
        model.trigger(name, old, new, setter=replica)  # type: ignore[arg-type]


def _with_ours(replica: Replica, model: ColumnDataSource, key: Key, data: dict[str, Any], pending: list[Waits]) -> Any:
    """The server's columns with our changes of them that are on their way on top.

    Of what is on disk only is known that it is about them: the columns stay as they are until that has arrived.
    """
    scratch = ColumnDataSource(data=data)
    for entry in pending:
        if key in entry.keys:
            if not isinstance(entry, Entry):
                replica.on_doubt(max(each.number for each in pending if key in each.keys))
                return dict(model.data)
            try:
                _add_ours(replica, key, scratch, entry)
            except Exception as error:  # noqa: BLE001 - bokeh raises anything on columns that it does not expect
                log.debug("A change of ours does not fit the server's columns: %s", error)
                replica.on_doubt(entry.number)
    return dict(scratch.data)


def _add_ours(replica: Replica, key: Key, scratch: ColumnDataSource, entry: Entry) -> None:
    reader = Reader(replica.find, replica.reuse, entry.buffers)
    for event in orjson.loads(entry.content)["events"]:
        if key_of(event) == key:
            change(scratch, reader.read({name: item for name, item in event.items() if name != "model"}), None)


def _roots(replica: Replica, roots: list[Model], pending: list[Waits]) -> list[Model]:
    """The server's roots with those on top that we add or remove just now; ours, where that is on disk."""
    roots = list(roots)
    for entry in pending:
        if ROOTS in entry.keys and not isinstance(entry, Entry):
            replica.on_doubt(max(each.number for each in pending if ROOTS in each.keys))
            return replica.document.roots
        for event in orjson.loads(entry.content)["events"] if ROOTS in entry.keys and isinstance(entry, Entry) else ():
            name = event["model"]["id"]
            others = [root for root in roots if root.id != name]
            added = replica.reuse(name) if event["kind"] == "RootAdded" and len(others) == len(roots) else None
            if added is not None:
                roots.append(added)
            elif event["kind"] == "RootRemoved":
                roots = others
    return roots


def _set_roots(replica: Replica, roots: list[Model]) -> None:
    document = replica.document
    here = document.roots
    kept = 0
    while kept < min(len(here), len(roots)) and here[kept] is roots[kept]:
        kept += 1
    for root in here[kept:]:
        document.remove_root(root, setter=replica)  # type: ignore[arg-type]
    for root in roots[kept:]:
        document.add_root(root, setter=replica)  # type: ignore[arg-type]


def _take_callbacks(replica: Replica, copy: dict[str, Any]) -> None:
    """The document's own CustomJS callbacks."""
    here = replica.document.callbacks.js_event_callbacks
    here.clear()
    for name, callbacks in (copy.get("callbacks") or {}).items():
        here[name].extend(callbacks)
