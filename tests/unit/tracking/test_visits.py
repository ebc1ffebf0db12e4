"""A visit begins, is published now and then, ends after the gap, and a replay changes nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from makers import START, axis, make_faces

from app.messages import Sighting
from app.search import Match
from app.tracking.state import read_state, write_state
from app.tracking.visits import VisitRules, VisitTracker

GAP, UPDATE, FRAMES = 3000, 1000, 5
RULES = VisitRules(gap=GAP, update=UPDATE, unknown_frames=FRAMES, low_threshold=0.3)


class Moment(NamedTuple):
    """A frame, and where its faces are on the log."""

    stream: str
    partition: int
    offset: int
    live: bool
    captured: int
    revision: int


class Seen(NamedTuple):
    """A face of a frame, and who it is."""

    match: Match
    size: float
    crop: bytes | None


def observe(tracker: VisitTracker, moment: Moment, faces: Sequence[Seen]) -> list[Sighting] | None:
    *place, revision = moment
    fields = dict(zip(Moment._fields, place, strict=False))
    boxes = np.array([(0, 0, face.size, face.size + 20) for face in faces], np.float32).reshape(-1, 4)
    found = make_faces([axis(0)] * len(faces), boxes=boxes, crops=[face.crop for face in faces], **fields)
    return tracker.observe(found, [face.match for face in faces], revision)


class Visits:
    """A tracker, fed one frame after the other of a log on which nothing comes twice."""

    def __init__(self, **rules: Any) -> None:
        self.tracker = VisitTracker(replace(RULES, **rules))

    def see(self, moment: Moment, *faces: Seen) -> list[Sighting]:
        told = observe(self.tracker, moment, faces)
        assert told is not None
        return told

    def see_all(self, offsets: Iterable[int], *faces: Seen) -> list[Sighting]:
        return [sighting for offset in offsets for sighting in self.see(at(offset), *faces)]

    def close(self) -> list[Sighting]:
        return self.tracker.close(1000)


def at(offset: int, step: int = 100, **more: Any) -> Moment:
    fields = {"stream": "door", "partition": 0, "live": False, "captured": START + offset * step}
    return Moment(offset=offset, **({"revision": offset} | fields | more))


def known(person: str = "ada", similarity: float = 0.8, crop: bytes | None = None) -> Seen:
    return Seen(Match(person, person.title(), similarity, person), 60, crop)


def stranger(
    size: float = 60, crop: bytes | None = None, nearest: str | None = None, similarity: float = 0.1
) -> Seen:
    return Seen(Match(None, None, similarity, nearest), size, crop)


def test_a_person_is_published_at_once() -> None:
    (sighting,) = Visits().see(at(7), known(crop=b"face"))
    assert (sighting.person, sighting.name, sighting.stream) == ("ada", "Ada", "door")
    assert sighting.first == sighting.last == START + 700
    assert (sighting.frames, sighting.score, sighting.open) == (1, 0.8, True)
    assert (sighting.crop, sighting.crop_score) == (b"face", 0.8)


def test_a_version_says_which_frame_and_which_faces_it_stands_for() -> None:
    visits = Visits(update=0)
    (opened,) = visits.see(at(7, revision=40), known())
    (later,) = visits.see(at(8, revision=43), known())
    assert [(one.offset, one.revision) for one in (opened, later)] == [(7, 40), (8, 43)]
    (closed,) = visits.see(at(99, revision=50))
    assert (closed.offset, closed.revision, closed.open) == (8, 50, False)


def test_an_open_visit_is_published_once_an_update() -> None:
    told = Visits().see_all(range(26), known())
    assert [sighting.frames for sighting in told] == [1, 11, 21]
    assert len({sighting.id for sighting in told}) == 1


def test_an_update_of_zero_publishes_every_frame() -> None:
    visits = Visits(update=0)
    assert [len(visits.see(at(offset), known())) for offset in range(3)] == [1, 1, 1]


def test_a_frame_that_makes_a_visit_no_longer_is_no_news() -> None:
    visits = Visits(update=0)
    visits.see(at(5), known())
    assert visits.see(at(6, captured=at(5).captured), known()) == []
    assert visits.see(at(7, captured=at(4).captured), known()) == []
    (closed,) = visits.close()
    assert (closed.frames, closed.last) == (3, at(5).captured)


def test_the_gap_ends_a_visit_and_the_next_is_another() -> None:
    visits = Visits()
    (opened,) = visits.see(at(0), known())
    visits.see(at(5), known())
    assert visits.see(at(35)) == []
    (closed,) = visits.see(at(36))
    assert (closed.id, closed.open, closed.last, closed.frames) == (opened.id, False, START + 500, 2)
    assert visits.close() == []
    (again,) = visits.see(at(37), known())
    assert again.id != opened.id


def test_who_comes_back_within_the_gap_goes_on() -> None:
    visits = Visits()
    (opened,) = visits.see(at(0), known())
    (later,) = visits.see(at(30), known(similarity=0.9))
    assert (later.id, later.frames, later.score) == (opened.id, 2, 0.9)


def test_a_stream_that_falls_silent_ends_its_visits_and_says_so_once() -> None:
    visits = Visits()
    opened = visits.see(at(0), known(), known("bob"))
    closed = visits.tracker.close(77)
    assert {one.id for one in closed} == {one.id for one in opened}
    assert {(one.open, one.revision, one.last) for one in closed} == {(False, 77, START)}
    assert visits.close() == []


def test_frames_from_before_the_gap_open_a_visit_again_that_silence_had_ended() -> None:
    """A worker was busy, or its partition changed hands: nobody has been away."""
    visits = Visits()
    (opened,) = visits.see(at(0), known())
    visits.close()
    (later,) = visits.see(at(20), known())
    assert (later.id, later.open, later.frames) == (opened.id, True, 2)
    (closed,) = visits.close()
    assert (closed.id, closed.open, closed.frames) == (opened.id, False, 2)


def test_a_visit_that_silence_has_ended_is_not_ended_again_by_the_gap() -> None:
    visits = Visits()
    (opened,) = visits.see(at(0), known())
    assert len(visits.close()) == 1
    (again,) = visits.see(at(40), known())
    assert (again.open, again.id != opened.id) == (True, True)


def test_frames_that_come_again_change_nothing() -> None:
    visits = Visits()
    first = visits.see_all(range(30), known())
    assert [observe(visits.tracker, at(offset), [known()]) for offset in range(30)] == [None] * 30
    (closed,) = visits.close()
    assert (closed.id, closed.frames) == (first[0].id, 30)


def test_frames_of_a_visit_that_is_over_open_no_other_when_they_come_again() -> None:
    visits = Visits()
    visits.see_all(range(10), known())
    assert len(visits.see(at(50))) == 1
    assert [observe(visits.tracker, at(offset), [known()]) for offset in range(4, 10)] == [None] * 6
    assert visits.close() == []
    assert len(visits.see(at(51), known())) == 1


def test_a_new_worker_that_reads_it_all_again_says_the_same() -> None:
    def tell() -> list[Sighting]:
        visits = Visits()
        told = [sighting for offset in range(60) for sighting in visits.see(at(offset), *crowd(offset))]
        return told + visits.close()

    assert tell() == tell()


def crowd(offset: int) -> list[Seen]:
    faces = [stranger()] if offset % 2 else []
    return [*faces, *([known()] if offset < 20 else []), *([known("bob")] if offset > 10 else [])]


def test_a_visit_goes_on_under_its_id_where_its_state_was_read_again() -> None:
    before = Visits()
    told = before.see_all(range(12), known())
    after = VisitTracker(RULES, read_state(write_state(before.tracker.state)))
    assert [observe(after, at(offset), [known()]) for offset in range(5, 12)] == [None] * 7
    resumed = [one for offset in range(12, 25) for one in observe(after, at(offset), [known()]) or []]
    assert [sighting.frames for sighting in resumed] == [21]
    assert {sighting.id for sighting in resumed} == {told[0].id}
    (closed,) = after.close(24)
    assert (closed.frames, closed.first, closed.last) == (25, START, START + 2400)


def test_somebody_unknown_needs_some_frames() -> None:
    visits = Visits()
    told = [visits.see(at(offset), stranger()) for offset in range(6)]
    assert [len(sightings) for sightings in told] == [0, 0, 0, 0, 1, 0]
    (sighting,) = told[4]
    assert (sighting.person, sighting.name, sighting.score, sighting.frames) == (None, None, None, 5)
    assert sighting.first == START


def test_somebody_unknown_who_was_hardly_there_was_not_there() -> None:
    visits = Visits()
    assert visits.see_all(range(4), stranger()) == []
    assert visits.see(at(60)) == []
    assert visits.close() == []


def test_somebody_who_turns_away_makes_nobody_unknown() -> None:
    visits = Visits()
    visits.see(at(0), known())
    assert visits.see_all(range(1, 20), stranger(nearest="ada", similarity=0.3)) == []
    (closed,) = visits.close()
    assert (closed.person, closed.frames) == ("ada", 1)


def test_a_doubtful_face_beside_the_person_makes_nobody_unknown() -> None:
    told = Visits().see_all(range(10), stranger(nearest="ada", similarity=0.35), known())
    assert {sighting.person for sighting in told} == {"ada"}


def test_a_face_like_somebody_who_is_not_there_is_unknown() -> None:
    visits = Visits()
    visits.see(at(0), known("bob"))
    told = visits.see_all(range(1, 6), stranger(nearest="ada", similarity=0.35))
    assert [sighting.person for sighting in told] == [None]


def test_a_face_that_is_less_like_them_than_doubt_is_unknown() -> None:
    visits = Visits()
    visits.see(at(0), known())
    told = visits.see_all(range(1, 6), stranger(nearest="ada", similarity=0.29))
    assert [sighting.person for sighting in told] == [None]


def test_the_best_crop_is_kept() -> None:
    visits = Visits()
    visits.see(at(0), known(similarity=0.5, crop=b"poor"))
    visits.see(at(1), known(similarity=0.9))
    visits.see(at(2), known(similarity=0.7, crop=b"good"))
    visits.see(at(3), known(similarity=0.6, crop=b"worse"))
    (closed,) = visits.close()
    assert (closed.crop, closed.crop_score, closed.score) == (b"good", 0.7, 0.9)


def test_of_those_unknown_the_largest_face_is_kept() -> None:
    visits = Visits()
    visits.see_all(range(5), stranger(40, b"small"), stranger(90, b"large"))
    (closed,) = visits.close()
    assert (closed.crop, closed.crop_score, closed.frames) == (b"large", 90, 5)


def test_the_first_crop_is_kept_where_none_came_with_the_first_frame() -> None:
    visits = Visits(update=0)
    assert visits.see(at(0), known(similarity=0.9))[0].crop == b""
    assert visits.see(at(1), known(similarity=0.5, crop=b"1"))[0].crop == b"1"
    # Of two that are as good, the one before.
    assert visits.see(at(2), known(similarity=0.5, crop=b"2"))[0].crop == b"1"


def test_of_two_faces_of_one_person_that_are_as_like_the_first_is_taken() -> None:
    faces = known(similarity=0.5, crop=b"1"), known(similarity=0.5, crop=b"2")
    assert Visits().see(at(0), *faces)[0].crop == b"1"


def test_the_largest_face_is_that_whose_shorter_side_is_longest_wherever_it_is() -> None:
    tracker = VisitTracker(replace(RULES, unknown_frames=1))
    boxes = np.array([(10, 0, 60, 50), (0, 400, 200, 440)], np.float32)
    faces = make_faces([axis(0)] * 2, boxes=boxes, crops=[b"large", b"low"])
    nobody = Match(person=None, name=None, similarity=0.0, nearest=None)
    (told,) = tracker.observe(faces, [nobody, nobody], 0) or ()
    assert told.crop == b"large"


def test_a_frame_of_the_moment_at_which_silence_ended_a_visit_is_another_visit() -> None:
    """A recording of one frame that is played again has its time."""
    visits = Visits()
    (first,) = visits.see(at(0), known())
    visits.tracker.close(0)
    (second,) = visits.see(at(1)._replace(captured=first.last), known())
    assert second.id != first.id
    visits.tracker.close(1)
    (third,) = visits.see(at(2)._replace(captured=second.last + 1), known())
    assert third.id == second.id


def test_an_id_is_as_long_as_it_is_said_to_be() -> None:
    (seen,) = Visits().see(at(0), known())
    assert len(seen.id) == 24


def test_two_faces_of_one_person_count_once() -> None:
    (sighting,) = Visits().see(at(0), known(similarity=0.5), known(similarity=0.7))
    assert (sighting.frames, sighting.score) == (1, 0.7)


def test_a_name_that_changes_is_taken_over() -> None:
    visits = Visits()
    visits.see(at(0), known())
    visits.see(at(1), Seen(Match("ada", "Countess", 0.8, "ada"), 60, None))
    (closed,) = visits.close()
    assert closed.name == "Countess"


def test_ids_differ_by_stream_lane_partition_frame_time_and_person() -> None:
    moments = [
        at(0), at(1), at(0, stream="yard"), at(0, partition=1), at(0, captured=START + 1), at(0, live=True),
    ]  # fmt: skip
    ids = [Visits().see(moment, known())[0].id for moment in moments]
    ids.append(Visits().see(at(0), known("bob"))[0].id)
    assert len(set(ids)) == 7


def test_a_recording_that_is_played_again_at_once_is_another_visit() -> None:
    visits = Visits()
    visits.see_all(range(10), known())
    closed = visits.close()
    told = visits.see(at(10, captured=at(5).captured), known())
    assert [seen.open for seen in told] == [True]
    assert told[0].id != closed[0].id


def test_a_recording_that_is_played_again_is_counted_and_its_frames_once() -> None:
    """Some frames of the first time come again, too: a worker died while the second time began."""
    visits = Visits()
    visits.see_all(range(100), known())
    again = [at(100 + number, captured=at(number).captured) for number in range(100)]
    told = [one for moment in again[:10] for one in visits.see(moment, known())]
    for moment in (at(98), at(99), *again[:10]):
        assert observe(visits.tracker, moment, [known()]) is None
    told += [one for moment in again[10:] for one in visits.see(moment, known())] + visits.close()
    assert {one.id: one.frames for one in told if not one.open} == {told[0].id: 100, told[-1].id: 100}


def test_a_topic_that_was_made_anew_is_counted() -> None:
    visits = Visits()
    visits.see_all(range(50, 60), known())
    later = [at(number, captured=START + 100_000 + number) for number in range(3)]
    assert [len(visits.see(moment, known())) for moment in later] == [2, 0, 0]
    assert [observe(visits.tracker, moment, [known()]) for moment in later] == [None] * 3


def test_cameras_and_recordings_do_not_count_for_each_other() -> None:
    visits = Visits()
    recorded, live = [at(offset) for offset in range(5)], [at(offset, live=True) for offset in range(5)]
    for moment in recorded:
        visits.see(moment, known())
    for moment in live:
        visits.see(moment, known())
    assert [observe(visits.tracker, moment, [known()]) for moment in (*recorded, *live)] == [None] * 10
    (closed,) = visits.close()
    assert closed.frames == 10


def test_a_camera_after_a_recording_from_the_future_is_another_visit() -> None:
    """The recording's last time must not swallow what the camera sees for as long as it lies ahead."""
    visits = Visits()
    ahead = at(0, captured=START + 3_600_000)
    (future,) = visits.see(ahead, known())
    now = at(1, live=True)
    closed, opened = visits.see(now, known())
    assert (closed.id, closed.open, closed.last) == (future.id, False, ahead.captured)
    assert (opened.open, opened.first, opened.last) == (True, now.captured, now.captured)
    assert opened.id != future.id


