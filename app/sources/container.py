"""Pictures out of anything that FFmpeg reads: files, network streams, devices."""

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from app.sources.base import Bgr, SourceError
from app.sources.jpeg import is_whole, read_jpeg_header

__all__ = ["MEDIA_FORMATS", "explain", "images", "open_container"]

#: Demuxers that read one medium and nothing else: playlists and session files are not among them,
#: for they make FFmpeg open whatever they name.
MEDIA_FORMATS = (
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,ogg,flv,asf,nut,mxf,gif,apng,"
    "mjpeg,mpjpeg,yuv4mpegpipe,jpeg_pipe,png_pipe,webp_pipe,bmp_pipe,tiff_pipe"
)

_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def open_container(
    url: str,
    *,
    protocols: str,
    demuxer: str | None = None,
    formats: str = MEDIA_FORMATS,
    options: dict[str, str] | None = None,
    timeout: tuple[float, float] | None = None,
) -> InputContainer:
    """Open `url` with FFmpeg, which may use the named protocols and demuxers and no others.

    `timeout` is that of opening and that of each read, seconds.

    Raises:
        SourceError: it holds no video.
        av.FFmpegError: it cannot be opened.
    """
    limits = {"protocol_whitelist": protocols, "format_whitelist": formats}
    container = av.open(url, format=demuxer, options={**limits, **(options or {})}, timeout=timeout)
    if not container.streams.video:
        container.close()
        raise SourceError("no video in it")
    return container


def images(
    container: InputContainer, skipped: Counter[str], *, threads: bool
) -> Iterator[tuple[bytes | Bgr, int]]:
    """Give each picture of the first video stream with its time, milliseconds since the first one.

    JPEG packets come as they are where they can travel so, else decoded; damaged ones are
    counted. `threads` decodes several pictures at once, which delays them.

    Raises:
        av.FFmpegError: the medium breaks off.
    """
    stream = container.streams.video[0]
    if threads:
        stream.thread_type = "AUTO"
    step = 1000 / float(stream.average_rate or 25)
    first: Fraction | None = None
    last = -step
    for image, time in _images(container, stream, skipped):
        if time is not None and first is None:
            first = time
        last = last + step if time is None or first is None else float(time - first) * 1000
        yield image, max(0, round(last))


def _images(
    container: InputContainer, stream: VideoStream, skipped: Counter[str]
) -> Iterator[tuple[bytes | Bgr, Fraction | None]]:
    jpegs = stream.codec_context.name == "mjpeg"
    for packet in container.demux(stream):
        data = bytes(packet) if jpegs else b""
        if data and read_jpeg_header(data):
            yield data, _time(packet.pts, packet.time_base)
            continue
        # FFmpeg makes some picture out of any bytes that are said to be a JPEG.
        if data and not is_whole(data):
            skipped["damaged"] += 1
            continue
        try:
            for frame in packet.decode():
                if frame.is_corrupt:
                    skipped["damaged"] += 1
                else:
                    yield _pixels(frame), _time(frame.pts, frame.time_base)
        except av.error.InvalidDataError:
            skipped["damaged"] += 1


def _time(pts: int | None, base: Fraction | None) -> Fraction | None:
    return None if pts is None or base is None else pts * base


def _pixels(frame: VideoFrame) -> Bgr:
    image = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
    turn = _TURNS.get(frame.rotation % 360)
    return image if turn is None else np.asarray(cv2.rotate(image, turn), np.uint8)


def explain(error: av.FFmpegError) -> str:
    """Return what went wrong, in FFmpeg's words but without the address, which may hold a password."""
    text = error.strerror or type(error).__name__
    return text[:1].lower() + text[1:]
