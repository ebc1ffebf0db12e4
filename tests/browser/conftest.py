"""A real browser, and what a test needs to look at the page with it."""

import shutil
from collections.abc import Iterator
from typing import Protocol

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Site(Protocol):
    """A running Onlooker with the stream `clip`, as the fixture `site` gives it."""

    #: Base address, the same after a stop and a start.
    url: str

    def stop(self) -> None:
        """Take the worker away."""

    def start(self) -> None:
        """Bring it back, and return when it is ready."""

    def add_stream(self, name: str) -> None:
        """Play the clip on one more stream until the end of the session."""


@pytest.fixture(scope="session")
def browser() -> Iterator["sync_api.Browser"]:
    """Return the browser of this machine, or skip."""
    program = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(_CHROMIUM)} is installed")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield found
        found.close()


@pytest.fixture
def context(browser: "sync_api.Browser") -> Iterator["sync_api.BrowserContext"]:
    """Return a desktop profile that nothing has touched."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as fresh:
        fresh.set_default_timeout(20_000)
        yield fresh


@pytest.fixture
def phone(browser: "sync_api.Browser") -> Iterator["sync_api.BrowserContext"]:
    """Return a profile of a small phone."""
    with browser.new_context(
        viewport={"width": 360, "height": 740}, device_scale_factor=2, has_touch=True, is_mobile=True
    ) as fresh:
        fresh.set_default_timeout(20_000)
        yield fresh
