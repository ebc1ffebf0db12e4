"""A stay opens once, is told now and then, closes after the gap, and a replay changes nothing."""

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st
from makers import START

from app.messages import Sighting
from app.tracking.stays import Moment, Seen, Stays

GAP, UPDATE, FRAMES = 3000, 1000, 5


def stays() -> Stays:
    return Stays(gap=GAP, update=UPDATE, unknown_frames=FRAMES, doubt=0.3)


def at(offset: int, step: int = 100) -> Moment:
    return Moment("door", 0, offset, START + offset * step)


def known(person: str = "ada", similarity: float = 0.8, crop: bytes | None = None) -> Seen:
    return Seen(person, person.title(), similarity, person, 60, crop)


def stranger(
    size: float = 60, crop: bytes | None = None, nearest: str | None = None, similarity: float = 0.1
) -> Seen:
    return Seen(None, None, similarity, nearest, size, crop)


def test_a_person_is_told_at_once() -> None:
    (sighting,) = stays().observe(at(7), [known(crop=b"face")])
    assert (sighting.person, sighting.name, sighting.stream) == ("ada", "Ada", "door")
    assert sighting.first == sighting.last == START + 700
    assert (sighting.frames, sighting.score, sighting.open) == (1, 0.8, True)
    assert (sighting.crop, sighting.crop_score) == (b"face", 0.8)


def test_an_open_stay_is_told_once_an_update() -> None:
    account = stays()
    told = [sighting for offset in range(26) for sighting in account.observe(at(offset), [known()])]
    assert [sighting.frames for sighting in told] == [1, 11, 21]
    assert len({sighting.id for sighting in told}) == 1


def test_an_update_of_zero_tells_every_frame() -> None:
    account = Stays(gap=GAP, update=0, unknown_frames=FRAMES, doubt=0.3)
    assert [len(account.observe(at(offset), [known()])) for offset in range(3)] == [1, 1, 1]


def test_the_gap_closes_a_stay_and_the_next_is_another() -> None:
    account = stays()
    (opened,) = account.observe(at(0), [known()])
    account.observe(at(5), [known()])
    assert account.observe(at(35), []) == []
    (closed,) = account.observe(at(36), [])
    assert (closed.id, closed.open, closed.last, closed.frames) == (opened.id, False, START + 500, 2)
    assert account.close() == []
    (again,) = account.observe(at(37), [known()])
    assert again.id != opened.id


def test_who_comes_back_within_the_gap_goes_on() -> None:
    account = stays()
    (opened,) = account.observe(at(0), [known()])
    (later,) = account.observe(at(30), [known(similarity=0.9)])
    assert (later.id, later.frames, later.score) == (opened.id, 2, 0.9)


def test_a_replay_neither_counts_twice_nor_changes_the_id() -> None:
    account = stays()
    first = [sighting for offset in range(30) for sighting in account.observe(at(offset), [known()])]
    again = [sighting for offset in range(30) for sighting in account.observe(at(offset), [known()])]
    assert again == []
    (closed,) = account.close()
    assert (closed.id, closed.frames) == (first[0].id, 30)


def test_a_new_worker_that_reads_it_all_again_says_the_same() -> None:
    def tell() -> list[Sighting]:
        account = stays()
        told = [sighting for offset in range(60) for sighting in account.observe(at(offset), crowd(offset))]
        return told + account.close()

    assert tell() == tell()


def crowd(offset: int) -> list[Seen]:
    faces = [stranger()] if offset % 2 else []
    return [*faces, *([known()] if offset < 20 else []), *([known("bob")] if offset > 10 else [])]


def test_a_restored_stay_goes_on_under_its_id() -> None:
    before = stays()
    told = [sighting for offset in range(12) for sighting in before.observe(at(offset), [known()])]
    after = stays()
    after.restore([told[-1]])
    resumed = [sighting for offset in range(5, 25) for sighting in after.observe(at(offset), [known()])]
    assert [sighting.frames for sighting in resumed] == [21]
    assert {sighting.id for sighting in resumed} == {told[0].id}
    (closed,) = after.close()
    assert (closed.frames, closed.first, closed.last) == (25, START, START + 2400)


def test_what_is_restored_never_replaces_what_is_known() -> None:
    account = stays()
    (opened,) = account.observe(at(0), [known()])
    account.observe(at(1), [known()])
    account.restore([opened])
    (closed,) = account.close()
    assert closed.frames == 2


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 79), st.integers(0, 79), st.integers(0, 30))
def test_wherever_a_worker_dies_the_sightings_stay_the_same(death: int, committed: int, length: int) -> None:
    """A stay of 30 to 60 frames: told every time, read again from what was committed last."""

    def run(account: Stays, offsets: Iterable[int], kept: dict[str, Sighting]) -> None:
        for offset in offsets:
            faces = [known()] if offset < 30 + length else []
            for sighting in account.observe(at(offset), faces):
                kept[sighting.id] = sighting

    def fresh() -> Stays:
        return Stays(gap=GAP, update=0, unknown_frames=FRAMES, doubt=0.3)

    whole: dict[str, Sighting] = {}
    run(fresh(), range(100), whole)
    broken: dict[str, Sighting] = {}
    run(fresh(), range(death + 1), broken)
    second = fresh()
    second.restore(broken.values())
    run(second, range(min(committed, death + 1), 100), broken)
    assert broken == whole


