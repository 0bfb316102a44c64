"""The core is pure: it waits for nothing, asks no clock, draws no random number, opens and prints nothing.

import-linter (`make contracts`) refuses the modules; this walks the syntax tree and refuses the names and the syntax,
also where they are built in. Both are shown to refuse what they should.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bokeh_server.core

FILES = sorted(Path(bokeh_server.core.__file__).parent.glob("*.py"))
MODULES = {"asyncio", "os", "pathlib", "random", "secrets", "socket", "threading", "time", "uuid"}
CALLS = {"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"}
SYNTAX = (ast.AsyncFor, ast.AsyncFunctionDef, ast.AsyncWith, ast.Await)


def impure(source: str) -> Iterator[str]:
    """What a source text does that a pure one may not."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names if name.name.split(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in MODULES:
                yield module
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                yield name
            case ast.Attribute(value=ast.Name(id="datetime" | "date"), attr="now" | "utcnow" | "today" as name):
                yield name
            case _ if isinstance(node, SYNTAX):
                yield type(node).__name__


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_of_the_core_is_pure(path: Path) -> None:
    assert list(impure(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "import os.path",
        "from random import shuffle",
        "open('x')",
        "print(1)",
        "datetime.now()",
        "async def f() -> None: ...",
        "exec('1')",
    ],
)
def test_what_is_impure_is_found(source: str) -> None:
    assert list(impure(source))


def test_what_only_looks_impure_is_let_through() -> None:
    assert list(impure("def now(time: float) -> float:\n    return opened.open(time)")) == []


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("bokeh_server.adapters.asgi", ("bokeh", "tornado", "flask")),
        ("bokeh_server.hub", ("bokeh", "tornado", "flask", "uvicorn")),
        ("bokeh_server.core.room", ("asyncio", "bokeh", "sqlalchemy", "uvicorn")),
        ("bokeh_server.client.session", ("sqlalchemy", "uvicorn", "bokeh_server.hub", "bokeh_server.store")),
        ("bokeh_server", ("bokeh", "numpy", "sqlalchemy", "uvicorn")),
    ],
)
def test_importing_a_part_does_not_load_what_it_must_not_know(module: str, absent: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([name for name in {absent!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_of_the_core_the_client_loads_the_wire_alone() -> None:
    code = "import sys, bokeh_server.plotting; print([name for name in sys.modules if 'server.core.' in name])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['bokeh_server.core.wire']"
