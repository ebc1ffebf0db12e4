"""Read one stream's newest identified frame, from wherever on the log it is."""

from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from app.kafka import Unreadable, make_consumer
from app.messages import Frame, Identifications, MessageError, StreamStatus, decode, decode_frame
from app.settings import Settings
from app.topics import Topics

__all__ = ["Identified", "Reader"]

#: Bytes asked for when one frame is fetched; the broker sends a larger frame whole all the same.
_FRAME_FETCH = 64 * 1024
#: Milliseconds for which a frame may take to arrive before it counts as gone.
_FRAME_WAIT = 2_000
#: Milliseconds before a frame counted as recognised in which it may have been identified already: the two
#: happen at once, and the clocks of workers differ.
_BEFORE = 5_000


@dataclass(frozen=True, slots=True)
class Identified:
    """A frame and who is on it."""

    frame: Frame
    identifications: Identifications


class Reader:
    """Follows the identifications of a stream and fetches the frame of the newest.

    Going by the identifications, it shows what was decided, however far behind the cameras that is, and reads
    no frame that nobody will see.

    Args:
        unreadable: takes note of what cannot be shown.
        status: where the stream is on the log, and when it was recognised last.
    """

    def __init__(
        self, settings: Settings, topics: Topics, unreadable: Unreadable, status: StreamStatus
    ) -> None:
        self._key = status.stream.encode()
        self._unreadable = unreadable
        self._place = TopicPartition(topics.identifications.name, status.partition)
        self._lanes = {
            live: TopicPartition(topics.lane(live).name, status.partition) for live in (True, False)
        }
        self._since = max(0, status.updated - _BEFORE)
        #: Where the faces of the newest frame so far are on `faces`.
        self._reached = -1
        self._identifications = _consumer(settings, 2**20)
        self._frames = _consumer(settings, _FRAME_FETCH)

    async def start(self) -> None:
        """Connect, and go to the stream's newest frame.

        That was identified about when it was recognised, or later: a silent camera is shown at once, and what
        others wrote to the partition before is not read.
        """
        await self._identifications.start()
        await self._frames.start()
        # The end is asked for first: what comes in between is not to be passed over.
        end = (await self._identifications.end_offsets([self._place]))[self._place]
        found = (await self._identifications.offsets_for_times({self._place: self._since}))[self._place]
        # At once, or the client would go to the end by itself.
        self._identifications.assign([self._place])
        self._identifications.seek(self._place, end if found is None else found.offset)

    async def stop(self) -> None:
        """Disconnect."""
        try:
            await self._identifications.stop()
        finally:
            await self._frames.stop()

    async def newest(self) -> Identified | None:
        """Wait a moment for news of the stream; None where there is none, or its frame is gone."""
        batches = await self._identifications.getmany(timeout_ms=1000)
        own = [record for record in batches.get(self._place, []) if record.key == self._key]
        # A worker that takes over may publish some again, and one that was away some late.
        news = [found for found in map(self._read, own) if found and found.faces_offset > self._reached]
        if not news:
            return None
        newest = max(news, key=lambda found: found.faces_offset)
        self._reached = newest.faces_offset
        return await self._with_frame(newest)

    async def _with_frame(self, found: Identifications) -> Identified | None:
        place = self._lanes[found.live]
        # Alone: the other lane would be fetched from its start.
        if self._frames.assignment() != {place}:
            self._frames.assign([place])
        self._frames.seek(place, found.offset)
        batches = await self._frames.getmany(timeout_ms=_FRAME_WAIT, max_records=1)
        for one in batches.get(place, []):
            if one.offset == found.offset:
                return self._identified(one, found)
        return None

    def _identified(
        self, record: "ConsumerRecord[bytes, bytes]", found: Identifications
    ) -> Identified | None:
        try:
            return Identified(decode_frame(record.key, record.value, dict(record.headers)), found)
        except MessageError as error:
            # Where the topic was made anew since, anything may be there.
            self._unreadable.note(record.topic, error)
            return None

    def _read(self, record: "ConsumerRecord[bytes, bytes]") -> Identifications | None:
        try:
            return decode(Identifications, record.value)
        except MessageError as error:
            self._unreadable.note(record.topic, error)
            return None


def _consumer(settings: Settings, fetch_bytes: int) -> AIOKafkaConsumer:
    return make_consumer(
        settings,
        client_id=f"{settings.app_id}-viewer",
        enable_auto_commit=False,
        auto_offset_reset="latest",
        max_partition_fetch_bytes=fetch_bytes,
    )
