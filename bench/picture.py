"""The picture of docs/performance.md: how many times better, on a scale of tens, and what was asked for.

Plain SVG in the colours of a page on white; a bar for each figure that is compared, its target a mark across it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from bench.table import FIGURES, Line, number

LEFT, RIGHT, ROW, TOP = 430, 60, 22, 44  # pixels
WIDTH = 1000
KEPT, MISSED, PLAIN = "#2a7f62", "#c2452d", "#5b7ea6"


def shown(lines: Sequence[Line]) -> list[tuple[Line, float]]:
    """The figures that are shown, each with its ratio: those with a target of so many times."""
    return [(line, line.ratio) for line in lines if line.ratio and line.target and line.target.times]


def picture(lines: Sequence[Line]) -> str:
    """The SVG."""
    bars = shown(lines)
    most = max([10.0, *(ratio for _, ratio in bars), *(line.target.times or 0 for line, _ in bars if line.target)])
    tens = math.ceil(math.log10(most * 1.05))
    height = TOP + ROW * len(bars) + 16
    body = "\n".join([*scale(tens, height), *(part for at, bar in enumerate(bars) for part in row(at, *bar, tens))])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="12">\n<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n'
        '<text x="10" y="20" font-size="14">Times better than the peer; the mark is the target</text>\n'
        f"{body}\n</svg>\n"
    )


def across(ratio: float, tens: int) -> float:
    """Where a ratio is, in pixels; the scale begins with 0.5."""
    share = (math.log10(max(ratio, 0.5)) - math.log10(0.5)) / (tens - math.log10(0.5))
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def scale(tens: int, height: int) -> Iterator[str]:
    """A line for 1, 10, 100 …"""
    for power in range(tens + 1):
        x = across(10**power, tens)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{height - 12}" stroke="#ddd"/>'
        yield f'<text x="{x:.1f}" y="{TOP - 12}" text-anchor="middle" fill="#666">{10**power:,} x</text>'


def row(at: int, line: Line, ratio: float, tens: int) -> Iterator[str]:
    """One figure: its name, its bar, its number, and its target."""
    y, x, begin = TOP + ROW * at, across(ratio, tens), across(0.5, tens)
    colour = (KEPT if line.kept else MISSED) if line.target else PLAIN
    name = escape(f"{line.work}: {FIGURES[line.figure]}")
    yield f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{name}</text>'
    yield f'<rect x="{begin:.1f}" y="{y + 2}" width="{max(x - begin, 1):.1f}" height="{ROW - 8}" fill="{colour}"/>'
    yield f'<text x="{x + 5:.1f}" y="{y + 12}">{number(ratio)}</text>'
    if line.target and line.target.times:
        goal = across(line.target.times, tens)
        yield f'<line x1="{goal:.1f}" x2="{goal:.1f}" y1="{y}" y2="{y + ROW - 4}" stroke="#000" stroke-width="2"/>'
