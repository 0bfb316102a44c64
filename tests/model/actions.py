"""What may happen in a ``World``, each as one function of a few small numbers, and the document that it starts with.

A history is a list of (name of the action, numbers): it can be drawn by hypothesis or at random, printed, and played
again (``play``), which is how a failing one becomes a test of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
from bokeh.document import Document
from bokeh.models import Column, ColumnDataSource, Div, Slider  # type: ignore[attr-defined]

from tests.model.replica import Event, Page, Program, Replica, StockPage
from tests.model.world import World

Step = tuple[str, int, int]


def base() -> bytes:
    """A document with a source ``s``, a slider ``w``, a div ``d`` and a column ``r`` as root."""
    source = ColumnDataSource({"x": [1, 2, 3], "y": [0, 0, 0]})
    slider = Slider(start=0, end=9, value=1, step=1)
    div = Div(tags=[source])
    root = Column(children=[div, slider])
    document = Document()
    document.add_root(root)
    document.title = "t"
    content = orjson.dumps(document.to_json(deferred=False))
    for model, name in ((source, b"s"), (slider, b"w"), (div, b"d"), (root, b"r")):
        content = content.replace(b'"%s"' % model.id.encode(), b'"%s"' % name)
    return content


BASE = base()


class Play:
    """A world, and how many things were made in it (so that every value is a new one)."""

    def __init__(self, world: type[World] = World, page: Callable[[str], Replica] = Page) -> None:
        self.world = world(BASE)
        self.page = page
        self.made = 100
        for kind in (0, 1, 0):
            self.join(kind)

    def join(self, kind: int) -> None:
        """A new client."""
        clients = self.world.clients
        if len(clients) < 6:
            number = len(clients)
            new: Replica
            match kind % 4:
                case 0:
                    new = self.page(f"page-number-{number}")
                case 1:
                    new = Program(f"program-number-{number}")
                case 2:
                    new = StockPage("viewer")
                case _:
                    new = StockPage("program")
            clients.append(new)
            self.world.connect(new)

    def client(self, at: int) -> Replica:
        """One of the clients."""
        return self.world.clients[at % len(self.world.clients)]

    def do(self, step: Step) -> None:
        """Carry out one step."""
        name, at, n = step
        ACTIONS[name](self, at, n)

    def new(self) -> int:
        """A number that was not used before."""
        self.made += 1
        return self.made


def play(history: list[Step], world: type[World] = World, page: Callable[[str], Replica] = Page) -> None:
    """Play a history, and check all promises at its end."""
    made = Play(world, page)
    for step in history:
        made.do(step)
    made.world.rest()


# Actions


def connect(play: Play, at: int, n: int) -> None:
    """A client comes back."""
    play.world.connect(play.client(at))


def join(play: Play, at: int, n: int) -> None:
    """A new client comes."""
    play.join(at)


def talk(play: Play, at: int, n: int) -> None:
    """Some messages of a client arrive."""
    play.world.up(play.client(at), 1 + n % 4)


def listen(play: Play, at: int, n: int) -> None:
    """Some messages arrive at a client."""
    play.world.down(play.client(at), 1 + n % 4)


def everything(play: Play, at: int, n: int) -> None:
    """All messages arrive in both directions."""
    for client in play.world.clients:
        play.world.up(client, 10**6)
        play.world.down(client, 10**6)


def commit(play: Play, at: int, n: int) -> None:
    """The store keeps some records."""
    play.world.commit(1 + n % 5)


def fail(play: Play, at: int, n: int) -> None:
    """The store fails."""
    play.world.fail()


def crash(play: Play, at: int, n: int) -> None:
    """The server dies, with some records kept that nobody was told of."""
    play.world.crash(kept=n % 3)


def rewind(play: Play, at: int, n: int) -> None:
    """A backup is restored."""
    play.world.rewind(n % 4)


def cut(play: Play, at: int, n: int) -> None:
    """A socket breaks."""
    play.world.cut(play.client(at), noticed=n % 2 == 0)


def notice(play: Play, at: int, n: int) -> None:
    """The server notices broken sockets."""
    play.world.notice()


def leave(play: Play, at: int, n: int) -> None:
    """Everybody goes, and the room with them."""
    for client in play.world.clients:
        play.world.cut(client, noticed=True)
    play.world.evict()


def pause(play: Play, at: int, n: int) -> None:
    """A socket is full."""
    play.world.pause(play.client(at))


def drain(play: Play, at: int, n: int) -> None:
    """A socket takes more."""
    play.world.drain(play.client(at))


def tick(play: Play, at: int, n: int) -> None:
    """Time passes."""
    play.world.tick((0.2, 5, 40)[n % 3])


def frame(play: Play, at: int, n: int) -> None:
    """A frame ends."""
    play.world.frame()


def thin(play: Play, at: int, n: int) -> None:
    """Old rows are due."""
    play.world.thin()


def done(play: Play, at: int, n: int) -> None:
    """Another thread is done with something."""
    play.world.done(n)


def timers(play: Play, at: int, n: int) -> None:
    """A client's timers fire, its callbacks run."""
    play.client(at).timers()


