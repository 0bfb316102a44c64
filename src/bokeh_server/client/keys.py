"""Keys that a program keeps between runs: one for each server, in ``~/.bokeh/config.json``, for its user's eyes only.

The file is that of 2015: a JSON object, the server's address -> ``{root_url, username, userapikey}``. It is written
whole and put in place in one step, so that two programs that log in at once leave one of two good files.
"""

from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from bokeh_server.errors import BadSetting

log = logging.getLogger("bokeh_server.client")
FILE = "config.json"


@dataclass(frozen=True, slots=True)
class Saved:
    """What is known of a user on a server."""

    root_url: str
    username: str
    userapikey: str


def folder(configdir: str | os.PathLike[str] | None = None) -> Path:
    """Where keys are kept: ``configdir``, or ``~/.bokeh``."""
    return Path(configdir) if configdir is not None else Path.home() / ".bokeh"


def load(root_url: str, configdir: str | os.PathLike[str] | None = None) -> Saved | None:
    """What was saved for the server at ``root_url``; None where nothing (that can be read) was."""
    entry = read(folder(configdir) / FILE).get(root_url)
    if not isinstance(entry, dict) or not all(isinstance(entry.get(name), str) for name in Saved.__slots__):
        return None
    return Saved(*(entry[name] for name in Saved.__slots__))


def save(saved: Saved, configdir: str | os.PathLike[str] | None = None) -> None:
    """Keep a key for the next run; ``BadSetting`` where it can't be written."""
    change(saved.root_url, asdict(saved), configdir)


def forget(root_url: str, configdir: str | os.PathLike[str] | None = None) -> None:
    """Keep no key for this server any more."""
    change(root_url, None, configdir)


def read(file: Path) -> dict[str, object]:
    """The entries of the file; none where there is no such file, or it is something else."""
    try:
        entries = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return entries if isinstance(entries, dict) else {}


def change(root_url: str, entry: dict[str, str] | None, configdir: str | os.PathLike[str] | None) -> None:
    """Put the entry of one server into the file, or take it out."""
    place = folder(configdir)
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        entries = {name: kept for name, kept in read(place / FILE).items() if name != root_url}
        if entry is not None:
            entries[root_url] = entry
        handle, draft = tempfile.mkstemp(dir=place)  # readable for its user only
        with os.fdopen(handle, "wb") as file:
            file.write(orjson.dumps(entries, option=orjson.OPT_INDENT_2))
        os.replace(draft, place / FILE)
    except OSError as error:
        raise BadSetting(f"The key can't be kept in {place} ({error.strerror}); choose another folder.") from None


def of_environment() -> str:
    """The token in ``BOKEH_SERVER_TOKEN``; "" where there is none."""
    return os.environ.get("BOKEH_SERVER_TOKEN", "").strip()  # files of settings leave ends of lines behind
