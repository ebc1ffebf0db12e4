"""Read one stream's newest recognised frame, from wherever on the log it is."""

from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from app.kafka.clients import make_consumer
from app.kafka.unreadable import Unreadable
from app.messages import Faces, Frame, MessageError, StreamStatus, decode, decode_frame
from app.settings import Settings
from app.topics import Topics

__all__ = ["Reader", "Recognised"]

#: Bytes asked for when one frame is fetched; the broker sends a larger frame whole all the same.
_FRAME_FETCH = 64 * 1024
#: Milliseconds for which a frame may take to arrive before it counts as gone.
_FRAME_WAIT = 2_000


@dataclass(frozen=True, slots=True)
class Recognised:
    """A frame and its faces."""

    frame: Frame
    faces: Faces


class Reader:
    """Follows the faces of a stream and fetches the frame of the newest.

    Going by the faces, it shows what has been recognised, however far behind the cameras that is,
    and reads no frame that nobody will see.

    Args:
        unreadable: takes note of what cannot be shown.
        status: where the stream is on the log.
    """

    def __init__(
        self, settings: Settings, topics: Topics, unreadable: Unreadable, status: StreamStatus
    ) -> None:
        self._stream = status.stream
        self._unreadable = unreadable
        self._faces_place = TopicPartition(topics.faces.name, status.partition)
        self._lanes = {
            live: TopicPartition(topics.lane(live).name, status.partition) for live in (True, False)
        }
        self._start = status.faces_offset
        self._faces = _consumer(settings, 2**20)
        self._frames = _consumer(settings, _FRAME_FETCH)

    async def start(self) -> None:
        """Connect, and go to the stream's newest frame."""
        await self._faces.start()
        await self._frames.start()
        self._faces.assign([self._faces_place])
        if self._start is not None:
            self._faces.seek(self._faces_place, self._start)

    async def stop(self) -> None:
        """Disconnect."""
        try:
            await self._faces.stop()
        finally:
            await self._frames.stop()

    async def newest(self) -> Recognised | None:
        """Wait a moment for news of the stream; None where there is none, or its frame is gone."""
        batches = await self._faces.getmany(timeout_ms=1000)
        for record in reversed(batches.get(self._faces_place, [])):
            if record.key == self._stream.encode():
                return await self._with_frame(record)
        return None

    async def _with_frame(self, record: "ConsumerRecord[bytes, bytes]") -> Recognised | None:
        try:
            faces = decode(Faces, record.value)
        except MessageError as error:
            self._unreadable.note(record.topic, error)
            return None
        place = self._lanes[faces.live]
        # Alone: the other lane would be fetched from its start.
        if self._frames.assignment() != {place}:
            self._frames.assign([place])
        self._frames.seek(place, faces.offset)
        batches = await self._frames.getmany(timeout_ms=_FRAME_WAIT, max_records=1)
        for found in batches.get(place, []):
            if found.offset == faces.offset:
                return self._recognised(found, faces)
        return None

    def _recognised(self, record: "ConsumerRecord[bytes, bytes]", faces: Faces) -> Recognised | None:
        try:
            return Recognised(decode_frame(record.key, record.value, dict(record.headers)), faces)
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
