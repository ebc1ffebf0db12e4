"""Video files as they are found."""

import itertools
import math
import struct
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from app.sources import SourceError, SourceOptions
from app.sources.file import FileSource

MAX = SourceOptions(fps=math.inf)


def _write(path: Path, codec: str, count: int = 12) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(count):
            pixels = np.zeros((64, 96, 3), np.uint8)
            pixels[:, :48] = 40 + number % 20 * 10
            frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _all(path: Path, options: SourceOptions = MAX) -> list:
    return list(FileSource(path, options).pictures())


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "mpeg4"), ("a.mkv", "mpeg4"), ("a.avi", "mpeg4"), ("a.ts", "mpeg2video")]
)
def test_every_picture_is_there_with_its_time(tmp_path, name, codec):
    pictures = _all(_write(tmp_path / name, codec))
    assert [picture.pts for picture in pictures] == [number * 100 for number in range(12)]
    left = [picture.image[:, 8:40].mean() for picture in pictures]
    assert left == pytest.approx([40 + number * 10 for number in range(12)], abs=6)
    assert pictures[5].image[:, 60:].mean() < 10


def test_motion_jpeg_passes_through_undecoded(tmp_path):
    path = _write(tmp_path / "a.avi", "mjpeg")
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert [picture.image for picture in _all(path)] == packets


def test_a_picture_taken_upright_is_turned_upright(tmp_path):
    path = _write(tmp_path / "a.mp4", "mpeg4")
    data = path.read_bytes()
    plain = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    at = data.index(plain, data.index(b"tkhd"))
    quarter = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    path.write_bytes(data[:at] + quarter + data[at + len(plain) :])
    image = _all(path)[5].image
    # A quarter turn clockwise: what was on the left is above.
    assert image.shape == (96, 64, 3)
    assert image[:40].mean() > 70 and image[60:].mean() < 10


def test_a_loop_goes_on_in_time(tmp_path):
    source = FileSource(_write(tmp_path / "a.mp4", "mpeg4"), SourceOptions(fps=math.inf, loop=True))
    with closing(source.pictures()) as pictures:
        taken = list(itertools.islice(pictures, 30))
    assert [picture.pts for picture in taken] == [number * 100 for number in range(30)]
    assert [picture.captured - taken[0].captured for picture in taken] == [
        number * 100 for number in range(30)
    ]


def test_what_is_damaged_is_counted(tmp_path):
    path = _write(tmp_path / "a.avi", "mjpeg", 40)
    data = bytearray(path.read_bytes())
    start = data.index(b"\xff\xd8\xff", len(data) // 2)
    data[start : start + 200] = bytes(200)
    path.write_bytes(data)
    source = FileSource(path, MAX)
    pictures = list(source.pictures())
    assert 30 <= len(pictures) < 40
    assert len(pictures) + source.skipped.total() == 40


def test_a_file_cut_short_gives_what_it_has(tmp_path):
    path = _write(tmp_path / "a.ts", "mpeg2video", 200)
    path.write_bytes(path.read_bytes()[:-3000])
    assert 20 < len(_all(path)) < 200


def test_sound_alone_is_no_video(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(SourceError, match="holds no video"):
        FileSource(tmp_path / "a.mp4", MAX)
