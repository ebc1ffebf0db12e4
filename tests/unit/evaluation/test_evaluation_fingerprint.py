"""All that decides which embedding comes out of a picture is in its fingerprint, and nothing else."""

import inspect
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import msgspec
import pytest

from app.evaluation.fingerprint import _CODE, LIBRARIES, code_digest, fingerprint
from app.models.chosen import Chosen
from app.models.runtime.device import Choice, Device
from app.settings import Settings
from app.weights.catalogue import Curves, load_catalogue


def test_all_that_changes_the_result_changes_the_fingerprint(tmp_path: Path) -> None:
    catalogue = load_catalogue(tmp_path)
    centerface, yunet = catalogue.detector("centerface"), catalogue.detector("yunet")
    embedder = catalogue.embedder("faceplugin-512")
    settings, nets = Settings(), Chosen(centerface, None, embedder)
    file = msgspec.structs.replace(embedder.files[0], sha256=embedder.files[0].sha256[:-1] + "0")
    fed = msgspec.structs.replace(embedder.input, colour="RGB")
    found = [
        fingerprint(settings, nets),
        fingerprint(settings, replace(nets, detector=yunet)),
        fingerprint(settings, replace(nets, landmarker=yunet)),
        fingerprint(settings, replace(nets, embedder=msgspec.structs.replace(embedder, files=(file,)))),
        fingerprint(settings, replace(nets, embedder=msgspec.structs.replace(embedder, input=fed))),
        *(
            fingerprint(settings.model_copy(update=change), nets)
            for change in (
                {"detection_side": 320},
                {"detection_score": 0.6},
                {"min_face": 30},
                {"embed_score": 0.7},
            )
        ),
    ]
    assert len(set(found)) == len(found)


def default_fingerprint(folder: Path) -> str:
    catalogue = load_catalogue(folder)
    nets = Chosen(catalogue.detector("centerface"), None, catalogue.embedder("faceplugin-512"))
    return fingerprint(Settings(), nets)


def test_another_device_is_another_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = set()
    for device in Device:
        choice = Choice(device, "a test")
        monkeypatch.setattr("app.evaluation.fingerprint.choose_device", {"auto": choice}.__getitem__)
        found.add(default_fingerprint(tmp_path))
    assert len(found) == 3


@pytest.mark.parametrize("name", LIBRARIES)
def test_another_version_of_a_library_is_another_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = default_fingerprint(tmp_path)
    monkeypatch.setattr(
        "app.evaluation.fingerprint.version", lambda asked: "0.0" if asked == name else version(asked)
    )
    assert default_fingerprint(tmp_path) != before


@pytest.mark.parametrize("module", ["detection", "embedding", "feed", "pipeline", "embeddings"])
def test_changed_code_is_another_fingerprint_and_is_known_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    before, code = default_fingerprint(tmp_path), code_digest()
    assert before.startswith(code)
    (inside,) = [one for one in _CODE if one.__name__.endswith(f".{module}")]
    source, read = Path(inspect.getfile(inside)), Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"#" * (path == source))
    assert code_digest() != code
    assert default_fingerprint(tmp_path).split("-")[1:] == before.split("-")[1:]


def test_what_does_not_change_the_result_does_not_change_the_fingerprint(tmp_path: Path) -> None:
    catalogue = load_catalogue(tmp_path)
    detector, embedder = catalogue.detector("centerface"), catalogue.embedder("faceplugin-512")
    one = fingerprint(Settings(), Chosen(detector, None, embedder))
    other = msgspec.structs.replace(
        embedder,
        name="other",
        title="Other",
        note="",
        threshold=0.1,
        pooled_threshold=0.2,
        visit_threshold=0.3,
        confidence=Curves(single=(0.0, 1.0, 1.0)),
    )
    assert fingerprint(Settings(threads=2, margin=0.2), Chosen(detector, None, other)) == one
