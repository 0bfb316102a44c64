"""Jobs and CI: a program with a token in ``BOKEH_SERVER_TOKEN`` does what its scopes are for, and is told the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs import Programs, line_of
from tests.running import RunningServer
from tests.web.town import Document, Person, Town

PLOT = """
from bokeh_server.plotting import figure, output_server, show

output_server({title!r})
p = figure()
p.line([1, 2, 3], [4, 5, 6])
show(p)
"""
LOOK = """
from bokeh.document import Document
from bokeh_server import Session

session = Session()
session.use_doc({title!r})
document = Document()
session.load_document(document)
print(session.docid, document.get_model_by_name("speed").value, len(session.pull("Slider")))
"""
CHANGE = """
from bokeh_server import Session
from bokeh_server.plotting import curdoc, output_server, push

output_server({title!r}, clear=False)
curdoc().get_model_by_name("speed").value = 7
push()
"""
STREAM = """
from bokeh_server.plotting import curdoc, cursession, output_server

output_server({title!r}, clear=False)
readings = curdoc().get_model_by_name("readings")
readings.stream(dict(t=[4.5], n=[4], who=["zoe"]))
print(cursession().flush())
"""
APPEND = """
import os, urllib.request

request = urllib.request.Request(
    os.environ["BOKEH_SERVER_URL"] + "/api/v1/documents/{title}/sources/readings/rows",
    b"t,n,who\\n3.5,3,eve\\n",
    {{"Content-Type": "text/csv", "Authorization": "Bearer " + os.environ["BOKEH_SERVER_TOKEN"]}},
)
print(urllib.request.urlopen(request).read().decode())
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The server of this module."""
    with RunningServer(tmp_path_factory.mktemp("tokens") / "data", "-m") as server:
        yield Town(server)


@pytest.fixture
def owner(town: Town) -> Person:
    """Somebody new."""
    return town.person()


@pytest.fixture
def stored(owner: Person) -> Document:
    """A document of his."""
    return owner.store("job")


class Job:
    """The programs of one token."""

    def __init__(self, programs: Programs, town: Town, home: Path, person: Person) -> None:
        self._start = programs.run
        self._home = home
        self._variables = {"BOKEH_SERVER_URL": town.server.url, "BOKEH_SERVER_TOKEN": person.key}

    def does(self, program: str, title: str, warned: str = "", status: int = 0) -> str:
        """What a program prints that ends with this status, and is ``warned`` of no more than that. What ends one with
        an error is told by two of its threads, the log and the error, in any order."""
        done = self._start(program.format(title=title), self._home, **self._variables)
        in_order = sorted if status else list
        assert (done.status, in_order(done.stderr.splitlines())) == (status, in_order(warned.splitlines()))
        return done.stdout.strip()

    def is_refused(self, program: str, title: str) -> str:
        """The one line with which a program ends."""
        return line_of(self._start(program.format(title=title), self._home, **self._variables))


def test_a_write_token_makes_documents_and_finds_them_again(
    programs: Programs, town: Town, tmp_path: Path, owner: Person
) -> None:
    job = Job(programs, town, tmp_path, owner.token("write"))
    first = job.does(PLOT, "job")
    assert first == job.does(PLOT, "job")
    (listed,) = owner("GET", "/api/v1/documents").json
    assert (listed["title"], listed["link"], listed["seq"] > 0) == ("job", first, True)


def test_a_token_of_one_document_is_good_for_that_one_by_its_title(
    programs: Programs, town: Town, tmp_path: Path, owner: Person, stored: Document
) -> None:
    job = Job(programs, town, tmp_path, owner.token("write", document=stored.id))
    owner.store("other")
    assert job.does(LOOK, "job") == f"{stored.id} 5 1"
    job.does(CHANGE, "job")
    assert owner("GET", f"{stored.api}/models/speed/value").json == 7
    assert job.does(PLOT, "job").endswith(stored.id)
    for title in ("other", "new"):
        assert job.is_refused(PLOT, title) == "This token is not good for that: it is for one document."
    assert {found["title"] for found in owner("GET", "/api/v1/documents").json} == {"job", "other"}


@pytest.mark.parametrize("limited", [False, True])
def test_a_stream_token_appends_rows_and_is_told_that_it_may_do_nothing_else(
    programs: Programs, town: Town, tmp_path: Path, owner: Person, stored: Document, limited: bool
) -> None:
    job = Job(programs, town, tmp_path, owner.token("stream", document=stored.id if limited else None))
    assert '"rows":1' in job.does(APPEND, "job")
    assert owner("GET", f"{stored.api}/models/readings/data").json["entries"][1][1] == [1, 2, 3]
    told = "This token is not good for that: it needs the scope read or write or manage, and has stream."
    assert job.is_refused(PLOT, "job") == job.is_refused(LOOK, "job") == told


def test_a_token_that_reads_and_streams_does_both_from_python(
    programs: Programs, town: Town, tmp_path: Path, owner: Person, stored: Document
) -> None:
    job = Job(programs, town, tmp_path, owner.token("read", "stream", document=stored.id))
    warned = f"{town.server.url}/bokeh/doc/{stored.id}: you may not change this document, at most append rows\n"
    assert job.does(STREAM, "job", warned) == "True"
    assert owner("GET", f"{stored.api}/models/readings/data").json["entries"][1][1] == [1, 2, 4]
    assert job.is_refused(PLOT, "job").endswith("it needs the scope write, and has read and stream.")


@pytest.mark.parametrize("limited", [False, True])
def test_a_read_token_loads_and_is_told_that_it_may_not_change(
    programs: Programs, town: Town, tmp_path: Path, owner: Person, stored: Document, limited: bool
) -> None:
    job = Job(programs, town, tmp_path, owner.token("read", document=stored.id if limited else None))
    warned = f"{town.server.url}/bokeh/doc/{stored.id}: you may not change this document, at most append rows\n"
    assert job.does(LOOK, "job", warned) == f"{stored.id} 5 1"
    needs = "This token is not good for that: it needs the scope write, and has read."
    assert job.is_refused(PLOT, "job").endswith(needs)
    logged = f"{town.server.url}/bokeh/doc/{stored.id}: the server refused a change: {needs}\n"
    assert job.does(CHANGE, "job", f"{warned}{logged}{needs}\n", status=1) == ""
    assert job.is_refused(PLOT, "new").startswith("This token is not good for that: ")
    assert owner("GET", f"{stored.api}/models/speed/value").json == 5
