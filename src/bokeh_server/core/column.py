"""Columns of a data source: lists of JSON values, or typed numbers, that grow at the end and roll over at the front.

Appending costs what is appended, not what is there: a column keeps slack at both ends and moves its data only when
the slack exceeds the data. Each change returns how to take it back, so that a patch of several events is applied as a
whole or not at all; ``settle`` may then drop what rolled over.

Where streamed values do not fit the numbers of a column, the column changes its type as NumPy does in the program
(``int32`` and ``1.5`` give ``float64``), and says so: BokehJS would silently cut them, so its viewers must get the
column anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from bokeh_server.core.history import History
from bokeh_server.errors import BadMessage, RefusedPatch, TypeClash

Array = npt.NDArray[Any]
Values = list[Any] | Array
Undo = Callable[[], None]

SLACK = 1024
NUMBERS = frozenset({int, float})
SCALARS = frozenset({str, int, float, bool, type(None)})
NO_IMAGE = "Only a column of arrays with one or two dimensions can be patched with several indices."
SPECIAL = {"nan": float("nan"), "+inf": float("inf"), "-inf": float("-inf"), "inf": float("inf")}


class Column:
    """One column of a source: ``values`` holds the live part at ``[start:stop]``."""

    __slots__ = ("base", "lent", "own", "room", "start", "stop", "values")

    def __init__(self, values: Values) -> None:
        self.values = values
        self.room = 0
        """How far the array ``values`` is ours to write in; 0 where it came with a message, or is a list."""
        self.lent = False
        """Whether a reader keeps a view of ``values``: what it sees must not change any more."""
        self.own: dict[int, Array] = {}
        """The images, by their identity in Python, that this patch has copied and nobody else keeps."""
        self.base = 0
        """How many values have left at the front before ``values[0]``."""
        self.start = 0
        self.stop = len(values)

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def live(self) -> Values:
        """The values as a list, or as an array that must not be written to."""
        if isinstance(self.values, list) and not self.start and self.stop == len(self.values):
            return self.values
        return self.values[self.start : self.stop]

    @property
    def nbytes(self) -> int:
        """Bytes of the live values in a message."""
        live, binary = self.live, 0
        if isinstance(live, np.ndarray):
            return live.nbytes

        def weigh(value: Any) -> None:
            nonlocal binary
            binary += len(value) if isinstance(value, bytes) else value.nbytes

        return len(orjson.dumps(live, weigh)) + binary

    @property
    def gone(self) -> int:
        """How many values have left at the front in the life of this column: rolled over, or thinned out."""
        return self.base + self.start

    def lend(self) -> Values:
        """The live values, for a reader that keeps views of an array: what they show stays as it is now."""
        self.lent, self.own = self.lent or not isinstance(self.values, list), {}
        return self.live

    def pinned(self) -> Column:
        """This column as it is now, for a reader in another thread; it costs nothing until a value is set anew."""
        self.lent = True
        pinned = Column(self.values)
        pinned.base, pinned.start, pinned.stop, pinned.lent = -self.start, self.start, self.stop, True
        return pinned

    def part(self, start: int, stop: int) -> Values:
        """Some of the live values, which must not be written to."""
        return self.values[self.start + start : min(self.start + stop, self.stop)]

    def stream(self, new: Values, rollover: int | None) -> tuple[Undo, bool]:
        """Append ``new`` and keep the last ``rollover`` values (None: all).

        Returns how to take it back, and whether BokehJS does the same with the event as it is.
        """
        values, start, stop = self.values, self.start, self.stop
        room, lent, base = self.room, self.lent, self.base

        def undo() -> None:
            if isinstance(values, list):
                del values[stop:]
            self.values, self.start, self.stop = values, start, stop
            self.room, self.lent, self.base = room, lent, base

        plain, before = isinstance(values, list) and isinstance(new, list), stop - start
        faithful = self._append(new)
        if rollover is not None and self.stop - self.start > rollover:
            self.start = self.stop - rollover
            if plain:  # BokehJS cuts with slice(-rollover), which keeps all for 0
                faithful = faithful and rollover > 0
            else:  # it moves the numbers within the array, which then stays as long as it was
                faithful = faithful and (before < rollover or (before == rollover and not isinstance(values, list)))
        return undo, faithful

    def _append(self, new: Values) -> bool:
        if isinstance(self.values, list):
            if isinstance(new, list):
                self.values.extend(new)
                self.stop += len(new)
                return True
            return self._append_to_list(new)
        return self._append_to_array(new)

    def _append_to_list(self, new: Array) -> bool:
        live = self.live
        if not len(new) and len(live):
            return False  # BokehJS makes an array of the list, NumPy does not
        if len(live):
            old = as_numbers(list(live))
            if old is None:
                self._replace([*live, *as_list(new)])
                return False
            joined = np.append(old, new)
        else:
            joined = new.ravel()
        joined = wire_array(joined)
        self._replace(joined)
        return joined.dtype == new.dtype

    def _append_to_array(self, new: Values) -> bool:
        assert isinstance(self.values, np.ndarray)
        dtype = self.values.dtype
        added = new.ravel() if isinstance(new, np.ndarray) else as_numbers(new, dtype)
        if added is None:
            self._replace([*as_list(self.values[self.start : self.stop]), *new])
            return False
        if not len(added):
            return True
        if not fits(added, dtype):
            self._replace(wire_array(np.append(self.live, added)))
            return False
        if self.stop + len(added) > self.room:
            self._reserve(len(added))
        end = self.stop + len(added)
        self.values[self.stop : end] = added
        self.stop = end
        return True

    def _replace(self, values: Values) -> None:
        self.base += self.start
        self.values, self.start, self.stop = values, 0, len(values)
        self.room, self.lent = 0, False

    def _reserve(self, more: int) -> None:
        """Room for ``more`` numbers behind the live ones, in an array of our own."""
        live = self.live.ravel()  # type: ignore[union-attr]
        grown = np.empty(len(live) + more + max(SLACK, len(live) + len(live) // 8), live.dtype)
        grown[: len(live)] = live
        self._replace(grown)
        self.stop, self.room = len(live), len(grown)

    def takes(self, new: Any, rollover: int | None) -> bool:
        """Whether ``extend`` does the same as ``stream``, and BokehJS too; where ``new`` is a list, of plain values.

        That is so for a list and a list, for numbers and an array of floats, and for arrays of one type, where the
        column is not longer than it may become.
        """
        values = self.values
        if isinstance(values, list):
            return type(new) is list
        if values.ndim != 1 or (rollover is not None and self.stop - self.start > rollover):
            return False
        if type(new) is list:
            return values.dtype == np.float64 and new != [] and NUMBERS.issuperset(map(type, new))
        return type(new) is np.ndarray and values.dtype == new.dtype and len(new) > 0

    def extend(self, new: Values, rollover: int | None) -> None:
        """Append values that it ``takes``, and keep the last ``rollover`` of 1 or more."""
        stop = self.stop + len(new)
        if type(self.values) is list:
            self.values.extend(new)
        else:
            if stop > self.room:
                self._reserve(len(new))
                stop = self.stop + len(new)
            self.values[self.stop : stop] = new
        self.stop = stop
        if rollover is not None and stop - self.start > rollover:
            self.start = stop - rollover
            if self.start > SLACK:
                self.settle()

    def settle(self) -> None:
        """Let go of what rolled over, once it is more than what is live (after the patch holds)."""
        self.own.clear()
        if self.start > SLACK and self.start > len(self):
            live = self.values[self.start : self.stop]
            if isinstance(live, np.ndarray) and self.room and not self._read():
                self.values[: len(live)] = live  # new memory would cost ten times as much
                self.base, self.start, self.stop = self.base + self.start, 0, len(live)
            else:
                self._replace(live if isinstance(live, list) else live.copy())

    def thin(self, keep: Array, count: int) -> None:
        """Of the first ``count`` values keep those at the indices ``keep`` (ascending).

        It costs what is looked at, not what is there, where the values are ours to move.
        """
        start, end = self.start, self.start + count
        first = end - len(keep)
        same = int(np.count_nonzero(keep == np.arange(len(keep))))  # so many, from the first on, stay side by side
        others = keep[same:] + start
        if isinstance(self.values, list):
            self._own_list()
            self.values[first + same : end] = [self.values[at] for at in others.tolist()]
        else:
            if self._read() or not self.room:
                self.values, self.lent = self.values.copy(), False
                self.room = len(self.values)
            self.values[first + same : end] = self.values[others]
        self.values[first : first + same] = self.values[start : start + same]
        self.start = first

    def patch(self, index: Any, value: Any) -> tuple[Undo, bool]:
        """Set one value, a slice, or a part of an image, as ``ColumnDataSource.patch`` names it.

        ``index`` is an int, a slice, or a list of an int and one or two ints or slices for a column of arrays with
        one or two dimensions. Returns how to take it back, and whether BokehJS does the same with the event as it is.
        Raises ``RefusedPatch`` out of bounds and ``TypeClash`` where the value is no number and the column holds
        numbers.
        """
        if isinstance(index, list):
            return self._patch_item(index, value)
        where = self._where(index)
        if isinstance(self.values, np.ndarray) and self.values.ndim != 1:
            raise RefusedPatch("A column that is one array of several dimensions can't be patched.")
        if isinstance(self.values, np.ndarray) and (not self.values.flags.writeable or self._read()):
            self.values, self.room, self.lent = self.values.copy(), len(self.values), False
        self._own_list()
        values = self.values
        if isinstance(where, slice):
            count = len(range(*where.indices(len(values))))
            shape = value.shape if isinstance(value, np.ndarray) else (len(value),) if isinstance(value, list) else ()
            if shape != (count,):
                raise RefusedPatch(f"A slice of {count} values was patched with something of another length.")
        if isinstance(values, list):
            return self._patch_list(values, where, value), True
        return patch_array(values, where, value), True

    def _read(self) -> bool:
        """Whether a reader still has what was lent to it. A view has a reference to the array that owns what it shows:
        once it has gone, nobody has one but this column (and the call that counts)."""
        owns = isinstance(self.values, list) or self.values.base is None
        self.lent = self.lent and not (owns and sys.getrefcount(self.values) <= 2)
        return self.lent

    def _own_list(self) -> None:
        """Before a value of a list is set anew: a reader goes on with the list as it is."""
        if isinstance(self.values, list) and self._read():
            self.values, self.lent = self.values[: self.stop], False

    def _patch_list(self, values: list[Any], where: int | slice, value: Any) -> Undo:
        old = values[where]
        new = as_list(value) if isinstance(value, np.ndarray) and isinstance(where, slice) else value
        values[where] = new

        def undo() -> None:
            values[where] = old

        return undo

    def _where(self, index: Any) -> int | slice:
        size = len(self)
        if isinstance(index, int) and not isinstance(index, bool):
            if not 0 <= index < size:
                raise RefusedPatch(f"Index {index} is out of bounds: the column has {size} values.")
            return self.start + index
        if isinstance(index, slice):
            start, stop, step = bounds(index, size)
            return slice(self.start + start, self.start + stop, step)
        raise BadMessage("An index of a column is a number, a slice, or a list of those.")

    def _patch_item(self, index: list[Any], value: Any) -> tuple[Undo, bool]:
        self._own_list()
        where, values = self._where(index[0] if index else None), self.values
        if isinstance(where, slice) or not isinstance(values, list):
            raise RefusedPatch(NO_IMAGE)
        old = values[where]
        if not isinstance(old, np.ndarray) or not 1 <= old.ndim == len(index) - 1 <= 2:
            raise RefusedPatch(NO_IMAGE)
        inner = tuple(inner_index(part, size) for part, size in zip(index[1:], old.shape, strict=True))
        part = old[inner]
        new = value if isinstance(value, np.ndarray) else as_numbers(flattened([value]))
        if new is None or new.size != part.size:
            raise TypeClash("The part of an image must be patched with as many numbers as it has.")
        undo = self._write(values, where, inner, cut(new, old.dtype).reshape(part.shape))

        # BokehJS takes nothing but a row of numbers, NumPy takes that for one slice only
        return undo, is_row(value) and [type(part) for part in inner].count(slice) == 1

    def _write(self, values: list[Any], where: int, inner: tuple[int | slice, ...], new: Array) -> Undo:
        """Write in an image; it is copied once, so that thousands of changes in one patch cost one copy."""
        old = values[where]
        if id(old) in self.own:
            part = old[inner].copy()
            old[inner] = new

            def undo_part() -> None:
                old[inner] = part

            return undo_part
        item = values[where] = old.copy()
        item[inner] = new
        self.own[id(item)] = item

        def undo() -> None:
            values[where] = old
            self.own.pop(id(item), None)

        return undo


def is_row(value: Any) -> bool:
    """Whether ``value`` is a list without lists in it, or an array of one dimension."""
    if isinstance(value, list):
        return list not in map(type, value)
    return isinstance(value, np.ndarray) and value.ndim == 1


def flattened(values: list[Any]) -> list[Any]:
    """The values of a list of lists of lists … one after the other."""
    while values and all(type(row) is list for row in values):
        values = [item for row in values for item in row]
    return values


class Columns(dict[str, Column]):
    """The columns of one source by name."""

    __slots__ = ("history",)

    def __init__(self, columns: Mapping[str, Column] | Iterable[tuple[str, Column]] = ()) -> None:
        super().__init__(columns)
        self.history: History | None = None
        """What is known of its rows beside their values; None where nobody has asked."""

    def pinned(self) -> Columns:
        """The columns as they are now, for a reader in another thread."""
        pinned = Columns((name, column.pinned()) for name, column in self.items())
        pinned.history = self.history and self.history.after(self.gone)
        return pinned

    @property
    def rows(self) -> int:
        """How many rows there are; 0 where the columns are not of one length."""
        lengths = {len(column) for column in self.values()}
        return lengths.pop() if len(lengths) == 1 else 0

    @property
    def gone(self) -> int:
        """How many rows have left at the front, since the columns were set."""
        return next((column.gone for column in self.values()), 0)

    def refs(self) -> set[str]:
        """Ids of the models that the values name (columns of models are rare: this looks at every value)."""
        found: set[str] = set()
        todo: list[Any] = [column.live for column in self.values() if isinstance(column.values, list)]
        while todo:
            value = todo.pop()
            if isinstance(value, dict) and value.keys() == {"id"}:
                found.add(value["id"])
            elif isinstance(value, dict):
                named = is_a(value, "model")  # what a class extends is no model
                todo.extend(item for name, item in value.items() if not (named and name == "extends"))
            elif isinstance(value, list):
                todo.extend(value)
        return found


def is_a(value: dict[str, Any], kind: str) -> bool:
    """Whether a value that was taken apart is an object of this type; what it has for a type may be an array."""
    found = value.get("type")
    return type(found) is str and found == kind


def bounds(index: slice, size: int) -> tuple[int, int, int]:
    """Start, stop and step of a slice within ``size`` values; ``RefusedPatch`` where BokehJS and NumPy disagree."""
    start = 0 if index.start is None else index.start
    stop = size if index.stop is None else index.stop
    step = 1 if index.step is None else index.step
    if not all(type(part) is int for part in (start, stop, step)):
        raise BadMessage("The parts of a slice are whole numbers.")
    if start < 0 or step < 1 or not start <= stop <= size:
        raise RefusedPatch(f"The slice {start}:{stop}:{step} is out of bounds: there are {size} values.")
    return start, stop, step


def inner_index(index: Any, size: int) -> int | slice:
    """An index into one dimension of an array, checked."""
    if isinstance(index, slice):
        return slice(*bounds(index, size))
    if type(index) is int and 0 <= index < size:
        return index
    raise RefusedPatch(f"Index {index!r} is out of bounds: the array has {size} there.")


def patch_array(values: Array, where: int | slice, value: Any) -> Undo:
    """Write ``value`` into numbers, cut to the column's type as BokehJS does it."""
    given = value if isinstance(where, slice) else [value]
    new = given if isinstance(given, np.ndarray) else as_numbers(given)
    if new is None:
        raise TypeClash("This column holds numbers; the value of the patch is none.")
    old, fitting = values[where].copy(), cut(new, values.dtype)
    values[where] = fitting if isinstance(where, slice) else fitting[0]

    def undo() -> None:
        values[where] = old

    return undo


