"""What functional tests share: the product's own nets, and a history of their own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.history.index import History
from app.models.pipeline import Nets, Recogniser
from app.weights.catalogue import load_catalogue


@pytest.fixture
def nets(recogniser: Recogniser, weights: Path) -> Nets:
    catalogue = load_catalogue(weights)
    return Nets(
        lambda: recogniser,
        catalogue.detector("centerface").identity,
        catalogue.embedder("faceplugin-512").identity,
    )


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[History]:
    made = History(keep=2**50)
    await made.open(tmp_path / "history.sqlite", "log")
    yield made
    await made.close()
