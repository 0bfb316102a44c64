"""A network that cuts, resets, delays, dribbles and swallows, between a program, its viewers and the server.

At the end nothing that the program streamed is lost or doubled, and everybody has the same. ``CHAOS_SEED`` repeats the
numbers of a run. Pages of a real browser take part in the long one.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bench.servers import free_port
from tests.load.audience import behind, until
from tests.load.conftest import Report
from tests.load.pages import Screen, chromium
from tests.load.proxy import Proxy
from tests.load.scale import CHAOS_CUTS, CHAOS_SEED, LONG
from tests.load.sockets import play
from tests.load.viewers import Viewer
from tests.running import RunningServer, environment

VIEWERS = 4
PAGES = (0, 2) if LONG else (0,)
"""How many there are in each run."""
PROGRAMS_SHARE = 0.3
"""Of the cuts."""
STREAM = 200.0
"""Microseconds in which ``stream()`` returns, nine hundred and ninety times of 1,000."""


class Chaos:
    """A server behind two proxies: one for the program, one for those who look."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._choose = random.Random(seed)
        self.looking, self.program = Proxy(seed + 1), Proxy(seed + 2)
        flags = [flag for proxy in (self.looking, self.program) for flag in ("--public-url", url_of(proxy))]
        port = free_port()
        self.server = RunningServer(folder / "data", *flags, port=port)
        self.server.port = port  # what it prints is where people reach it
        self.looking.target = self.program.target = port

    async def cut(self, times: int) -> None:
        """End so many connections, one after the other."""
        done = 0
        while done < times:
            await asyncio.sleep(self._choose.uniform(0.02, 0.3))
            proxy = self.program if self._choose.random() < PROGRAMS_SHARE else self.looking
            done += proxy.cut()


def url_of(proxy: Proxy) -> str:
    """The address of the server behind it."""
    return f"http://localhost:{proxy.port}"


async def survived(
    chaos: Chaos, program: subprocess.Popen[str], browser_path: str, pages: int
) -> tuple[list[str], list[Viewer]]:
    """Cut, and then see that all have what the program has streamed; what the program says of it."""
    assert program.stdin is not None
    assert program.stdout is not None
    server, proxy = chaos.server, chaos.looking
    async with AsyncExitStack() as stack:
        for one in (chaos.looking, chaos.program):
            await stack.enter_async_context(one)
        while (line := await asyncio.to_thread(program.stdout.readline)) != "streaming\n":
            assert line, "the program ended"
        document = server.request("GET", "/api/v1/documents/chaos")
        assert document
        link = server.request("GET", "/api/v1/documents")[0]["id"]
        host, stop = f"localhost:{proxy.port}", asyncio.Event()
        viewers = [Viewer(proxy.port, link, f"viewer-{at}", host=host) for at in range(VIEWERS)]
        for viewer in viewers:
            viewer.silence, viewer.patience = 1.0, 3.0  # the test has no time for half a minute of each
        runs = [asyncio.create_task(viewer.run(stop)) for viewer in viewers]
        screens = []
        if pages:
            browser = await stack.enter_async_context(chromium(browser_path))
            screens = [await Screen.open(browser, f"{url_of(proxy)}/bokeh/doc/{link}") for _ in range(pages)]
        await chaos.cut(CHAOS_CUTS)
        program.stdin.close()
        told = (await asyncio.to_thread(program.stdout.readline)).split()
        assert told, "the program ended with an error"
        row = int(told[0])

        def have_all() -> bool:
            for run in runs:
                if run.done():
                    run.result()  # it fails where the viewer has given up
            return all(viewer.rows == (0, row) for viewer in viewers)

        await until(have_all, lambda: behind(viewers, row))
        stop.set()
        await asyncio.gather(*runs)
        for screen in screens:
            await screen.until(f"doc.roots().length > 0 && {COLUMN}?.length === {row}")
            assert await screen.column() == list(range(row))
    return told, viewers


COLUMN = "[...doc.all_models].find((m) => m.type === 'ColumnDataSource')?.get_column('n')"


@pytest.mark.timeout(120 + 2 * CHAOS_CUTS)
@pytest.mark.parametrize("pages", PAGES)
def test_nothing_is_lost_or_doubled_on_a_bad_network(
    pages: int, tmp_path: Path, shell_path: str, report: Report
) -> None:
    seed = int(CHAOS_SEED or time.time_ns() % 2**32)
    print(f"CHAOS_SEED={seed}")
    chaos = Chaos(tmp_path, seed)
    script = str(Path(__file__).with_name("steady.py"))
    errors = tmp_path / "errors"
    with (
        chaos.server as server,
        errors.open("w") as file,
        subprocess.Popen(
            [sys.executable, script, "chaos", url_of(chaos.program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env=environment(),
        ) as program,
    ):
        try:
            told, viewers = play(survived(chaos, program, shell_path, pages))
        except BaseException:
            program.kill()
            print(errors.read_text())
            raise
        there = server.request("GET", "/api/v1/documents/chaos/models/rows/data")
    rows, (median, p99, its_median, its_p99) = int(told[0]), map(float, told[1:])
    assert there["entries"] == [["n", list(range(rows))]]
    assert program.returncode == 0
    cuts = {kind: chaos.looking.cuts[kind] + chaos.program.cuts[kind] for kind in chaos.program.cuts}
    assert sum(cuts.values()) == CHAOS_CUTS
    assert sum(viewer.connections for viewer in viewers) > VIEWERS, "nobody was cut off"
    report(
        f"{rows:,} rows through {cuts}; {VIEWERS} viewers: {sum(viewer.connections for viewer in viewers)} connections,"
        f" {sum(viewer.copies for viewer in viewers)} copies; stream() {median:.0f} µs, p99 {p99:.0f}"
        f" (bokeh alone {its_median:.0f}, {its_p99:.0f})"
    )
    if LONG:
        assert p99 < STREAM
