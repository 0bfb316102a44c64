"""One tag that puts a live plot into any page."""

from __future__ import annotations

import html
import urllib.parse

from bokeh.model import Model

from bokeh_server.client.session import Session, is_address
from bokeh_server.errors import BadSetting, BadValue


def autoload_server(model: Model | None, session: Session, public: bool = False, *, link: str = "") -> str:
    """The ``<script>`` tag that shows a stored plot, live, in the page that has it. It holds no data.

    Parameters
    ----------
    model
        The plot or widget to show; None for the whole document.
    session
        The session that stored it.
    public
        Show what everybody may see, in a page of any site: the document must be published (``session.publish()``).
    link
        For a private document in pages of other sites: what ``session.share(embed="https://intranet.example")``
        returned. Whoever sees such a page may do what the link allows.

    Without ``public`` and ``link`` it shows in pages of the server's own origin, such as those of the Flask or ASGI
    application that the server is part of, to those who may see the document.

    Raises ``BadSetting`` where the session has no document, ``BadValue`` for a link that is not one for pages.
    """
    if session.docid is None:
        raise BadSetting("Choose a document first: output_server(title), or session.use_doc(title).")
    asked, root, key = {"document": session.docid}, session.root_url, ""
    if link:
        place, _, key = link.partition("#")
        root, _, id = place.rpartition("bokeh/linked/")
        if not (id and key and is_address(root)):
            raise BadValue("This is no link for pages; session.share(embed='https://intranet.example') makes one.")
        asked = {"link": id}
    if model is not None:
        asked["model"] = model.id
    if public:
        asked["public"] = "true"
    query = urllib.parse.urlencode(asked, quote_via=urllib.parse.quote)
    url = f"{root}bokeh/autoload.js?{query}" + (f"#{key}" if key else "")
    return f'<script src="{html.escape(url)}"></script>'
