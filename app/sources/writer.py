"""From a source to its stream: number, encode, send, count."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from app.kafka import create_topics
from app.messages import Frame, stream_name
from app.settings import Settings
from app.sources.base import Picture, Source, SourceError
from app.sources.jpeg import Jpeg, PictureRefused, make_jpeg
from app.sources.latest import LatestSlot
from app.sources.outbox import Outbox
from app.sources.summary import Summary
from app.topics import Topics

__all__ = ["JpegOptions", "run_source"]

#: Frames on their way at once; few from a live source, so that none grows old while the broker is slow.
_LIVE_IN_FLIGHT, _RECORDED_IN_FLIGHT = 4, 32

#: Seconds for which a broker that has just started may not know its topics yet.
_SETTLING = 5.0

Numbered = tuple[int, Picture]


@dataclass(frozen=True, slots=True)
class JpegOptions:
    """How pictures are made into JPEGs; those that are JPEGs already stay so unless `size` is set."""

    #: 1 to 100.
    quality: int = 90
    #: Width and height in pixels; None keeps the source's.
    size: tuple[int, int] | None = None


async def run_source(
    settings: Settings,
    source: Source,
    stream: str,
    jpeg: JpegOptions | None = None,
    *,
    summary: Summary | None = None,
    stop: asyncio.Event | None = None,
) -> Summary:
    """Write the pictures of `source` to `stream` until its end, or until `stop` is set.

    The `summary` given, or a new one, is kept up to date all the while, and returned.

    Raises:
        MessageError: `stream` cannot name a stream.
        SourceError: Kafka cannot be reached, the source cannot be read, or nothing could be written.
        TopicError: the topics are not as they are declared.
        AccessError: Kafka does not let us in.
    """
    summary = summary or Summary(source, stream_name(stream))
    work = _write(settings, source, jpeg or JpegOptions(), summary)
    finished = await _unless(stop or asyncio.Event(), work)
    summary.end()
    if finished and not summary.sent:
        raise SourceError(f"nothing of {source.name} was written: {summary.losses() or 'it gave no picture'}")
    return summary


async def _write(settings: Settings, source: Source, options: JpegOptions, summary: Summary) -> None:
    topic = Topics(settings).lane(source.live).name
    limit = _LIVE_IN_FLIGHT if source.live else _RECORDED_IN_FLIGHT
    async with Outbox(settings, topic, limit, summary) as outbox:
        await create_topics(settings, _SETTLING)
        with _reading(source) as pictures:
            # Room first, picture then: what a live source gives must not grow old in between.
            await outbox.room()
            while numbered := await pictures.get():
                seq, picture = numbered
                jpeg = await _encode(picture, options, summary)
                if jpeg:
                    await outbox.send(_frame(summary.stream, seq, picture, jpeg, source.live))
                await outbox.room()
        await outbox.delivered()


async def _encode(picture: Picture, options: JpegOptions, summary: Summary) -> Jpeg | None:
    try:
        return await asyncio.to_thread(make_jpeg, picture.image, options.size, options.quality)
    except PictureRefused as refusal:
        summary.refused[refusal.reason] += 1
        return None


def _frame(stream: str, seq: int, picture: Picture, jpeg: Jpeg, live: bool) -> Frame:
    return Frame(
        stream=stream, seq=seq, captured=picture.captured, pts=picture.pts,
        width=jpeg.width, height=jpeg.height, live=live, jpeg=jpeg.data,
    )  # fmt: skip


@contextmanager
def _reading(source: Source) -> Iterator[LatestSlot[Numbered]]:
    """Read `source` in a thread for as long as the context lasts."""
    pictures: LatestSlot[Numbered] = LatestSlot(replace=source.live)
    # A daemon, not waited for: FFmpeg may hang in a read until its own timeout.
    thread = threading.Thread(target=_read, args=(source, pictures), name=source.name, daemon=True)
    thread.start()
    try:
        yield pictures
    finally:
        source.close()
        pictures.close()


def _read(source: Source, pictures: LatestSlot[Numbered]) -> None:
    try:
        with closing(source.pictures()) as given:
            for numbered in enumerate(given):
                if not pictures.put(numbered):
                    break
                if pictures.replaced:
                    source.skipped["newer-frame"] = pictures.replaced
    except Exception as error:
        pictures.close(error)
    else:
        pictures.close()


async def _unless(stop: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    """Do `work` unless `stop` is set before it is done; return whether it was done."""
    task, stopper = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopper}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            return False
        task.result()
        return True
    finally:
        task.cancel()
        stopper.cancel()
        await asyncio.gather(task, stopper, return_exceptions=True)
