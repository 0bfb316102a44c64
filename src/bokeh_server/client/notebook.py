"""Where a notebook shows what is live: an iframe in the output of the cell, and nothing of the document.

It needs no script in the output, so that it shows in every front end that shows HTML. Nobody logs in there, and no
cookie counts: a link's key is behind the ``#`` of its address, which browsers send nowhere. The kernel can't know where
the front end is from, so the link is for every page that has the key, and ends after a day. It makes an editor of who
has it, so that what people do in the cell comes back to the program.
"""

from __future__ import annotations

import html
import os
import sys
import time
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from bokeh.model import Model
from bokeh.models import Column, GridBox, GridPlot, LayoutDOM, Plot, Row, TabPanel, Tabs
from bokeh.models.widgets import TableWidget, Widget

from bokeh_server.client.session import Session, is_address
from bokeh_server.errors import BadSetting

NAME = "notebook"
"""What lists of links call ours."""
A_DAY = 86_400.0
"""Seconds that a link lives. Cells that are run in the first half share it."""
MOST = 20
"""Links of notebooks that a document keeps: each kernel makes its own, and a document has at most 100 of any kind."""
BAR = 100
"""Pixels of our bar, and of what is around the document, in the iframe."""
PLOT, WIDGET, UNKNOWN, TAB, GAP = 600, 56, 400, 40, 6
"""Heights of what says none, in pixels."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A link that this program has made: its id, its address, and when, in seconds since 1970."""

    id: str
    url: str
    made: float


KEPT: dict[tuple[str, str], Kept] = {}
"""The last link to each document, by server and document: one does for all cells."""


class Notebook:
    """How the cells of a notebook show documents. ``browser_url``: see ``output_notebook``."""

    def __init__(self, browser_url: str | None = None) -> None:
        self._root = root_in_browser(browser_url or os.environ.get("BOKEH_SERVER_BROWSER_URL", ""))

    def show(self, session: Session, models: Sequence[Model], height: int | None = None) -> None:
        """Display the models of a session's live document, each in an iframe; its link where there is no notebook."""
        ipython = sys.modules.get("IPython")
        if ipython is None or ipython.get_ipython() is None:
            print(session.link)
            return
        from IPython.display import display

        url = link_of(session)
        frames = "\n".join(self.frame(url, model, height) for model in models)
        display({"text/html": frames, "text/plain": session.link}, raw=True)  # type: ignore[no-untyped-call]

    def frame(self, url: str, model: Model, height: int | None = None) -> str:
        """The iframe with a model, by the address of a link; ``height`` in pixels, by default the model's."""
        root, _, rest = url.partition("bokeh/linked/")
        id, _, key = rest.partition("#")
        source = f"{self._root or root}bokeh/linked/{id}/{urllib.parse.quote(model.id, safe='')}#{key}"
        tall = height if height is not None else height_of(model) + BAR
        return (
            f'<iframe src="{html.escape(source)}" title="Bokeh plot" width="100%" height="{tall}" '
            'style="border: 0" allow="fullscreen" referrerpolicy="no-referrer"></iframe>'
        )


def root_in_browser(url: str) -> str:
    """Where the browser finds the server, with its last slash; ``BadSetting`` where that is no address and no path."""
    is_path = url.startswith("/") and not url.startswith("//")
    plain = url.isascii() and url.isprintable() and not set(' "<>?#\\') & set(url)
    if url and not (plain and (is_path or is_address(url))):
        raise BadSetting(
            f"The browser can't find a server at {url!r}; browser_url looks like "
            "https://hub.example.org/services/plots/ or /services/plots/."
        )
    return url.rstrip("/") + "/" if url else ""


@cache
def title_of_kernel() -> str:
    """The title of the document where the notebook gives none: one for all cells, whenever they are run."""
    return f"IPython Session at {time.strftime('%Y-%m-%d %H:%M:%S')}"


def link_of(session: Session) -> str:
    """The address of a link to the session's document that holds for hours; a new one where there is none such."""
    place = f"api/v1/documents/{session.docid}/links"
    there: list[dict[str, Any]] = session._rest.request("GET", place)
    kept = KEPT.get((session.root_url, str(session.docid)))
    if kept is not None and time.time() - kept.made < A_DAY / 2:
        if any(link["id"] == kept.id and link["enabled"] for link in there):
            return kept.url
    ours = [link["id"] for link in there if link["name"] == NAME and link["embed"] == ["*"]]
    for old in ours[MOST - 1 :]:
        session._rest.request("DELETE", f"{place}/{old}")
    url = session.share(role="editor", name=NAME, seconds=A_DAY, embed="*")
    id = url.partition("bokeh/linked/")[2].partition("#")[0]
    KEPT[session.root_url, str(session.docid)] = Kept(id, url, time.time())
    return url


def height_of(model: Model) -> int:
    """About how tall a model is, in pixels: its own ``height``, or what its parts come to."""
    if isinstance(model, LayoutDOM) and model.height is not None:
        return int(model.height)
    match model:
        case Column(children=children):
            return sum(height_of(child) + GAP for child in children)
        case Row(children=children):
            return max((height_of(child) for child in children), default=0)
        case GridBox(children=children) | GridPlot(children=children):
            rows: dict[int, int] = {}
            for child, row, *_ in children:
                rows[row] = max(rows.get(row, 0), height_of(child))
            return sum(rows.values()) + GAP * len(rows)
        case Tabs(tabs=tabs):
            return TAB + max((height_of(tab.child) for tab in tabs if isinstance(tab, TabPanel)), default=0)
        case Plot():
            return PLOT
        case Widget() if not isinstance(model, TableWidget):
            return WIDGET
    return UNKNOWN