def test_a_clock_that_was_put_right_counts_no_frame_twice() -> None:
    visits = Visits()
    visits.see_all(range(10), known())
    back = [at(offset, captured=START + offset * 100 - 800) for offset in range(10, 13)]
    for moment in back:
        visits.see(moment, known())
    again = [*map(at, range(5, 10)), *back]
    assert [observe(visits.tracker, moment, [known()]) for moment in again] == [None] * 8
    (closed,) = visits.close()
    assert (closed.frames, closed.last) == (13, at(9).captured)


class Entry(NamedTuple):
    """Faces on the log, or a silence that ended what was there."""

    moment: Moment | None
    faces: tuple[Seen, ...] = ()


PEOPLE = ("ada", "bob")
crops = st.none() | st.just(b"crop")
those_known = st.builds(known, st.sampled_from(PEOPLE), st.floats(0.5, 1), crops)
strangers = st.builds(
    stranger, st.floats(20, 200), crops, st.none() | st.sampled_from(PEOPLE), st.floats(-1, 1)
)
faces_of_a_frame = st.lists(those_known | strangers, max_size=3).map(tuple)
#: Milliseconds from one frame to the next: at once, soon, beyond the gap, or back.
steps_of_time = st.one_of(
    st.integers(0, 200), st.sampled_from([0, 900, GAP, GAP + 1, 20_000]), st.integers(-30_000, -1)
)


