"""Faust's command line takes the application in both places, and a wrong start is one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.broker import free_port
from app.settings import ROOT


def faust(folder: Path, *arguments: str, **settings: str) -> tuple[int, str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ONLOOKER_")}
    environment |= {"ONLOOKER_DATA_DIR": str(folder)}
    environment |= {f"ONLOOKER_{name.upper()}": value for name, value in settings.items()}
    done = subprocess.run(
        [sys.executable, "-m", "faust", *arguments], cwd=ROOT, env=environment, timeout=120,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("arguments", [["worker", "-A", "app", "--help"], ["-A", "app", "worker", "--help"]])
def test_the_application_may_stand_on_either_side(tmp_path: Path, arguments: list[str]) -> None:
    code, output, errors = faust(tmp_path, *arguments)
    assert code == 0, errors
    assert "--web-port" in output
    assert "--app" in output


@pytest.mark.parametrize("arguments", [["worker", "-A", "app"], ["-A", "app", "worker"]])
def test_the_door_stays_closed_without_a_token(tmp_path: Path, arguments: list[str]) -> None:
    code, _, errors = faust(tmp_path, *arguments, "--web-bind", "0.0.0.0")
    assert code == 2
    assert errors == "onlooker: listening on 0.0.0.0 lets others in: set ONLOOKER_TOKEN, or use 127.0.0.1\n"


def test_a_wrong_setting_is_one_line(tmp_path: Path) -> None:
    code, _, errors = faust(tmp_path, "-A", "app", "worker", partitions="none")
    assert code == 2
    assert errors.startswith("onlooker: ONLOOKER_PARTITIONS: ")
    assert errors.count("\n") == 1


def test_a_broker_that_is_not_there_is_one_line(tmp_path: Path, weights: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    code, _, errors = faust(
        tmp_path,
        "-A",
        "app",
        "worker",
        broker=f"kafka://{address}",
        broker_wait="0",
        weights_dir=str(weights),
    )
    assert code == 2
    assert errors == f"onlooker: no Kafka answers at {address}\n"


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, _, errors = faust(tmp_path / "file", "-A", "app", "worker")
    assert code == 2
    assert errors.startswith("onlooker: ONLOOKER_DATA_DIR: ")
    assert errors.count("\n") == 1
