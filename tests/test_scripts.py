"""The scripts behind ``make`` install what is missing where they may, and say in one line what to do where not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTED = 'echo "{name} $*" >>"$LOG"\n'


def run(folder: Path, *, user: int, sudo: str) -> tuple[int, str, str]:
    """Exit status, what was done and what was said, on a Debian where ``sudo`` is a shell script."""
    (folder / "bin").mkdir()
    log = folder / "log"
    log.touch()
    programs = {"id": f"echo {user}", "apt-get": NOTED.format(name="apt-get"), "sudo": NOTED.format(name="sudo") + sudo}
    for name, text in programs.items():
        program = folder / "bin" / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    environment = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "LOG": str(log)}
    command = [str(ROOT / "scripts" / "apt-install"), "Chromium", "chromium", "fonts"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return done.returncode, log.read_text(), done.stderr


INSTALLED = "apt-get -qq update\napt-get -qq install --yes --no-install-recommends chromium fonts\n"


@pytest.mark.parametrize(("user", "sudo"), [(0, "exit 1"), (1000, 'shift; exec "$@"')])
def test_root_and_who_needs_no_password_get_the_package(tmp_path: Path, user: int, sudo: str) -> None:
    status, done, said = run(tmp_path, user=user, sudo=sudo)
    assert (status, said) == (0, "")
    assert "".join(line for line in done.splitlines(keepends=True) if line.startswith("apt-get")) == INSTALLED
    assert ("sudo -n" in done) == (user != 0)


def test_who_needs_a_password_is_told_what_to_install(tmp_path: Path) -> None:
    status, done, said = run(tmp_path, user=1000, sudo="exit 1")
    assert (status, said) == (1, "Chromium is missing; install it: sudo apt-get install chromium fonts\n")
    assert "apt-get" not in done


def test_proxies_that_are_missing_are_installed_and_their_services_stopped(tmp_path: Path) -> None:
    """On a machine that has nothing but a shell; and then on one that has them."""
    folder, log = tmp_path / "bin", tmp_path / "log"
    folder.mkdir()
    log.touch()
    for name in ("sh", "env", "dirname"):
        (folder / name).symlink_to(f"/bin/{name}" if name == "sh" else f"/usr/bin/{name}")
    for name, text in {
        "id": "echo 0",
        "apt-get": NOTED.format(name="apt-get"),
        "systemctl": NOTED.format(name="systemctl"),
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    environment = {"PATH": str(folder), "SBIN": str(folder), "LOG": str(log)}
    words = [str(ROOT / "scripts" / "proxies")]
    assert subprocess.run(words, env=environment, capture_output=True).returncode == 0
    done = log.read_text().splitlines()
    assert done[1] == "apt-get -qq install --yes --no-install-recommends nginx-light apache2 caddy"
    assert done[2:] == [f"systemctl disable --now {name}" for name in ("nginx", "apache2", "caddy")]
    for name in ("nginx", "apache2", "caddy"):
        (folder / name).write_text("")
        (folder / name).chmod(0o755)
    log.write_text("")
    assert subprocess.run(words, env=environment, capture_output=True).returncode == 0
    assert log.read_text() == ""