def rest(play: Play, at: int, n: int) -> None:
    """Everything comes to rest, and is checked."""
    play.world.rest()


def submit(play: Play, at: int, n: int) -> None:
    """A request without a socket: a patch, or now and then the whole document."""
    if n % 7 == 0:
        play.world.submit("replace", BASE.replace(b'"title":"t"', b'"title":"new %d"' % play.new()))
    else:
        play.world.submit("patch", orjson.dumps({"events": [value_event(play.new())]}))


def edit(play: Play, at: int, n: int) -> None:
    """Somebody changes something."""
    client = play.client(at)
    if isinstance(client, Page):
        page_edit(play, client, n)
    elif isinstance(client, Program):
        program_edit(play, client, n)


def value_event(value: int) -> Event:
    """The slider's value."""
    return {"kind": "ModelChanged", "model": {"id": "w"}, "attr": "value", "new": value}


def page_edit(play: Play, page: Page, n: int) -> None:
    """One of the things that a person, or a script in the page, does."""
    if page.browser is None:
        return
    models, value = page.browser.models, play.new()
    if page._queue is not None or not {"s", "w", "d", "r"} <= models.keys():
        return
    source = {"model": {"id": "s"}, "attr": "data"}
    div = {"type": "object", "name": "Div", "id": f"n{value}", "attributes": {"text": "new"}}
    children = [{"id": ref[1]} for ref in models["r"][1].get("children", ("list",))[1:]]
    row = {"type": "map", "entries": [["x", [value]], ["y", [0]]]}
    stream = {"kind": "ColumnsStreamed", **source, "data": row, "rollover": [None, 5][n % 2]}
    cell = {"type": "map", "entries": [["y", [[0, value]]]]}
    removable = [root for root in page.browser.roots if root != "r"]
    tags = {"kind": "ModelChanged", "model": {"id": "w"}, "attr": "tags", "new": [children[-1] if children else value]}
    match n % 13:
        case 0 | 1:
            page.change([value_event(value)])
        case 2:
            page.change([{"kind": "TitleChanged", "title": f"title {value}"}])
        case 3 | 4:
            page.change([stream], token=value)
        case 5:
            page.change([{"kind": "ColumnsPatched", **source, "patches": cell}])
        case 6:
            page.change([{"kind": "ModelChanged", "model": {"id": "r"}, "attr": "children", "new": [*children, div]}])
        case 7:
            page.change([{"kind": "RootAdded", "model": div}])
        case 8 if removable:
            page.change([{"kind": "RootRemoved", "model": {"id": removable[0]}}])
        case 9:
            page.change([tags])
        case 10:
            page.change([value_event(value), stream], token=value)
        case 11:
            page.mistake([{"kind": "ModelChanged", "model": {"id": "ghost"}, "attr": "x", "new": value}])
        case _:
            click = {
                "type": "event",
                "name": "button_click",
                "values": {"type": "map", "entries": [["model", {"id": "w"}]]},
            }
            page.change([{"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": click}])


def program_edit(play: Play, program: Program, n: int) -> None:
    """One of the things that a program does."""
    document, value = program.document, play.new()
    slider: Any = document.get_model_by_id("w")  # type: ignore[arg-type]
    source: Any = document.get_model_by_id("s")  # type: ignore[arg-type]
    root: Any = document.get_model_by_id("r")  # type: ignore[arg-type]
    div: Any = document.get_model_by_id("d")  # type: ignore[arg-type]
    if slider is None or source is None or root is None or div is None:
        return
    match n % 12:
        case 0 | 1:
            slider.value = value
        case 2:
            document.title = f"title {value}"
        case 3 | 4 if set(source.data) == {"x", "y"}:
            source.stream({"x": [value], "y": [0]}, [None, 5][n % 2])
            program.streamed(value)
        case 5 if len(source.data.get("y", ())):
            source.patch({"y": [(0, value)]})
        case 6:
            root.children.append(Div(text=f"new {value}"))
        case 7:
            document.add_root(Div(text=f"root {value}"))
        case 8 if len(document.roots) > 1:
            document.remove_root(document.roots[-1])
        case 9:
            source.data["y"] = np.arange(len(source.data.get("x", ()))) if n % 2 else [value] * len(source.data["x"])
        case 10 if len(root.children) > 2:
            root.children.pop()
        case 11 if n % 5 == 0:
            program.push()
        case _:
            slider.tags = [root.children[-1], value]


CALM = (connect, join, talk, listen, everything, commit, timers, rest, submit, edit, tick, frame, thin, done)
WILD = (fail, crash, rewind, cut, notice, leave, pause, drain)
ACTIONS: dict[str, Callable[[Play, int, int], None]] = {action.__name__: action for action in CALM + WILD}
