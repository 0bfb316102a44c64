"""What is known of the rows of a source beside their values: which are thinned, and when the others came.

Rows are counted from the first one that the columns ever had, so that what leaves at the front changes nothing here.
It is a hint that goes with snapshots, and no part of the document: where it is lost, rows are taken to be newer than
they are, and stay longer.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import msgspec

MARKS = 64
"""Times of arrival that are remembered."""


class History(msgspec.Struct):
    """Up to the row ``thinned`` the rows are thinned; those before the row ``marks[i][0]`` had come by the time
    ``marks[i][1]`` (seconds since 1970)."""

    thinned: int = 0
    marks: list[tuple[int, float]] = []

    def mark(self, row: int, now: float, every: float) -> None:
        """All before ``row`` is here at ``now``; noted once in ``every`` seconds."""
        if not self.marks or now - self.marks[-1][1] >= every:
            self.marks.append((row, now))
            del self.marks[:-MARKS]

    def arrived(self, before: float) -> int:
        """The row up to which all had come by a time, as far as is known."""
        at = bisect_right(self.marks, before, key=lambda mark: mark[1])
        return self.marks[at - 1][0] if at else 0

    def after(self, gone: int) -> History:
        """The same, counted from the first row that is there now, before which ``gone`` have left."""
        marks = [(row - gone, at) for row, at in self.marks if row > gone]
        return History(max(self.thinned - gone, 0), marks)


def told(value: Any) -> dict[str, History]:
    """The histories of sources by their ids, as a snapshot has them; none where this is no such thing."""
    try:
        return msgspec.convert(value, dict[str, History])
    except msgspec.ValidationError:
        return {}
