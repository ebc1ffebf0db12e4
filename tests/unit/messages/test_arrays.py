"""An array is one of few types, of the shape that it is to have, and finite."""

import struct
from typing import Any

import numpy as np
import pytest
from makers import axis, changed, make_faces

from app.messages import Faces, MessageError, decode, encode

ONE = make_faces([axis(0)])


@pytest.mark.parametrize(
    "boxes",
    [
        ["<f8", [1, 4], struct.pack("<4d", 1, 2, 3, 4)],
        [">f4", [1, 4], struct.pack(">4f", 1, 2, 3, 4)],
        ["|O", [1, 4], b"x" * 32],
        ["<f4", [4], struct.pack("<4f", 1, 2, 3, 4)],
        ["<f4", [2, 4], struct.pack("<8f", *range(8))],
        ["<f4", [1, 4], struct.pack("<3f", 1, 2, 3)],
        ["<f4", [1, -4], struct.pack("<4f", 1, 2, 3, 4)],
        ["<f4", [1, 4, 1, 1], struct.pack("<4f", 1, 2, 3, 4)],
        ["<f4", [2**62, 2**62], b""],
        ["<f4", [True, 4], struct.pack("<4f", 1, 2, 3, 4)],
        ["<f4", [1.0, 4], struct.pack("<4f", 1, 2, 3, 4)],
        ["<f4", [], b"1234"],
        ["<f4", [1, 4], struct.pack("<4f", 1, 2, 3, float("nan"))],
        ["<f4", [1, 4], struct.pack("<4f", 1, 2, 3, float("inf"))],
        ["<f4", [1, 4], "text"],
        ["<f4", [1, 4]],
        {"<f4": 1},
        None,
        7,
        b"bytes",
    ],
)
def test_an_array_of_another_kind_is_refused(boxes: Any) -> None:
    with pytest.raises(MessageError) as caught:
        decode(Faces, changed(ONE, boxes=boxes))
    assert caught.value.reason == "malformed"


def test_a_face_may_be_without_landmarks_but_not_without_some() -> None:
    landmarks = np.zeros((2, 5, 2), np.float32)
    landmarks[1] = np.nan
    faces = make_faces([axis(0), axis(1)], landmarks=landmarks)
    np.testing.assert_array_equal(decode(Faces, encode(faces)).landmarks, landmarks)
    for place, number in (((0, 4, 1), np.nan), ((1, 2, 0), 1.0), ((0, 0, 0), np.inf)):
        wrong = landmarks.copy()
        wrong[place] = number
        with pytest.raises(MessageError):
            decode(Faces, changed(faces, landmarks=["<f4", [2, 5, 2], wrong.tobytes()]))


def test_columns_have_one_length() -> None:
    with pytest.raises(MessageError):
        decode(Faces, changed(ONE, crops=[None, None]))
