"""``output_server``, ``output_notebook``, ``show`` and their kin: where the plots of a script go.

``output_server(title)`` gives the script a fresh document and a session that is bound to the stored one; ``show``
stores it and makes it live. ``output_notebook(url=…)`` does the same, and ``show`` displays the live plot in the cell.
Without either everything is bokeh's own. An uncaught ``ServerAway`` of a plain
script is printed as one line, without a traceback: the remedy is in the line.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

import bokeh.io
from bokeh.document import Document
from bokeh.io.state import curstate
from bokeh.model import Model
from bokeh.resources import Resources
from bokeh.settings import settings
from bokeh.util.browser import view

from bokeh_server.client.notebook import Notebook, title_of_kernel
from bokeh_server.client.plainly import say_plainly
from bokeh_server.client.session import Session
from bokeh_server.client.sync import LIVED, is_live
from bokeh_server.errors import Conflict

log = logging.getLogger("bokeh_server.client")


class Output:
    """Where this script's plots go."""

    session: Session | None = None
    sessions: frozenset[Session] = frozenset()
    """This one and those before it that may still be live."""
    shown: frozenset[str] = frozenset()
    """Links that a browser was opened for."""
    notebook: Notebook | None = None
    """Where ``show`` displays what it has stored; None: it prints the link."""


OUTPUT = Output()


def output_server(
    docname: str, session: Session | None = None, url: str = "default", autopush: bool = True, clear: bool = True
) -> None:
    """Send what is shown from now on to a bokeh-server, as the document with the title ``docname``.

    Parameters
    ----------
    docname
        Title of the stored document. The same title is the same document, and the same link, in every run.
    session
        A session to use; a new one by default. What was live in it is no longer.
    url
        Where the server is; ``"default"`` is the variable ``BOKEH_SERVER_URL``, or ``http://localhost:5006/``.
    autopush
        Whether changes are sent as they are made, or when ``push()`` is called.
    clear
        Whether ``show`` replaces what is stored. With False it is loaded and added to.

    Raises ``ServerAway`` where no server answers.
    """
    say_plainly()
    session = session or Session(url)
    session.use_doc(docname)
    for old in {session, *OUTPUT.sessions}:
        if old.link == session.link and (clear or old is not session):
            take_over(old)
    session.autopush = autopush
    OUTPUT.session, OUTPUT.notebook = session, None
    OUTPUT.sessions = frozenset({session, *(old for old in OUTPUT.sessions if old.document is not None)})
    curstate().document = Document(theme=bokeh.io.curdoc().theme)
    if not clear:
        session.load_document(curstate().document)


def output_notebook(
    url: str | Resources | None = None,
    docname: str | None = None,
    session: Session | None = None,
    autopush: bool = True,
    browser_url: str | None = None,
    *,
    resources: Resources | None = None,
    verbose: bool = False,
    hide_banner: bool = False,
    load_timeout: int = 5000,
    notebook_type: Any = "jupyter",
) -> None:
    """Show in the cells of a notebook what is shown from now on: live, by a bokeh-server, where one is named.

    It is stored there as after ``output_server``, and the cell has an iframe with it, and no data: later cells stream
    into it, and what people do in it comes back. Without ``url``, ``docname`` and ``session`` it is bokeh's own
    ``output_notebook``, which takes ``resources`` (also first) and what follows it.

    Parameters
    ----------
    url
        Where the server is; ``"default"`` is the variable ``BOKEH_SERVER_URL``, or ``http://localhost:5006/``.
    docname
        Title of the stored document; by default that of the session's, or one of this kernel's own.
    session, autopush
        As in ``output_server``.
    browser_url
        Where the browser finds the server, if that is not where this program does: an address, or a path
        (``/services/plots/``) where it is the notebook's own host. By default the variable
        ``BOKEH_SERVER_BROWSER_URL``, or what the server says of itself.

    Raises ``ServerAway`` where no server answers.
    """
    if isinstance(url, Resources):  # as bokeh has it: resources, verbose, hide_banner
        url, resources, verbose, hide_banner = None, url, bool(docname or verbose), bool(session or hide_banner)
        docname = session = None
    if url is None and docname is None and session is None:
        if OUTPUT.notebook is not None:
            OUTPUT.session = OUTPUT.notebook = None
        bokeh.io.output_notebook(resources, verbose, hide_banner, load_timeout, notebook_type)
        return
    notebook = Notebook(browser_url)
    title = docname or (session.title if session is not None else None) or title_of_kernel()
    output_server(title, session, url or "default", autopush)
    OUTPUT.notebook = notebook


