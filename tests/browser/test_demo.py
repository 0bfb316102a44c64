"""``bokeh-server demo``: a real server and a real program beside it, used in a browser, and ended in every way."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import psutil
import pytest
from playwright.sync_api import Browser

from bokeh_server.demo.machine import GIB, KEPT, RATES, Machine
from tests.browser.stage import PATIENCE, ROOT, Stage

WRITTEN = """() => {
  globalThis.written = new Map();
  const {clearRect, fillText} = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.clearRect = function (...box) {
    written.set(this, []);
    clearRect.apply(this, box);
  };
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...more) {
    const {a, b, d, e, f} = this.getTransform();
    if (b === 0) written.get(this)?.push([text, a * x + e, a * (x + this.measureText(text).width) + e, d * y + f]);
    fillText.call(this, text, x, y, ...more);
  };
}"""
"""From now on the page remembers what it writes on each canvas: text, left, right, base line."""

TITLES = ("This machine", "Stocks, 2000–2013", "Widgets")


class Demo:
    """The demo as somebody starts it in a terminal: a group of processes, with the links that it prints."""

    def __init__(self, folder: Path) -> None:
        self.errors = folder / "demo.stderr"
        command = [sys.executable, "-m", "bokeh_server", "demo", "--port", "0", "--data", str(folder / "demo")]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True, start_new_session=True
            )
        self.links = dict(self.link() for _ in TITLES)
        self.program = psutil.Process(self.process.pid).children()[0]

    def link(self) -> tuple[str, str]:
        """The next line that is a title and a link."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.fullmatch(r"(.+): (http\S+/bokeh/doc/\S+)\n", line):
                return found[1], found[2]
        raise AssertionError(f"the demo ended: {self.errors.read_text()}")

    def end(self, how: signal.Signals) -> int:
        """Send a signal to all of it, as a terminal does with Ctrl-C; its status."""
        os.killpg(self.process.pid, how)
        status = self.process.wait(15)
        self.program.wait(15)
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGTERM)
        assert self.process.stdout is not None
        self.process.stdout.close()
        if kind is None:
            assert self.errors.read_text() == ""


