"""An image of raw RGBA pixels."""

import numpy as np

from bokeh_server.plotting import figure, output_server, show

N = 200
rows, columns = np.mgrid[0:N, 0:N]
pixels = np.empty((N, N), dtype=np.uint32)
rgba = pixels.view(np.uint8).reshape(N, N, 4)
rgba[..., 0] = rows * 255 // N
rgba[..., 1] = 158
rgba[..., 2] = columns * 255 // N
rgba[..., 3] = 255

output_server("image_rgba")

p = figure(width=450, height=450, title="40,000 pixels", x_range=(0, 10), y_range=(0, 10))
p.image_rgba([pixels], x=0, y=0, dw=10, dh=10)

show(p)
