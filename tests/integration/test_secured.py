"""A Kafka that wants TLS and a login: worker and source on it, and what those are told who are not let in."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from authority import Authority
from cluster import Cluster, Program, read_topic, wait_for
from conftest import run_apart
from machine import patience
from secured import PASSWORD, USER, SecuredBroker

from app.kafka.access import AccessError, check_access
from app.kafka.admin import create_topics
from app.kafka.clients import make_producer
from app.messages import Faces, decode
from app.settings import Settings
from app.topics import Topics

FRAMES = 6

#: Changes the settings with which a broker would let us in.
Change = Callable[[SecuredBroker, Path], dict[str, Any]]


@pytest.fixture(scope="module")
def secured(jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    kafka = SecuredBroker(tmp_path_factory.mktemp("secured"), jars)
    kafka.format()
    run_apart(kafka.start())
    yield kafka
    run_apart(kafka.stop())


@pytest.fixture(scope="module")
def few(audience: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of a few pictures with faces."""
    folder = tmp_path_factory.mktemp("few")
    for picture in sorted(audience.iterdir())[-FRAMES:]:
        shutil.copy(picture, folder)
    return folder


def client_certificate(kafka: SecuredBroker) -> dict[str, Any]:
    pair = kafka.authority.issue("client", "hush-key")
    return {
        "broker_certificate_file": pair.certificate,
        "broker_key_file": pair.key,
        "broker_key_password": "hush-key",
    }


def token(kafka: SecuredBroker, folder: Path, text: str = "") -> dict[str, Any]:
    (folder / "token").write_text(text or kafka.tokens.issue())
    return kafka.settings(
        broker_sasl_mechanism="OAUTHBEARER",
        broker_user=None,
        broker_password=None,
        broker_token_file=folder / "token",
    )


def mounted(kafka: SecuredBroker, folder: Path) -> dict[str, Any]:
    (folder / "password").write_text(f"{PASSWORD}\n")
    return kafka.settings(broker_password=None, broker_password_file=folder / "password")