def test_a_replay_of_a_stay_that_is_over_opens_no_other() -> None:
    account = stays()
    for offset in range(10):
        account.observe(at(offset), [known()])
    assert len(account.observe(at(50), [])) == 1
    assert [account.observe(at(offset), [known()]) for offset in range(4, 10)] == [[]] * 6
    assert account.close() == []
    assert len(account.observe(at(51), [known()])) == 1


def test_somebody_unknown_needs_some_frames() -> None:
    account = stays()
    told = [account.observe(at(offset), [stranger()]) for offset in range(6)]
    assert [len(sightings) for sightings in told] == [0, 0, 0, 0, 1, 0]
    (sighting,) = told[4]
    assert (sighting.person, sighting.name, sighting.score, sighting.frames) == (None, None, None, 5)
    assert sighting.first == START


def test_somebody_unknown_who_was_hardly_there_was_not_there() -> None:
    account = stays()
    for offset in range(4):
        assert account.observe(at(offset), [stranger()]) == []
    assert account.observe(at(60), []) == []
    assert account.close() == []


def test_somebody_who_turns_away_makes_nobody_unknown() -> None:
    account = stays()
    account.observe(at(0), [known()])
    for offset in range(1, 20):
        assert account.observe(at(offset), [stranger(nearest="ada", similarity=0.3)]) == []
    (closed,) = account.close()
    assert (closed.person, closed.frames) == ("ada", 1)


def test_a_doubtful_face_beside_the_person_makes_nobody_unknown() -> None:
    account = stays()
    doubtful = stranger(nearest="ada", similarity=0.35)
    told = [sighting for offset in range(10) for sighting in account.observe(at(offset), [doubtful, known()])]
    assert {sighting.person for sighting in told} == {"ada"}


def test_a_face_like_somebody_who_is_not_there_is_unknown() -> None:
    account = stays()
    account.observe(at(0), [known("bob")])
    told = [
        sighting
        for offset in range(1, 6)
        for sighting in account.observe(at(offset), [stranger(nearest="ada", similarity=0.35)])
    ]
    assert [sighting.person for sighting in told] == [None]


def test_a_face_that_is_less_like_them_than_doubt_is_unknown() -> None:
    account = stays()
    account.observe(at(0), [known()])
    faces = [stranger(nearest="ada", similarity=0.29)]
    told = [sighting for offset in range(1, 6) for sighting in account.observe(at(offset), faces)]
    assert [sighting.person for sighting in told] == [None]


def test_the_best_crop_is_kept() -> None:
    account = stays()
    account.observe(at(0), [known(similarity=0.5, crop=b"poor")])
    account.observe(at(1), [known(similarity=0.9)])
    account.observe(at(2), [known(similarity=0.7, crop=b"good")])
    account.observe(at(3), [known(similarity=0.6, crop=b"worse")])
    (closed,) = account.close()
    assert (closed.crop, closed.crop_score, closed.score) == (b"good", 0.7, 0.9)


def test_of_those_unknown_the_largest_face_is_kept() -> None:
    account = stays()
    for offset in range(5):
        account.observe(at(offset), [stranger(40, b"small"), stranger(90, b"large")])
    (closed,) = account.close()
    assert (closed.crop, closed.crop_score, closed.frames) == (b"large", 90, 5)


def test_two_faces_of_one_person_count_once() -> None:
    account = stays()
    (sighting,) = account.observe(at(0), [known(similarity=0.5), known(similarity=0.7)])
    assert (sighting.frames, sighting.score) == (1, 0.7)


def test_a_name_that_changes_is_taken_over() -> None:
    account = stays()
    account.observe(at(0), [known()])
    account.observe(at(1), [Seen("ada", "Countess", 0.8, "ada", 60, None)])
    (closed,) = account.close()
    assert closed.name == "Countess"


def test_ids_differ_by_stream_partition_frame_and_person() -> None:
    moments = [at(0), at(1), Moment("yard", 0, 0, START), Moment("door", 1, 0, START)]
    ids = [stays().observe(moment, [known()])[0].id for moment in moments]
    ids.append(stays().observe(at(0), [known("bob")])[0].id)
    assert len(set(ids)) == 5


def test_a_recording_that_is_played_again_at_once_is_another_stay() -> None:
    account = stays()
    for offset in range(10):
        account.observe(at(offset), [known()])
    closed = account.close()
    again = Moment("door", 0, 10, at(5).captured)
    told = account.observe(again, [known()])
    assert [seen.open for seen in told] == [True]
    assert told[0].id != closed[0].id


def test_a_camera_after_a_recording_from_the_future_is_another_stay() -> None:
    """The recording's last time must not swallow what the camera sees for as long as it lies ahead."""
    account = stays()
    ahead = Moment("door", 0, 0, START + 3_600_000)
    (future,) = account.observe(ahead, [known()])
    closed, opened = account.observe(at(1), [known()])
    assert (closed.id, closed.open, closed.last) == (future.id, False, ahead.captured)
    assert (opened.open, opened.first, opened.last) == (True, at(1).captured, at(1).captured)
    assert opened.id != future.id
