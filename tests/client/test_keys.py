"""Keys between runs: one for each server, for its user's eyes only, and never half a file."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from bokeh_server.client import keys
from bokeh_server.client.keys import Saved
from bokeh_server.client.session import Session
from bokeh_server.errors import BadSetting

HERE = Saved("http://localhost:5006/", "anna", "key-1")
THERE = Saved("https://plots.example.org/", "ben", "key-2")


def test_a_key_is_kept_for_each_server(tmp_path: Path) -> None:
    keys.save(HERE, tmp_path)
    keys.save(THERE, tmp_path)
    assert keys.load(HERE.root_url, tmp_path) == HERE
    assert keys.load(THERE.root_url, tmp_path) == THERE
    assert keys.load("http://localhost:1/", tmp_path) is None
    keys.forget(HERE.root_url, tmp_path)
    assert keys.load(HERE.root_url, tmp_path) is None
    assert keys.load(THERE.root_url, tmp_path) == THERE


def test_only_its_user_can_read_the_file(tmp_path: Path) -> None:
    keys.save(HERE, tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / "config.json").stat().st_mode) == 0o600
    assert os.listdir(tmp_path / "new") == ["config.json"]


def test_without_a_folder_it_is_the_one_of_2015(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    keys.save(HERE)
    kept = json.loads((tmp_path / ".bokeh" / "config.json").read_text())
    assert kept == {HERE.root_url: {"root_url": HERE.root_url, "username": "anna", "userapikey": "key-1"}}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", f'{{"{HERE.root_url}": 5}}', f'{{"{HERE.root_url}": {{}}}}'])
def test_a_file_that_is_something_else_holds_no_key_and_can_be_written_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert keys.load(HERE.root_url, tmp_path) is None
    keys.save(HERE, tmp_path)
    assert keys.load(HERE.root_url, tmp_path) == HERE


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadSetting, match="can't be kept"):
        keys.save(HERE, tmp_path / "file")


def test_a_session_takes_the_key_that_was_kept_unless_it_is_told_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BOKEH_SERVER_TOKEN", raising=False)
    keys.save(HERE, tmp_path)

    def who(**more: object) -> tuple[str, str]:
        session = Session(HERE.root_url, configdir=tmp_path, **more)  # type: ignore[arg-type]
        return session.username, session.userapikey

    assert who() == ("anna", "key-1")
    assert who(load_from_config=False) == ("defaultuser", "nokey")
    assert who(username="ben") == ("ben", "nokey")
    assert who(userapikey="other") == ("defaultuser", "other")
    monkeypatch.setenv("BOKEH_SERVER_TOKEN", "of the job")
    assert who() == ("defaultuser", "of the job")
