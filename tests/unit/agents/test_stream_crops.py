"""Few aligned faces travel: those of a frame with a new face, and of a frame now and then."""

from hypothesis import given
from hypothesis import strategies as st

from app.agents.stream import CropBeat


def test_those_of_the_first_frame_travel() -> None:
    assert CropBeat().due(0, 1)
    assert CropBeat().due(0, 0)


def test_the_next_travel_when_it_is_time() -> None:
    beat = CropBeat()
    assert [captured for captured in range(0, 1100, 100) if beat.due(captured, 1)] == [0, 500, 1000]


def test_one_more_face_travels_at_once() -> None:
    beat = CropBeat()
    assert [beat.due(captured, faces) for captured, faces in [(0, 1), (100, 2), (200, 2), (300, 1)]] == [
        True, True, False, False,
    ]  # fmt: skip


def test_a_face_that_was_away_travels_again() -> None:
    beat = CropBeat()
    assert [beat.due(captured, faces) for captured, faces in [(0, 1), (100, 0), (200, 1)]] == [
        True, False, True,
    ]  # fmt: skip


def test_it_is_time_again_half_a_second_after_a_new_face() -> None:
    beat = CropBeat()
    beat.due(0, 1)
    assert beat.due(300, 2)
    assert [captured for captured in range(400, 1000, 100) if beat.due(captured, 2)] == [800]


def test_a_clock_that_goes_back_stops_nothing() -> None:
    beat = CropBeat()
    beat.due(10_000, 1)
    assert beat.due(5_000, 1)
    assert not beat.due(5_100, 1)


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 3)), max_size=50))
def test_crops_never_wait_for_longer_than_the_beat(frames: list[tuple[int, int]]) -> None:
    beat, travelled, before = CropBeat(), -(10**9), 0
    captured = 0
    for step, faces in frames:
        captured += step
        due = beat.due(captured, faces)
        assert due == (captured - travelled >= 500 or faces > before)
        travelled, before = captured if due else travelled, faces
