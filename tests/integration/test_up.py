"""`onlooker up`: one command, and everything runs; one signal, and nothing is left."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cluster import Program, Worker, clean_environment, wait_for

from app.broker import free_port
from app.errors import OnlookerError
from app.models.images import decode_jpeg
from app.sources.demo import DEMO_PEOPLE
from app.weights.fetch import ensure


@pytest.fixture(scope="module")
def demo() -> None:
    """Skip where the demonstration's photographs are not there and cannot be had."""
    try:
        ensure("demo-portraits")
    except OnlookerError as error:
        pytest.skip(f"the demonstration's photographs cannot be had: {error}")


@pytest.fixture
def data(jars: Path, tmp_path: Path) -> Path:
    """Return a data folder in which the jars are there already."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "jars").symlink_to(jars, target_is_directory=True)
    return folder


@pytest.fixture
def up(data: Path) -> Iterator[Worker]:
    """Yield the command, not yet started, and the web side that it will have."""
    port = free_port()
    environment = clean_environment(data_dir=data, web_port=port, broker_port=free_port())
    command = [sys.executable, "-m", "app.cli", "up"]
    program = Worker(port, "up", command, environment, data.parent / "up.log")
    try:
        yield program
    finally:
        program.end()
        for process in leftovers(data):
            process.kill()


def children(program: Program) -> list[psutil.Process]:
    """Return every process below it."""
    return psutil.Process(program.pid).children(recursive=True)


def leftovers(data: Path) -> list[psutil.Process]:
    """Return the processes that work on a data folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("ONLOOKER_DATA_DIR") == str(data):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def until_told(up: Worker) -> None:
    """Wait until it says that its stream can be seen."""

    def told() -> bool:
        assert up.code is None, up.said()
        return "first annotated frame after " in up.said()

    wait_for("its first frame", told, 120)


@pytest.mark.usefixtures("demo")
def test_shows_the_demonstration_until_it_is_told_to_stop(up: Worker, data: Path) -> None:
    up.start()
    until_told(up)
    assert f"the page:  {up.url}/" in up.said()
    assert b"<title>Onlooker" in up.fetch("/")
    assert decode_jpeg(up.fetch("/streams/demo.jpg")).shape == (540, 960, 3)
    (person,) = up.get("/people")["people"]
    assert person["name"] == DEMO_PEOPLE[0].name
    wait_for("them to be named", lambda: up.get(f"/sightings?person={person['id']}")["sightings"])

    family = children(up)
    assert len(family) == 3
    assert up.stop() == 0
    assert up.said().endswith("stopping ...\nstopped\n")
    assert [process for process in family if process.is_running()] == []
    assert leftovers(data) == []
    assert [path.name for path in (data / "logs").glob("*.json")] == []


@pytest.mark.usefixtures("demo")
def test_ends_what_a_killed_one_left_and_goes_on(up: Worker, data: Path) -> None:
    up.start()
    until_told(up)
    (person,) = up.get("/people")["people"]
    family = children(up)
    up.kill()
    assert all(process.is_running() for process in family)

    up.log.unlink()
    up.start()
    until_told(up)
    assert up.said().count("ended what was left over: ") == 2
    assert [process for process in family if process.is_running() and process.status() != "zombie"] == []
    assert [one["id"] for one in up.get("/people")["people"]] == [person["id"]]
    wait_for("the stream", lambda: up.stream("demo").get("state") == "live")
    assert up.stop() == 0
    assert leftovers(data) == []


def test_a_taken_port_is_one_line_and_exit_code_2(up: Worker, data: Path) -> None:
    with socket.create_server(("127.0.0.1", up.port)):
        up.start()
        assert up.wait() == 2
    (line,) = [line for line in up.said().splitlines() if line.startswith("onlooker: ")]
    assert line.startswith(f"onlooker: port {up.port} of 127.0.0.1 is taken by ")
    assert "Traceback" not in up.said()
    assert leftovers(data) == []
