"""Faces are followed by where they are, and embedded when that can change an answer."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tracking.cuts import CutDetector
from app.tracking.tracklets import Followed, Seen, TrackletRules, TrackletTracker

SIZE = 40.0


class Camera:
    """Gives a tracker frames, so many milliseconds apart."""

    def __init__(self, period: int = 100, **rules: object) -> None:
        self.tracker = TrackletTracker(TrackletRules(**rules))
        self.period = period
        self.offset = self.captured = 0
        self.cut = False

    def frame(
        self,
        *middles: Sequence[float],
        quality: Sequence[float] | None = None,
        passed: Sequence[bool] | None = None,
        looks: Sequence[int] | None = None,
        cut: bool = False,
    ) -> Followed:
        """Show faces of one size, by their middles, which look alike unless told; return what is known."""
        self.cut ^= cut
        boxes = np.array([(x - SIZE / 2, y - SIZE / 2, x + SIZE / 2, y + SIZE / 2) for x, y in middles])
        count = len(middles)
        seen = Seen(
            np.full((18, 32), 200 if self.cut else 20, np.uint8),
            boxes.reshape(-1, 4).astype(np.float32),
            np.eye(8, dtype=np.float32)[[0] * count if looks is None else [*looks]],
            np.array([0.5] * count if quality is None else quality, np.float32),
            np.array([True] * count if passed is None else passed, np.bool_),
        )
        followed = self.tracker.follow(self.captured, self.offset, seen)
        self.offset += 1
        self.captured += self.period
        return followed


def numbers(followed: Followed) -> list[int]:
    return followed.numbers.tolist()


def due(followed: Followed) -> list[bool]:
    return followed.due.tolist()


def test_a_face_that_moves_is_the_same_and_embedded_once() -> None:
    camera = Camera()
    found = [camera.frame((100 + 15 * step, 80)) for step in range(10)]
    assert len({tuple(numbers(one)) for one in found}) == 1
    # At first sight, after 0.2 s, and then after twice the time.
    assert [step for step, one in enumerate(found) if due(one) == [True]] == [0, 2, 4, 8]


def test_a_small_face_may_go_farther_than_its_size_between_two_frames() -> None:
    camera = Camera(period=500)
    found = [camera.frame((100 + 40 * step, 80)) for step in range(5)]
    assert len({tuple(numbers(one)) for one in found}) == 1


@pytest.mark.parametrize("period", [0, 1, 3])
def test_frames_that_come_in_a_burst_do_not_set_a_face_in_motion(period: int) -> None:
    """A network that was held up hands over what it has at once; a detector's boxes jitter."""
    camera, random = Camera(), np.random.default_rng(0)
    seen = set()
    for _ in range(20):
        camera.period = period
        for _ in range(5):
            seen.update(numbers(camera.frame(np.array([100, 80]) + random.uniform(-2, 2, 2))))
        camera.captured += 400
    assert len(seen) == 1


@pytest.mark.parametrize("period", [0, 1, 3])
def test_after_a_burst_a_face_goes_on_as_fast_as_before(period: int) -> None:
    camera = Camera(period=500)
    found = [camera.frame((100 + 45 * step, 80)) for step in range(5)]
    camera.captured, camera.period = camera.captured - 500 + period, period
    found += [camera.frame((280 + 0.09 * period * step, 80)) for step in range(1, 20)]
    camera.captured += 900
    found.append(camera.frame((361, 80)))
    assert len({tuple(numbers(one)) for one in found}) == 1


def test_somebody_else_elsewhere_is_another_one() -> None:
    camera = Camera()
    [first] = numbers(camera.frame((100, 80)))
    both = camera.frame((300, 80), (104, 80))
    assert numbers(both)[1] == first != numbers(both)[0]
    assert due(both) == [True, False]


def test_a_face_that_is_suddenly_much_larger_is_another_one() -> None:
    tracker = TrackletTracker(TrackletRules())
    one, true = np.ones((1, 1), np.float32), np.array([True])
    small, large = (np.array([(50 - side, 50 - side, 50 + side, 50 + side)], np.float32) for side in (20, 50))
    scene = np.zeros((18, 32), np.uint8)
    [first] = numbers(tracker.follow(0, 0, Seen(scene, small, one, one[0], true)))
    assert numbers(tracker.follow(100, 1, Seen(scene, large, one, one[0], true))) != [first]


def test_who_walk_past_each_other_keep_their_ways_and_are_looked_at_when_they_part() -> None:
    camera = Camera(beat=60_000)
    found = [camera.frame((100 + 20 * step, 80), (300 - 20 * step, 88)) for step in range(11)]
    assert len({tuple(numbers(one)) for one in found}) == 1
    embedded = [step for step, one in enumerate(found) if any(due(one))]
    # Nearer than a size on the fifth frame alone.
    assert embedded == [0, 2, 4, 6]
    assert due(found[6]) == [True, True]


@pytest.mark.parametrize(("missing", "same"), [(9, True), (10, False)])
def test_a_tracklet_outlives_a_gap(missing: int, same: bool) -> None:
    camera = Camera(gap=1000)
    before = numbers(camera.frame((100, 80)))
    for _ in range(missing):
        assert numbers(camera.frame()) == []
    assert (numbers(camera.frame((100, 80))) == before) is same


