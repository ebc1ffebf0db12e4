"""`onlooker broker` from a person's side: what it says and how it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from machine import SLOWNESS

from app.broker import Broker, free_port

ROOT = Path(__file__).resolve().parents[3]


def launch(data: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from app.cli import main; main()", "broker", *arguments]
    environment = os.environ | {"ONLOOKER_DATA_DIR": str(data)}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


@pytest.fixture
def data(jars: Path, tmp_path: Path) -> Path:
    """Return a data folder in which the jars are there already."""
    (tmp_path / "jars").symlink_to(jars, target_is_directory=True)
    return tmp_path


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_runs_until_it_is_told_to_stop(data: Path, signum: int) -> None:
    port = free_port()
    with launch(data, "--port", str(port)) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "is ready" in line:
                process.send_signal(signum)
        assert process.wait(30 * SLOWNESS) == 0
    assert said[0] == f"starting Apache Kafka on port {port}, data in {data / 'broker'}\n"
    assert said[-3:] == [
        f"Apache Kafka is ready at kafka://127.0.0.1:{port} (Ctrl-C stops it)\n",
        "stopping Apache Kafka ...\n",
        "stopped\n",
    ]
    assert not (data / "broker" / "broker.json").exists()


def test_a_taken_port_is_one_line_and_exit_code_2(data: Path, broker: Broker) -> None:
    with launch(data, "--port", str(broker.port)) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        assert process.wait(30 * SLOWNESS) == 2
    assert said.splitlines()[-1].startswith(f"onlooker: port {broker.port} of 127.0.0.1 is taken by java")
