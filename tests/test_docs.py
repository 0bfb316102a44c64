"""The docs against the code: made pages are up to date, links lead somewhere, Python in them compiles."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bokeh_server.cli import cli

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])


def test_the_reference_says_what_the_code_says() -> None:
    check = subprocess.run(
        [sys.executable, ROOT / "scripts" / "reference", "--check"], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_every_command_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "command-line.md").read_text()

    def named(name: str, command: click.Command) -> Iterator[str]:
        yield name
        for part, inner in getattr(command, "commands", {}).items():
            yield from named(f"{name} {part}", inner)

    names = list(named("bokeh-server", cli))
    assert {"bokeh-server doc show", "bokeh-server user uninvite", "bokeh-server logout"} <= set(names)
    assert [name for name in names if not re.search(rf"^#+ `{name}[ `]", page, re.MULTILINE)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    missing = [t for t in targets if not re.match(r"[a-z]+:", t) and not (page.parent / t).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_in_the_docs_compiles(page: Path) -> None:
    for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        if "->" not in code.split("\n")[0]:  # a signature
            ast.parse(code)


def test_every_message_of_the_wire_is_described() -> None:
    source = (ROOT / "src" / "bokeh_server" / "core" / "room.py").read_text()
    spoken = set(re.findall(r'"([A-Z]+(?:-[A-Z]+)*)"', source)) - {"GET"}
    page = (ROOT / "docs" / "reference" / "wire.md").read_text()
    assert {"PATCH-DOC", "RESUME", "ACK"} <= spoken
    assert [message for message in sorted(spoken) if f"`{message}`" not in page] == []


def test_every_recipe_named_in_the_docs_is_in_the_makefile() -> None:
    recipes = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {recipe for page in PAGES for recipe in re.findall(r"`make ([a-z]+)`", page.read_text())}
    assert named - recipes == set()


def test_no_file_names_a_path_of_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    faults = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in {".py", ".js", ".md", ".toml", ".html", ".css", ""} and path.is_file():
            if re.search(r"(?<!\w)/(work|root)/[a-z.]", path.read_text(errors="ignore")):
                faults.append(name)
    assert faults == []
