"""`onlooker models` lists, pulls and verifies, and fails in one line."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner
from mxnet_files import embedder_net
from onnx_files import embedder
from scrfd_files import write_scrfd

from app.cli import cli
from app.errors import OnlookerError
from app.settings import ROOT, load_settings
from app.weights.catalogue import load_catalogue


@pytest.fixture
def folder(
    weights: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """An empty weights folder, with a mirror that has one net."""
    mirror = tmp_path_factory.mktemp("mirror")
    (mirror / "centerface.onnx").symlink_to(weights / "centerface.onnx")
    monkeypatch.setenv("ONLOOKER_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("ONLOOKER_WEIGHTS_MIRROR", str(mirror))
    load_settings.cache_clear()
    yield tmp_path
    load_settings.cache_clear()


@pytest.fixture
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the prefix of a small embedder's checkpoint."""
    return embedder_net(dimension=128).write(tmp_path_factory.mktemp("mxnet") / "model")


def run(*arguments: str) -> str:
    result = CliRunner(env={"COLUMNS": "160"}).invoke(cli, ["models", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_list_says_what_is_here(folder: Path) -> None:
    before = next(line for line in run("list").splitlines() if "centerface" in line)
    assert "detector" in before
    assert "MIT" in before
    assert "missing" in before
    run("pull", "centerface")
    assert "present" in next(line for line in run("list").splitlines() if "centerface" in line)


def test_list_shows_licences_and_undisclosed_training_data(folder: Path) -> None:
    assert "training data undisclosed" in run("list")


def test_verify_is_content_with_what_is_right(folder: Path) -> None:
    run("pull", "centerface")
    assert run("verify", "centerface") == "centerface: present\n"


def test_verify_finds_a_damaged_file(folder: Path) -> None:
    run("pull", "centerface")
    data = bytearray((folder / "centerface.onnx").read_bytes())
    data[1000] ^= 1
    (folder / "centerface.onnx").write_bytes(data)
    with pytest.raises(OnlookerError, match=r"centerface\.onnx \(wrong digest\)"):
        run("verify", "centerface")


def test_verify_finds_that_the_settings_nets_are_missing(folder: Path) -> None:
    with pytest.raises(
        OnlookerError, match=r"centerface\.onnx \(missing\), faceplugin-512\.onnx \(missing\)"
    ):
        run("verify")


def test_pull_takes_the_settings_nets_when_none_is_named(folder: Path) -> None:
    with pytest.raises(OnlookerError, match="faceplugin-512: the mirror"):
        run("pull")
    assert (folder / "centerface.onnx").is_file()


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


ENTRY = """
[{name}]
kind = "detector"
title = ""
architecture = "yunet"
source = "user"
homepage = "https://example.org"
licence = "{licence}"
restricted = {restricted}
input = {{ colour = "BGR", mean = 0, scale = 1 }}
files = [{{ name = "{name}.onnx", member = "{name}.onnx", bytes = {bytes}, sha256 = "{sha256}" }}]
"""


@pytest.fixture
def restricted(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A catalogue of one free and one restricted entry, both in the mirror."""
    mirror = tmp_path_factory.mktemp("mirror")
    entries = []
    for name, licence, bound in (("free", "MIT", "false"), ("bound", "[research] only", "true")):
        content = name.encode()
        (mirror / f"{name}.onnx").write_bytes(content)
        pinned = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        entries.append(ENTRY.format(name=name, licence=licence, restricted=bound, **pinned))
    (folder / "catalogue.toml").write_text("".join(entries), encoding="utf-8")
    monkeypatch.setenv("ONLOOKER_WEIGHTS_MIRROR", str(mirror))
    load_settings.cache_clear()
    return folder


def test_a_restricted_licence_is_marked_and_must_be_accepted(restricted: Path) -> None:
    assert "restricted: [research] only" in run("list")
    with pytest.raises(OnlookerError, match=r"\[research\] only \(https://example\.org\).*--accept-licence"):
        run("pull", "bound")
    assert not (restricted / "bound.onnx").exists()
    said = run("pull", "bound", "--accept-licence").splitlines()
    assert said == ["bound: [research] only (https://example.org): accepted", "bound: present"]
    assert run("pull", "bound") == "bound: present\n"


def test_pulling_all_passes_over_what_is_not_accepted(restricted: Path) -> None:
    assert run("pull", "--all").splitlines() == [
        "bound: [research] only (https://example.org): skipped, as --accept-licence is not given",
        "free: present",
    ]
    assert not (restricted / "bound.onnx").exists()
    assert run("pull", "--all", "--accept-licence").splitlines()[-2:] == ["free: present", "bound: present"]
    assert run("pull", "--all").splitlines() == ["free: present", "bound: present"]


@pytest.mark.parametrize("command", [["up", "--no-source"], ["worker"]])
def test_no_command_fetches_a_restricted_net_because_a_setting_names_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("ONLOOKER_EMBEDDER", "arcface-mbf")
    monkeypatch.setenv("ONLOOKER_THRESHOLD", "0.5")
    monkeypatch.setenv("ONLOOKER_BROKER", "kafka://127.0.0.1:1")
    monkeypatch.setenv("ONLOOKER_DATA_DIR", str(tmp_path / "var"))
    done = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", *command],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("onlooker: arcface-mbf is not here, and its licence asks to be accepted")
    assert done.stderr.endswith("onlooker models pull arcface-mbf --accept-licence\n")
    assert done.stderr.count("\n") == 1
    assert not list(folder.glob("*.onnx"))


def test_an_import_says_how_it_is_used(folder: Path, checkpoint: Path) -> None:
    lines = run(
        "import-mxnet", str(checkpoint), "0", "--name", "y1", "--licence", "research only"
    ).splitlines()
    assert lines[0] == "y1: embedder, y1.onnx (0.4 MB)"
    assert lines[1] == "use it: ONLOOKER_EMBEDDER=y1 (128 dimensions)"
    assert "onlooker calibrate" in lines[2]
    listed = next(line for line in run("list").splitlines() if "y1" in line)
    assert "research only" in listed
    assert "present" in listed
    assert run("verify", "y1") == "y1: present\n"


def test_an_onnx_import_says_how_it_is_used(folder: Path, tmp_path: Path) -> None:
    onnx.save(embedder(), tmp_path / "net_1.onnx")
    lines = run("import-onnx", str(tmp_path / "net_1.onnx"), "--licence", "CC0").splitlines()
    assert lines == [
        "net-1: embedder, net-1.onnx (0.2 MB)",
        "use it: ONLOOKER_EMBEDDER=net-1 (48 dimensions)",
        "no threshold is known yet: run `onlooker calibrate`, or set ONLOOKER_THRESHOLD",
        "it is fed RGB pixels as (x - 127.5) * 0.00784314",
    ]
    assert "CC0" in next(line for line in run("list").splitlines() if "net-1" in line)
    assert run("verify", "net-1") == "net-1: present\n"
    again = ("import-onnx", str(tmp_path / "net_1.onnx"), "--threshold", "0.4", "--mean", "0", "--scale", "1")
    assert run(*again).splitlines()[2:] == ["it is fed RGB pixels as (x - 0) * 1"]
    assert load_catalogue(folder).embedder("net-1").threshold == 0.4


def test_an_onnx_detector_can_be_named_by_the_setting(folder: Path, tmp_path: Path) -> None:
    write_scrfd(tmp_path / "net.onnx")
    assert run("import-onnx", str(tmp_path / "net.onnx"), "--name", "small").splitlines() == [
        "small: detector, small.onnx (0.5 MB)",
        "use it: ONLOOKER_DETECTOR=small",
        "it is fed RGB pixels as (x - 127.5) * 0.0078125",
    ]


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
    assert told.splitlines()[1] == said


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["import-mxnet", "nothing", "0"], "cannot read nothing-symbol.json: No such file or directory"),
        (["import-onnx", "nothing.onnx"], "cannot read nothing.onnx: No such file or directory"),
        (["import-onnx", "README.md"], "README.md: not an ONNX file, or a truncated one"),
    ],
)
def test_an_import_that_fails_is_one_line(folder: Path, command: list[str], says: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", "models", *command],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"onlooker: {says}\n"
    assert not list(folder.glob("*.onnx"))


def test_there_must_be_something_to_hold_against_mxnet(folder: Path) -> None:
    run("pull", "centerface")
    with pytest.raises(OnlookerError, match="centerface was not imported from MXNet"):
        run("verify", "centerface", "--against-mxnet")


@pytest.fixture
def bring(tmp_path: Path, checkpoint: Path) -> dict[str, list[str]]:
    """Return the command that imports an embedder of each kind."""
    net = tmp_path / "net.onnx"
    onnx.save(embedder("flatten"), net)
    return {"onnx": ["import-onnx", str(net)], "mxnet": ["import-mxnet", str(checkpoint), "0"]}


@pytest.mark.parametrize(
    ("kind", "option", "number", "says"),
    [
        ("onnx", "--scale", "0", "pixels cannot be fed as"),
        ("onnx", "--mean", "nan", "pixels cannot be fed as"),
        ("mxnet", "--scale", "inf", "pixels cannot be fed as"),
        ("mxnet", "--mean", "nan", "pixels cannot be fed as"),
        ("onnx", "--threshold", "nan", "expected a threshold from -1 to 1, found nan"),
    ],
)
def test_numbers_that_are_no_use_are_refused(
    folder: Path, bring: dict[str, list[str]], kind: str, option: str, number: str, says: str
) -> None:
    with pytest.raises(OnlookerError, match=says) as caught:
        run(*bring[kind], "--name", "mine", option, number)
    assert "\n" not in str(caught.value)
    assert "mine" not in {entry.name for entry in load_catalogue(folder)}
    assert not (folder / "mine.onnx").exists()