@st.composite
def logs(draw: st.DrawFn, silences: bool = False) -> list[Entry]:
    """Make the faces of a stream that has a camera and recordings, each frame once."""
    offsets, captured = {True: draw(st.integers(0, 5)), False: draw(st.integers(0, 5))}, START
    log: list[Entry] = []
    for _ in range(draw(st.integers(1, 30))):
        if silences and draw(st.integers(0, 5)) == 0:
            log.append(Entry(None))
            continue
        live = draw(st.booleans())
        captured = max(0, captured + draw(steps_of_time))
        moment = Moment("door", 3, offsets[live], live, captured, len(log))
        offsets[live] += draw(st.sampled_from([1, 1, 1, 4]))
        log.append(Entry(moment, draw(faces_of_a_frame)))
    return log


rules = st.builds(
    VisitRules,
    gap=st.just(GAP),
    update=st.sampled_from([0, UPDATE]),
    unknown_frames=st.integers(1, 4),
    low_threshold=st.just(0.3),
)


def feed(tracker: VisitTracker, entry: Entry, revision: int) -> list[Sighting] | None:
    """Give a tracker what is on the log at `revision`."""
    if entry.moment is None:
        return tracker.close(max(0, revision - 1))
    return observe(tracker, entry.moment._replace(revision=revision), entry.faces)


