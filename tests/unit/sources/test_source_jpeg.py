"""What a JPEG's header says, and pictures that fit into a message."""

import struct

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


def _tiff(kind: int, value: bytes, *, order: str = "<", count: int = 1, entries: int = 1) -> bytes:
    """Return EXIF's tags with the orientation alone, of a TIFF `kind`."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(f"{order}LHHHL", 8, entries, 0x0112, kind, count) + value + b"\0\0\0\0"


def _short(number: int, order: str = "<") -> bytes:
    return _tiff(3, struct.pack(f"{order}HH", number, 0), order=order)


def _with_exif(tiff: bytes) -> bytes:
    body = b"Exif\0\0" + tiff
    return b"\xff\xd8\xff\xe1" + (len(body) + 2).to_bytes(2) + body + _encoded()[2:]


def _with_orientation(number: int) -> bytes:
    return _with_exif(_short(number))


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


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("number", range(11))
def test_every_orientation_is_known_in_both_byte_orders(order, number):
    found = read_jpeg_header(_with_exif(_short(number, order)))
    assert (found is not None) == (number < 2)


@pytest.mark.parametrize(
    ("tiff", "upright"),
    [
        (_tiff(4, b"\6\0\0\0"), False),
        (_tiff(1, b"\6\0\0\0"), False),
        (_tiff(3, b"\6\0\6\0", count=2), False),
        (_short(6)[:8] + b"\0\0" + _short(6)[10:], True),
        (b"", True),
        (b"II*\0", True),
        (b"XX*\0" + _short(6)[4:], True),
        (b"II*\0\xff\xff\xff\x7f" + _short(6)[8:], True),
        (b"II+\0" + _short(6)[4:], True),
    ],
    ids=["long", "byte", "two", "none", "empty", "torn", "no TIFF", "tags elsewhere", "BigTIFF"],
)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_odd_exif_is_seen_as_the_decoder_sees_it(tiff, upright):
    data = _with_exif(tiff)
    assert (read_jpeg_header(data) is not None) == upright
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert (decoded.shape[:2] == PIXELS.shape[:2]) == upright


def test_other_segments_of_that_marker_say_nothing_of_it():
    xmp = b"http://ns.adobe.com/xap/1.0/\0" + _short(6)
    data = b"\xff\xd8\xff\xe1" + (len(xmp) + 2).to_bytes(2) + xmp + _with_orientation(1)[2:]
    assert read_jpeg_header(data).width == 64


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
