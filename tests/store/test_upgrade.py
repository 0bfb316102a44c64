"""The database of a server from before accounts, killed at its work: today's goes on with it (see made_by_0001/)."""

from __future__ import annotations

import asyncio
import json
import lzma
import subprocess
import sys
import tarfile
from pathlib import Path
from random import Random

import pytest

from bokeh_server.store.schema import HEAD
from bokeh_server.store.sql import FILE, SqlStore
from tests.running import RunningServer
from tests.store.disk import Disk, Event, Flush, Write, cuts
from tests.store.histories import Contents
from tests.store.test_schema import opened, revisions
from tests.web.town import Person, Town

MADE = Path(__file__).parent / "made_by_0001"
ANSWERS = json.loads(lzma.decompress((MADE / "answers.json.xz").read_bytes()))
KILLS = """
import asyncio, os, shutil, signal, sys
from itertools import count
from pathlib import Path

import alembic.command
from sqlalchemy import event
from sqlalchemy.engine import Engine

from bokeh_server.store.sql import SqlStore

async def play(folder):
    async with SqlStore(folder):
        pass

def migrate(folder, left):
    def die(*_):
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", die)
    event.listen(Engine, "commit", die)
    asyncio.run(play(folder))
    os._exit(0)

place = Path(sys.argv[1])
for number in count():
    folder = shutil.copytree(place / "data", place / str(number))
    if not (child := os.fork()):
        migrate(folder, number)
    if os.waitpid(child, 0)[1] == 0:
        break
print(number)
"""
"""Migrate copies of a folder, each killed one statement (or commit) later, until one comes to its end."""


def unpacked(folder: Path) -> Path:
    """The data folder as it was left."""
    with tarfile.open(MADE / "data.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def whole(tmp_path: Path) -> Contents:
    """What is in it."""
    assert revisions(unpacked(tmp_path / "whole") / FILE) == [("0001",)]
    return opened(tmp_path / "whole")


CONFIG = {"type": "object", "name": "DocumentConfig", "id": "config", "attributes": {}}
"""What a document that was never stored whole did not have."""


def same(server: RunningServer, somebody: Person) -> None:
    """Every document is what it was, and where it was."""
    kept = {document["id"]: document for document in somebody("GET", "/api/v1/documents").json}
    for before in ANSWERS["documents"]:
        now, link = kept.pop(before["id"]), before["link"].removeprefix(ANSWERS["url"])
        assert {name: now[name] for name in before} == {**before, "programs": 0, "link": f"{server.url}/{link}"}
        assert somebody("GET", f"/{link}").status == 200
        content = {"config": CONFIG, **ANSWERS["contents"][before["id"]]}
        assert somebody("GET", f"/api/v1/documents/{before['id']}").json == content
    assert kept == {}


def takes_patches(server: RunningServer, somebody: Person) -> None:
    """Its documents go on, and what they are told is kept over a kill."""
    ids = {document["title"]: f"/api/v1/documents/{document['id']}" for document in ANSWERS["documents"]}
    rows = somebody("POST", f"{ids['readings']}/sources/readings/rows", [{"t": 99.5, "n": 50, "who": "new"}])
    speed = somebody("PUT", f"{ids['knob']}/models/speed/value", 9)
    renamed = somebody("PATCH", ids["empty"], {"title": "still empty"})
    assert {rows.status, speed.status, renamed.status} <= {200, 204}
    then = [somebody("GET", path).json for path in ids.values()]
    assert then != list(ANSWERS["contents"].values())
    server.kill()
    server.start()
    assert [somebody("GET", path).json for path in ids.values()] == then
    assert somebody("GET", f"{ids['readings']}/info").json["seq"] == 48
    assert somebody("GET", f"{ids['knob']}/models/speed/value").json == 9


def test_a_server_from_before_accounts_is_upgraded_with_all_it_has(tmp_path: Path) -> None:
    with RunningServer(unpacked(tmp_path / "data")) as server:
        everybody = Person(server.port)
        same(server, everybody)
        takes_patches(server, everybody)


def test_with_accounts_what_it_has_is_the_administrators_who_can_share_it(tmp_path: Path) -> None:
    with RunningServer(unpacked(tmp_path / "data"), "-m") as server:
        town = Town(server)
        anna, links = town.person("anna"), [f"/bokeh/doc/{document['id']}" for document in ANSWERS["documents"]]
        same(server, town.root)
        assert anna("GET", "/api/v1/documents").json == []
        assert {anna("GET", link).status for link in links} == {404}
        assert {town.nobody("GET", link).status for link in links} <= {302, 303, 404}
        takes_patches(server, town.root)
        given = f"/api/v1/documents/{ANSWERS['documents'][-1]['id']}"
        assert town.root("PUT", f"{given}/grants/anna", {"role": "editor"}).status < 300
        assert [document["title"] for document in anna("GET", "/api/v1/documents").json] == ["readings"]
        assert town.root("DELETE", given).status == 204
        assert anna("GET", given).status == 404


def left_whole(folder: Path, whole: Contents) -> str:
    """The revision of a database that an upgrade has left anyhow, which then opens with all that is in it."""
    ((found,),) = revisions(folder / FILE)
    assert opened(folder) == whole
    assert revisions(folder / FILE) == [(HEAD,)]
    return found


def test_kill_9_at_any_statement_of_the_upgrade_leaves_the_old_database_or_the_new(
    tmp_path: Path, whole: Contents
) -> None:
    unpacked(tmp_path / "data")
    told = subprocess.run([sys.executable, "-c", KILLS, str(tmp_path)], capture_output=True, text=True, check=True)
    last = int(told.stdout)
    assert last > 20
    found = [left_whole(tmp_path / str(number), whole) for number in range(last + 1)]
    assert found == ["0001"] * last + [HEAD]


def test_a_power_cut_in_the_upgrade_leaves_the_old_database_or_the_new(tmp_path: Path, whole: Contents) -> None:
    files = {file.name: file.read_bytes() for file in unpacked(tmp_path / "data").iterdir()}
    before: list[Event] = [event for name, data in files.items() for event in (Write(name, 0, data), Flush(name))]
    disk, chance = Disk("upgrade"), Random(1)

    async def play() -> None:
        async with SqlStore(tmp_path / "data", database=disk.database):
            pass

    asyncio.run(play())
    history = [*before, *disk.history]
    points = [*sorted(chance.sample(range(len(before), len(history)), 20)), len(history) - 1]
    found = []
    for turn, (_, left) in enumerate(cuts(history, points, chance)):
        folder = tmp_path / str(turn)
        folder.mkdir()
        for name, content in left.items():
            (folder / name).write_bytes(content)
        found.append(left_whole(folder, whole))
    assert {*found} == {"0001", HEAD}
    assert found[-1] == HEAD
