"""What two answers of ``/api/v1/traffic`` say together: so much a second, and how long things took in between.

Pure functions over JSON. What only grows on the server begins anew where a document has left memory and come back, or
where the server was started again: then all of it is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

Json = Mapping[str, Any]
GROWING = ("patches", "bytes", "sent", "conflations", "resyncs")
"""What becomes so much a second."""


def between(before: Json, after: Json) -> dict[str, Any]:
    """The later answer, with rates in the place of counts, and the ``seconds`` between both."""
    seconds = after["now"] - before["now"]
    if seconds <= 0:  # the server was started again
        before, seconds = {"now": 0.0, "documents": [], "server": None}, after["now"] or 1.0
    known = {document["id"]: document for document in before["documents"]}
    documents = [rated(known.get(each["id"], {}), each, seconds) for each in after["documents"]]
    server = after["server"] and of_server(before["server"] or {}, after["server"], seconds)
    return {"seconds": seconds, "documents": documents, "server": server}


def rated(before: Json, after: Json, seconds: float) -> dict[str, Any]:
    """One thing with rates in the place of its counts."""
    return {**after, **{name: grown(before.get(name, 0), after[name]) / seconds for name in GROWING}}


def of_server(before: Json, after: Json, seconds: float) -> dict[str, Any]:
    """The whole server: rates, and of each stage the mean and the 99th percentile in seconds (None: nothing came)."""
    found = rated(before, after, seconds)
    bounds, stages = found.pop("bounds"), found.pop("stages")
    old = before.get("stages", {})
    found["stages"] = {stage: taken(old.get(stage), counted, bounds) for stage, counted in stages.items()}
    found["loop"] = taken(before.get("loop"), after["loop"], bounds)
    return found


def grown(before: float, after: float) -> float:
    """By how much something has grown that begins anew now and then."""
    return after - before if after >= before else after


def taken(before: Json | None, after: Json, bounds: Sequence[float]) -> dict[str, float | None]:
    """Mean and 99th percentile of what was counted between two looks at a histogram."""
    earlier = before["counts"] if before else [0] * len(after["counts"])
    counts = [grown(old, new) for old, new in zip(earlier, after["counts"], strict=True)]
    number, seconds = sum(counts), grown(before["seconds"] if before else 0.0, after["seconds"])
    return {"mean": seconds / number if number else None, "p99": quantile(0.99, counts, bounds)}


def quantile(share: float, counts: Sequence[float], bounds: Sequence[float]) -> float | None:
    """A quantile by the buckets, straight within each; what is above all bounds counts as the last one."""
    wanted = share * sum(counts)
    if not wanted:
        return None
    edges = [0.0, *bounds, bounds[-1]]
    for at, (count, all_to_here) in enumerate(zip(counts, accumulate(counts), strict=True)):
        if all_to_here >= wanted:
            return edges[at] + (edges[at + 1] - edges[at]) * (1 - (all_to_here - wanted) / count)
    raise AssertionError("the last bucket has all")


def ordered(documents: Iterable[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """The documents with most of ``key`` first, those that are alike by patches, bytes and title."""
    return sorted(documents, key=lambda each: (-each[key], -each["patches"], -each["sent"], each["title"]))
