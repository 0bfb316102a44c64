"""The plots of ``examples/plots``: each is stored by its program, which ends, and is drawn without a complaint."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.stage import EXAMPLES, Stage

PLOTS = sorted(path.stem for path in (EXAMPLES / "plots").glob("*.py"))
COLOURS = """all("Figure").map((plot) => {
  const {ctx, el} = doc.views_manager.find_one(plot).canvas.primary
  return new Set(new Uint32Array(ctx.getImageData(0, 0, el.width, el.height).data.buffer)).size
})"""


@pytest.fixture(scope="module")
def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server and a browser for all plots."""
    with Stage(browser, tmp_path_factory.mktemp("plots")) as stage:
        yield stage


@pytest.mark.parametrize("plot", PLOTS)
def test_an_ordinary_plot_is_kept_and_drawn(plot: str, stage: Stage) -> None:
    with stage.script(f"plots/{plot}.py") as script:
        link = script.line()
        script.wait()
    with stage.open(link) as shown:
        shown.until(lambda: min(shown.of(COLOURS)) > 4, "something is drawn on every canvas")