WAYS: dict[str, Change] = {
    "scram-512": lambda kafka, _: kafka.settings(),
    "scram-512-password-file": mounted,
    "scram-256": lambda kafka, _: kafka.settings(broker_sasl_mechanism="SCRAM-SHA-256"),
    "plain": lambda kafka, _: kafka.settings(broker_sasl_mechanism="PLAIN"),
    "oauth": token,
    "plain-without-tls": lambda kafka, _: kafka.settings("OPEN"),
    "tls": lambda kafka, _: kafka.settings("TLS"),
    "client-certificate": lambda kafka, _: kafka.settings("MUTUAL", **client_certificate(kafka)),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_every_way_in(secured: SecuredBroker, tmp_path: Path, way: Change) -> None:
    settings = Settings(topic_prefix=f"t{uuid4().hex[:8]}.", partitions=1, **way(secured, tmp_path))
    await check_access(settings)
    await create_topics(settings, wait=30)
    faces = Topics(settings).faces
    async with make_producer(settings) as producer:
        await producer.send_and_wait(faces.name, b"hello", b"door")
    assert [record.value for record in await read_topic(settings, faces)] == [b"hello"]


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_a_worker_and_a_source_whose_logs_hold_no_password(
    secured: SecuredBroker, few: Path, tmp_path: Path, mechanism: str
) -> None:
    settings = secured.settings(broker_sasl_mechanism=mechanism)
    with Cluster(settings.pop("broker"), tmp_path, **settings) as cluster:
        worker = cluster.worker("debug").until_ready()
        cluster.play(few, "door")
        wait_for("the frames", lambda: worker.stream("door").get("frames") == FRAMES)
        # A client of the worker's for each who watches.
        assert worker.fetch("/streams/door.jpg").startswith(b"\xff\xd8")
        records = asyncio.run(read_topic(cluster.settings, Topics(cluster.settings).faces))
        assert worker.stop() == 0
        logs = {path.stem: path.read_text("utf-8", "replace") for path in cluster.folder.glob("*.log")}
        assert any(len(decode(Faces, record.value)) for record in records)
        assert logs.keys() == {"worker-0", "source-door"}
        assert [name for name, text in logs.items() if PASSWORD in text] == []
        # It was the level at which aiokafka says what it does.
        assert f"Authenticated as {USER}" in logs["worker-0"]


def other_ca(kafka: SecuredBroker, folder: Path) -> dict[str, Any]:
    return kafka.settings(broker_ca_file=Authority(folder / "other").file)


def other_client(kafka: SecuredBroker, folder: Path) -> dict[str, Any]:
    pair = Authority(folder / "other").issue("client")
    return kafka.settings("MUTUAL", broker_certificate_file=pair.certificate, broker_key_file=pair.key)


def as_if(kafka: SecuredBroker, listener: str, protocol: str) -> dict[str, Any]:
    """Return settings that take a listener for what it is not."""
    kind = {"SSL": "TLS", "SASL_SSL": "LOGIN", "SASL_PLAINTEXT": "OPEN"}[protocol]
    return kafka.settings(kind, broker=f"kafka://{kafka.address(listener)}")


#: What is wrong, where, and what is said of it.
REFUSALS: dict[str, tuple[str, Change, str]] = {
    "password": (
        "LOGIN", lambda kafka, _: kafka.settings(broker_password="hush-wrong"),
        f"refuses the user {USER} or the password (SCRAM-SHA-512)",
    ),
    "user": (
        "LOGIN", lambda kafka, _: kafka.settings(broker_user="nobody"),
        "refuses the user nobody or the password (SCRAM-SHA-512)",
    ),
    "ca": ("LOGIN", other_ca, "shows a certificate of a CA that is not known ("),
    "system-ca": (
        "LOGIN", lambda kafka, _: kafka.settings(broker_ca_file=None),
        "shows a certificate of a CA that is not known (",
    ),
    "name": (
        "ELSEWHERE", lambda kafka, _: kafka.settings("ELSEWHERE"),
        "shows a certificate for another name: ",
    ),
    "no-client-certificate": (
        "MUTUAL", lambda kafka, _: kafka.settings("MUTUAL"),
        "asks for a client certificate (",
    ),
    "client-certificate": ("MUTUAL", other_client, "refuses the client certificate in "),
    "plain-text-to-tls": (
        "TLS", lambda kafka, _: {"broker": f"kafka://{kafka.address('TLS')}"},
        "speaks TLS: ONLOOKER_BROKER_SECURITY_PROTOCOL is PLAINTEXT",
    ),
    "plain-text-to-client-certificate": (
        "MUTUAL", lambda kafka, _: {"broker": f"kafka://{kafka.address('MUTUAL')}"},
        "speaks TLS: ONLOOKER_BROKER_SECURITY_PROTOCOL is PLAINTEXT",
    ),
    "plain-login-to-tls": (
        "LOGIN", lambda kafka, _: as_if(kafka, "LOGIN", "SASL_PLAINTEXT"),
        "speaks TLS: ONLOOKER_BROKER_SECURITY_PROTOCOL is SASL_PLAINTEXT",
    ),
    "tls-to-plain-text": (
        "OPEN", lambda kafka, _: as_if(kafka, "OPEN", "SASL_SSL"),
        "speaks no TLS: ONLOOKER_BROKER_SECURITY_PROTOCOL is SASL_SSL",
    ),
    "no-login": (
        "LOGIN", lambda kafka, _: as_if(kafka, "LOGIN", "SSL"),
        "wants a login (",
    ),
    "no-login-in-plain-text": (
        "OPEN", lambda kafka, _: {"broker": f"kafka://{kafka.address('OPEN')}"},
        "wants a login (PLAIN): set ONLOOKER_BROKER_SECURITY_PROTOCOL to SASL_PLAINTEXT",
    ),
    "login-where-there-is-none": (
        "TLS", lambda kafka, _: as_if(kafka, "TLS", "SASL_SSL"),
        "takes no login: set ONLOOKER_BROKER_SECURITY_PROTOCOL to SSL",
    ),
    "mechanism": (
        "OPEN", lambda kafka, _: kafka.settings("OPEN", broker_sasl_mechanism="SCRAM-SHA-256"),
        "takes no SCRAM-SHA-256, but PLAIN: set ONLOOKER_BROKER_SASL_MECHANISM",
    ),
    "token": (
        "LOGIN", lambda kafka, folder: token(kafka, folder, kafka.tokens.issue(audience="others")),
        "refuses the token in ",
    ),
}  # fmt: skip
REFUSED = pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)


