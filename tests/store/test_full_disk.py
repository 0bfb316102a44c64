"""A disk that is really full: nothing is half-kept, the error says so, and with space again everything goes on.

The limit on the size of files (RLIMIT_FSIZE) is there on every machine; where mounting is allowed, a file system of
2 MB is filled as well.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.store.child import started

MOUNTED = ("unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=2m tmpfs "$0" && exec "$@"')


def can_mount() -> bool:
    try:
        return subprocess.run([*MOUNTED, "/mnt", "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


DISKS = ["limited", *(["mounted"] if can_mount() else [])]


@pytest.mark.parametrize("disk", DISKS)
def test_a_full_disk_keeps_nothing_half_and_the_store_works_again_with_space(disk: str, tmp_path: Path) -> None:
    child = started("fill", tmp_path, prefix=(*MOUNTED, str(tmp_path)) if disk == "mounted" else ())
    assert child.stdout is not None
    told = child.stdout.read().split()
    child.stdout.close()
    assert child.wait() == 0
    assert told == ["StoreFull" if disk == "mounted" else "StoreFailed", "True", "True"]
