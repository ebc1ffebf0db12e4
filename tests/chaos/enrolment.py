"""Everybody of the script, enrolled: through a worker, or before there is one as from a backup."""

import asyncio
import hashlib

from aiokafka import AIOKafkaProducer
from cluster import Worker
from standin_nets import PEOPLE, picture_of

from app.kafka.admin import create_topics
from app.messages import Person, Template, encode
from app.models.chosen import chosen_nets
from app.models.images import decode_jpeg, encode_jpeg
from app.models.pipeline import load_recogniser
from app.settings import Settings
from app.topics import Topics

__all__ = ["enrol_everybody", "restore_everybody"]


def enrol_everybody(worker: Worker) -> dict[str, str]:
    """Enrol everybody through a worker that is ready, and return their names by their ids."""
    return {worker.enrol(name, picture_of([name]))["id"]: name for name in PEOPLE}


def restore_everybody(settings: Settings) -> dict[str, str]:
    """Create the topics, write everybody to the changelog of the identities, and return names by ids."""
    asyncio.run(_restore(settings))
    return {name: name for name in PEOPLE}


async def _restore(settings: Settings) -> None:
    await create_topics(settings)
    templates = _templates(settings)
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap) as producer:
        for name, template in templates.items():
            person = Person(
                id=name, name=name, created=0, updated=0, revision="restored", templates=[template]
            )
            topic = Topics(settings).identities.name
            await producer.send_and_wait(topic, encode(person), name.encode(), partition=0)


def _templates(settings: Settings) -> dict[str, Template]:
    recogniser, embedder = load_recogniser(settings), chosen_nets(settings).embedded_by
    templates: dict[str, Template] = {}
    for name in PEOPLE:
        analysis = recogniser.analyse(decode_jpeg(picture_of([name])))
        (embedding,), (box,) = analysis.embeddings, analysis.detections.boxes
        width, height = (round(float(side)) for side in box[2:] - box[:2])
        templates[name] = Template(
            id=hashlib.sha256(embedding.tobytes()).hexdigest()[:16],
            embedding=embedding,
            embedder=embedder,
            width=width,
            height=height,
            score=float(analysis.detections.scores[0]),
            crop=encode_jpeg(analysis.aligned[0]),
        )
    return templates