@REFUSED
async def test_who_is_not_let_in_is_told_why(
    secured: SecuredBroker, tmp_path: Path, refusal: tuple[str, Change, str]
) -> None:
    listener, change, said = refusal
    settings = Settings(**change(secured, tmp_path))
    with pytest.raises(AccessError) as caught:
        # Not after the wait: it would not help.
        async with patience(30):
            await create_topics(settings, wait=600)
    assert str(caught.value).startswith(f"Kafka at {secured.address(listener)} {said}")
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value)


async def test_one_that_sends_us_to_a_name_that_is_not_in_its_certificate(secured: SecuredBroker) -> None:
    port = secured.address("RENAMED").rpartition(":")[2]
    said = f"^Kafka at localhost:{port} shows a certificate for another name: .*'localhost'"
    with pytest.raises(AccessError, match=said):
        await create_topics(Settings(**secured.settings("RENAMED")), wait=600)


@pytest.mark.parametrize("program", ["source", "worker"])
@pytest.mark.parametrize(
    "wrong", ["password", "token", "ca", "name", "no-client-certificate", "plain-text-to-tls"]
)
def test_a_source_and_a_worker_end_with_that_line(
    secured: SecuredBroker, few: Path, weights: Path, tmp_path: Path, wrong: str, program: str
) -> None:
    listener, change, said = REFUSALS[wrong]
    settings = change(secured, tmp_path)
    with Cluster(
        settings.pop("broker"), tmp_path, broker_wait=600, weights_dir=weights, **settings
    ) as cluster:
        started: Program = cluster.source(few, "door") if program == "source" else cluster.worker("debug")
        assert started.wait() == 2
        lines = [line for line in started.said().splitlines() if line.startswith("onlooker: ")]
        assert len(lines) == 1
        assert lines[0].startswith(f"onlooker: Kafka at {secured.address(listener)} {said}")
        assert "Traceback" not in started.said()
        assert "hush" not in started.said()


def test_a_file_that_is_not_there_is_one_line(secured: SecuredBroker, tmp_path: Path) -> None:
    settings = secured.settings(broker_ca_file=tmp_path / "absent")
    with Cluster(settings.pop("broker"), tmp_path, **settings) as cluster:
        worker = cluster.worker()
        assert worker.wait() == 2
        said = f"onlooker: ONLOOKER_BROKER_CA_FILE: {tmp_path / 'absent'}: No such file or directory\n"
        assert worker.said() == said


@pytest.mark.parametrize("way", ["scram-512", "oauth"])
async def test_a_broker_that_is_away_is_waited_for(secured: SecuredBroker, tmp_path: Path, way: str) -> None:
    settings = Settings(topic_prefix=f"t{uuid4().hex[:8]}.", partitions=1, **WAYS[way](secured, tmp_path))
    await asyncio.to_thread(run_apart, secured.stop())
    await check_access(settings)
    waiting = asyncio.create_task(create_topics(settings, wait=90))
    await asyncio.to_thread(run_apart, secured.start())
    assert await waiting
