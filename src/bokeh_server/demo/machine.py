"""This machine's own metrics, ten times a second: processors, memory, disk and network, by psutil.

One source holds the last minute; each tick appends one row to it, and that row is all that travels. Rates are smoothed
over about half a second, because the kernel counts in steps that are coarser than a tick.
"""

from __future__ import annotations

import platform
import time
from datetime import datetime

import psutil
from bokeh.models import (
    ColumnDataSource,
    DataRange1d,
    DatetimeTicker,
    DatetimeTickFormatter,
    HoverTool,
    NumeralTickFormatter,
)
from bokeh.models.ui import UIElement
from bokeh.plotting import figure

from . import look

KEPT = 600
"""Rows in the source: one minute."""
SMOOTH = 0.2
"""Weight of the newest sample in a rate."""
GIB = 2**30
RATES = {"read": look.AMBER, "written": look.ROSE, "received": look.TEAL, "sent": look.VIOLET}


def counters() -> dict[str, int]:
    """Bytes since the machine started; a machine without disk counters (a container) has zeros."""
    disk, network = psutil.disk_io_counters(), psutil.net_io_counters()
    return {
        "read": disk.read_bytes if disk else 0,
        "written": disk.write_bytes if disk else 0,
        "received": network.bytes_recv if network else 0,
        "sent": network.bytes_sent if network else 0,
    }


def local_time() -> float:
    """Milliseconds of this machine's wall clock, as Bokeh's date axis shows them."""
    now = datetime.now().astimezone()
    offset = now.utcoffset()
    return (now.timestamp() + (offset.total_seconds() if offset else 0.0)) * 1000


