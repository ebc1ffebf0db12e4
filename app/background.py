"""What a worker does beside its agents: follow the log, write statuses and checkpoints."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from aiokafka import ConsumerRecord
from mode import Service

from app.kafka.follower import Follower
from app.parts import Parts

__all__ = ["Background"]

_TIDY_EVERY = 1.0


class Background(Service):
    """Runs for as long as the worker does.

    Arguments:
        place: returns the worker's own folder and the id of the Kafka cluster, once both are known.
    """

    def __init__(self, parts: Parts, place: Callable[[], tuple[Path, str]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._parts = parts
        self._place = place

    async def on_start(self) -> None:
        """Open the history and begin to follow the log; load the nets."""
        parts = self._parts
        folder, cluster = self._place()
        topic = parts.topics.sightings
        positions = await parts.history.open(folder / "history.sqlite", f"{cluster}/{topic.name}")
        sightings = Follower(parts.settings, topic, positions, self._remember)
        parts.history.follow(sightings)
        self.add_future(sightings.run())
        streams = Follower(parts.settings, parts.topics.streams, {}, parts.streams.add)
        self.add_future(streams.run())
        self.add_future(self._know_streams(streams))
        self.add_future(self._load_nets())
        for work in (parts.publish_statuses, parts.identify.close_silent, parts.partitions.checkpoint):
            self.add_future(self._every(_TIDY_EVERY, work))

    async def on_stop(self) -> None:
        """Let go of threads, connections and files."""
        parts = self._parts
        await parts.hub.close()
        parts.photos.close()
        await parts.delivery.close()

    async def on_shutdown(self) -> None:
        """Close the history, when nothing writes to it any more."""
        await self._parts.history.close()

    async def _remember(self, records: Sequence[ConsumerRecord]) -> None:
        await self._parts.history.add((record.partition, record.offset, record.value) for record in records)

    async def _know_streams(self, follower: Follower) -> None:
        await follower.caught_up(0)
        self._parts.streams.known.set()

    async def _load_nets(self) -> None:
        try:
            await self._parts.nets.get()
        except Exception as error:
            await self.crash(error)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while not self.should_stop:
            await asyncio.sleep(seconds)
            await work()
