"""What is said of the nets before they are used: the device, and whose threshold it is."""

from pathlib import Path

import pytest

from app.models.chosen import chosen_nets, prepare_nets
from app.settings import Settings
from app.weights.local import change_local


@pytest.fixture
def folder(weights: Path, tmp_path: Path) -> Path:
    """Return a folder with the default nets and a catalogue of its own."""
    for path in weights.glob("*.onnx"):
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def calibrate(folder: Path, detector: str) -> None:
    embedder = chosen_nets(Settings(weights_dir=folder)).embedded_by
    measured = {
        "fpir": 0.01, "gallery": 1000, "comparisons": 10**7, "false_matches": 100, "detector": detector,
        "embedder": embedder, "dataset": "team", "date": "2026-11-01",
    }  # fmt: skip
    change_local(folder, "faceplugin-512", {"threshold": 0.5, "calibration": measured})


def test_the_device_is_said_and_why(folder: Path) -> None:
    (line,) = prepare_nets(Settings(weights_dir=folder, device="cpu"))
    assert line == "the nets run on CPU: ONLOOKER_DEVICE asks for it"


def test_a_threshold_of_this_detector_needs_no_words(folder: Path) -> None:
    calibrate(folder, chosen_nets(Settings(weights_dir=folder)).found_by)
    assert len(prepare_nets(Settings(weights_dir=folder))) == 1


def test_a_threshold_of_another_detector_is_told(folder: Path) -> None:
    calibrate(folder, "yunet@000000000000")
    _, line = prepare_nets(Settings(weights_dir=folder))
    assert line.startswith("the threshold of faceplugin-512 was measured with yunet@000000000000, not with")
    assert len(prepare_nets(Settings(weights_dir=folder, threshold=0.4))) == 1
