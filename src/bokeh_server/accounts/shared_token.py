"""The one token of a server without accounts: who shows it is ``defaultuser``, who doesn't is nobody.

A browser shows it once, at the log-in, and from then on a cookie that is made from it. Both are good for as long as the
server runs with this token.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

from bokeh_server.core.authorise import ANONYMOUS, DEFAULT_USER, Actor
from bokeh_server.errors import Unauthorized


class SharedToken:
    """What lets everybody in."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()
        self.cookie = hmac.new(self._text, b"bokeh-server cookie", sha256).hexdigest()
        """What a browser has that has shown it."""

    def actor(self, text: str) -> Actor:
        """Who shows this as the token; ``Unauthorized`` where it is another."""
        if not hmac.compare_digest(self._text, text.encode(errors="surrogatepass")):
            raise Unauthorized("This is not the token of this server.")
        return DEFAULT_USER

    def by_cookie(self, cookie: str) -> Actor:
        """Who has this cookie: nobody, where it is of another token."""
        same = hmac.compare_digest(self.cookie.encode(), cookie.encode(errors="surrogatepass"))
        return DEFAULT_USER if same else ANONYMOUS
