"""From a photograph to a template, by what a net is said to have found on it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from makers import DIMENSION, axis, make_analysis

from app.enrolment import Enrolled, Photo, Refusal, Rules, examine, judge
from app.messages import Gate
from app.models.images import decode_jpeg, encode_jpeg
from app.models.pipeline import Analysis

RULES = Rules(max_bytes=2**20, max_pixels=200 * 100, min_face=48)
SIZE = (640, 480)


class Sees:
    """Stands where the nets stand: finds what a test says, and notes what it was shown."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.shown: list[tuple[int, ...]] = []

    def analyse(self, image: Any) -> Analysis:
        self.shown.append(image.shape)
        return self.analysis


def look(data: bytes | None, analysis: Analysis, wanted: int | None = None) -> tuple[Any, Sees]:
    nets: Any = Sees(analysis)
    return examine(Photo("a.jpg", data), wanted, nets, RULES, "net@0"), nets


def picture(height: int, width: int) -> bytes:
    return encode_jpeg(np.zeros((height, width, 3), np.uint8))


def judged(analysis: Analysis, wanted: int | None = None) -> Enrolled | Refusal:
    return judge(analysis, SIZE, wanted, RULES, "net@0")


def test_the_template_of_the_only_face() -> None:
    aligned = np.full((1, 112, 112, 3), 130, np.uint8)
    found = judged(make_analysis((99.6, 120.2), aligned=aligned))
    assert isinstance(found, Enrolled)
    template = found.template
    assert (template.embedder, template.width, template.height) == ("net@0", 100, 120)
    assert template.score == pytest.approx(0.9)
    assert template.embedding.tolist() == axis(0).tolist()
    assert abs(int(decode_jpeg(template.crop).mean()) - 130) <= 1


def test_the_face_that_is_picked_is_the_one_in_the_template() -> None:
    aligned = np.stack([np.full((112, 112, 3), shade, np.uint8) for shade in (10, 120, 240)])
    found = judged(make_analysis((50, 60), (70, 80), (90, 100), aligned=aligned), wanted=1)
    assert isinstance(found, Enrolled)
    assert (found.face.index, found.face.size) == (1, (70, 80))
    assert (found.template.width, found.template.height) == (70, 80)
    assert found.template.embedding.tolist() == axis(1).tolist()
    assert abs(int(decode_jpeg(found.template.crop).mean()) - 120) <= 1


def test_a_template_is_called_by_its_embedding_alone() -> None:
    one, again = judged(make_analysis((50, 60))), judged(make_analysis((70, 80)))
    other = judged(make_analysis((50, 60), embeddings=np.eye(DIMENSION, dtype=np.float32)[3:4]))
    assert isinstance(one, Enrolled) and isinstance(again, Enrolled) and isinstance(other, Enrolled)
    assert len(one.template.id) == 16
    assert one.template.id == again.template.id != other.template.id


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [(None, "several-faces"), (0, "face-too-small"), (1, "no-landmarks"), (2, "bad-face")],
)
def test_a_refusal_shows_all_faces_and_the_size_that_their_boxes_refer_to(
    wanted: int | None, reason: str
) -> None:
    gates = np.array([Gate.SMALL, Gate.UNALIGNED], np.uint8)
    refused = judged(make_analysis((10, 60), (70, 80), gates=gates), wanted)
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.size) == (reason, SIZE)
    assert [face.box for face in refused.faces] == [(0, 20, 10, 80), (10, 20, 80, 100)]


def test_a_face_without_landmarks_has_no_template() -> None:
    made = make_analysis((70, 80), gates=np.array([Gate.UNALIGNED], np.uint8))
    without = replace(made.detections, landmarks=np.full((1, 5, 2), np.nan, np.float32))
    refused = judged(replace(made, detections=without))
    assert isinstance(refused, Refusal)
    assert refused.reason == "no-landmarks"


def test_a_photograph_without_a_face() -> None:
    found, nets = look(picture(100, 200), make_analysis())
    assert (found.reason, found.faces, nets.shown) == ("no-face", (), [(100, 200, 3)])


def test_a_photograph_of_the_most_pixels_will_do_and_of_one_row_more_will_not() -> None:
    analysis = make_analysis((50, 60))
    found, _ = look(picture(100, 200), analysis)
    assert isinstance(found, Enrolled)
    refused, nets = look(picture(101, 200), analysis)
    assert (refused.reason, refused.faces, refused.size, nets.shown) == ("too-large", (), None, [])


def test_a_file_that_was_too_large_to_be_kept() -> None:
    refused, nets = look(None, make_analysis((50, 60)))
    assert (refused.reason, refused.detail) == ("too-large", "the photograph is larger than 1 MiB")
    assert not nets.shown


@pytest.mark.parametrize("data", [b"", b"GIF89a", picture(100, 100)[:200]])
def test_a_file_that_is_no_photograph(data: bytes) -> None:
    refused, nets = look(data, make_analysis((50, 60)))
    assert (refused.reason, nets.shown) == ("not-an-image", [])