class Reader:
    """Keeps the newest version of each sighting, as whoever reads them does."""

    def __init__(self) -> None:
        self.kept: dict[str, Sighting] = {}

    def read(self, sightings: Iterable[Sighting]) -> None:
        for one in sightings:
            before = self.kept.get(one.id)
            if before is None or one.revision >= before.revision:
                self.kept[one.id] = one

    def final(self) -> dict[str, tuple[int, int, int, bool]]:
        return {one.id: (one.first, one.last, one.frames, one.open) for one in self.kept.values()}


def undisturbed(rules: VisitRules, log: Sequence[Entry]) -> Reader:
    tracker, reader = VisitTracker(rules), Reader()
    for revision, entry in enumerate(log):
        told = feed(tracker, entry, revision)
        assert told is not None
        reader.read(told)
    reader.read(tracker.close(len(log)))
    return reader


@given(rules=rules, log=logs(silences=True), data=st.data())
def test_a_state_that_was_written_and_read_goes_on_as_if_it_had_not_been(
    rules: VisitRules, log: list[Entry], data: st.DataObject
) -> None:
    whole, broken = VisitTracker(rules), VisitTracker(rules)
    for revision, entry in enumerate([*log, Entry(None)]):
        if data.draw(st.booleans()):
            written = write_state(broken.state)
            broken = VisitTracker(rules, read_state(written))
            assert write_state(broken.state) == written
        assert feed(broken, entry, revision) == feed(whole, entry, revision)
    assert broken.state == whole.state