def test_after_a_cut_everybody_is_new() -> None:
    camera = Camera()
    before = camera.frame((100, 80))
    after = camera.frame((100, 80), cut=True)
    assert numbers(after) != numbers(before)
    assert due(after) == [True]


def test_a_recording_that_begins_again_begins_anew() -> None:
    camera = Camera()
    before = [camera.frame((100, 80)) for _ in range(3)][-1]
    camera.captured = 0
    again = camera.frame((100, 80))
    assert numbers(again) != numbers(before)
    assert due(again) == [True]


def test_numbers_are_those_of_the_frames_whoever_follows_them() -> None:
    one, other = Camera(), Camera()
    for camera in (one, other):
        camera.offset = 7
    assert numbers(one.frame((100, 80), (300, 80))) == numbers(other.frame((100, 80), (300, 80)))
    assert numbers(one.frame((500, 80))) != numbers(Camera().frame((500, 80)))


def test_a_face_is_embedded_again_after_a_beat() -> None:
    camera = Camera(beat=500)
    found = [step for step in range(20) if due(camera.frame((100, 80))) == [True]]
    assert found == [0, 2, 4, 8, 13, 18]


def test_a_clearly_better_face_is_embedded_and_is_the_one_to_be_bettered() -> None:
    camera = Camera(period=10, better=0.1, beat=60_000)
    qualities = (0.5, 0.55, 0.62, 0.66, 0.4, 0.75)
    found = [due(camera.frame((100, 80), quality=[quality]))[0] for quality in qualities]
    assert found == [True, False, True, False, False, True]


def test_a_face_that_looks_different_all_at_once_is_embedded() -> None:
    """Somebody else may be where somebody was: a cut, or few frames a second."""
    camera = Camera(period=10, beat=60_000)
    found = [due(camera.frame((100, 80), looks=[look])) for look in (0, 0, 1, 1, 0)]
    assert found == [[True], [False], [True], [False], [True]]


def test_who_was_out_of_sight_is_embedded_when_they_are_there_again() -> None:
    camera = Camera(period=10, beat=60_000)
    before = camera.frame((100, 80))
    camera.captured += 600
    after = camera.frame((100, 80))
    assert (numbers(after), due(after)) == (numbers(before), [True])
    assert due(camera.frame((100, 80))) == [False]


def test_pictures_are_kept_of_the_first_of_better_ones_and_now_and_then() -> None:
    camera = Camera(every=True)
    qualities = [0.5, 0.5, 0.5, 0.65, *[0.5] * 8]
    found = [camera.frame((100, 80), quality=[quality]) for quality in qualities]
    assert [step for step, one in enumerate(found) if one.pictured[0]] == [0, 3, 8]


def test_what_came_to_nothing_is_embedded_at_the_next_frame() -> None:
    camera = Camera()
    found = camera.frame((100, 80), (300, 80))
    camera.tracker.begin_again(found)
    assert due(camera.frame((100, 80), (300, 80))) == [True, True]
    camera.tracker.begin_again(camera.frame((100, 80), (300, 80)))
    assert due(camera.frame((100, 80))) == [True]


def test_what_does_not_pass_is_followed_and_embedded_as_soon_as_it_passes() -> None:
    camera = Camera()
    found = [camera.frame((100, 80), passed=[passed]) for passed in (False, False, True, True)]
    assert len({tuple(numbers(one)) for one in found}) == 1
    assert [due(one) for one in found] == [[False], [False], [True], [False]]


def test_every_face_can_be_asked_for() -> None:
    camera = Camera(every=True)
    assert [due(camera.frame((100, 80), passed=[passed])) for passed in (True, True, False)] == [
        [True], [True], [False],
    ]  # fmt: skip


PLACE = st.tuples(st.integers(0, 200), st.integers(0, 200))


@given(st.lists(st.lists(PLACE, max_size=6), max_size=8))
def test_on_a_frame_no_two_faces_are_one(frames: list[list[tuple[int, int]]]) -> None:
    camera = Camera()
    for middles in frames:
        found = camera.frame(*middles, passed=[x % 2 == 0 for x, _ in middles])
        assert len({*numbers(found)}) == len(middles)
        assert not any(one and x % 2 for one, (x, _) in zip(due(found), middles, strict=True))


def picture(*seed: int) -> "np.ndarray":
    return np.random.default_rng(seed).integers(0, 256, (18, 32), dtype=np.uint8)


def test_a_cut_is_seen_once() -> None:
    cuts = CutDetector()
    scenes = [picture(0)] * 3 + [picture(1)] * 2 + [picture(0)]
    assert [cuts.is_cut(one) for one in scenes] == [False, False, False, True, False, True]


def test_noise_and_somebody_who_walks_by_are_no_cut() -> None:
    cuts, room = CutDetector(), np.full((18, 32), 120, np.uint8)
    for step in range(20):
        seen = room.copy()
        seen[4:, step : step + 8] = 20
        noise = np.random.default_rng(step).integers(0, 12, seen.shape, dtype=np.uint8)
        assert not cuts.is_cut(seen + noise)


def test_a_picture_of_another_size_is_another_scene() -> None:
    cuts = CutDetector()
    assert [cuts.is_cut(one) for one in (picture(0), picture(0)[:9], picture(0)[:9])] == [False, True, False]
