"""Frames that go through the nets in batches: of all streams, in order, and none is lost with its worker."""

import asyncio
import re
from itertools import pairwise
from pathlib import Path

from cluster import Cluster, count_messages, read_topic
from machine import patience

from app.broker import Broker
from app.messages import Faces, decode
from app.topics import Topics

#: Of the folder of the last frames of the clip.
PICTURES = 75
KILLED_AT, STOPPED_AT = 20, 60


async def test_batches_lose_nothing_when_workers_end(broker: Broker, tmp_path: Path, audience: Path) -> None:
    """Two recordings that share a partition are worked through four frames at a time."""
    frames = 2 * PICTURES
    with Cluster(broker.url, tmp_path, partitions=1, device="cpu", batch=4) as cluster:
        topics = Topics(cluster.settings)
        worker = cluster.worker().until_ready()
        sources = [cluster.source(audience, stream, "--fps", "max") for stream in ("hall", "yard")]
        async with patience(90):
            for count, end in ((KILLED_AT, worker.kill), (STOPPED_AT, worker.stop)):
                while await count_messages(cluster.settings, topics.faces) < count:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                assert await asyncio.to_thread(end) in (None, 0)
                assert await count_messages(cluster.settings, topics.faces) < frames
                worker.start()
            for source in sources:
                assert await asyncio.to_thread(source.wait) == 0
            seen: dict[int, Faces] = {}
            while len(seen) < frames:
                await asyncio.sleep(0.2)
                records = await read_topic(cluster.settings, topics.faces)
                found = [decode(Faces, record.value or b"") for record in records]
                seen = {faces.offset: faces for faces in found}
        assert await count_messages(cluster.settings, topics.dead_letters) == 0
        said = worker.fetch("/metrics").decode()
        runs, together = (
            float(re.findall(rf"^onlooker_batch_frames_{name} (\S+)", said, re.M)[0])
            for name in ("count", "sum")
        )
        assert together >= 2 * runs, "frames went one by one"
        written = {record.offset: record for record in await read_topic(cluster.settings, topics.recordings)}
    assert sorted(seen) == sorted(written)
    assert all((written[offset].key or b"").decode() == faces.stream for offset, faces in seen.items())
    assert any(len(faces) for faces in seen.values())
    for stream in ("hall", "yard"):
        offsets = [faces.offset for faces in found if faces.stream == stream]
        steps_back = sum(after < before for before, after in pairwise(offsets))
        assert steps_back <= 2, "only an end may begin again with what was not done"
