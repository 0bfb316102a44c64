"""Ten stacked areas in the colours of a Brewer palette."""

import numpy as np
from bokeh.palettes import Spectral10

from bokeh_server.plotting import figure, output_server, show

rng = np.random.default_rng(3)
names = [f"y{i}" for i in range(10)]
data = {name: rng.integers(10, 100, 20) for name in names} | {"x": np.arange(20)}

output_server("brewer")

p = figure(width=700, height=400, title="Stacked areas", x_range=(0, 19), y_range=(0, 800))
p.varea_stack(names, x="x", color=Spectral10, source=data, legend_label=names)
p.legend.items.reverse()
p.legend.click_policy = "mute"
p.add_layout(p.legend[0], "right")

show(p)
