"""Servers whose frame is no wall, for the test of the corpus: ``mutants.py NAME [flags of bokeh-server]``.

``bare`` sends no policy with the frame and does not sandbox it, as a page that just embeds a document; ``same-origin``
keeps the policy and drops the sandbox; ``open`` keeps the sandbox and drops the rest. None has the list of allowed
connections, the shell says nothing about where its frame may go, and a frame with an origin gets its socket, too.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from bokeh_server.cli import main
from bokeh_server.web import guard, headers
from bokeh_server.web.http import Headers, Request
from bokeh_server.web.routes import Route
from bokeh_server.web.site import Site

POLICY = "Content-Security-Policy"
SANDBOX = "sandbox allow-scripts allow-downloads"
MUTANTS = {
    "bare": (r".*", ""),
    "same-origin": (rf"{SANDBOX}; ", ""),
    "open": (r".*", SANDBOX),
}


def weaken(name: str) -> None:
    """Send the frame with another policy, and the shell without a word about its frame."""
    pattern, instead = MUTANTS[name]
    frame, page, render, check = headers.frame, headers.page, Site.render, guard.check_origin

    def weak_frame(**about: Any) -> Headers:
        kept = [pair for pair in frame(**about) if pair[0] not in (POLICY, "Connection-Allowlist")]
        strong = dict(frame(**about))[POLICY]
        weak = re.sub(f"^{pattern}", instead, strong, count=1)
        return (*kept, (POLICY, weak)) if weak else tuple(kept)

    def weak_page(**about: Any) -> Headers:
        strong = page(**about)
        return tuple((name, re.sub(r"frame-src [^;]*; ", "frame-src *; ", value)) for name, value in strong)

    def weak_render(self: Site, template: str, prefix: str, **more: Any) -> bytes:
        body = render(self, template, prefix, **more)
        return body if name == "open" else re.sub(rb' sandbox="[^"]*"', b"", body)

    def weak_check(route: Route, request: Request, ours: str) -> None:
        if route.origin != "sandbox":
            check(route, request, ours)

    headers.frame, headers.page, guard.check_origin = weak_frame, weak_page, weak_check
    Site.render = weak_render  # type: ignore[method-assign]


if __name__ == "__main__":
    weaken(sys.argv.pop(1))
    main()
