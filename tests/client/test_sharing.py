"""Sharing from Python, on a real server with accounts: what ``share`` and ``unshare`` give, and what they refuse."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bokeh.core.types import ID
from bokeh.document import Document
from bokeh.models.widgets.sliders import Slider

from bokeh_server.client.embed import autoload_server
from bokeh_server.client.session import Session
from bokeh_server.errors import BadSetting, BadValue, BokehServerError, Forbidden, NotFound, OneLine
from tests.client.pages import until
from tests.running import RunningServer
from tests.web.town import Person, Town

Enter = Callable[..., Session]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The server of this module."""
    with RunningServer(tmp_path_factory.mktemp("sharing") / "data", "-m") as server:
        yield Town(server)


@pytest.fixture
def enter(town: Town) -> Iterator[Enter]:
    """``enter(person)`` is a session of somebody; with ``docid=`` or ``name=`` it is bound to a document."""
    sessions: list[Session] = []

    def make(person: Person, **document: str) -> Session:
        sessions.append(Session(town.server.url, person.name, person.key))
        if document:
            sessions[-1].use_doc(**document)
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()


@pytest.fixture
def owned(town: Town, enter: Enter) -> tuple[Session, Slider]:
    """Somebody's session on a document of his, and what is in it."""
    document, slider = Document(), Slider(start=0, end=10, value=1)
    document.add_root(slider)
    session = enter(town.person(), name="shared")
    session.store_document(document)
    return session, slider


def refused(kind: type[BokehServerError], call: Callable[..., object], *given: Any, **more: Any) -> str:
    """The one line with which a call is refused."""
    with pytest.raises(kind) as caught:
        call(*given, **more)
    assert isinstance(caught.value, OneLine)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def changes(session: Session, slider: Slider, value: int) -> bool:
    """Whether another program can change what the owner sees."""
    document = Document()
    session.load_document(document)
    document.roots[0].value = value  # type: ignore[attr-defined]
    taken = session.flush()
    assert session.close()
    assert not taken or until(lambda: slider.value == value)
    return taken


def test_a_viewer_may_look_an_editor_may_change_and_both_end(
    town: Town, enter: Enter, owned: tuple[Session, Slider]
) -> None:
    session, slider = owned
    docid, user = str(session.docid), town.person()
    assert "There is no document" in refused(NotFound, enter(user).use_doc, docid=docid)
    assert session.share(user.name) == session.link
    theirs = enter(user, docid=docid)
    assert theirs.link == session.link
    assert not changes(theirs, slider, 3)
    session.share(f" {user.name.upper()} ", "editor")
    assert changes(theirs, slider, 4)
    document = Document()
    theirs.load_document(document)
    lost: list[str] = []
    theirs.on_disconnect(lost.append)
    session.unshare(user.name)
    until(lambda: lost)
    assert "There is no document" in refused(NotFound, enter(user).use_doc, docid=docid)


def test_who_may_not_change_a_document_is_told_by_whatever_waits(
    town: Town, enter: Enter, owned: tuple[Session, Slider]
) -> None:
    session, _ = owned
    viewer, document = town.person(), Document()
    session.share(viewer.name)
    theirs = enter(viewer, docid=str(session.docid))
    theirs.load_document(document)
    slider: Any = document.roots[0]
    slider.value = 5
    assert [theirs.push(), theirs.push()] == [False, True]
    slider.value = 6
    assert [theirs.flush(), theirs.flush()] == [False, True]
    slider.value = 7
    with pytest.raises(Forbidden):
        theirs.store_document(document)
    slider.value = 8
    assert not theirs.close()


def test_a_link_carries_its_role_its_end_and_its_number(town: Town, owned: tuple[Session, Slider]) -> None:
    session, _ = owned
    url = session.share(role="editor", name="review", seconds=60, most=1)
    assert url.startswith(f"{town.server.url}/bokeh/link#bsk_")
    visitor = town.visitor(url.partition("#")[2])
    assert visitor("GET", f"/api/v1/documents/{session.docid}/info").json["role"] == "editor"
    assert town.nobody("POST", "/bokeh/link", {"key": url.partition("#")[2]}).status == 404, "it opens once"
    assert town.visitor(session.share().partition("#")[2])("GET", f"/bokeh/doc/{session.docid}").status == 200


