"""The real nets, pulled once into the checkout's own weights folder, where `make setup` puts them too."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.errors import OnlookerError
from app.models.arrays import Image
from app.models.catalogue import Catalogue, load_catalogue
from app.models.fetch import ensure
from app.models.pipeline import Recogniser, load_recogniser
from app.settings import ROOT, Settings


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
def catalogue() -> Catalogue:
    return load_catalogue(ROOT / "weights")


@pytest.fixture(scope="session")
def recogniser(weights: Path) -> Recogniser:
    return load_recogniser(Settings(weights_dir=weights, detector="centerface", embedder="faceplugin-512"))


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


@pytest.fixture(scope="session")
def still(shared_data: Path) -> Callable[[str], Image]:
    """Return what reads a real photograph, named below the folder of stills, to BGR."""

    def read(name: str) -> Image:
        image = cv2.imread(str(shared_data / "stills" / name))
        assert image is not None, name
        return np.asarray(image, dtype=np.uint8)

    return read