def cut(numbers: Array, dtype: np.dtype[Any]) -> Array:
    """``numbers`` as ``dtype`` the way a typed array of JavaScript takes them (ECMA-262, section 7.1.6 and on).

    Whole numbers wrap around, fractions are dropped, NaN and the infinities become 0; NumPy leaves the latter open.
    """
    if numbers.dtype == dtype:
        return numbers
    with np.errstate(all="ignore"):
        if dtype.kind not in "iub" or numbers.dtype.kind not in "iuf":
            return numbers.astype(dtype)
        whole: Array = np.nan_to_num(np.trunc(numbers.astype(np.float64)), nan=0.0, posinf=0.0, neginf=0.0)
        wrapped = np.fmod(whole, 2.0**32).astype(np.int64)
    return wrapped.astype(np.uint8).astype(np.bool_) if dtype.kind == "b" else wrapped.astype(dtype)


def as_numbers(values: list[Any], dtype: np.dtype[Any] | None = None) -> Array | None:
    """``values`` as an array of numbers, or None where one of them is none.

    Bokeh's ``{"type": "number", "value": "nan"}`` is a number. With ``dtype``, plain floats are made in it where it is
    a floating type, so that a ``float32`` column stays one.
    """
    types = set(map(type, values))
    if types <= NUMBERS:
        floating = float in types or (dtype is not None and dtype.kind == "f")
        try:
            if floating:
                return np.array(values, dtype if dtype is not None and dtype.kind == "f" else np.float64)
            return np.array(values, np.int64)
        except OverflowError:
            return np.array(values, np.float64)
    if types == {bool}:
        return np.array(values, np.bool_)
    if dict not in types or not types <= NUMBERS | {dict}:
        return None
    plain = [SPECIAL.get(str(v.get("value"))) if type(v) is dict and is_a(v, "number") else v for v in values]
    if any(type(v) not in NUMBERS for v in plain):
        return None
    return as_numbers(plain, dtype)


