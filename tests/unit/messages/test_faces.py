"""The columns of the faces of a frame go together, and their codes mean what they always did."""

import numpy as np
import pytest
from makers import axis, changed, make_faces

from app.messages import Faces, Gate, MessageError, decode, encode


def test_the_codes_of_the_gate_are_part_of_the_message() -> None:
    assert {gate.name: gate.value for gate in Gate} == {
        "PASSED": 0, "SMALL": 1, "UNSURE": 2, "UNALIGNED": 3, "FOLLOWED": 4,
    }  # fmt: skip


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
        decode(Faces, changed(make_faces([axis(0)]), crops=[None, None]))
