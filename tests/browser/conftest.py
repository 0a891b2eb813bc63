"""A real browser, and pictures of what it showed, in build/screenshots."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

PICTURES = ROOT / "build" / "screenshots"
NAMES = ("chromium", "chromium-browser", "google-chrome")
Keep = Callable[[Any, str], Path]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright. Without either the tests fail: who asks for them is not to be let off."""
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, NAMES)), None)
    assert chromium, f"none of {', '.join(NAMES)} is on the PATH"
    with sync_playwright() as playwright:
        # Chromium's sandbox does not start as root, as CI is; the pages are ours.
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def keep(request: pytest.FixtureRequest) -> Keep:
    """Takes a picture of a page as it stands, whole, named for the test."""

    def taken(page: Any, what: str) -> Path:
        name = re.sub(r"[^\w.]+", "-", f"{request.node.name.removeprefix('test_')}-{what}")
        path = PICTURES / f"{name}.png"
        page.screenshot(path=path, full_page=True)
        return path

    return taken