@given(rules=rules, log=logs(), data=st.data())
def test_wherever_workers_die_and_whatever_is_done_twice_the_sightings_are_the_same(
    rules: VisitRules, log: list[Entry], data: st.DataObject
) -> None:
    # Faces that a worker has written and another one writes again, since the first had not said so.
    twice: list[Entry] = []
    for number, entry in enumerate(log):
        twice.append(entry)
        for _ in range(data.draw(st.sampled_from([0, 0, 0, 1, 2]))):
            twice += log[number - data.draw(st.integers(0, min(number, 6))) : number + 1]
    reader, tracker = Reader(), VisitTracker(rules)
    states, at, deaths = [write_state(tracker.state)], 0, data.draw(st.integers(0, 4))
    while at < len(twice):
        reader.read(feed(tracker, twice[at], at) or [])
        at += 1
        del states[at:]
        states.append(write_state(tracker.state))
        if deaths and data.draw(st.integers(0, 4)) == 4:
            deaths -= 1
            at -= data.draw(st.integers(0, min(at, 10)))
            tracker = VisitTracker(rules, read_state(states[at]))
    reader.read(tracker.close(len(twice)))
    assert reader.final() == undisturbed(rules, log).final()


@given(rules=rules, log=logs(silences=True))
def test_of_who_is_enrolled_every_frame_counts_once(rules: VisitRules, log: list[Entry]) -> None:
    sightings = undisturbed(rules, log).kept.values()
    for person in PEOPLE:
        there = sum(any(face.match.person == person for face in entry.faces) for entry in log)
        assert sum(one.frames for one in sightings if one.person == person) == there
    assert not any(one.open for one in sightings)
    assert all(one.frames >= rules.unknown_frames for one in sightings if one.person is None)


