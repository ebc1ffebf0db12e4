"""A real browser, and a real Onlooker for it to look at."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from camera import Camera
from cluster import Cluster, Program, wait_for
from machine import SLOWNESS, load

from app.broker import Broker

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
sync_api.expect.set_options(timeout=5_000 * SLOWNESS)

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


class Site:
    """A running Onlooker with the stream `clip`."""

    def __init__(self, cluster: Cluster, camera: Camera) -> None:
        self.cluster = cluster
        self._camera = camera
        self._worker = cluster.worker().until_ready()
        #: Base address, the same after a stop and a start.
        self.url = self._worker.url
        # Slower than it was taken: two cores are for the worker and for the browser.
        self._film("clip", fps=load(3))

    def stop(self) -> None:
        """Take the worker away."""
        assert self._worker.stop() == 0

    def start(self) -> None:
        """Bring it back, and return when it is ready."""
        self._worker.start().until_ready()

    @contextmanager
    def streams(self, *names: str) -> Iterator[None]:
        """Play the clip on more streams for as long as this lasts."""
        with ExitStack() as playing:
            for name in names:
                playing.callback(self._film(name, fps=load(0.5)).end)
            yield

    def _film(self, name: str, fps: float) -> Program:
        source = self.cluster.source(self._camera.url(fps), name)
        wait_for(f"the stream {name}", lambda: self._worker.stream(name))
        return source


# Not for the session: its worker would take a core from all tests that follow.
@pytest.fixture(scope="module")
def site(broker: Broker, audience: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Yield a running Onlooker."""
    folder = tmp_path_factory.mktemp("site")
    # So patient that a busy machine shows late what it would not show else.
    with Camera(audience) as camera, Cluster(broker.url, folder, live_max_age=60) as cluster:
        yield Site(cluster, camera)


# Not for the session: while it runs, Playwright keeps a loop in this thread, and no other can run.
@pytest.fixture(scope="module")
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
        fresh.set_default_timeout(20_000 * SLOWNESS)
        yield fresh


@pytest.fixture
def phone(browser: "sync_api.Browser") -> Iterator["sync_api.BrowserContext"]:
    """Return a profile of a small phone."""
    with browser.new_context(
        viewport={"width": 360, "height": 740}, device_scale_factor=2, has_touch=True, is_mobile=True
    ) as fresh:
        fresh.set_default_timeout(20_000 * SLOWNESS)
        yield fresh
