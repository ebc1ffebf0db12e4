"""An array is one of few types, of the shape that it is to have, and finite."""

import struct
from typing import Any

import pytest
from makers import axis, changed, make_faces

from app.messages import Faces, MessageError, decode

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
        ["<f4", [-1, 4], b""],
        ["<f4", [2**20 + 1, 4], bytes(16 * (2**20 + 1))],
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