@given(rules=rules, log=logs(), data=st.data())
def test_exactly_those_frames_are_nothing_new_that_were_counted(
    rules: VisitRules, log: list[Entry], data: st.DataObject
) -> None:
    tracker = VisitTracker(rules)
    for number, entry in enumerate(log):
        assert feed(tracker, entry, number) is not None
        before = write_state(tracker.state)
        for earlier in data.draw(st.lists(st.sampled_from(log[: number + 1]), max_size=3)):
            assert feed(tracker, earlier, number) is None
        assert write_state(tracker.state) == before


@given(rules=rules, log=logs(silences=True))
def test_revisions_never_go_down(rules: VisitRules, log: list[Entry]) -> None:
    tracker, newest = VisitTracker(rules), 0
    for revision, entry in enumerate(log):
        for sighting in feed(tracker, entry, revision) or []:
            assert sighting.revision >= newest
            newest = sighting.revision
    assert all(sighting.revision >= newest for sighting in tracker.close(len(log) - 1))


@given(rules=rules, log=logs(silences=True))
def test_nobody_is_there_twice_at_once(rules: VisitRules, log: list[Entry]) -> None:
    tracker = VisitTracker(rules)
    for revision, entry in enumerate(log):
        feed(tracker, entry, revision)
        people = [visit.sighting.person for visit in tracker.state.visits]
        assert len(set(people)) == len(people)


@pytest.mark.parametrize("live", [True, False])
def test_a_mark_says_how_far_its_own_lane_is(live: bool) -> None:
    visits = Visits()
    visits.see(at(4, live=live))
    state = visits.tracker.state
    mark, other = (state.live, state.recorded) if live else (state.recorded, state.live)
    assert mark is not None
    assert (mark.offset, mark.captured, other) == (4, START + 400, None)