def test_a_link_for_a_site_becomes_the_tag_for_its_pages(town: Town, owned: tuple[Session, Slider]) -> None:
    session, slider = owned
    url = session.share(embed="https://intranet.example", seconds=60)
    place, _, key = url.partition("#")
    root, _, link = place.rpartition("/")
    assert root == f"{town.server.url}/bokeh/linked"
    ours = f"{town.server.url}/bokeh/autoload.js"
    assert autoload_server(None, session, link=url) == f'<script src="{ours}?link={link}#{key}"></script>'
    tag = autoload_server(slider, session, link=url)
    assert tag == f'<script src="{ours}?link={link}&amp;model={slider.id}#{key}"></script>'
    assert town.nobody("GET", f"/bokeh/linked/{link}", Sec_Fetch_Dest="iframe").status == 200
    assert town.nobody("POST", f"/bokeh/linked/{link}", {"key": key}).json["may"]["view"]
    assert session.share(embed=["https://a.example", "http://b.example:8000"]).startswith(root)
    public = url.replace(town.server.url, "https://plots.example.org/a")  # how a server behind a proxy names itself
    assert autoload_server(None, session, link=public).startswith('<script src="https://plots.example.org/a/bokeh/auto')


def test_the_tag_of_a_document(town: Town, owned: tuple[Session, Slider]) -> None:
    session, slider = owned
    ours = f'<script src="{town.server.url}/bokeh/autoload.js?document={session.docid}'
    assert autoload_server(None, session) == f'{ours}"></script>'
    assert autoload_server(slider, session) == f'{ours}&amp;model={slider.id}"></script>'
    assert autoload_server(slider, session, public=True) == f'{ours}&amp;model={slider.id}&amp;public=true"></script>'
    odd = Slider.__new__(Slider, id=ID('"> &/x'))
    assert autoload_server(odd, session) == f'{ours}&amp;model=%22%3E%20%26%2Fx"></script>'


def test_a_tag_that_can_not_be_is_one_line(town: Town, enter: Enter, owned: tuple[Session, Slider]) -> None:
    session, slider = owned
    assert refused(BadSetting, autoload_server, slider, enter(town.person())).startswith("Choose a document first")
    plain, site = session.share(), session.share(embed="https://a.example")
    for link in (plain, site.partition("#")[0], site.partition("/bokeh")[2], "nonsense#x", "bokeh/linked/a#b"):
        assert "session.share(embed=" in refused(BadValue, autoload_server, slider, session, link=link)
    assert "A site is named like" in refused(BadValue, session.share, embed="not a site")


def test_what_can_not_be_shared_is_one_line(town: Town, enter: Enter, owned: tuple[Session, Slider]) -> None:
    session, _ = owned
    editor = town.person()
    assert refused(BadSetting, enter(editor).share, "root").startswith("Choose a document first")
    assert refused(NotFound, session.share, "nobody") == "There is no user 'nobody'."
    assert refused(NotFound, session.share, "a b?#é%") == "There is no user 'a b?#é%'."
    assert refused(NotFound, session.unshare, "root") == "The document is not shared with 'root'."
    assert refused(BadValue, session.share, "root", "owner") == "A role is 'viewer' or 'editor', not 'owner'."
    for wrong in ("", ".", "..", "a/b", "\\", "a\nb", "\ud800"):
        for call in (session.share, session.unshare):
            assert refused(NotFound, call, wrong) == f"There is no user {wrong!r}."
    for more in ({"seconds": 60}, {"most": 1}, {"name": "x"}, {"embed": "https://a.example"}):
        assert refused(BadValue, session.share, editor.name, **more).startswith("Only a link has a name, an end or")
    for endless in (math.inf, math.nan):
        assert "is a number of seconds" in refused(BadValue, session.share, seconds=endless)
    assert "more than 0" in refused(BadValue, session.share, seconds=-1)
    assert "more than 0" in refused(BadValue, session.share, most=0)
    assert "at most 100" in refused(BadValue, session.share, name="x" * 101)


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_only_the_owner_shares(town: Town, enter: Enter, owned: tuple[Session, Slider], role: Any) -> None:
    session, _ = owned
    other = town.person()
    session.share(other.name, role)
    theirs = enter(other, docid=str(session.docid))
    for call in (lambda: theirs.share("root", "editor"), theirs.share, lambda: theirs.unshare(other.name)):
        refused(Forbidden, call)
    session.unshare(other.name)
    refused(NotFound, theirs.share, "root")


def test_the_owner_says_what_a_document_keeps(town: Town, enter: Enter, owned: tuple[Session, Slider]) -> None:
    session, editor = owned[0], town.person()
    place = f"/api/v1/documents/{session.docid}/retention"
    session.retain(bytes=2**20, raw=60.0)
    assert town.root("GET", place).status == 403
    session.share(editor.name, "editor")
    assert editor("GET", place).json["holds"] == {"bytes": 2**20, "raw": 60.0}
    session.retain()
    assert editor("GET", place).json["holds"] == {"bytes": None, "raw": None}
    refused(Forbidden, enter(editor, docid=str(session.docid)).retain, 2**20)
