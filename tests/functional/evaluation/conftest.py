"""A small dataset of real faces, and the command line with folders of its own."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from media.stills import write_people

from app.cli import main
from app.settings import Settings, load_settings

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def few(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with 14 people, 35 pictures, and a list of two folds, two pairs of each kind."""
    folder = tmp_path_factory.mktemp("lfw") / "few"
    write_people(folder / "images")
    people = sorted((folder / "images").iterdir())
    numbers = {person.name: sorted(int(path.stem[-4:]) for path in person.iterdir()) for person in people}
    several = [name for name, theirs in numbers.items() if len(theirs) > 1]
    lines = ["2\t2"]
    for fold in (several[:2], several[2:4]):
        lines += [f"{name}\t{numbers[name][0]}\t{numbers[name][1]}" for name in fold]
        one, other = fold
        lines += [f"{one}\t{number}\t{other}\t{numbers[other][0]}" for number in numbers[one][:2]]
    (folder / "pairs.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data folder that the tests share, so that every picture goes through the nets once."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def own_weights(weights: Path, tmp_path: Path) -> Path:
    """Return a weights folder in which something may be written: the nets are links."""
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("centerface.onnx", "faceplugin-512.onnx"):
        (folder / name).symlink_to(weights / name)
    return folder


@pytest.fixture
def environment(
    own_weights: Path, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    """Set the folders and nothing else."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ONLOOKER_{name.upper()}", raising=False)
    monkeypatch.setenv("ONLOOKER_DATA_DIR", str(cached))
    monkeypatch.setenv("ONLOOKER_WEIGHTS_DIR", str(own_weights))
    monkeypatch.setenv("COLUMNS", "160")
    yield monkeypatch
    load_settings.cache_clear()


@pytest.fixture
def onlooker(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs the command line and returns its exit code, output and errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        load_settings.cache_clear()
        environment.setattr(sys, "argv", ["onlooker", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return run
