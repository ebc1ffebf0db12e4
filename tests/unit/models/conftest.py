"""The real nets, pulled once into the checkout's own weights folder, where `make setup` puts them too."""

from pathlib import Path

import pytest

from app.models.catalogue import Catalogue, load_catalogue
from app.models.pipeline import Recogniser, load_recogniser
from app.settings import ROOT, Settings


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue(ROOT / "weights")


@pytest.fixture(scope="session")
def yunet_recogniser(
    weights: Path, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Recogniser:
    """The second detector, from the mirror that the shared models are; the embedder from the checkout."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "faceplugin-512.onnx").symlink_to(weights / "faceplugin-512.onnx")
    settings = Settings(weights_dir=folder, weights_mirror=shared_data / "models", detector="yunet")
    return load_recogniser(settings)


@pytest.fixture(params=["recogniser", "yunet_recogniser"])
def each_recogniser(request: pytest.FixtureRequest) -> Recogniser:
    """Each detector in turn, with the same embedder."""
    found: Recogniser = request.getfixturevalue(request.param)
    return found
