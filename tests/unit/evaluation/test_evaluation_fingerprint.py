"""All that decides which embedding comes out of a picture is in its fingerprint, and nothing else."""

import inspect
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import msgspec
import pytest

from app.evaluation.fingerprint import _CODE, LIBRARIES, code_digest, way_of
from app.models.chosen import Chosen
from app.models.runtime.device import Choice, Device
from app.settings import Settings
from app.weights.catalogue import load_catalogue


def test_all_that_changes_the_result_changes_the_way(tmp_path: Path) -> None:
    catalogue = load_catalogue(tmp_path)
    centerface, yunet = catalogue.detector("centerface"), catalogue.detector("yunet")
    embedder = catalogue.embedder("faceplugin-512")
    settings, nets = Settings(), Chosen(centerface, None, embedder)
    file = msgspec.structs.replace(embedder.files[0], sha256=embedder.files[0].sha256[:-1] + "0")
    fed = msgspec.structs.replace(embedder.input, colour="RGB")
    ways = [
        way_of(settings, nets),
        way_of(settings, replace(nets, detector=yunet)),
        way_of(settings, replace(nets, landmarker=yunet)),
        way_of(settings, replace(nets, embedder=msgspec.structs.replace(embedder, files=(file,)))),
        way_of(settings, replace(nets, embedder=msgspec.structs.replace(embedder, input=fed))),
        *(
            way_of(settings.model_copy(update=change), nets)
            for change in (
                {"detection_side": 320},
                {"detection_score": 0.6},
                {"min_face": 30},
                {"embed_score": 0.7},
            )
        ),
    ]
    assert len(set(ways)) == len(ways)


def default_way(folder: Path) -> str:
    catalogue = load_catalogue(folder)
    nets = Chosen(catalogue.detector("centerface"), None, catalogue.embedder("faceplugin-512"))
    return way_of(Settings(), nets)


def test_another_device_is_another_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = set()
    for device in Device:
        choice = Choice(device, "a test")
        monkeypatch.setattr("app.evaluation.fingerprint.choose_device", {"auto": choice}.__getitem__)
        ways.add(default_way(tmp_path))
    assert len(ways) == 3


@pytest.mark.parametrize("name", LIBRARIES)
def test_another_version_of_a_library_is_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = default_way(tmp_path)
    monkeypatch.setattr(
        "app.evaluation.fingerprint.version", lambda asked: "0.0" if asked == name else version(asked)
    )
    assert default_way(tmp_path) != before


@pytest.mark.parametrize("module", ["alignment", "detection", "embedding", "gate", "pipeline", "embeddings"])
def test_changed_code_is_another_way_and_is_known_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    way, code = default_way(tmp_path), code_digest()
    assert way.startswith(code)
    (inside,) = [one for one in _CODE if one.__name__.endswith(f".{module}")]
    source, read = Path(inspect.getfile(inside)), Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"#" * (path == source))
    assert code_digest() != code
    assert default_way(tmp_path).split("-")[1:] == way.split("-")[1:]


def test_what_does_not_change_the_result_does_not_change_the_way(tmp_path: Path) -> None:
    catalogue = load_catalogue(tmp_path)
    detector, embedder = catalogue.detector("centerface"), catalogue.embedder("faceplugin-512")
    way = way_of(Settings(), Chosen(detector, None, embedder))
    other = msgspec.structs.replace(embedder, name="other", title="Other", threshold=0.1, note="")
    assert way_of(Settings(threads=2, margin=0.2), Chosen(detector, None, other)) == way
