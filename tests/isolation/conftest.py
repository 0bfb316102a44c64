"""One Chromium for each module of the corpus; ``ISOLATION=all`` (``make isolation``) plays all of it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import FLAGS
from tests.isolation.guests import Embedded, Hosted, Shared
from tests.isolation.outside import LOOPBACK, RESOLVE
from tests.isolation.stage import Stage

ALL = os.environ.get("ISOLATION") == "all"


@pytest.fixture(scope="module")
def chromium(chromium_path: str) -> Iterator[Browser]:
    """The browser, to which the outside has a name."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium_path, args=[*FLAGS, RESOLVE, LOOPBACK])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def stage(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server as it is by default, and a browser that holds something."""
    with Stage(chromium, tmp_path_factory.mktemp("stage")) as made:
        yield made


@pytest.fixture(scope="module")
def shared(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server with accounts, whose viewer has logged in and gets documents to change from somebody else."""
    with Shared(chromium, tmp_path_factory.mktemp("shared")) as made:
        yield made


@pytest.fixture(scope="module")
def embedded(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The same, of documents that he meets in a page of another site."""
    with Embedded(chromium, tmp_path_factory.mktemp("embedded")) as made:
        yield made


@pytest.fixture(scope="module")
def hosted(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A site in Flask that the server is a part of; its viewer is logged in at the site."""
    with Hosted(chromium, tmp_path_factory.mktemp("hosted")) as made:
        yield made
