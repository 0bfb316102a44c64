"""Burtin's chart of 1951: how much of three antibiotics stops each of 16 bacteria, on a circle."""

import numpy as np
from bokeh_sampledata.antibiotics import data

from bokeh_server.plotting import figure, output_server, show

DRUGS = {"penicillin": "#0d3362", "streptomycin": "#c64737", "neomycin": "#565656"}
GRAM = {"negative": "#e69584", "positive": "#aeaeb8"}
INNER, OUTER = 90, 300


def radius(dose):
    """Small doses, the strong effects, reach far out: square root of the logarithm, as Burtin drew it."""
    low, high = np.sqrt(np.log(1e-3 * 1e4)), np.sqrt(np.log(1e3 * 1e4))
    return OUTER - (np.sqrt(np.log(np.asarray(dose) * 1e4)) - low) * (OUTER - INNER) / (high - low)


sector = 2 * np.pi / (len(data) + 1)
start = np.pi / 2 - sector / 2 - np.arange(1, len(data) + 1) * sector

output_server("burtin")

p = figure(
    width=700,
    height=700,
    title="Effective doses of antibiotics (mg/ml)",
    x_range=(-520, 520),
    y_range=(-520, 520),
    x_axis_type=None,
    y_axis_type=None,
    background_fill_color="#f0e1d2",
)
p.grid.grid_line_color = None
for gram, color in GRAM.items():
    here = (data.gram == gram).to_numpy()
    p.annular_wedge(0, 0, INNER, OUTER, start[here], start[here] + sector, color=color, legend_label=f"Gram-{gram}")
for i, (drug, color) in enumerate(DRUGS.items()):
    left = start + (1 + 2 * i) * sector / 7
    p.annular_wedge(0, 0, INNER, radius(data[drug]), left, left + sector / 7, color=color, legend_label=drug)

doses = 10.0 ** np.arange(-3, 4)
p.circle(0, 0, radius=radius(doses), fill_color=None, line_color="white")
p.text(
    0,
    radius(doses),
    [f"{dose:g}" for dose in doses],
    text_font_size="12px",
    text_align="center",
    text_baseline="middle",
)

middle = start + sector / 2
for side, align, turn in ((np.cos(middle) >= 0, "left", 0), (np.cos(middle) < 0, "right", np.pi)):
    x, y = (OUTER + 10) * np.cos(middle[side]), (OUTER + 10) * np.sin(middle[side])
    p.text(
        x,
        y,
        list(data.bacteria[side]),
        angle=middle[side] + turn,
        text_align=align,
        text_baseline="middle",
        text_font_size="10px",
    )
p.legend.location = "center"
p.legend.background_fill_alpha = 0
p.legend.label_text_font_size = "10px"
p.legend.glyph_height = p.legend.glyph_width = 12
p.legend.spacing = 0
p.legend.border_line_color = None

show(p)
