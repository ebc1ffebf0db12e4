"""What a viewer sees: the frame, smaller, with boxes and names where the faces are."""

import numpy as np
import pytest

from app.models.images import ImageError, decode_jpeg, encode_jpeg
from app.web.live.render import NamedFace, View, render

GREY = encode_jpeg(np.full((480, 640, 3), 128, np.uint8), 95)
ADA = NamedFace((200.0, 200.0, 300.0, 320.0), 0.99, "ada", "Ada", 0.8)
STRANGER = NamedFace((400.0, 200.0, 500.0, 320.0), 0.9, None, None, None)


def drawn(*faces: NamedFace, side: int = 960) -> np.ndarray:
    return decode_jpeg(render(GREY, faces, side, 90)).astype(int)


def test_nothing_is_drawn_where_nobody_is() -> None:
    picture = drawn()
    assert picture.shape == (480, 640, 3)
    assert np.abs(picture - 128).max() <= 3


def test_the_box_is_where_the_face_is() -> None:
    changed = np.abs(drawn(ADA) - 128).max(axis=2) > 30
    assert changed[320, 210:290].all()
    assert changed[210:310, 200].all() and changed[210:310, 300].all()
    assert not changed[230:310, 210:290].any()
    assert not changed[340:].any() and not changed[:, 400:].any()


def test_known_and_unknown_differ_in_colour() -> None:
    picture = drawn(ADA, STRANGER)
    known, unknown = picture[320, 250], picture[320, 450]
    assert known[1] > known[2] + 50
    assert unknown[2] > unknown[1] + 30


def test_a_large_frame_is_made_smaller_with_its_boxes() -> None:
    picture = drawn(ADA, side=320)
    assert picture.shape == (240, 320, 3)
    assert (np.abs(picture[160, 105:145] - 128).max(axis=1) > 30).all()


@pytest.mark.parametrize("name", ["Ada", "山田 太郎", "Ἀθηνᾶ", "x" * 100, "😀"])
@pytest.mark.parametrize("box", [(0, 0, 20, 20), (620, 460, 640, 480), (-50, -50, 900, 900), (5, 5, 5, 5)])
def test_any_name_and_place_can_be_drawn(name: str, box: tuple[float, ...]) -> None:
    assert drawn(NamedFace(box, 0.9, "x", name, 0.5)).shape == (480, 640, 3)


def test_names_differ_in_ink() -> None:
    one, other = (drawn(NamedFace(ADA.box, 0.9, "x", name, 0.5)) for name in ("山田", "鈴木"))
    assert np.abs(one - other).max() > 50


def test_a_tiny_frame_can_be_drawn_on() -> None:
    tiny = encode_jpeg(np.zeros((8, 8, 3), np.uint8))
    assert decode_jpeg(render(tiny, (ADA,), 960, 80)).shape == (8, 8, 3)


def test_a_broken_frame_is_an_image_error() -> None:
    with pytest.raises(ImageError):
        render(GREY[:1000], (), 960, 80)


def test_a_view_says_who_is_on_it() -> None:
    view = View("door", 7, 3, 640, 480, (ADA, STRANGER), b"")
    assert view.shows("ada") and not view.shows("bob")
    assert view.header() == {
        "stream": "door", "captured": 7, "offset": 3, "width": 640, "height": 480,
        "faces": [
            {"box": [200, 200, 300, 320], "score": 0.99, "person": "ada", "name": "Ada", "similarity": 0.8},
            {"box": [400, 200, 500, 320], "score": 0.9, "person": None, "name": None, "similarity": None},
        ],
    }  # fmt: skip
