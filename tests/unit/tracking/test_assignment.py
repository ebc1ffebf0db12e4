"""Which visit a face is of: by the tracklet that it goes on with, by template, or by place."""

from typing import Any

import numpy as np
import pytest
from makers import EMBEDDER, START, axis, make_faces, make_sighting

from app.messages import Faces, Gate
from app.tracking.assignment import assign, tracklet_key
from app.tracking.state import Place, Visit
from app.tracking.templates import with_face

JOIN = 0.42
#: Where somebody was, and where faces are: 60 pixels wide.
HERE, NEAR, FAR = (100.0, 100.0), (130.0, 100.0), (400.0, 100.0)


def visit(looks: Any, quality: float = 0.7, tracklet: int | None = None, **more: Any) -> Visit:
    """Return the visit of somebody who was here 100 ms before the frame."""
    x, y = HERE
    fields = {
        "sighting": make_sighting(last=START - 100),
        "template": with_face(None, EMBEDDER, looks, quality),
        "tracklets": {} if tracklet is None else {2 * tracklet: START - 100},
        "place": Place(False, x - 30, y - 30, x + 30, y + 30),
    }
    return Visit(**(fields | more))


def frame(*looks: Any, at: Any = (), **more: Any) -> Faces:
    middles = [*at, *[FAR] * (len(looks) - len(at))]
    boxes = np.array([(x - 30, y - 30, x + 30, y + 30) for x, y in middles], np.float32).reshape(-1, 4)
    return make_faces(looks, boxes=boxes, **more)


def places(faces: Faces, *visits: Visit) -> list[int | None]:
    """Return the place of each face's visit among `visits`."""
    embedded = faces.gates == Gate.PASSED
    found = assign(faces, embedded, visits, JOIN)
    return [None if one is None else next(n for n, v in enumerate(visits) if v is one) for one in found]


def tracklets(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint64)


