"""Which face is meant, and the boundaries at which it will do."""

import pytest

from app.enrolment import Face, Refusal, Rules, choose_face
from app.messages import Gate
from app.settings import Settings

RULES = Rules(max_bytes=2**20, max_pixels=10**6, min_face=48)


def face(index: int = 0, width: float = 100, height: float = 120, gate: Gate = Gate.PASSED) -> Face:
    return Face(index, (10.0, 20.0, 10.0 + width, 20.0 + height), 0.9, gate)


def reason(*faces: Face, wanted: int | None = None) -> str | None:
    found = choose_face(faces, wanted, RULES)
    return found.reason if isinstance(found, Refusal) else None


def test_no_face() -> None:
    assert reason() == "no-face"
    assert reason(wanted=3) == "no-face"


def test_the_only_face_is_meant() -> None:
    only = face()
    assert choose_face([only], None, RULES) is only
    assert choose_face([only], 0, RULES) is only


def test_of_several_faces_one_has_to_be_picked() -> None:
    faces = [face(0), face(1), face(2)]
    refused = choose_face(faces, None, RULES)
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.detail) == ("several-faces", "3 faces were found: say which")
    assert [choose_face(faces, index, RULES) for index in range(3)] == faces


@pytest.mark.parametrize(("count", "wanted"), [(1, 1), (3, 3), (3, 9999)])
def test_a_face_that_is_not_there(count: int, wanted: int) -> None:
    assert reason(*(face(index) for index in range(count)), wanted=wanted) == "bad-face"


@pytest.mark.parametrize(("width", "height"), [(48, 48), (48, 300), (300, 48)])
def test_a_face_of_the_least_size_will_do(width: float, height: float) -> None:
    assert reason(face(width=width, height=height)) is None


@pytest.mark.parametrize(("width", "height"), [(47, 48), (48, 47), (47, 300), (1, 1)])
def test_a_face_that_is_one_pixel_smaller_will_not(width: float, height: float) -> None:
    refused = choose_face([face(width=width, height=height)], None, RULES)
    assert isinstance(refused, Refusal)
    assert refused.reason == "face-too-small"
    assert refused.detail == f"the face is {width} x {height} pixels, at least 48 x 48 are needed"


def test_only_the_face_that_is_meant_has_to_do() -> None:
    faces = [face(0, width=10, gate=Gate.SMALL), face(1), face(2, gate=Gate.UNALIGNED)]
    assert [reason(*faces, wanted=index) for index in range(3)] == ["face-too-small", None, "no-landmarks"]


def test_a_face_without_landmarks() -> None:
    assert reason(face(gate=Gate.UNALIGNED)) == "no-landmarks"


def test_a_face_that_may_be_none() -> None:
    refused = choose_face([face(gate=Gate.UNSURE)], None, RULES)
    assert isinstance(refused, Refusal)
    assert refused.reason == "face-unsure"
    assert refused.detail == "it is not sure that this is a face: its detection score is 0.90"


@pytest.mark.parametrize("gate", Gate)
def test_of_several_reasons_the_size_counts(gate: Gate) -> None:
    """Of all that can be wrong with a face, it is what another photograph can mend."""
    assert reason(face(width=47, gate=gate)) == "face-too-small"


@pytest.mark.parametrize(("enrol", "embed", "least"), [(48, 24, 48), (20, 24, 24), (24, 24, 24)])
def test_no_face_is_enrolled_that_is_too_small_to_be_embedded(enrol: int, embed: int, least: int) -> None:
    settings = Settings(enrol_face=enrol, min_face=embed, max_photo_bytes=7, max_photo_pixels=8)
    assert Rules.from_settings(settings) == Rules(max_bytes=7, max_pixels=8, min_face=least)
