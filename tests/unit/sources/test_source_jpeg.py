"""What a JPEG's header says, and pictures that fit into a message."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sources import jpeg
from app.sources.jpeg import PictureRefused, make_jpeg, read_jpeg_header

PIXELS = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


def _encoded(*options: int) -> bytes:
    return cv2.imencode(".jpg", PIXELS, options)[1].tobytes()


def _with_orientation(number: int) -> bytes:
    tiff = b"II*\0\x08\0\0\0\x01\0" + b"\x12\x01\x03\0\x01\0\0\0" + bytes([number, 0, 0, 0]) + b"\0\0\0\0"
    body = b"Exif\0\0" + tiff
    return b"\xff\xd8\xff\xe1" + (len(body) + 2).to_bytes(2) + body + _encoded()[2:]


@pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_QUALITY, 20)])
def test_a_whole_jpeg_travels_as_it_is(options):
    data = _encoded(*options)
    found = read_jpeg_header(data)
    assert (found.width, found.height) == (64, 48)
    assert make_jpeg(data, None, 90).data is data


def test_padding_behind_the_end_is_no_harm():
    assert read_jpeg_header(_encoded() + bytes(100))


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xe0\0\0\xff\xd9", _encoded()[:-2], _encoded()[2:]]
)
def test_a_broken_jpeg_does_not(data):
    assert read_jpeg_header(data) is None


def test_a_jpeg_without_tables_is_made_anew():
    data = _encoded()
    tables = data.index(b"\xff\xc4")
    bare = data[:tables] + data[data.index(b"\xff\xda") :]
    assert read_jpeg_header(bare) is None
    assert read_jpeg_header(make_jpeg(bare, None, 90).data)


def test_a_jpeg_on_its_side_is_turned_upright():
    assert read_jpeg_header(_with_orientation(1)).width == 64
    assert read_jpeg_header(_with_orientation(6)) is None
    turned = make_jpeg(_with_orientation(6), None, 90)
    assert (turned.width, turned.height) == (48, 64)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(tail):
    read_jpeg_header(b"\xff\xd8\xff" + tail + b"\xff\xd9")
    read_jpeg_header(b"\xff\xd8\xff\xe1\x00\x30Exif\0\0" + tail + b"\xff\xd9")


def test_pixels_are_encoded_and_scaled():
    made = make_jpeg(PIXELS, (32, 24), 90)
    assert cv2.imdecode(np.frombuffer(made.data, np.uint8), cv2.IMREAD_COLOR).shape == (24, 32, 3)
    assert (made.width, made.height) == (32, 24)


def test_a_jpeg_is_scaled_when_asked():
    assert make_jpeg(_encoded(), (32, 24), 90).width == 32


def test_quality_falls_before_a_picture_is_refused(monkeypatch):
    full, least = len(make_jpeg(PIXELS, None, 90).data), len(make_jpeg(PIXELS, None, 50).data)
    monkeypatch.setattr(jpeg, "MAX_JPEG_BYTES", (full + least) // 2)
    assert len(make_jpeg(PIXELS, None, 90).data) <= (full + least) // 2
    monkeypatch.setattr(jpeg, "MAX_JPEG_BYTES", least // 2)
    with pytest.raises(PictureRefused) as refusal:
        make_jpeg(PIXELS, None, 90)
    assert refusal.value.reason == "too-large"


def test_no_image_is_refused():
    with pytest.raises(PictureRefused) as refusal:
        make_jpeg(b"text", None, 90)
    assert refusal.value.reason == "unreadable"