def quality(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


FOLLOWED = np.array([Gate.FOLLOWED], np.uint8)
SMALL = np.array([Gate.SMALL], np.uint8)


def test_a_face_goes_to_the_visit_that_it_is_like() -> None:
    assert places(frame(axis(1), axis(0)), visit(axis(0)), visit(axis(1))) == [1, 0]


def test_a_face_that_is_like_nobody_is_nobodys() -> None:
    assert places(frame(axis(2)), visit(axis(0))) == [None]
    assert places(frame(axis(0))) == [None]
    assert places(frame(), visit(axis(0))) == []


@pytest.mark.parametrize(("similarity", "found"), [(0.43, 0), (0.41, None)])
def test_it_must_be_like_them_enough(similarity: float, found: int | None) -> None:
    assert places(frame(axis(0, 5, similarity)), visit(axis(0))) == [found]


def test_of_two_that_are_like_one_the_more_similar_one_is_them() -> None:
    assert places(frame(axis(0, 5, 0.5), axis(0, 6, 0.6)), visit(axis(0))) == [None, 0]


def test_a_face_that_was_found_twice_is_theirs_twice() -> None:
    assert places(frame(axis(0, 5, 0.8), axis(0)), visit(axis(0))) == [0, 0]


def test_poor_faces_that_are_alike_say_nothing() -> None:
    """They are alike for being poor: who is in the dark is like everybody who is."""
    poor = frame(axis(0), quality=quality(0.2))
    assert places(poor, visit(axis(0))) == [None]
    assert places(frame(axis(0)), visit(axis(0), quality=0.2)) == [None]


def test_where_somebody_was_a_moment_ago_they_say_enough() -> None:
    poor = frame(axis(0), at=[NEAR], quality=quality(0.2))
    assert places(poor, visit(axis(0), quality=0.2)) == [0]
    other = frame(axis(1), at=[NEAR], quality=quality(0.2))
    assert places(other, visit(axis(0), quality=0.2)) == [None]


def test_a_tracklet_goes_on_whatever_a_poor_face_is_like() -> None:
    turned = frame(axis(1), tracklets=tracklets(7), quality=quality(0.3))
    assert places(turned, visit(axis(0), tracklet=7)) == [0]


def test_a_tracklet_goes_on_with_a_face_that_is_a_little_like_them() -> None:
    turned = frame(axis(0, 5, 0.3), tracklets=tracklets(7), quality=quality(0.5))
    assert places(turned, visit(axis(0), tracklet=7)) == [0]


def test_of_a_good_face_more_is_expected() -> None:
    """A cut that was not seen: somebody else is where they were, and looks a little like them."""
    other = frame(axis(0, 5, 0.3), tracklets=tracklets(7), quality=quality(0.7))
    assert places(other, visit(axis(0), tracklet=7)) == [None]


def test_a_tracklet_that_has_gone_over_to_somebody_else_is_let_go_of() -> None:
    other = frame(axis(1), tracklets=tracklets(7))
    assert places(other, visit(axis(0), tracklet=7)) == [None]
    assert places(other, visit(axis(0), tracklet=7), visit(axis(1))) == [1]


def test_two_who_have_changed_places_are_told_apart_by_what_they_look_like() -> None:
    crossed = frame(axis(1, 0, 0.9), axis(0, 1, 0.9), tracklets=tracklets(7, 8))
    assert places(crossed, visit(axis(0), tracklet=7), visit(axis(1), tracklet=8)) == [1, 0]


def test_a_face_that_is_followed_is_theirs_though_it_is_not_embedded() -> None:
    followed = frame(0 * axis(0), gates=FOLLOWED, tracklets=tracklets(7))
    assert places(followed, visit(axis(1)), visit(axis(0), tracklet=7)) == [1]


def test_who_is_like_somebody_that_is_followed_is_somebody_else() -> None:
    """Siblings: the one is followed, and on the frame, when the other comes."""
    gates = np.array([Gate.FOLLOWED, Gate.PASSED], np.uint8)
    both = frame(0 * axis(0), axis(0, 5, 0.6), gates=gates, tracklets=tracklets(7, 8))
    assert places(both, visit(axis(0), tracklet=7)) == [0, None]


@pytest.mark.parametrize(
    ("at", "since", "live", "found"),
    [
        (NEAR, 100, False, 0),
        (FAR, 100, False, None),
        (NEAR, 1001, False, None),
        (NEAR, -1, False, None),
        (NEAR, 100, True, None),
    ],
    ids=["here", "elsewhere", "too late", "time goes back", "another camera"],
)
def test_a_small_face_is_that_of_who_was_there_a_moment_ago(
    at: tuple[float, float], since: int, live: bool, found: int | None
) -> None:
    small = frame(0 * axis(0), at=[at], gates=SMALL, live=live)
    assert places(small, visit(axis(0), sighting=make_sighting(last=START - since))) == [found]


def test_a_small_face_is_not_theirs_who_are_on_the_frame() -> None:
    gates = np.array([Gate.SMALL, Gate.PASSED], np.uint8)
    assert places(frame(0 * axis(0), axis(0), at=[NEAR, FAR], gates=gates), visit(axis(0))) == [None, 0]


def test_a_face_of_another_size_is_not_that_of_who_was_there() -> None:
    box = np.array([(90, 90, 110, 110)], np.float32)
    small = make_faces([0 * axis(0)], boxes=box, gates=SMALL)
    assert places(small, visit(axis(0))) == [None]


def test_a_visit_without_a_template_is_found_by_its_tracklet_and_place() -> None:
    old = visit(axis(0), template=None, tracklet=7)
    assert places(frame(axis(0), tracklets=tracklets(7)), old) == [0]
    assert places(frame(axis(0), at=[NEAR], tracklets=tracklets(8)), old) == [None]


def test_a_tracklet_of_a_camera_is_none_of_a_recording() -> None:
    camera, recording = (frame(axis(0), tracklets=tracklets(7), live=live) for live in (True, False))
    assert {tracklet_key(camera, 0), tracklet_key(recording, 0)} == {15, 14}
    assert tracklet_key(frame(axis(0)), 0) is None


def test_the_largest_number_of_a_tracklet_can_be_written() -> None:
    key = tracklet_key(frame(axis(0), tracklets=tracklets(2**62)), 0)
    assert key == 2**63
