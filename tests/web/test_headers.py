"""Every route, walked: what its answer may do in a browser, to the letter; and that markup is only where it is shut."""

from __future__ import annotations

import re

import pytest

from bokeh_server.web.routes import ROUTES, Route
from tests.running import HOSTED_BY, RunningServer
from tests.web.asking import MARKUP, Answer, ask, content
from tests.web.conftest import Shared
from tests.web.town import Town, visit

TITLE = "<script>alert(1)</script>&quot;"
FRAMED = [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "same-origin")]
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src {frame}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
FRAME = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src {static} blob: 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data: {static}; connect-src {socket}; "
    "form-action 'none'; base-uri 'none'; frame-src 'none'; object-src 'none'; frame-ancestors {origin}"
)
DATA = "default-src 'none'; frame-ancestors 'none'"
EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
FEATURES = {
    "camera",
    "microphone",
    "payment",
    "gamepad",
    "local-fonts",
    "window-management",
    "geolocation",
    "display-capture",
    "clipboard-read",
    "usb",
    "serial",
    "hid",
    "midi",
}
GETS = [route for route in ROUTES if route.method == "GET" and route.origin != "embed" and "linked" not in route.path]
"""All but those for pages elsewhere: see test_embed.py."""


def path_of(route: Route, shared: Shared) -> str:
    """An address of this route where there is something."""
    shell = ask(shared.port, "GET", f"/bokeh/doc/{shared.document}").body.decode()
    frame = ask(shared.port, "GET", f"/bokeh/frame/{shared.document}", FRAMED).body.decode()
    found_app = re.search(r"/static/app/(\w+)/(app\.css)", shell)
    found_bokeh = re.search(r"/static/bokeh/([\w.]+)/(js/bokeh\.min\.js)", frame)
    assert found_app
    assert found_bokeh
    parts = {
        "document": shared.document,
        "name": shared.document,
        "model": "speed",
        "property": "value",
        "user": "root",
    }
    static = found_app if "app" in route.path else found_bokeh
    return route.path.replace("{path:path}", "{path}").format(**parts, version=static[1], path=static[2])


def origin(shared: Shared) -> str:
    return f"http://localhost:{shared.port}"


def policy(route: Route, shared: Shared, answer: Answer) -> str | None:
    """The Content-Security-Policy that an answer of this kind has to have."""
    here, document = origin(shared), shared.document
    match route.kind:
        case "page":
            shell = "{document}" in route.path
            return PAGE.format(frame=f"{here}/bokeh/frame/{document}" if shell else "'none'")
        case "frame":
            folders = re.findall(rf"{here}(/static/(?:app|bokeh)/[\w.]+/)", answer.headers["content-security-policy"])
            static = f"{here}{folders[0]} {here}{folders[1]}"
            return FRAME.format(static=static, origin=here, socket=f"ws://localhost:{shared.port}/bokeh/ws/{document}")
        case "api":
            return DATA
    return None


@pytest.mark.parametrize("route", GETS, ids=lambda route: route.path)
def test_every_answer_has_exactly_the_headers_of_its_kind(shared: Shared, town: Town, route: Route) -> None:
    answer = visit(route, path_of(route, shared), shared.port, town, FRAMED if route.kind == "frame" else [])
    headers = answer.headers
    assert answer.status == 200
    assert EVERYWHERE.items() <= headers.items()
    assert headers.get("content-security-policy") == policy(route, shared, answer)
    static = route.kind == "static"
    kept = "public, max-age=3600" if route.path.endswith("autoload.js") else "public, max-age=31536000, immutable"
    assert headers["cache-control"] == (kept if static else "no-store")
    assert headers["cross-origin-resource-policy"] == ("cross-origin" if static else "same-origin")
    assert ("access-control-allow-origin" in headers) is static
    assert "access-control-allow-credentials" not in headers
    assert headers.get("connection-allowlist") == ("(response-origin)" if route.kind == "frame" else None)
    assert "set-cookie" not in headers
    assert ("server" in headers) is (HOSTED_BY is not None)  # a host names itself
    if route.kind in ("page", "frame"):
        off = {part.strip() for part in headers["permissions-policy"].split(",")}
        assert {f"{feature}=()" for feature in FEATURES} <= off
        assert not off & {"bluetooth=()", "web-share=()"}, "Chromium does not know them and says so on every page"
        assert ("x-frame-options" in headers) is (route.kind == "page")
    html = headers["content-type"].startswith("text/html")
    assert html is (route.kind in ("page", "frame"))