def take_over(session: Session) -> None:
    """End what is live in ``session``; its models may go into the document that comes now."""
    document = session.document
    session.close()
    if document is not None:
        document.clear()


def cursession() -> Session | None:
    """The session that ``output_server`` made or took, or None."""
    return OUTPUT.session


def push(session: Session | None = None, document: Document | None = None) -> None:
    """Store the document, or what was changed since; returns when the server has it.

    Raises ``ServerAway`` after 10 seconds without touch, or in which the server could take nothing (its disk is full).
    What was changed in a document that is live already is kept all the same, and sent later.
    """
    session = session or OUTPUT.session
    if session is None:
        log.warning("push() does nothing: call output_server(title) first")
        return
    say_plainly()
    session.store_document(document or session.document or curstate().document)


def show(obj: Any, browser: str | None = None, new: Any = "tab", *, height: int | None = None, **kwargs: Any) -> Any:
    """Show a plot, widget or layout, or several: on the server after ``output_server``, else as bokeh does.

    It becomes a root of the current document, the document is stored and stays live, its link is printed, and a browser
    opens it (once; never with ``BOKEH_BROWSER=none`` or without a display). After ``output_notebook(url=…)`` the cell
    shows it in their place, ``height`` pixels tall (by default as its own ``height`` says). It leaves a document whose
    session is closed; ``Conflict`` where it, or a part of it, is in any other document. Where the server is away it
    raises what ``push`` does.
    """
    session = OUTPUT.session
    if session is None:
        return bokeh.io.show(obj, browser, new, **kwargs)
    document = session.document or curstate().document  # curdoc() of a callback is that of its own session
    items = obj if isinstance(obj, Sequence) else [obj]
    for item in items:
        free(document, item)
    for item in items:
        add(document, item)
    push(session, document)
    if OUTPUT.notebook is not None:
        OUTPUT.notebook.show(session, items, height)
        if curstate().file:
            bokeh.io.save(obj)
        return None
    print(session.link)
    if session.link not in OUTPUT.shown and has_browser(browser):
        OUTPUT.shown |= {session.link}
        view(session.link, browser=browser, new=new)
    if curstate().file or curstate().notebook:
        return bokeh.io.show(obj, browser, new, **kwargs)
    return None


def free(document: Document, obj: Any) -> None:
    """Take ``obj`` out of documents that were live and no longer are; ``Conflict`` where it is in another one."""
    if not isinstance(obj, Model):
        raise ValueError(f"show() takes plots, widgets and layouts, not {type(obj).__name__}")
    parts = obj.references()
    others = {other for part in parts if (other := part.document) is not None and other is not document}
    for other in others:
        if is_live(other):
            raise Conflict(
                f"{obj} has parts that are live in the document {other.title!r}, and a model is in one document only: "
                "make it anew for this one, or close that session first (cursession().close() before output_server)."
            )
        if other not in LIVED:
            raise Conflict(
                f"{obj} has parts in another bokeh document, and a model is in one document only: take it out of there "
                "first (document.remove_root), or make it anew."
            )
    for other in others:
        for root in other.roots:
            if not parts.isdisjoint(root.references()):
                other.remove_root(root)


def add(document: Document, obj: Model) -> None:
    """Make ``obj`` a root; roots that are parts of it no longer are, and a part of a root stays one."""
    if obj.document is document:
        return
    parts = obj.references()
    for root in document.roots:
        if root in parts:
            document.remove_root(root)
    document.add_root(obj)


def reset_output() -> None:
    """Forget where plots go: the session is closed, the current document is a new one."""
    session, OUTPUT.session, OUTPUT.notebook = OUTPUT.session, None, None
    if session is not None:
        session.close()
    bokeh.io.reset_output()


def has_browser(browser: str | None) -> bool:
    """Whether to open a browser: not where the user said ``none``, nor where there is no display for it."""
    chosen = settings.browser(browser)
    if chosen is not None:
        return chosen != "none"
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))
