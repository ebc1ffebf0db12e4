"""What a large gallery costs a worker: an enrolment, a rebalance, and how long the event loop stands still.

Everything is held against one whole rebuild in the same run: everybody decoded and put into one matrix at
a stretch, which is what an enrolment and a rebalance would cost without an index that follows. Ten thousand
people have one photograph each. An enrolment has to cost what it changes, a hundredth of a rebuild at most;
for somebody who is there already that is one chunk of the index, copied. A rebalance reads the table all the
same, a few people at a time: the loop is to stand still for a tenth of a rebuild at most, the scheduler's
moods included.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from statistics import median

import faust
import msgspec
import numpy as np
from _report import Figure, report
from _rig import run_benchmark

from app.messages import Person, Template, decode, encode
from app.metrics import Metrics
from app.models.images import Floats
from app.tables.gallery import Gallery
from app.tables.identities import Identities

ENROLMENT, BLOCK = 0.01, 0.1
EMBEDDER, DIMENSION = "net@01234567", 512
#: An aligned face as JPEG.
CROP = 4000


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    vectors = unit(np.random.default_rng(0), options.people + options.rounds + 1)
    people = [person(number, vector) for number, vector in enumerate(vectors)]
    enrolled, others = people[: options.people], people[options.people :]
    with stored(enrolled) as (identities, values):
        gallery = identities.gallery
        rounds = [await measure(identities, values, other, vectors[-1]) for other in others[:-1]]
        assert len(gallery.people) == gallery.templates == options.people
    medians = {what: median(one[what] for one in rounds) for what in rounds[0]}
    whole = medians.pop("a whole rebuild at a stretch")
    goals = {what: ENROLMENT if "enrolled" in what else BLOCK for what in medians}
    rows = [{"what": "a whole rebuild at a stretch", "ms": f"{whole * 1e3:.1f}", "of that": "1", "goal": ""}]
    rows += [
        {
            "what": what,
            "ms": f"{took * 1e3:.3f}",
            "of that": f"{took / whole:.4f}",
            "goal": f"{goals[what]:g}",
        }
        for what, took in medians.items()
    ]
    beside = "of the time that reading everybody at a stretch takes"
    figures = []
    for what in medians:
        values = [one[what] / one["a whole rebuild at a stretch"] for one in rounds]
        text = f"with {options.people:,} people enrolled, {what}, {beside}"
        figures.append(Figure(text, "of it", goals[what], values, at_most=True))
    return report("gallery", figures, rows, people=options.people)


async def measure(
    identities: Identities, values: list[bytes], other: Person, probe: Floats
) -> dict[str, float]:
    """Return seconds."""
    gallery = identities.gallery
    found = {"a whole rebuild at a stretch": timed(lambda: whole(values))}
    await gallery.load([])
    found["longest block: a worker starts"] = await longest_block(identities.rebuild())
    found["longest block: a rebalance"] = await longest_block(identities.rebuild())
    more = msgspec.structs.replace(other, templates=[*other.templates, *other.templates])
    found["somebody new enrolled"] = await awaited(gallery.put(other))
    found["one more photograph enrolled"] = await awaited(gallery.put(more))
    found["longest block: three faces matched"] = await longest_block(gallery.match(np.stack([probe] * 3)))
    await gallery.remove(other.id)
    return found


def whole(values: list[bytes]) -> Floats:
    """Decode everybody, and put them into one matrix."""
    people = [decode(Person, value) for value in values]
    return np.stack([template.embedding for one in people for template in one.templates])


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


async def awaited(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def longest_block(work: Awaitable[object]) -> float:
    """Return the longest time for which nothing else had its turn on the event loop."""
    task = asyncio.ensure_future(work)
    longest, last = 0.0, time.perf_counter()
    while not task.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    await task
    return longest


@contextmanager
def stored(people: list[Person]) -> Iterator[tuple[Identities, list[bytes]]]:
    """Give the table of people, on disk as in a worker, and what it holds."""
    with tempfile.TemporaryDirectory() as folder:
        app = faust.App(
            "gallery", broker="kafka://127.0.0.1:9", store="rocksdb://", datadir=folder,
            key_serializer="raw", value_serializer="raw",
        )  # fmt: skip
        identities = Identities(app, Gallery(EMBEDDER, 0.49, 0.05), Metrics())
        values = [encode(person) for person in people]
        database = identities.table.data._db_for_partition(0)
        for one, value in zip(people, values, strict=True):
            database.put(one.id.encode(), value)
        yield identities, values


def unit(random: np.random.Generator, count: int) -> Floats:
    vectors = random.normal(size=(count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def person(number: int, vector: Floats) -> Person:
    template = Template(
        id=f"t{number}", embedding=vector, embedder=EMBEDDER, width=100, height=120, score=0.9,
        crop=b"\xff\xd8\xff" + os.urandom(CROP),
    )  # fmt: skip
    name = f"p{number:07}"
    return Person(id=name, name=name, created=0, updated=0, revision=f"r{number}", templates=[template])


if __name__ == "__main__":
    sys.exit(run_benchmark(main(), minutes=15))
