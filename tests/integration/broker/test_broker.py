"""The embedded broker against real life: restarts, kills, strangers."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from machine import SLOWNESS

from app.broker import Broker, BrokerError, free_port
from app.broker.ports import cluster_on
from app.broker.storage import read_cluster_id
from app.processes import ProcessError

ROOT = Path(__file__).resolve().parents[3]

PARENT = """
import asyncio, sys
from pathlib import Path
from app.broker import Broker

async def main():
    kafka = Broker(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
    await kafka.start()
    print(kafka.pid, flush=True)
    await kafka.wait()

asyncio.run(main())
"""


@pytest.fixture
async def own(jars: Path, tmp_path: Path) -> AsyncIterator[Broker]:
    """Yield a started broker that the test may stop, kill and start again."""
    async with Broker(tmp_path / "broker", free_port(), jars) as kafka:
        yield kafka


async def write(kafka: Broker, values: list[bytes]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        created = await admin.create_topics([NewTopic("lasting", 1, 1)])
        assert [code for _, code, *_ in created.topic_errors] == [0]
    finally:
        await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
        for value in values:
            await producer.send_and_wait("lasting", value)


async def read(kafka: Broker, count: int) -> list[bytes]:
    async with AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap) as consumer:
        partition = TopicPartition("lasting", 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        return [(await asyncio.wait_for(consumer.getone(), 10 * SLOWNESS)).value for _ in range(count)]


async def test_is_ready_when_started_and_is_the_cluster_of_its_folder(broker: Broker) -> None:
    assert await cluster_on(broker.port) == read_cluster_id(broker.data)
    assert broker.url == f"kafka://127.0.0.1:{broker.port}"


def test_listens_on_loopback_alone(broker: Broker) -> None:
    assert broker.pid is not None
    listening = [c.laddr for c in psutil.Process(broker.pid).net_connections() if c.status == "LISTEN"]
    assert len(listening) == 2
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_serves_a_test_without_a_loop(broker: Broker) -> None:
    async def names() -> list[str]:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
        await admin.start()
        try:
            return list(await admin.list_topics())
        finally:
            await admin.close()

    assert isinstance(asyncio.run(names()), list)


def test_writes_its_log_to_a_file_and_nothing_else(broker: Broker, capfd: pytest.CaptureFixture[str]) -> None:
    assert "Kafka Server started" in (broker.data / "logs" / "kafka.log").read_text("utf-8")
    assert capfd.readouterr() == ("", "")


def test_the_first_start_makes_what_later_ones_are_quick_by(broker: Broker, jars: Path) -> None:
    (cache,) = jars.glob("*.aot")
    assert cache.stat().st_size > 2**20
    assert broker.pid is not None
    assert f"-XX:AOTCache={cache}" in psutil.Process(broker.pid).cmdline()


async def test_keeps_data_over_a_stop_and_a_start(own: Broker) -> None:
    values = [bytes([number]) * 1000 for number in range(20)]
    await write(own, values)
    first = own.pid
    await own.stop()
    await own.stop()
    assert own.pid is None
    await own.start()
    assert own.pid not in (None, first)
    assert await read(own, 20) == values


async def test_is_back_soon_after_a_kill_with_all_that_was_acknowledged(own: Broker) -> None:
    values = [bytes([number]) * 1000 for number in range(20)]
    await write(own, values)
    assert own.pid is not None
    os.kill(own.pid, signal.SIGKILL)
    assert await own.wait() == -signal.SIGKILL
    assert own.describe_end().startswith("Apache Kafka ended: killed by SIGKILL (log: ")
    before = time.monotonic()
    await own.start()
    assert time.monotonic() - before < 15 * SLOWNESS
    assert await read(own, 20) == values


async def test_says_who_holds_its_port(jars: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        kafka = Broker(tmp_path, port, jars)
        with pytest.raises(BrokerError, match=rf"port {port} .* is taken by .*\(process {os.getpid()}\)"):
            await kafka.start()
    assert kafka.pid is None


async def test_says_which_kafka_holds_its_port(broker: Broker, jars: Path, tmp_path: Path) -> None:
    kafka = Broker(tmp_path, broker.port, jars)
    with pytest.raises(BrokerError, match=rf"is taken by java \(process {broker.pid}\)"):
        await kafka.start()
    assert broker.pid is not None


async def test_a_second_one_on_the_same_data_is_refused(own: Broker, jars: Path) -> None:
    with pytest.raises(ProcessError, match=rf"process {own.pid}\) is already run by process {os.getpid()}"):
        await Broker(own.data, free_port(), jars).start()
    assert own.pid is not None


async def test_tells_why_kafka_ended(jars: Path, tmp_path: Path) -> None:
    async with Broker(tmp_path, free_port(), jars):
        pass
    meta = tmp_path / "kafka" / "meta.properties"
    meta.write_text(meta.read_text("ascii").replace("node.id=1", "node.id=7"), "ascii")
    kafka = Broker(tmp_path, free_port(), jars)
    with pytest.raises(BrokerError, match=r"^Apache Kafka ended: .*node.*7.* \(log: .*kafka\.log\)$"):
        await kafka.start()
    assert kafka.pid is None


async def test_ends_what_a_killed_parent_left_over(jars: Path, tmp_path: Path) -> None:
    port = free_port()
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, tmp_path, str(port), jars, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    leftover = psutil.Process(int(await parent.stdout.readline()))
    cluster = read_cluster_id(tmp_path)
    parent.kill()
    await parent.wait()
    assert leftover.is_running()

    async with Broker(tmp_path, port, jars) as kafka:
        assert kafka.pid not in (None, leftover.pid)
        assert await cluster_on(port) == cluster
        assert not leftover.is_running() or leftover.status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def unprepared(jars: Path, tmp_path: Path) -> Path:
    """Return a folder with the jars, and nothing that a first start prepares."""
    folder = tmp_path / "jars"
    folder.mkdir()
    for jar in jars.glob("*.jar"):
        (folder / jar.name).symlink_to(jar)
    return folder


async def test_the_first_start_is_seen_once(unprepared: Path, tmp_path: Path) -> None:
    """Its run to prepare quick starts is over before anybody who waits for the port finds a Kafka there."""
    kafka = Broker(tmp_path / "broker", free_port(), unprepared)
    answers: list[bool] = []

    async def look() -> None:
        while True:
            answers.append(await cluster_on(kafka.port) is not None)
            await asyncio.sleep(0.02)

    looking = asyncio.create_task(look())
    try:
        async with kafka:
            while not answers[-1]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            # Before Kafka is stopped.
            looking.cancel()
    finally:
        looking.cancel()
    assert any(name.endswith(".aot") for name in os.listdir(unprepared))  # noqa: PTH208
    assert answers == sorted(answers), "it was there, and was gone again"
