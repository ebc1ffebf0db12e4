"""The real broker, started once for all integration tests."""

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app.broker import Broker, JarsUnavailableError, free_port, prepare_jars

ROOT = Path(__file__).resolve().parents[2]


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
    kafka = Broker(tmp_path_factory.mktemp("broker"), free_port(), jars)
    _run_apart(kafka.start())
    yield kafka
    _run_apart(kafka.stop())


def _run_apart(work: Coroutine[Any, Any, None]) -> None:
    # In a thread: an asynchronous test that asks for the fixture has prepared a loop in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()
