"""The running server as browser tests use it: documents made of models, their pages and their sockets."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from bokeh.document import Document
from bokeh.model import Model

from tests.running import RunningServer


class Server(RunningServer):
    """Keeps its port over ``kill`` and ``start``, so that open pages find it again."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._prefix = flags[flags.index("--prefix") + 1] if "--prefix" in flags else ""
        super().__init__(folder, *flags)

    @property
    def url(self) -> str:
        """Its address with the prefix, without a slash at the end."""
        return super().url + self._prefix

    def put(self, title: str, *roots: Model) -> str:
        """Store a document with these roots under a title, new or in place of the old one; returns its id."""
        document = Document()
        for root in roots:
            document.add_root(root)
        content = document.to_json(deferred=False)
        document.clear()  # so that the models can be stored again
        return self.put_json(title, content)

    def put_json(self, title: str, content: object) -> str:
        """Store a document's JSON under a title; returns its id."""
        answer = self.request("PUT", f"/api/v1/documents/{quote(title, safe='')}", content)
        assert isinstance(answer["id"], str)
        return answer["id"]

    def link(self, document: str) -> str:
        """The page of a document."""
        return f"{self.url}/bokeh/doc/{document}"

    def socket(self, document: str) -> str:
        """The socket of a document for programs."""
        return f"{self.link(document).replace('http', 'ws', 1)}/ws"