def amount(size: float) -> str:
    """Bytes for people: ``1.5 MB``."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


class Sampler:
    """Reads the machine; ``sample`` gives one row of the source and the load of every core in percent."""

    def __init__(self) -> None:
        self.cores: list[float] = [0.0] * (psutil.cpu_count() or 1)
        self.counted, self.at = counters(), time.monotonic()
        self.rates = dict.fromkeys(RATES, 0.0)
        self.weight = 1.0
        psutil.cpu_percent(percpu=True)

    def columns(self) -> list[str]:
        """The names of what ``sample`` gives."""
        return ["time", "cpu", *(f"core{i}" for i in range(len(self.cores[: len(look.CORES)]))), "memory", *RATES]

    def sample(self) -> dict[str, float]:
        for i, load in enumerate(psutil.cpu_percent(percpu=True)[: len(self.cores)]):
            self.cores[i] += self.weight * (load - self.cores[i])
        counted, at = counters(), time.monotonic()
        for name in self.rates:
            rate = max(0, counted[name] - self.counted[name]) / max(at - self.at, 1e-3)
            self.rates[name] += self.weight * (rate - self.rates[name])
        self.counted, self.at, self.weight = counted, at, SMOOTH
        memory = psutil.virtual_memory()
        cores = self.cores[: len(look.CORES)]
        used = (memory.total - memory.available) / GIB
        values = [local_time(), sum(self.cores) / len(self.cores), *cores, used, *self.rates.values()]
        return dict(zip(self.columns(), values, strict=True))


class Machine:
    """The document: ``root`` is its page, ``step`` one tick."""

    title = "This machine"

    def __init__(self) -> None:
        self.sampler = Sampler()
        self.memory = psutil.virtual_memory().total / GIB
        self.ticks = 0
        self.source = ColumnDataSource({name: [] for name in self.sampler.columns()}, name="machine")
        cores = [f"core {i}" for i in range(len(self.sampler.cores))]
        self.bars = ColumnDataSource({"core": cores, "load": list(self.sampler.cores)}, name="cores")
        self.x_range = DataRange1d(follow="end", follow_interval=60_000, range_padding=0)
        self.tiles = {name: look.text(name=name) for name in ("cpu", "memory", "disk", "network")}
        self.root = self.build()

    def step(self) -> None:
        """Append one row; twice a second renew the numbers."""
        row = self.sampler.sample()
        self.source.stream({name: [value] for name, value in row.items()}, rollover=KEPT)
        if self.ticks % 2 == 0:
            self.bars.data["load"] = list(self.sampler.cores)
        if self.ticks % 5 == 0:
            for name, html in self.numbers(row).items():
                self.tiles[name].text = html
        self.ticks += 1

    def numbers(self, row: dict[str, float]) -> dict[str, str]:
        busiest = max(self.sampler.cores)
        share = 100 * row["memory"] / self.memory
        return {
            "cpu": tile("Processors", f"{row['cpu']:.0f} %", f"the busiest core {busiest:.0f} %"),
            "memory": tile("Memory", f"{row['memory']:.1f} GiB", f"{share:.0f} % of {self.memory:.1f} GiB"),
            "disk": tile("Disk", f"{amount(row['written'])}/s", f"written; {amount(row['read'])}/s read"),
            "network": tile("Network", f"{amount(row['received'])}/s", f"received; {amount(row['sent'])}/s sent"),
        }

    def build(self) -> UIElement:
        cores, name = len(self.sampler.cores), look.escaped(platform.node())
        about = (
            f"<b>{name}</b>, {cores} cores, {self.memory:.1f} GiB. An ordinary program reads these numbers ten times a "
            "second and appends one row to a source; every open page follows."
        )
        return look.page(
            look.text(f"<p>{about}</p>"),
            look.grid(
                *(look.card(tile, wide=3, phone=6) for tile in self.tiles.values()),
                look.card(look.text("<h2>Processors, the last minute</h2>"), self.processors(), wide=8, narrow=12),
                look.card(look.text("<h2>Each core now</h2>"), self.each_core(), narrow=12),
                look.card(look.text("<h2>Memory in use</h2>"), self.memory_chart(), narrow=12),
                look.card(look.text("<h2>Disk</h2>"), self.rate_chart("read", "written")),
                look.card(look.text("<h2>Network</h2>"), self.rate_chart("received", "sent")),
            ),
        )

    def timeline(self, **options: object) -> figure:
        plot = look.chart(x_axis_type="datetime", x_range=self.x_range, **options)
        plot.xaxis.formatter = DatetimeTickFormatter(seconds="%H:%M:%S", minsec="%H:%M:%S", minutes="%H:%M")
        plot.xaxis.ticker = DatetimeTicker(desired_num_ticks=5)
        return plot

    def processors(self) -> figure:
        plot = self.timeline(height=240, y_range=(0, 100))
        plot.yaxis.formatter = NumeralTickFormatter(format="0")
        plot.yaxis.axis_label = "busy (%)"
        for i, color in enumerate(look.CORES[: len(self.sampler.cores)]):
            plot.line("time", f"core{i}", source=self.source, color=color, line_width=1, line_alpha=0.65)
        plot.varea("time", 0, "cpu", source=self.source, fill_color=look.BLUE, fill_alpha=0.16)
        mean = plot.line("time", "cpu", source=self.source, color=look.BLUE, line_width=2.5)
        tooltips = [("all", "@cpu{0} %"), ("at", "@time{%T}")]
        plot.add_tools(HoverTool(renderers=[mean], mode="vline", tooltips=tooltips, formatters={"@time": "datetime"}))
        return plot

    def each_core(self) -> figure:
        plot = look.chart(height=240, x_range=(0, 100), y_range=self.bars.data["core"][::-1])
        plot.hbar("core", height=0.7, right=100, source=self.bars, color=look.BLUE, alpha=0.08)
        plot.hbar("core", height=0.7, right="load", source=self.bars, color=look.BLUE, alpha=0.85)
        plot.ygrid.visible = False
        plot.xaxis.axis_label = "busy (%)"
        return plot

    def memory_chart(self) -> figure:
        plot = self.timeline(height=200, y_range=(0, self.memory))
        plot.varea("time", 0, "memory", source=self.source, fill_color=look.VIOLET, fill_alpha=0.16)
        plot.line("time", "memory", source=self.source, color=look.VIOLET, line_width=2)
        plot.yaxis.axis_label = "GiB"
        return plot

    def rate_chart(self, *names: str) -> figure:
        plot = self.timeline(height=200, y_range=DataRange1d(start=0, min_interval=1000, range_padding=0.35))
        for name in names:
            plot.varea("time", 0, name, source=self.source, fill_color=RATES[name], fill_alpha=0.12)
            plot.line("time", name, source=self.source, color=RATES[name], line_width=2, legend_label=name)
        plot.yaxis.formatter = NumeralTickFormatter(format="0.[0] d")
        plot.yaxis.axis_label = "per second"
        look.legend(plot)
        return plot


def tile(label: str, value: str, more: str) -> str:
    return f'<div class="label">{label}</div><div class="value">{value}</div><div class="label">{more}</div>'
