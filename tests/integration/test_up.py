"""`onlooker up`: one command, and everything runs; one signal, and nothing is left."""

import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from cluster import Program, Worker, clean_environment, name_on, wait_for

from app.broker import Broker, free_port
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


@pytest.fixture
def command(data: Path) -> Iterator[Callable[..., Worker]]:
    """Yield what starts the command with other arguments and settings; what it leaves is ended."""
    started: list[Worker] = []

    def start(*arguments: str, **settings: object) -> Worker:
        port = free_pair()
        own = {"data_dir": data, "web_port": port, "broker_port": free_port()}
        environment = clean_environment(**own | settings)
        line = [sys.executable, "-m", "app.cli", "up", *arguments]
        program = Worker(port, "up", line, environment, data.parent / "up.log")
        started.append(program)
        program.start()
        return program

    try:
        yield start
    finally:
        for program in started:
            program.end()
        for process in leftovers(data):
            process.kill()


def free_pair() -> int:
    """Return a port that is free, as is the next one."""
    while True:
        port = free_port()
        try:
            with socket.create_server(("127.0.0.1", port + 1)):
                return port
        except OSError:
            continue


def of(up: Worker, what: str) -> psutil.Process:
    """Return the one process below it whose command line has this in it."""
    (found,) = [process for process in children(up) if what in " ".join(process.cmdline())]
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_two_workers_share_the_work_and_end_together(
    command: Callable[..., Worker], data: Path, clip: Path, number: signal.Signals
) -> None:
    names, port = (name_on(0), name_on(1)), free_port()
    up = command(
        *("--workers", "2", "--source", str(clip), "--stream", names[0], "--loop"),
        partitions=2,
        broker_port=port,
    )
    until_told(up)
    second = Worker(up.port + 1, "second", [], {}, data.parent / "none.log")
    for worker in (up, second):
        wait_for("the worker to be ready", worker.ready, 120)

    def shared() -> bool:
        owners = {str(up.stream(name).get("worker")).rpartition(":")[2] for name in names}
        return owners == {str(worker.port) for worker in (up, second)}

    # Beside the one stream that the command starts; each is on a partition of its own.
    line = [sys.executable, "-m", "app.cli", "source", str(clip), "--stream", names[1], "--loop"]
    environment = clean_environment(data_dir=data, broker=f"kafka://127.0.0.1:{port}", partitions=2)
    other = Program("other", line, environment, data.parent / "other.log")
    other.start()
    try:
        wait_for("each to have a stream", shared, 120)
        for worker in (up, second):
            for name in names:
                wait_for("the stream", lambda worker=worker, name=name: worker.stream(name).get("frames"))
    finally:
        other.end()
    assert len([one for one in children(up) if "worker" in one.cmdline()]) == 2
    family = children(up)
    up.signal(number)
    assert up.wait() == 0
    assert [process for process in family if process.is_running() and process.status() != "zombie"] == []
    assert leftovers(data) == []


def test_with_a_kafka_of_its_own_choice_it_starts_none(
    command: Callable[..., Worker], broker: Broker, data: Path, clip: Path
) -> None:
    up = command(
        "--source", str(clip), "--stream", "film", broker=broker.url, topic_prefix=f"up{free_port()}-"
    )
    until_told(up)
    assert "starting Apache Kafka" not in up.said()
    assert not (data / "broker").exists()
    assert [one for one in children(up) if "java" in one.name()] == []
    # A recording has an end, which the others survive.
    wait_for("the recording", lambda: up.stream("film").get("frames") == 275, 120)
    wait_for("its end to be told", lambda: "source-film has come to its end: " in up.said())
    assert up.ready()
    assert up.stop() == 0


def test_what_dies_is_started_again(command: Callable[..., Worker], clip: Path) -> None:
    up = command("--source", str(clip), "--loop")
    until_told(up)

    def frames() -> int:
        return int(up.stream("camera").get("frames") or 0)

    for what, said in (
        ("worker", "ended with code -9: starting it again"),
        ("kafka.Kafka", "starting it again"),
    ):
        before, dead = up.said().count(said), of(up, what)
        dead.kill()
        wait_for(f"{what} to be started again", lambda: up.said().count(said) > before)  # noqa: B023
        wait_for("the worker", up.ready, 120)
        reached = wait_for("the stream", frames)
        wait_for("it to go on", lambda: frames() > reached, 120)  # noqa: B023
        assert of(up, what).pid != dead.pid
    assert up.stop() == 0