@pytest.fixture(scope="module")
def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A browser for the demo's documents."""
    with Stage(browser, tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One demo for the tests that look at it."""
    with Demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo


def moved() -> dict[str, int]:
    """Bytes since the machine started, as the machine counts them."""
    disk, network = psutil.disk_io_counters(), psutil.net_io_counters()
    written, read = (disk.write_bytes, disk.read_bytes) if disk else (0, 0)
    return {"read": read, "written": written, "received": network.bytes_recv, "sent": network.bytes_sent}


def test_the_machine_streams_its_metrics_ten_times_a_second(demo: Demo, stage: Stage) -> None:
    with stage.open(demo.links["This machine"]) as shown:
        rows = "source('machine').data.time.length"
        count, before = shown.of(rows), moved()
        shown.becomes(f"{rows} > {count + 25}")
        after = moved()
        shown.becomes(f"{rows} > {count + 30}")
        columns = {name: np.array(shown.column("machine", name)[-28:]) for name in Machine().source.data}
        step = np.median(np.diff(columns["time"]))
        assert 95 < step < 110, "milliseconds by the clock of the program: the page may be late, and catches up"
        assert all(np.isfinite(column).all() and (column >= 0).all() for column in columns.values())
        loads = [column for name, column in columns.items() if name.startswith(("cpu", "core"))]
        assert len(loads) > 1
        assert all(0 < column.max() <= 100 for column in loads)
        assert all(len(set(column)) > 5 or column.min() > 99 for column in loads), "it changes, or all is busy"
        assert (0 < columns["memory"]).all()
        assert (columns["memory"] < psutil.virtual_memory().total / GIB).all()
        counted = {name for name in RATES if after[name] > before[name]}
        assert {"received", "sent"} <= counted, "this page's own stream at least; a container may hide its disk"
        assert {name for name in RATES if len(set(columns[name])) > 2 and columns[name].max() > 1} >= counted
        assert len(shown.column("cores", "load")) == psutil.cpu_count()
        for tile, said in (
            ("cpu", r"Processors.*\d %"),
            ("memory", r"Memory.*\d GiB"),
            ("disk", r"Disk.*\d k?M?G?B.s.*written.*read"),
            ("network", r"Network.*\d k?M?G?B.s.*received.*sent"),
        ):
            shown.becomes(f"/{said}/.test(named('{tile}').text)")


def test_the_last_minute_is_kept_and_no_more() -> None:
    machine = Machine()
    for _ in range(KEPT + 50):
        machine.step()
    assert {len(column) for column in machine.source.data.values()} == {KEPT}


def test_a_box_over_the_stocks_is_described_by_the_program(demo: Demo, stage: Stage) -> None:
    with stage.open(demo.links["Stocks, 2000–2013"]) as shown:
        shown.becomes("named('said').text.includes('All <b>2,147</b> days')")
        shown.drag("changes", (2, 2), (8, 8))
        shown.becomes("/<b>\\d+<.b> selected days/.test(named('said').text)")
        days = int(shown.of("named('said').text.match(/<b>(\\d+)</)[1]"))
        assert shown.of("source('stocks').selected.indices.length") == days
        for counts in ("first_counts", "second_counts"):
            assert sum(shown.column(counts, "chosen")) == days
            assert sum(shown.column(counts, "every")) == 2147
        shown.find("select").nth(1).select_option(label="Microsoft")
        shown.becomes("named('said').text.includes('All <b>3,269</b> days')")
        shown.becomes("named('table').text.includes('Microsoft')")


def test_the_widgets_are_answered(demo: Demo, stage: Stage) -> None:
    with stage.open(demo.links["Widgets"]) as shown:
        shown.find(".noUi-handle").first.press("ArrowRight")
        shown.until(lambda: max(shown.column("wave", "y")) > 1.04, "the amplitude grows")
        shown.find("select").first.select_option("Square")
        shown.until(lambda: len({round(y, 6) for y in shown.column("wave", "y")}) <= 3, "the wave is square")
        title = shown.find("input[type=text]").first
        title.fill("<i>Mine</i>")
        title.press("Enter")
        shown.becomes("named('wave_said').text == '<h2>&lt;i&gt;Mine&lt;/i&gt;</h2>'")
        shown.edit(row=2, column=1, text="4000")
        shown.becomes("named('sunshine_said').text.includes('<b>Berlin</b> is the sunniest')")
        shown.find(".noUi-handle-lower").last.press("ArrowRight")
        shown.becomes("named('season_said').text.includes('<b>91</b> days')")
        shown.tap("tap_here", 5, 5)
        shown.becomes("named('fit_said').text.includes('6 points')")
        shown.find("button:text-is('Cubic')").click()
        shown.find("button:text-is('Take one back')").click()
        shown.becomes("named('fit_said').text.includes('5 points')")
        shown.find("button:text-is('Clear')").click()
        shown.becomes("named('fit_said').text.includes('Tap 4 places')")


def test_the_labels_of_an_axis_leave_each_other_room_on_a_phone(demo: Demo, stage: Stage) -> None:
    with stage.open(demo.links["Widgets"]) as shown:
        shown.frame.evaluate(WRITTEN)
        shown.page.set_viewport_size({"width": 390, "height": 844})
        months = "[...written.values()].flat().some(([word]) => word.includes('2016'))"
        shown.until(lambda: shown.frame.evaluate(months), "it is drawn anew")
        shown.page.wait_for_timeout(1_000)
        for canvas in shown.frame.evaluate("[...written.values()]"):
            for (word, left, right, line), (other, begin, end, below) in combinations(canvas, 2):
                assert line != below or right <= begin or end <= left, (word, other)


def test_ctrl_c_ends_the_server_and_its_program_cleanly(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        begin = time.monotonic()
        assert demo.end(signal.SIGINT) == 0
        assert time.monotonic() - begin < 8
        assert not demo.program.is_running()


@pytest.mark.parametrize(("how", "status"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_the_program_ends_with_its_server(how: signal.Signals, status: int, tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        demo.process.send_signal(how)
        assert demo.process.wait(15) == status
        demo.program.wait(PATIENCE)
        assert demo.errors.read_text() == ""


def test_a_demo_without_its_packages_says_what_to_install() -> None:
    program = "import sys; sys.modules['psutil'] = None; from bokeh_server.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    answer = subprocess.run([sys.executable, "-c", program, "demo"], env=environment, capture_output=True, text=True)
    assert answer.returncode == 2
    assert answer.stderr == "bokeh-server: The demo needs psutil as well: pip install '.[demo]' in the clone\n"
