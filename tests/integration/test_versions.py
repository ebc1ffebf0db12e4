"""Workers of two programs on one Kafka: the older one leaves alone what the newer one has written."""

import asyncio
import json
import time
import urllib.error
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from cluster import Cluster, Worker, read_topic, wait_for
from machine import SLOWNESS
from makers import axis, make_enrolment

from app.broker import Broker
from app.messages import DeadLetter, MessageError, Person, decode, encode
from app.topics import Topics


def stored(cluster: Cluster, person: str) -> list[bytes | None]:
    """Return all that the table's changelog holds of somebody."""
    records = asyncio.run(read_topic(cluster.settings, Topics(cluster.settings).identities))
    return [record.value for record in records if record.key == person.encode()]


def unreadable(worker: Worker) -> bool:
    return "onlooker_gallery_unreadable_people 1.0\n" in worker.fetch("/metrics").decode()


def names(worker: Worker) -> list[str]:
    return [one["name"] for one in worker.get("/people")["people"]]


def test_a_person_of_a_newer_program_survives_an_enrolment_by_an_older_one(
    broker: Broker, tmp_path: Path, portrait: bytes
) -> None:
    with Cluster(broker.url, tmp_path) as cluster:
        newer = cluster.worker(program="tests.later").until_ready()
        person = newer.enrol("Barack Obama", portrait)["id"]
        before = stored(cluster, person)
        with pytest.raises(MessageError, match="Person of version 2"):
            decode(Person, before[-1])

        older = cluster.worker().until_ready()
        wait_for("the older one to leave them out", lambda: unreadable(older))
        assert (names(older), names(newer)) == ([], ["Barack Obama"])
        # From now on it is the older one that carries out enrolments.
        assert newer.stop() == 0
        began = time.monotonic()
        with pytest.raises(urllib.error.HTTPError) as refused:
            older.enrol("Barack", portrait, id=person)
        assert (refused.value.code, json.load(refused.value)["reason"]) == (409, "unreadable-person")
        assert time.monotonic() - began < 10 * SLOWNESS
        asyncio.run(send(cluster, person))
        (letter,) = wait_for("the dead letter", lambda: letters(cluster))
        assert (letter.key, letter.reason) == (person.encode(), "unreadable-person")
        assert stored(cluster, person) == before

        newer.start().until_ready()
        wait_for("the newer one to know them", lambda: names(newer) == ["Barack Obama"])
        assert older.delete(f"/people/{person}") == {"id": person}
        wait_for("them to be gone", lambda: not names(newer))
        assert stored(cluster, person) == [*before, None]


async def send(cluster: Cluster, person: str) -> None:
    """Send an enrolment as a worker does that does not know yet."""
    wish = make_enrolment(person, axis(0), known=True)
    async with AIOKafkaProducer(bootstrap_servers=cluster.settings.bootstrap) as producer:
        topic = Topics(cluster.settings).enrolments.name
        await producer.send_and_wait(topic, encode(wish), person.encode())


def letters(cluster: Cluster) -> list[DeadLetter]:
    records = asyncio.run(read_topic(cluster.settings, Topics(cluster.settings).dead_letters))
    return [decode(DeadLetter, record.value) for record in records]
