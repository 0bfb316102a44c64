"""The headers of each kind of answer: one function per kind, and no answer without one.

A stored document is a program that somebody else wrote. It runs only in the *frame*, whose answer carries ``sandbox``
itself (not only the iframe's attribute), so that it has an origin of its own: no cookie, no storage, no page of ours.
Its scripts come from exact host paths; a nonce would be inherited by ``import()`` and could be read off a tag (measured
elsewhere: 3 of 26 ways out with a nonce, none with host paths). Its one way out is the one socket of its document.
The *shell* around it is our code only.
"""

from __future__ import annotations

from collections.abc import Mapping

from bokeh_server.web.http import Headers

COMMON: Headers = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
FEATURES = ", ".join(
    f"{feature}=()"
    for feature in (
        *("accelerometer", "autoplay", "browsing-topics", "camera", "clipboard-read", "compute-pressure"),
        *(
            "display-capture",
            "encrypted-media",
            "gamepad",
            "geolocation",
            "gyroscope",
            "hid",
            "identity-credentials-get",
        ),
        *("idle-detection", "keyboard-map", "local-fonts", "magnetometer", "microphone", "midi", "otp-credentials"),
        *("payment", "picture-in-picture", "publickey-credentials-create", "publickey-credentials-get"),
        *("screen-wake-lock", "serial", "storage-access", "usb", "window-management"),
        "xr-spatial-tracking",
    )
)
NO_STORE = ("Cache-Control", "no-store")
IMMUTABLE = ("Cache-Control", "public, max-age=31536000, immutable")
AN_HOUR = ("Cache-Control", "public, max-age=3600")


def policy(**directives: str | None) -> tuple[str, str]:
    """A Content-Security-Policy; ``_`` in a name stands for ``-``. A directive that is None is left out."""
    given = {name.replace("_", "-"): value for name, value in directives.items() if value is not None}
    return ("Content-Security-Policy", "; ".join(f"{name} {value}".strip() for name, value in given.items()))


NOBODY, OURSELVES = "'none'", "'self'"
"""Whose pages may have one of ours within."""
EVERYWHERE = None
"""In their place: every page. ``*`` is each of a site only, not VS Code's, nor a file, nor one that is sandboxed."""
OPTIONS: Mapping[str | None, Headers] = {
    NOBODY: (("X-Frame-Options", "DENY"),),
    OURSELVES: (("X-Frame-Options", "SAMEORIGIN"),),
}


def page(*, frame: str | None = None, ancestors: str | None = NOBODY) -> Headers:
    """Our own pages: our files only, no inline script or style, no evaluation; ``frame`` is the only page within.

    No other page has one of them within, but for those of ``ancestors``: where that is another site, the page knows
    nobody by a cookie.

    They alone ask for an agent cluster of their own: the frame has one as it is sandboxed, and Chromium warns on every
    page where it asks as well.
    """
    return (
        *COMMON,
        NO_STORE,
        ("Origin-Agent-Cluster", "?1"),
        ("Permissions-Policy", FEATURES),
        ("Cross-Origin-Resource-Policy", "same-origin" if ancestors in OPTIONS else "cross-origin"),
        *OPTIONS.get(ancestors, ()),
        policy(
            default_src="'none'",
            script_src="'self'",
            style_src="'self'",
            img_src="'self' data:",
            connect_src="'self'",
            frame_src=frame or "'none'",
            form_action="'self'",
            base_uri="'none'",
            frame_ancestors=ancestors,
            require_trusted_types_for="'script'",
        ),
    )


def frame(*, origin: str, bokehjs: str, static: str, socket: str, scripts: bool, ancestors: str | None = "") -> Headers:
    """The sandboxed page with a document: scripts from two folders of ours, and one socket.

    It is within a page of ours, which may itself be within one of ``ancestors``.

    ``Connection-Allowlist`` (Chromium) is for what no Content-Security-Policy covers: WebRTC, and the connection that a
    browser opens ahead of a navigation that it then blocks.
    """
    sources = f"{origin}{bokehjs}/ {origin}{static}/"
    return (
        *COMMON,
        NO_STORE,
        ("Permissions-Policy", f"{FEATURES}, fullscreen=(self)"),
        ("Connection-Allowlist", "(response-origin)"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        policy(
            sandbox="allow-scripts allow-downloads",
            default_src="'none'",
            script_src=f"{sources} blob: 'unsafe-eval'" if scripts else sources,
            style_src="'unsafe-inline'",
            img_src="data: blob:",
            font_src=f"data: {sources}",
            connect_src=socket,
            form_action="'none'",
            base_uri="'none'",
            frame_src="'none'",
            object_src="'none'",
            frame_ancestors=None if ancestors is EVERYWHERE else f"{origin} {ancestors}".strip(),
        ),
    )


def data() -> Headers:
    """Answers of the API: never shown as a page."""
    return (
        *COMMON,
        NO_STORE,
        ("Cross-Origin-Resource-Policy", "same-origin"),
        policy(default_src="'none'", frame_ancestors="'none'"),
    )


def static(*, keep: tuple[str, str] = IMMUTABLE) -> Headers:
    """Our files and BokehJS: the same for everybody, also for the frame, whose origin is opaque."""
    return (
        *COMMON,
        keep,
        ("Cross-Origin-Resource-Policy", "cross-origin"),
        ("Access-Control-Allow-Origin", "*"),
    )
