"""Fixtures that every kind of test shares."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import cv2
import media.stills
import pytest
from cluster import Cluster
from hypothesis import settings as hypothesis_settings
from media.clips import make_clip
from scrfd_files import write_scrfd

from app.broker import Broker, JarsUnavailableError, free_port, prepare_jars
from app.errors import OnlookerError
from app.importers import OnnxImportOptions, import_onnx
from app.models.images import Image
from app.models.pipeline import Recogniser, load_recogniser
from app.settings import Settings
from app.weights.fetch import ensure

# What is tried at random is new each time at a desk, and the same each time where a change is judged.
# Nothing has a deadline: the machine is shared.
hypothesis_settings.register_profile("desk", deadline=None)
hypothesis_settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis_settings.load_profile("ci" if os.environ.get("CI") else "desk")

ROOT = Path(__file__).resolve().parent.parent

pytest_plugins = ["budget"]


@pytest.fixture(scope="session")
def photographs() -> Path:
    """Return the folder of the photographs that the tests' media are made from, or skip."""
    try:
        for name in ("demo-portraits", "demo-groups"):
            ensure(name, Settings(weights_dir=ROOT / "weights"))
    except OnlookerError as error:
        pytest.skip(f"the photographs cannot be had: {error}")
    return ROOT / "weights"


@pytest.fixture(scope="session")
def clip(photographs: Path) -> Path:
    """Return a recording of 275 frames: three on a stage, and at the end who listens to them."""
    return make_clip("stage")


@pytest.fixture(scope="session")
def portrait(photographs: Path) -> bytes:
    """Return a photograph of somebody who listens, taken elsewhere."""
    return (photographs / "demo-portraits" / "obama3.jpg").read_bytes()


@pytest.fixture(scope="session")
def audience(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the last 75 frames of the clip, a JPEG each."""
    folder = tmp_path_factory.mktemp("audience")
    with av.open(str(clip)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number >= 200:
                assert cv2.imwrite(str(folder / f"{number:03}.jpg"), frame.to_ndarray(format="bgr24"))
    return folder


@pytest.fixture(scope="session")
def weights() -> Path:
    """Return the folder with the default nets, pulled if need be, or skip where they cannot be had."""
    settings = Settings(weights_dir=ROOT / "weights")
    try:
        for name in ("centerface", "faceplugin-512"):
            ensure(name, settings)
    except OnlookerError as error:
        pytest.skip(f"the nets cannot be pulled: {error}")
    return settings.weights_dir


@pytest.fixture(scope="session")
def recogniser(weights: Path) -> Recogniser:
    return load_recogniser(Settings(weights_dir=weights, detector="centerface", embedder="faceplugin-512"))


@pytest.fixture(scope="session")
def boxes_only(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a weights folder with the default nets, and a detector `boxes` that finds no landmarks."""
    folder = tmp_path_factory.mktemp("boxes")
    for name in ("centerface.onnx", "faceplugin-512.onnx"):
        (folder / name).symlink_to(weights / name)
    write_scrfd(folder / "made.onnx", landmarks=False)
    import_onnx(folder / "made.onnx", folder, OnnxImportOptions(name="boxes"))
    return folder


@pytest.fixture(scope="session")
def still(photographs: Path) -> Callable[[str], Image]:
    """Return what reads a photograph, or draws a picture, by its name in `media.stills`, to BGR."""
    return media.stills.still


@pytest.fixture(scope="session")
def jars() -> Path:
    """Return the folder of Kafka's jars, fetched once for the whole checkout, or skip."""
    cache = ROOT / "var" / "jars"
    try:
        prepare_jars(cache)
    except JarsUnavailableError as error:
        pytest.skip(f"Kafka's jars cannot be had: {error}")
    return cache


@pytest.fixture(scope="session")
def broker(jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Yield Apache Kafka, running on a free port; it belongs to no event loop."""
    with running_broker(tmp_path_factory.mktemp("broker"), jars) as kafka:
        yield kafka


@contextmanager
def running_broker(folder: Path, jars: Path) -> Iterator[Broker]:
    """Run a broker on a free port, for as long as this lasts; it may be ended and started again meanwhile."""
    kafka = Broker(folder, free_port(), jars)
    run_apart(kafka.start())
    try:
        yield kafka
    finally:
        run_apart(kafka.stop())


@contextmanager
def frozen(broker: Broker) -> Iterator[None]:
    """Let the broker stand still: connections stay, and nothing answers, as with a network that drops all."""
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)


def run_apart(work: Coroutine[Any, Any, None]) -> None:
    """Run in a thread: an asynchronous test that asks for a fixture has prepared a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Attach what the processes of a failed test have logged."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            cluster = getattr(value, "cluster", value)
            if isinstance(cluster, Cluster):
                report.sections += [(f"log of {name}", text) for name, text in cluster.logs()]
    return report
