"""`onlooker models` lists, pulls and verifies, and fails in one line."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import cli
from app.errors import OnlookerError
from app.settings import ROOT, load_settings


@pytest.fixture
def folder(tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty weights folder, with a mirror that has one net."""
    monkeypatch.setenv("ONLOOKER_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("ONLOOKER_WEIGHTS_MIRROR", str(shared_data / "models"))
    monkeypatch.setenv("ONLOOKER_DETECTOR", "yunet")
    load_settings.cache_clear()
    yield tmp_path
    load_settings.cache_clear()


def run(*arguments: str) -> str:
    result = CliRunner(env={"COLUMNS": "160"}).invoke(cli, ["models", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_list_says_what_is_here(folder: Path) -> None:
    before = next(line for line in run("list").splitlines() if "yunet" in line)
    assert "detector" in before
    assert "MIT" in before
    assert "missing" in before
    run("pull", "yunet")
    assert "present" in next(line for line in run("list").splitlines() if "yunet" in line)


def test_list_shows_licences_and_undisclosed_training_data(folder: Path) -> None:
    assert "training data undisclosed" in run("list")


def test_verify_is_content_with_what_is_right(folder: Path) -> None:
    run("pull", "yunet")
    assert run("verify", "yunet") == "yunet: present\n"


def test_verify_finds_a_damaged_file(folder: Path) -> None:
    run("pull", "yunet")
    data = bytearray((folder / "yunet.onnx").read_bytes())
    data[1000] ^= 1
    (folder / "yunet.onnx").write_bytes(data)
    with pytest.raises(OnlookerError, match=r"yunet\.onnx \(wrong digest\)"):
        run("verify", "yunet")


def test_verify_finds_that_the_settings_nets_are_missing(folder: Path) -> None:
    with pytest.raises(OnlookerError, match=r"yunet\.onnx \(missing\), faceplugin-512\.onnx \(missing\)"):
        run("verify")


def test_pull_takes_the_settings_nets_when_none_is_named(folder: Path) -> None:
    with pytest.raises(OnlookerError, match="faceplugin-512: the mirror"):
        run("pull")
    assert (folder / "yunet.onnx").is_file()


@pytest.mark.parametrize("command", ["pull", "verify"])
def test_what_a_person_does_wrong_is_one_line(folder: Path, command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", "models", command, "nope"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("onlooker: unknown entry 'nope'")
    assert done.stderr.count("\n") == 1


def test_an_import_says_how_it_is_used(folder: Path, shared_data: Path) -> None:
    prefix = shared_data / "mxnet" / "mobilefacenet-y1" / "model"
    lines = run("import-mxnet", str(prefix), "0", "--name", "y1", "--licence", "research only").splitlines()
    assert lines[0] == "y1: embedder, y1.onnx (4.1 MB)"
    assert lines[1] == "use it: ONLOOKER_EMBEDDER=y1 (128 dimensions)"
    assert "onlooker calibrate" in lines[2]
    listed = next(line for line in run("list").splitlines() if "y1" in line)
    assert "research only" in listed
    assert "present" in listed
    assert run("verify", "y1") == "y1: present\n"


@pytest.mark.parametrize(
    ("prefix", "epoch", "said"),
    [
        ("mtcnn/det", "1", "use it: ONLOOKER_DETECTOR=found"),
        (
            "retinaface-mobile/16and32",
            "0",
            "use it: ONLOOKER_DETECTOR=found ONLOOKER_LANDMARKER=centerface"
            " (it finds no landmarks, which faces need)",
        ),
    ],
)
def test_an_import_of_a_detector_says_whether_another_one_is_needed(
    folder: Path, shared_data: Path, prefix: str, epoch: str, said: str
) -> None:
    told = run("import-mxnet", str(shared_data / "mxnet" / prefix), epoch, "--name", "found")
    assert told.splitlines()[1:] == [said]


def test_an_import_that_fails_is_one_line(folder: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", "models", "import-mxnet", "nothing", "0"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "onlooker: cannot read nothing-symbol.json: No such file or directory\n"


def test_there_must_be_something_to_hold_against_mxnet(folder: Path) -> None:
    run("pull", "yunet")
    with pytest.raises(OnlookerError, match="yunet was not imported from MXNet"):
        run("verify", "yunet", "--against-mxnet")
