"""The broker's disk is full for a while: Kafka ends, and is started again when there is room."""

import errno
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chaos.scenario import CROWDED, SPREAD
from chaos.stage import Stage
from cluster import wait_for
from conftest import run_apart, running_broker

from app.broker import Broker

LONG = True
SIZES = {"layout": ([], [CROWDED, SPREAD])}
RATE = 8
#: Seconds for which there is no room.
FULL = 10
MIB = 2**20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a small file system of its own, or skip where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=192m", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("a file system cannot be mounted here: there is no `mount`")
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def broker(jars: Path, disk: Path) -> Iterator[Broker]:
    """Yield a broker that keeps everything on the small file system."""
    with running_broker(disk / "broker", jars) as kafka:
        yield kafka


def fill(path: Path) -> None:
    """Write a file until there is no room left."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(MIB))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def test_the_disk_of_the_broker_is_full_for_a_while(
    broker: Broker, disk: Path, stage: Stage, settle: Callable[[str], None]
) -> None:
    stage.staff(2)
    with stage.writer.writing(RATE):
        stage.owners()
        try:
            fill(disk / "filler")
            wait_for("the broker to end", lambda: broker.pid is None)
            time.sleep(FULL)
        finally:
            (disk / "filler").unlink()
            run_apart(broker.start())
        stage.moved()
        stage.owners()
    settle(f"broker's disk full for {FULL} s")
