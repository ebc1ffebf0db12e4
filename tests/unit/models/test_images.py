"""Photographs are checked before they are decoded, and nothing broken gets through as a picture."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from app.models.images import Image, ImageError, decode_image, decode_jpeg, encode_jpeg, patches, thumbnail

LIMIT = 1_000_000


def picture(width: int = 64, height: int = 48) -> Image:
    """Return a picture whose top is red and whose bottom is blue."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2] = (0, 0, 255)
    image[height // 2 :] = (255, 0, 0)
    return image


def encoded(kind: str, image: Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    pixels = picture() if image is None else image
    Pillow.fromarray(np.ascontiguousarray(pixels[:, :, ::-1])).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_each_format_decodes_to_bgr(kind: str) -> None:
    image = decode_image(encoded(kind, quality=95), LIMIT)
    assert (image.shape, image.dtype, image.flags["C_CONTIGUOUS"]) == ((48, 64, 3), np.uint8, True)
    assert np.abs(image.astype(int) - picture()).mean() < 6


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "CMYK", "1", "LA", "I;16"])
def test_other_colours_become_bgr(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    buffer = io.BytesIO()
    Pillow.new(mode, (20, 10)).save(buffer, kind)
    assert decode_image(buffer.getvalue(), LIMIT).shape == (10, 20, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_turns_the_picture(kind: str) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # turned a quarter: what was at the left is on top
    turned = decode_image(encoded(kind, exif=exif.tobytes()), LIMIT)
    assert turned.shape == (64, 48, 3)
    assert turned[32, 40, 2] > 200
    assert turned[32, 8, 0] > 200


def test_a_frame_is_turned_too() -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    assert decode_jpeg(encoded("JPEG", exif=exif.tobytes())).shape == (64, 48, 3)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM"])
def test_other_formats_are_refused(kind: str) -> None:
    with pytest.raises(ImageError, match="expected JPEG or PNG or WEBP") as caught:
        decode_image(encoded(kind), LIMIT)
    assert caught.value.reason == "not-an-image"


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"<svg/>", b"%PDF-1.7", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    for decode in (lambda: decode_image(data, LIMIT), lambda: decode_jpeg(data)):
        with pytest.raises(ImageError) as caught:
            decode()
        assert caught.value.reason == "not-an-image"
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_file_is_refused(kind: str) -> None:
    noise = np.random.default_rng(5).integers(0, 255, (100, 100, 3), dtype=np.uint8)
    data = encoded(kind, noise)
    for length in (len(data) // 10, len(data) // 2, len(data) * 9 // 10):
        with pytest.raises(ImageError) as caught:
            decode_image(data[:length], LIMIT)
        assert caught.value.reason == "not-an-image"


def png_that_claims(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes whose header claims any size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(1001, 1000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_size_beyond_the_limit_is_refused_by_the_header(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=f"at most {LIMIT} pixels, found {size[0]}x{size[1]}") as caught:
        decode_image(png_that_claims(*size), LIMIT)
    assert caught.value.reason == "too-large"


def test_a_size_at_the_limit_passes() -> None:
    assert decode_image(encoded("PNG"), 64 * 48).shape == (48, 64, 3)
    assert decode_jpeg(encoded("JPEG"), 64 * 48).shape == (48, 64, 3)
    with pytest.raises(ImageError, match="too large"):
        decode_jpeg(encoded("JPEG"), 64 * 48 - 1)


@pytest.mark.parametrize(("width", "passes"), [(7680, True), (7681, False)])
def test_a_frame_has_at_most_the_pixels_of_8k(width: int, passes: bool) -> None:
    """By what its header says: there is nothing in it."""
    data = bytearray(encoded("JPEG"))
    size = data.index(b"\xff\xc0") + 5
    data[size : size + 4] = struct.pack(">HH", 4320, width)
    if passes:
        assert decode_jpeg(bytes(data)).shape == (4320, 7680, 3)
    else:
        with pytest.raises(ImageError, match="at most 33177600 pixels, found 7681x4320"):
            decode_jpeg(bytes(data))


def test_frames_survive_the_way_there_and_back() -> None:
    data = encode_jpeg(picture(), 95)
    np.testing.assert_array_equal(decode_jpeg(data), cv2.imdecode(np.frombuffer(data, np.uint8), 1))
    assert len(encode_jpeg(picture(), 20)) < len(data)


def test_a_frame_must_end() -> None:
    data = encode_jpeg(picture())
    assert decode_jpeg(data + b"\0" * 100).shape == (48, 64, 3)
    for cut in (1, 2, 100, len(data) // 2):
        with pytest.raises(ImageError) as caught:
            decode_jpeg(data[:-cut])
        assert caught.value.reason == "not-an-image"


def test_a_frame_is_a_jpeg() -> None:
    with pytest.raises(ImageError, match="expected JPEG, whole"):
        decode_jpeg(encoded("PNG"))


def test_a_real_photograph(still: Callable[[str], Image], photographs: Path) -> None:
    name = "demo-portraits/obama.jpg"
    image = decode_image((photographs / name).read_bytes(), 50_000_000)
    assert np.abs(image.astype(int) - still(name)).mean() < 1


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.filterwarnings("ignore:::PIL")
@given(
    st.sampled_from(["JPEG", "PNG", "WEBP"]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=12),
)
def test_damage_is_a_picture_or_an_image_error(kind: str, damage: list[tuple[int, int]]) -> None:
    data = bytearray(encoded(kind, exif=Pillow.Exif().tobytes()))
    for place, value in damage:
        data[place % len(data)] = value
    for decode in (lambda: decode_image(bytes(data), LIMIT), lambda: decode_jpeg(bytes(data), LIMIT)):
        try:
            assert decode().shape[2] == 3
        except ImageError:
            continue


@pytest.mark.parametrize(("height", "width"), [(1080, 1920), (97, 31), (9, 8)])
def test_a_thumbnail_shows_what_is_where(height: int, width: int) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    image[:, width // 2 :] = 200
    small = thumbnail(image)
    assert (small.shape, small.dtype) == ((18, 32), np.uint8)
    assert (int(small[:, :15].max()), int(small[:, 17:].min())) == (0, 200)


def test_patches_of_one_face_are_alike_in_any_light_and_of_two_are_not() -> None:
    one, other = (np.random.default_rng(seed).integers(40, 160, (8, 8, 3), dtype=np.uint8) for seed in (0, 1))
    image = np.zeros((100, 300, 3), np.uint8)
    for left, face in ((0, one), (100, one // 2 + 40), (200, other)):
        image[10:90, left + 10 : left + 90] = cv2.resize(face, (80, 80), interpolation=cv2.INTER_NEAREST)
    boxes = np.array([(left + 10, 10, left + 90, 90) for left in (0, 100, 200)], np.float32)
    seen = patches(image, boxes)
    assert (seen.shape, seen.dtype) == ((3, 192), np.float32)
    np.testing.assert_allclose(np.linalg.norm(seen, axis=1), 1, atol=1e-5)
    assert seen[0] @ seen[1] > 0.99
    assert abs(seen[0] @ seen[2]) < 0.5


def test_a_patch_that_shows_nothing_is_like_nothing() -> None:
    image = np.full((50, 50, 3), 90, np.uint8)
    boxes = np.array([(60, 60, 90, 90), (-20, -20, -5, -5), (10, 10, 10, 30), (5, 5, 40, 40)], np.float32)
    assert not patches(image, boxes).any()
    assert patches(image, np.zeros((0, 4), np.float32)).shape == (0, 192)


def test_of_a_face_that_is_cut_by_the_edge_what_is_there_is_seen() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    whole, cut = patches(image, np.array([(0, 0, 20, 30), (-15, -9, 20, 30)], np.float32))
    np.testing.assert_array_equal(whole, cut)
