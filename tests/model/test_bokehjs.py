"""What the server relays, in BokehJS itself: random documents and patches, in a page of a real Chromium.

``tests/model/browser.py`` says in Python what BokehJS does, and the other tests believe it; this one asks. Each run
loads a document as the server writes it, applies the patches that the server relays, and compares what the page then
has with what the server has. Not compared: models that only the document's callbacks lead to (BokehJS does not write
them), and the tools that a toolbar itself makes active. A run ends early where a random value is none for BokehJS.
"""

from __future__ import annotations

import base64
import os
import random
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import bokeh
import pytest
from playwright.sync_api import Page, sync_playwright

from bokeh_server.core import Buffers
from bokeh_server.core.apply import apply
from bokeh_server.core.document import Document
from bokeh_server.errors import ClientError
from tests.model import documents
from tests.model.canonical import Flat, closure, server_flat, wire_flat
from tests.model.differential import next_patch, pushed
from tests.model.edits import Author

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
DOCUMENTS = int(os.environ.get("BOKEHJS_DOCUMENTS", "2000" if LONG else "50"))
STEPS = 20
STATIC = Path(bokeh.__file__).parent / "server/static/js"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]

PLAY = """([document, patches]) => {
  const { Document } = Bokeh.require("document");
  const { Serializer } = Bokeh.require("core/serialization");
  const binary = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const read = ([content, buffers]) => [JSON.parse(content), new Map(buffers.map(([id, data]) => [id, binary(data)]))];
  try {
    const [json, buffers] = read(document);
    const made = Document.from_json(json, undefined, buffers);
    for (const patch of patches) made.apply_json_patch(...read(patch));
    const serializer = new Serializer({ include_defaults: true, binary: false });
    const [config, roots] = [serializer.encode(made.config), serializer.encode(made.roots())];
    return { document: JSON.stringify({ title: made.title(), config, roots }) };
  } catch (error) {
    return { error: String(error) };
  }
}"""


@pytest.mark.timeout(60 + 4 * DOCUMENTS)
def test_bokehjs_itself_shows_what_the_server_has(shell_path: str) -> None:
    outcomes: Counter[str] = Counter()
    with sync_playwright() as playwright, warnings.catch_warnings(), documents.counted_ids():
        warnings.simplefilter("ignore")
        chromium = playwright.chromium.launch(executable_path=shell_path, args=FLAGS)
        page = chromium.new_page()
        page.set_content("<html></html>")
        for name in ("bokeh", "bokeh-widgets", "bokeh-tables"):
            page.add_script_tag(path=str(STATIC / f"{name}.min.js"))
        names = frozenset(page.evaluate("() => Bokeh.require('base').default_resolver.names"))
        for seed in range(DOCUMENTS):
            outcomes[played(page, seed, names)] += 1
        chromium.close()
    assert outcomes["same"] > DOCUMENTS / 2, outcomes


def played(page: Page, seed: int, names: frozenset[str]) -> str:
    """Play one document and its patches in the page, with kinds of models that it knows; how it ended."""
    rng = random.Random(seed)
    author = Author(rng, documents.document(rng))
    author.names = names
    ours = Document.decode(*pushed(author))
    start, patches = portable(*ours.encode()), []
    for _ in range(STEPS):
        try:
            normal = apply(ours, *next_patch(rng, author))
        except ClientError:
            continue
        if normal.content is not None:
            patches.append(portable(normal.content, normal.buffers))
    outcome = page.evaluate(PLAY, [start, patches])
    if "error" in outcome:
        assert "isn't known" not in outcome["error"], f"seed {seed}: {outcome['error']}"
        assert "type mismatch" not in outcome["error"], f"seed {seed}: {outcome['error']}"
        return "thrown"
    theirs, flat = wire_flat(outcome["document"].encode(), ()), server_flat(ours)
    assert (theirs.roots, theirs.title) == (flat.roots, flat.title), f"seed {seed}"
    assert unlike(flat, theirs) == [], f"seed {seed}"
    return "same"


def portable(content: bytes, buffers: Buffers) -> Any:
    """A message as Playwright can hand it to a page."""
    return [content.decode(), [[name, base64.b64encode(payload).decode()] for name, payload in buffers]]


def unlike(ours: Flat, theirs: Flat) -> list[str]:
    """Attributes that the server has and the page has otherwise (a page has every default as well).

    A toolbar in a page lets go of active tools that it does not have, and with them of what nothing else leads to.
    """
    found = []
    kept = {
        k: (name, {a: v for a, v in of.items() if not a.startswith("active_")}) for k, (name, of) in ours.models.items()
    }
    reached = closure(Flat(kept), tuple(("ref", root) for root in ours.roots))
    for key in reached - closure(ours, ours.callbacks):
        name, attributes = kept[key]
        shown = theirs.models.get(key, ("", {}))[1]
        for attribute, value in attributes.items():
            if plain(shown.get(attribute, "absent")) != plain(value):
                found.append(f"{name}({key}).{attribute}: {value!s:.300} != {shown.get(attribute, 'absent')!s:.300}")
    return found


def plain(value: Any) -> Any:
    """A value without what BokehJS adds to it: a scalar becomes ``{"type": "value"}``, distances get their units."""
    if not isinstance(value, tuple):
        return value
    if value and value[0] == "struct":
        fields = {name: item for name, item in value[1:] if (name, item) != ("units", "data")}
        if fields.keys() == {"type", "value"} and fields["type"] == "value":
            return plain(fields["value"])
        return ("struct", *((name, plain(item)) for name, item in fields.items()))
    return tuple(map(plain, value))