def test_a_chosen_folder_of_scripts_is_the_only_place_of_scripts(shared: Shared) -> None:
    """No nonce, no inline script, no whole host: a script of a document can't name another source."""
    frame = ask(shared.port, "GET", f"/bokeh/frame/{shared.document}", FRAMED)
    directives = dict(part.split(" ", 1) for part in frame.headers["content-security-policy"].split("; "))
    for source in directives["script-src"].split():
        assert source in ("blob:", "'unsafe-eval'") or re.fullmatch(rf"{origin(shared)}/static/\w+/[\w.]+/", source)
    for tag in re.findall(r"<script\b[^>]*>", frame.body.decode()):
        assert "src=" in tag or 'type="application/json"' in tag


def test_with_document_scripts_off_nothing_is_evaluated(tmp_path_factory: pytest.TempPathFactory) -> None:
    with RunningServer(tmp_path_factory.mktemp("off") / "data", "--document-scripts", "off") as server:
        document = server.document("x")["id"]
        found = ask(server.port, "GET", f"/bokeh/frame/{document}", FRAMED).headers["content-security-policy"]
    assert "unsafe-eval" not in found
    assert "blob:" not in found.split("script-src")[1].split(";")[0]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Site", "none")],
        [("Sec-Fetch-Dest", "empty"), ("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Dest", "embed"), ("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Dest", "object"), ("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Dest", "frame"), ("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "same-site")],
        [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "none")],
        [("Sec-Fetch-Dest", "iframe")],
        [("Sec-Fetch-Dest", "iframe, document"), ("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Site", "same-origin"), ("Referer", "{ours}/")],
        [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "cross-site"), ("Referer", "{ours}/")],
        [("Sec-Fetch-Dest", "iframe"), ("Referer", "{ours}/")],
        [("Sec-Fetch-Site", "same-origin"), ("Referer", "{ours}/")],
        *([("Referer", other)] for other in ("", "{ours}", "{ours}/bokeh/doc/x", "{ours}.evil.example/", "null")),
        [("Referer", "http://evil.example/")],
    ],
)
def test_a_frame_is_no_page_of_its_own_and_no_part_of_another_site(
    shared: Shared, headers: list[tuple[str, str]]
) -> None:
    headers = [(name, value.format(ours=origin(shared))) for name, value in headers]
    answer = ask(shared.port, "GET", f"/bokeh/frame/{shared.document}", headers)
    assert answer.status == 403
    assert answer.headers["content-type"].startswith("text/html")
    assert "sandbox" not in answer.headers["content-security-policy"]
    assert b"bokeh.min.js" not in answer.body


def test_where_a_browser_says_nothing_of_a_frame_its_page_does(shared: Shared) -> None:
    """As browsers do it without TLS: no ``Sec-Fetch-…``; our iframe alone says which page it is in."""
    frame = ask(shared.port, "GET", f"/bokeh/frame/{shared.document}", [("Referer", f"{origin(shared)}/")])
    assert frame.status == 200
    page = ask(shared.port, "GET", f"/bokeh/doc/{shared.document}")
    assert page.headers["referrer-policy"] == "no-referrer"
    assert re.findall(r'<(\w+)[^>]*referrerpolicy="origin"', page.body.decode()) == ["iframe"]


def test_no_answer_but_data_carries_a_documents_markup_and_no_page_a_titles(shared: Shared, town: Town) -> None:
    made = ask(shared.port, "PUT", f"/api/v1/documents/{shared.document}", body=content())
    assert made.status == 200
    stored = ask(shared.port, "POST", "/api/v1/documents", body=f'{{"title": "{TITLE}"}}'.encode())
    marked = stored.json["id"]
    ask(shared.port, "PUT", f"/api/v1/documents/{marked}", body=content(title=MARKUP))
    for route in GETS:
        if route.kind == "static":
            continue
        for document in (shared.document, marked):
            path = path_of(route, shared).replace(shared.document, document)
            answer = visit(route, path, shared.port, town, FRAMED if route.kind == "frame" else [])
            assert answer.status == 200
            if answer.headers["content-type"].startswith("text/html"):
                assert MARKUP.encode() not in answer.body
                assert b"<script>alert" not in answer.body
            else:
                assert answer.headers["content-type"].split(";")[0] in ("application/json", "text/plain")
                assert answer.headers["content-security-policy"] == DATA
    assert ask(shared.port, "DELETE", f"/api/v1/documents/{marked}").status == 204


def test_an_error_repeats_nothing_of_the_request_as_markup(shared: Shared) -> None:
    for path in (f"/bokeh/doc/{MARKUP}".replace(" ", "%20").replace("<", "%3C").replace(">", "%3E"), "/nothing"):
        answer = ask(shared.port, "GET", path, [("Accept", "text/html")])
        assert answer.status == 404
        assert MARKUP.encode() not in answer.body
        assert answer.headers["content-security-policy"] == PAGE.format(frame="'none'")
