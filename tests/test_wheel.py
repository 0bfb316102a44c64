"""What ``pip install`` installs is all there: built as a wheel, installed, and run far from the sources."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import RunningServer
from tests.store.test_upgrade import same, unpacked
from tests.web.town import Person

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with this package as a wheel brings it, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    how = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([sys.executable, "-m", "pip", "install", *how, "--target", folder, ROOT], check=True)
    return folder


def files(folder: Path) -> set[str]:
    """The files of the package."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*.*") if "__pycache__" not in path.parts}


def test_a_wheel_has_every_file_of_the_package(installed: Path) -> None:
    assert files(installed / "bokeh_server") == files(ROOT / "src" / "bokeh_server")


def test_the_installed_program_shows_its_pages_and_migrates_an_older_database(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Installed(RunningServer):
        program = (str(installed / "bin" / "bokeh-server"),)

    monkeypatch.setenv("PYTHONPATH", str(installed))
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with Installed(unpacked(tmp_path / "data")) as server:
        ask = Person(server.port)
        same(server, ask)
        document = ask("GET", "/api/v1/documents").json[0]["id"]
        inside = {"Sec_Fetch_Dest": "iframe", "Sec_Fetch_Site": "same-origin"}
        for page, more in (("/", {}), (f"/bokeh/doc/{document}", {}), (f"/bokeh/frame/{document}", inside)):
            shown = ask("GET", page, **more)
            assert shown.status == 200
            static = re.findall(r'"([^"?]*/static/[^"?]+)', shown.body.decode())
            assert any(place.endswith(".js") for place in static), shown.body
            assert {ask("GET", place).status for place in static} == {200}
