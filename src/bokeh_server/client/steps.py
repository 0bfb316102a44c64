"""What a program changes and the note of it are one step, in which nothing comes from the server.

bokeh changes a value first and tells of it afterwards. A copy of the document that was merged in between would put the
server's value in the place of one that nobody has noted yet, and the program's would be lost. bokeh has no place from
which both could be held together, so what changes a model or a document is wrapped here, once, when the library is
loaded. A document that is not live pays one look at it.

Whoever is told runs code of the program, which may wait for the server: that is done when the step is over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import wraps
from types import FunctionType
from typing import Any

from bokeh.core.property.descriptors import PropertyDescriptor
from bokeh.core.property.wrappers import (
    PropertyValueColumnData,
    PropertyValueDict,
    PropertyValueList,
    PropertyValueSet,
)
from bokeh.document import Document

MARK = "_bokeh_server_step"
"""The name under which a live document has its step."""
ONLY_READ = {"__init__", "__copy__", "__deepcopy__", "_saved_copy"}
"""The methods of bokeh's lists, sets and dicts that change nothing."""


class _Here(threading.local):
    """The steps that this thread is in."""

    def __init__(self) -> None:
        self.depth = 0
        self.told: list[Callable[[], object]] = []


_here = _Here()


class Step:
    """``with step:`` is one step of the document whose lock this is; steps may be nested."""

    __slots__ = ("_lock",)

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        self._lock.acquire()
        _here.depth += 1

    def __exit__(self, *error: object) -> None:
        _here.depth -= 1
        self._lock.release()
        if _here.told and not _here.depth:
            told, _here.told = _here.told, []
            for tell in told:
                tell()


def afterwards(tell: Callable[[], object]) -> None:
    """Call ``tell`` when this thread is in no step any more: now, where it is in none."""
    if _here.depth:
        _here.told.append(tell)
    else:
        tell()


Whose = Callable[[tuple[Any, ...]], AbstractContextManager[None] | None]
"""From the arguments of a method to the step in which it must run, if any."""


def _of_model(model: Any) -> Step | None:
    document = vars(model).get("_document")
    return None if document is None else vars(document).get(MARK)


def _of_container(container: Any) -> AbstractContextManager[Any] | None:
    """The step of the models that have this list, set or dict; of several documents always in the same order."""
    steps = {step for model, _ in tuple(container._owners) if (step := _of_model(model)) is not None}
    if len(steps) < 2:
        return steps.pop() if steps else None
    together = ExitStack()
    for step in sorted(steps, key=id):
        together.enter_context(step)
    return together


def _wrap(kind: type, name: str, whose: Whose) -> None:
    change = vars(kind)[name]

    @wraps(change)
    def changed(*args: Any, **more: Any) -> Any:
        step = whose(args)
        if step is None:
            return change(*args, **more)
        with step:
            return change(*args, **more)

    setattr(kind, name, changed)


for _name in ("_set", "__delete__"):
    _wrap(PropertyDescriptor, _name, lambda args: _of_model(args[1]))
for _kind in (PropertyValueList, PropertyValueSet, PropertyValueDict, PropertyValueColumnData):
    for _name, _method in tuple(vars(_kind).items()):
        if isinstance(_method, FunctionType) and _name not in ONLY_READ:
            _wrap(_kind, _name, lambda args: _of_container(args[0]))
for _name in ("add_root", "remove_root", "clear", "set_title"):
    _wrap(Document, _name, lambda args: vars(args[0]).get(MARK))