def fits(new: Array, dtype: np.dtype[Any]) -> bool:
    """Whether numbers can go into a column of ``dtype`` without loss (a floating column keeps its precision)."""
    if new.dtype == dtype:
        return True
    if dtype.kind == "f":
        return new.dtype.kind in "fiub"
    if dtype.kind in "iu" and new.dtype.kind in "iu":
        info = np.iinfo(dtype)
        return bool(new.min() >= info.min and new.max() <= info.max)
    return False


def wire_array(values: Array) -> Array:
    """An array in one of the types that Bokeh has on its wire; 64-bit integers become ``int32`` or ``float64``."""
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        return values.astype(np.int32 if fits(values, np.dtype(np.int32)) else np.float64)
    return values


def as_list(values: Array) -> list[Any]:
    """The values as JSON has them: what is not finite as Bokeh's ``{"type": "number"}``."""
    listed: list[Any] = values.ravel().tolist()
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return [number(value) for value in listed]
    return listed


def number(value: float) -> Any:
    """A float for JSON (bokeh 3.9 ``core/serialization.py``, ``NumberRep``)."""
    if value != value:
        return {"type": "number", "value": "nan"}
    if value in (float("inf"), float("-inf")):
        return {"type": "number", "value": "+inf" if value > 0 else "-inf"}
    return value
