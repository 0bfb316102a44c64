"""How the server does, as Prometheus reads it: every metric is one row of the tables below.

The figures are copied in the event loop, and written in a thread from a registry of their own; nothing of it is there
while nobody asks, and nothing in this process that is not ours shows up. No label names a document or a user: who may
watch the server need not know what is on it, and the number of series does not grow with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from bokeh_server.errors import BokehServerError
from bokeh_server.meters import BOUNDS, Figures, Histogram
from bokeh_server.web import headers
from bokeh_server.web.http import Request, Response
from bokeh_server.web.site import Site

if TYPE_CHECKING:
    from prometheus_client import Metric

PREFIX: Final = "bokeh_server_"
MOST: Final = 500
"""Characters of an Accept header that are looked at."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is shown of a server at one moment."""

    figures: Figures
    stored: tuple[int, int] | None
    """Documents in the store and their bytes; None where it does not say."""
    versions: Mapping[str, str]


Row = tuple[str, Callable[[Figures], float]]
COUNTERS: Final[dict[str, Row]] = {
    "patches": ("Patches that the store has kept.", lambda seen: seen.totals.patches),
    "replacements": ("Whole documents that the store has kept.", lambda seen: seen.totals.documents),
    "kept_bytes": ("Bytes of both.", lambda seen: seen.totals.kept),
    "refusals": ("Requests over sockets that were answered with an error.", lambda seen: seen.totals.refused),
    "messages": ("Messages that were handed to sockets of documents.", lambda seen: seen.totals.messages),
    "sent_bytes": ("Bytes of these messages.", lambda seen: seen.totals.sent),
    "frame_merges": (
        "Messages to pages that stood for several patches of one frame (a sixtieth of a second).",
        lambda seen: seen.totals.framed,
    ),
    "conflations": (
        "Messages that stood for several patches because a client was slow or had been away.",
        lambda seen: seen.totals.conflated,
    ),
    "copies": (
        "Copies of what had changed, to clients who were further behind than patches are kept for.",
        lambda seen: seen.totals.copies,
    ),
    "pulls": ("Copies of a whole document that clients asked for.", lambda seen: seen.totals.pulls),
    "resyncs": ("Clients that were told to pull their document again.", lambda seen: seen.totals.resyncs),
    "stalls": ("Times that the socket of a client was full.", lambda seen: seen.totals.stalls),
    "doors": ("Clients that were cut off (1013) because they read too slowly.", lambda seen: seen.totals.doors),
    "store_failures": ("Appends that the store could not keep.", lambda seen: seen.failures),
}
"""Without their ``_total``."""
GAUGES: Final[dict[str, Row]] = {
    "documents": ("Documents in memory.", lambda seen: len(seen.rooms)),
    "viewers": ("Pages that show a document.", lambda seen: seen.sum("viewers")),
    "programs": ("Programs on a document.", lambda seen: seen.sum("programs")),
    "boards": ("Open boards.", lambda seen: seen.boards),
    "stalled_clients": ("Clients whose socket is full.", lambda seen: seen.sum("full")),
    "slowest_client_seconds": (
        "Seconds for which the slowest of them has been waiting for what is newer.",
        lambda seen: seen.lag,
    ),
    "unsent_bytes": ("Bytes that wait for clients to read them.", lambda seen: seen.sum("unsent")),
    "store_waiting_bytes": ("Bytes of patches that wait for the store.", lambda seen: seen.waiting),
    "store_failing": ("1 while the store keeps nothing, else 0.", lambda seen: seen.failing),
}
STORED: Final = {
    "stored_documents": "Documents in the store.",
    "stored_bytes": "Bytes of their records and snapshots.",
}
STAGES: Final = (
    "stage_seconds",
    "Seconds that the oldest patch of a commit spent in each stage (drain: for which a full socket took no more).",
)
LOOP: Final = ("loop_lag_seconds", "Seconds by which the event loop was late.")
INFO: Final = ("info", "1, with the versions of the server, of bokeh and of Python.")


async def metrics(site: Site, request: Request) -> Response:
    """How the server does, in the text format of Prometheus or as OpenMetrics; names no document and no user."""
    try:
        stored: tuple[int, int] | None = await site.hub.stored()
    except BokehServerError:  # it must be possible to watch a server whose store fails
        stored = None
    seen = Seen(site.hub.figures(), stored, site.versions)
    body, content_type = await asyncio.to_thread(exposition, seen, request.headers.get("accept", "")[:MOST])
    return Response(200, body, content_type, headers.data())


def exposition(seen: Seen, accept: str) -> tuple[bytes, str]:
    """The page and its media type."""
    from prometheus_client import CollectorRegistry, ProcessCollector  # 70 ms, which no start should pay
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.registry import Collector

    class Ours(Collector):
        def collect(self) -> Iterator[Metric]:
            return families(seen)

    registry = CollectorRegistry()
    registry.register(Ours())
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def families(seen: Seen) -> Iterator[Metric]:
    """Every metric of ours."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    figures = seen.figures
    for name, (words, value) in COUNTERS.items():
        yield CounterMetricFamily(PREFIX + name, words, value(figures))
    for name, (words, value) in GAUGES.items():
        yield GaugeMetricFamily(PREFIX + name, words, value(figures))
    for (name, words), figure in zip(STORED.items(), seen.stored or (), strict=False):
        yield GaugeMetricFamily(PREFIX + name, words, figure)
    stages = HistogramMetricFamily(PREFIX + STAGES[0], STAGES[1], labels=["stage"])
    for stage, histogram in figures.stages.items():
        stages.add_metric([stage], buckets(histogram), histogram.total)
    yield stages
    yield HistogramMetricFamily(PREFIX + LOOP[0], LOOP[1], buckets(figures.loop), figures.loop.total)
    names = [name.replace("-", "_") for name in seen.versions]
    info = GaugeMetricFamily(PREFIX + INFO[0], INFO[1], labels=names)
    info.add_metric(list(seen.versions.values()), 1)
    yield info


def buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """The buckets as Prometheus has them: each with all that are smaller."""
    bounds = [*map(repr, BOUNDS), "+Inf"]
    return list(zip(bounds, accumulate(histogram.counts), strict=True))
