"""Start and Stop in the browser command a thread of this program, which draws the animation."""

import threading
import time

import numpy as np
from bokeh.models import Button

from bokeh_server.plotting import ColumnDataSource, column, curdoc, cursession, figure, output_server, row, show

x = np.linspace(0, 4 * np.pi, 200)
source = ColumnDataSource(dict(x=x, y=np.sin(x)))
running = threading.Event()


def animate():
    phase = 0.0
    while running.wait():
        phase += 0.1
        source.data["y"] = np.sin(x + phase)
        time.sleep(0.05)


output_server("line_animate_widget")

p = figure(width=600, height=400, title="Stopped")
p.line("x", "y", source=source, line_width=3, color="#c06c5a")


def start():
    running.set()
    p.title.text = "Running"


def stop():
    running.clear()
    p.title.text = "Stopped"


start_button = Button(label="Start", button_type="success", name="start")
start_button.on_click(start)
stop_button = Button(label="Stop", button_type="danger", name="stop")
stop_button.on_click(stop)

show(column(row(start_button, stop_button), p))

threading.Thread(target=animate, daemon=True).start()
cursession().poll_document(curdoc())
