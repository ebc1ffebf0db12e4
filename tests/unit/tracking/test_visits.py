"""A visit begins, is published now and then, ends after the gap, and a replay changes nothing."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from makers import START, axis
from watch import GAP, PEOPLE, Face, Moment, Watch, at, known, make_rules, stranger

from app.messages import Gate, Sighting
from app.tracking import visits
from app.tracking.state import read_state, write_state
from app.tracking.visits import VisitRules, VisitTracker

UPDATE = 1000


def test_a_person_is_published_at_once() -> None:
    (sighting,) = Watch().see(at(7), known(similarity=0.8, crop=b"face"))
    assert (sighting.person, sighting.name, sighting.stream) == ("ada", "Ada", "door")
    assert sighting.first == sighting.last == START + 700
    assert (sighting.frames, sighting.faces, sighting.open) == (1, 1, True)
    assert sighting.score == pytest.approx(0.8, abs=0.001)
    assert sighting.quality == pytest.approx(0.7)
    assert (sighting.crop, sighting.crop_score) == (b"face", pytest.approx(0.7))
    assert (sighting.unnamed, sighting.changes, sighting.merged) == (None, (), None)


def test_a_version_says_which_frame_and_which_faces_it_stands_for() -> None:
    watch = Watch(update=0)
    (opened,) = watch.see(at(7, revision=40), known())
    (later,) = watch.see(at(8, revision=43), known())
    assert [(one.offset, one.revision) for one in (opened, later)] == [(7, 40), (8, 43)]
    (closed,) = watch.see(at(99, revision=50))
    assert (closed.offset, closed.revision, closed.open) == (8, 50, False)


def test_an_open_visit_is_published_once_an_update() -> None:
    told = Watch().see_all(range(26), known())
    assert [sighting.frames for sighting in told] == [1, 11, 21]
    assert len({sighting.id for sighting in told}) == 1


def test_an_update_of_zero_publishes_every_frame() -> None:
    watch = Watch(update=0)
    assert [len(watch.see(at(offset), known())) for offset in range(3)] == [1, 1, 1]


def test_a_frame_that_makes_a_visit_no_longer_is_no_news() -> None:
    watch = Watch(update=0)
    watch.see(at(5), known())
    assert watch.see(at(6, captured=at(5).captured), known()) == []
    assert watch.see(at(7, captured=at(4).captured), known()) == []
    (closed,) = watch.close()
    assert (closed.frames, closed.last) == (3, at(5).captured)


def test_the_gap_ends_a_visit_and_the_next_is_another() -> None:
    watch = Watch()
    (opened,) = watch.see(at(0), known())
    watch.see(at(5), known())
    assert watch.see(at(35)) == []
    (closed,) = watch.see(at(36))
    assert (closed.id, closed.open, closed.last, closed.frames) == (opened.id, False, START + 500, 2)
    assert watch.close() == []
    (again,) = watch.see(at(37), known())
    assert again.id != opened.id


def test_who_comes_back_within_the_gap_goes_on() -> None:
    watch = Watch()
    (opened,) = watch.see(at(0), known())
    (later,) = watch.see(at(30), known(similarity=0.9))
    assert (later.id, later.frames) == (opened.id, 2)


def test_a_stream_that_falls_silent_ends_its_visits_and_says_so_once() -> None:
    watch = Watch()
    opened = watch.see(at(0), known(), known("bob"))
    closed = watch.tracker.close(77)
    assert {one.id for one in closed} == {one.id for one in opened}
    assert {(one.open, one.revision, one.last) for one in closed} == {(False, 77, START)}
    assert watch.close() == []


def test_frames_from_before_the_gap_open_a_visit_again_that_silence_had_ended() -> None:
    """A worker was busy, or its partition changed hands: nobody has been away."""
    watch = Watch()
    (opened,) = watch.see(at(0), known())
    watch.close()
    (later,) = watch.see(at(20), known())
    assert (later.id, later.open, later.frames) == (opened.id, True, 2)
    (closed,) = watch.close()
    assert (closed.id, closed.open, closed.frames) == (opened.id, False, 2)


def test_a_visit_that_silence_has_ended_is_not_ended_again_by_the_gap() -> None:
    watch = Watch()
    (opened,) = watch.see(at(0), known())
    assert len(watch.close()) == 1
    (again,) = watch.see(at(40), known())
    assert (again.open, again.id != opened.id) == (True, True)


def test_frames_that_come_again_change_nothing() -> None:
    watch = Watch()
    first = watch.see_all(range(30), known())
    assert [watch.observe(at(offset), [known()]) for offset in range(30)] == [None] * 30
    (closed,) = watch.close()
    assert (closed.id, closed.frames) == (first[0].id, 30)


def test_frames_of_a_visit_that_is_over_open_no_other_when_they_come_again() -> None:
    watch = Watch()
    watch.see_all(range(10), known())
    assert len(watch.see(at(50))) == 1
    assert [watch.observe(at(offset), [known()]) for offset in range(4, 10)] == [None] * 6
    assert watch.close() == []
    assert len(watch.see(at(51), known())) == 1


def test_a_new_worker_that_reads_it_all_again_says_the_same() -> None:
    def tell() -> list[Sighting]:
        watch = Watch()
        told = [sighting for offset in range(60) for sighting in watch.see(at(offset), *crowd(offset))]
        return told + watch.close()

    assert tell() == tell()


def crowd(offset: int) -> list[Face]:
    faces = [stranger()] if offset % 2 else []
    return [*faces, *([known()] if offset < 20 else []), *([known("bob")] if offset > 10 else [])]


def test_a_visit_goes_on_under_its_id_where_its_state_was_read_again() -> None:
    before = Watch()
    told = before.see_all(range(12), known())
    after = Watch(read_state(write_state(before.tracker.state)))
    assert [after.observe(at(offset), [known()]) for offset in range(5, 12)] == [None] * 7
    resumed = after.see_all(range(12, 25), known())
    assert [sighting.frames for sighting in resumed] == [21]
    assert {sighting.id for sighting in resumed} == {told[0].id}
    (closed,) = after.close()
    assert (closed.frames, closed.first, closed.last) == (25, START, START + 2400)


def test_somebody_unknown_needs_some_frames() -> None:
    watch = Watch()
    told = [watch.see(at(offset), stranger()) for offset in range(6)]
    assert [len(sightings) for sightings in told] == [0, 0, 0, 0, 1, 0]
    (sighting,) = told[4]
    assert (sighting.person, sighting.name, sighting.score, sighting.frames) == (None, None, None, 5)
    assert sighting.first == START


def test_somebody_unknown_needs_a_face_that_can_be_told_from_others() -> None:
    watch = Watch(unknown_quality=0.3)
    assert watch.see_all(range(9), stranger(quality=0.29)) == []
    (told,) = watch.see_all(range(9, 12), stranger(quality=0.4))
    assert (told.first, told.faces) == (START, 10)


def test_somebody_unknown_who_was_hardly_there_was_not_there() -> None:
    watch = Watch()
    assert watch.see_all(range(4), stranger()) == []
    assert watch.see(at(60)) == []
    assert watch.close() == []


def test_two_who_are_unknown_are_two_visits() -> None:
    told = Watch().see_all(range(5), stranger(2), stranger(3))
    assert len({sighting.id for sighting in told}) == len(told) == 2
    assert {sighting.frames for sighting in told} == {5}


def test_a_crowd_of_faces_that_come_and_go_does_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state is one message, however many people pass by within the gap."""
    monkeypatch.setattr(visits, "_MOST", 5)
    watch = Watch()
    (ada,) = watch.see(at(0), known())
    for offset in range(1, 30):
        poor = [stranger(2 + number, quality=0.2, place=offset % 7 * 10 + number) for number in range(3)]
        watch.see(at(offset), *poor)
        assert len(watch.tracker.state.visits) <= 5
    assert watch.tracker.state.visits[0].sighting.id == ada.id
    crowd = [stranger(2 + number % 6, quality=0.2, place=100 + number) for number in range(9)]
    watch.see(at(30), *crowd)
    assert len(watch.tracker.state.visits) <= 5
    assert len(watch.named) == 9


def test_somebody_who_turns_away_makes_nobody_unknown() -> None:
    watch = Watch()
    watch.see(at(0), known())
    assert watch.see_all(range(1, 20), known(similarity=0.3, quality=0.4)) == []
    (closed,) = watch.close()
    assert (closed.person, closed.frames) == ("ada", 1)


def test_who_might_be_somebody_is_somebody_else_once_they_cannot_come_back() -> None:
    watch = Watch()
    watch.see(at(0), known())
    told = watch.see_all(range(1, 40), known(similarity=0.3, quality=0.4))
    assert [(one.person, one.open) for one in told] == [("ada", False), (None, True)]
    assert told[1].first == at(1).captured


def test_a_good_face_that_is_a_little_like_somebody_is_somebody_else() -> None:
    watch = Watch()
    watch.see(at(0), known())
    told = watch.see_all(range(1, 6), known(similarity=0.3))
    assert [(one.person, one.open) for one in told] == [(None, True)]


def test_who_is_beside_somebody_is_somebody_else() -> None:
    told = Watch().see_all(range(5), known(), known(similarity=0.3))
    assert [sighting.person for sighting in told] == ["ada", None]


def test_the_best_crop_is_kept() -> None:
    watch = Watch()
    watch.see(at(0), known(quality=0.5, crop=b"poor"))
    watch.see(at(1), known(quality=0.9))
    watch.see(at(2), known(quality=0.7, crop=b"good"))
    watch.see(at(3), known(quality=0.6, crop=b"worse"))
    (closed,) = watch.close()
    assert (closed.crop, closed.crop_score) == (b"good", pytest.approx(0.7))


def test_the_first_crop_is_kept_where_none_came_with_the_first_frame() -> None:
    watch = Watch(update=0)
    assert watch.see(at(0), known(quality=0.9))[0].crop == b""
    assert watch.see(at(1), known(quality=0.5, crop=b"1"))[0].crop == b"1"
    # Of two that are as good, the one before.
    assert watch.see(at(2), known(quality=0.5, crop=b"2"))[0].crop == b"1"


def test_a_frame_of_the_moment_at_which_silence_ended_a_visit_is_another_visit() -> None:
    """A recording of one frame that is played again has its time."""
    watch = Watch()
    (first,) = watch.see(at(0), known())
    watch.tracker.close(0)
    (second,) = watch.see(at(1)._replace(captured=first.last), known())
    assert second.id != first.id
    watch.tracker.close(1)
    (third,) = watch.see(at(2)._replace(captured=second.last + 1), known())
    assert third.id == second.id


def test_an_id_is_as_long_as_it_is_said_to_be() -> None:
    (seen,) = Watch().see(at(0), known())
    assert len(seen.id) == 24


def test_ids_differ_by_stream_lane_partition_frame_time_and_face() -> None:
    moments = [
        at(0), at(1), at(0, stream="yard"), at(0, partition=1), at(0, captured=START + 1), at(0, live=True),
    ]  # fmt: skip
    ids = [Watch().see(moment, known())[0].id for moment in moments]
    ids += [seen.id for seen in Watch().see(at(0), known("bob"), known())]
    assert len(set(ids)) == 7


def test_a_recording_that_is_played_again_at_once_is_another_visit() -> None:
    watch = Watch()
    watch.see_all(range(10), known())
    closed = watch.close()
    told = watch.see(at(10, captured=at(5).captured), known())
    assert [seen.open for seen in told] == [True]
    assert told[0].id != closed[0].id


def test_a_recording_that_is_played_again_is_counted_and_its_frames_once() -> None:
    """Some frames of the first time come again, too: a worker died while the second time began."""
    watch = Watch()
    watch.see_all(range(100), known())
    again = [at(100 + number, captured=at(number).captured) for number in range(100)]
    told = [one for moment in again[:10] for one in watch.see(moment, known())]
    for moment in (at(98), at(99), *again[:10]):
        assert watch.observe(moment, [known()]) is None
    told += [one for moment in again[10:] for one in watch.see(moment, known())] + watch.close()
    assert {one.id: one.frames for one in told if not one.open} == {told[0].id: 100, told[-1].id: 100}


def test_a_topic_that_was_made_anew_is_counted() -> None:
    watch = Watch()
    watch.see_all(range(50, 60), known())
    later = [at(number, captured=START + 100_000 + number) for number in range(3)]
    assert [len(watch.see(moment, known())) for moment in later] == [2, 0, 0]
    assert [watch.observe(moment, [known()]) for moment in later] == [None] * 3


def test_cameras_and_recordings_do_not_count_for_each_other() -> None:
    watch = Watch()
    recorded, live = [at(offset) for offset in range(5)], [at(offset, live=True) for offset in range(5)]
    for moment in recorded:
        watch.see(moment, known())
    for moment in live:
        watch.see(moment, known())
    assert [watch.observe(moment, [known()]) for moment in (*recorded, *live)] == [None] * 10
    (closed,) = watch.close()
    assert closed.frames == 10


def test_a_camera_after_a_recording_from_the_future_is_another_visit() -> None:
    """The recording's last time must not swallow what the camera sees for as long as it lies ahead."""
    watch = Watch()
    ahead = at(0, captured=START + 3_600_000)
    (future,) = watch.see(ahead, known())
    now = at(1, live=True)
    closed, opened = watch.see(now, known())
    assert (closed.id, closed.open, closed.last) == (future.id, False, ahead.captured)
    assert (opened.open, opened.first, opened.last) == (True, now.captured, now.captured)
    assert opened.id != future.id


def test_a_clock_that_was_put_right_counts_no_frame_twice() -> None:
    watch = Watch()
    watch.see_all(range(10), known())
    back = [at(offset, captured=START + offset * 100 - 800) for offset in range(10, 13)]
    for moment in back:
        watch.see(moment, known())
    again = [*map(at, range(5, 10)), *back]
    assert [watch.observe(moment, [known()]) for moment in again] == [None] * 8
    (closed,) = watch.close()
    assert (closed.frames, closed.last) == (13, at(9).captured)


class Entry(NamedTuple):
    """Faces on the log, or a silence that ended what was there."""

    moment: Moment | None
    faces: tuple[Face, ...] = ()


crops = st.none() | st.just(b"crop")
qualities = st.sampled_from([0.1, 0.3, 0.5, 0.7])
#: Of one frame, each person at most once, each at a place of their own or at one of others.
those_known = st.builds(
    known, st.sampled_from([*PEOPLE]), st.floats(0.2, 1), quality=qualities, crop=crops
)  # fmt: skip
strangers = st.builds(stranger, st.integers(2, 4), quality=qualities, crop=crops)
small = st.builds(stranger, st.just(5), gate=st.just(Gate.SMALL))
faces_of_a_frame = st.lists(those_known | strangers | small, max_size=3).map(tuple)
#: Milliseconds from one frame to the next: at once, soon, beyond the gap, or back.
steps_of_time = st.one_of(
    st.integers(0, 200), st.sampled_from([0, 900, GAP, GAP + 1, 20_000]), st.integers(-30_000, -1)
)


@st.composite
def logs(draw: st.DrawFn, silences: bool = False, tracklets: bool = True) -> list[Entry]:
    """Make the faces of a stream that has a camera and recordings, each frame once."""
    offsets, captured = {True: draw(st.integers(0, 5)), False: draw(st.integers(0, 5))}, START
    log: list[Entry] = []
    followed = tracklets and draw(st.booleans())
    for _ in range(draw(st.integers(1, 30))):
        if silences and draw(st.integers(0, 5)) == 0:
            log.append(Entry(None))
            continue
        live = draw(st.booleans())
        captured = max(0, captured + draw(steps_of_time))
        moment = Moment("door", 3, offsets[live], live, captured, len(log))
        offsets[live] += draw(st.sampled_from([1, 1, 1, 4]))
        faces = draw(faces_of_a_frame)
        if followed:
            faces = tuple(face._replace(tracklet=draw(st.integers(0, 4)), gate=draw(gates)) for face in faces)
        log.append(Entry(moment, faces))
    return log


gates = st.sampled_from([Gate.PASSED, Gate.PASSED, Gate.FOLLOWED, Gate.SMALL])
rules = st.builds(
    make_rules, update=st.sampled_from([0, UPDATE]), unknown_frames=st.integers(1, 4)
)  # fmt: skip


def watch_of(rules: VisitRules, state: bytes | None = None) -> Watch:
    watch = Watch()
    watch.tracker = VisitTracker(rules, None if state is None else read_state(state))
    return watch


def feed(watch: Watch, entry: Entry, revision: int) -> list[Sighting] | None:
    """Give a tracker what is on the log at `revision`."""
    if entry.moment is None:
        return watch.tracker.close(max(0, revision - 1))
    return watch.observe(entry.moment._replace(revision=revision), entry.faces)


class Reader:
    """Keeps the newest version of each sighting, as whoever reads them does."""

    def __init__(self) -> None:
        self.kept: dict[str, Sighting] = {}

    def read(self, sightings: Iterable[Sighting]) -> None:
        for one in sightings:
            before = self.kept.get(one.id)
            if before is None or one.revision >= before.revision:
                self.kept[one.id] = one

    def final(self) -> dict[str, tuple[Any, ...]]:
        return {
            one.id: (one.person, one.first, one.last, one.frames, one.open, one.merged, one.changes)
            for one in self.kept.values()
        }


def undisturbed(rules: VisitRules, log: Sequence[Entry]) -> Reader:
    watch, reader = watch_of(rules), Reader()
    for revision, entry in enumerate(log):
        told = feed(watch, entry, revision)
        assert told is not None
        reader.read(told)
    reader.read(watch.tracker.close(len(log)))
    return reader


@given(rules=rules, log=logs(silences=True), data=st.data())
def test_a_state_that_was_written_and_read_goes_on_as_if_it_had_not_been(
    rules: VisitRules, log: list[Entry], data: st.DataObject
) -> None:
    whole, broken = watch_of(rules), watch_of(rules)
    for revision, entry in enumerate([*log, Entry(None)]):
        if data.draw(st.booleans()):
            written = write_state(broken.tracker.state)
            broken = watch_of(rules, written)
            assert write_state(broken.tracker.state) == written
        assert feed(broken, entry, revision) == feed(whole, entry, revision)
        if entry.moment is not None:
            assert broken.named == whole.named
    assert write_state(broken.tracker.state) == write_state(whole.tracker.state)


@given(rules=rules, log=logs(tracklets=False), data=st.data())
def test_wherever_workers_die_and_whatever_is_done_twice_the_sightings_are_the_same(
    rules: VisitRules, log: list[Entry], data: st.DataObject
) -> None:
    # Faces that a worker has written and another one writes again, since the first had not said so.
    twice: list[Entry] = []
    for number, entry in enumerate(log):
        twice.append(entry)
        for _ in range(data.draw(st.sampled_from([0, 0, 0, 1, 2]))):
            twice += log[number - data.draw(st.integers(0, min(number, 6))) : number + 1]
    reader, watch = Reader(), watch_of(rules)
    states, place, deaths = [write_state(watch.tracker.state)], 0, data.draw(st.integers(0, 4))
    while place < len(twice):
        reader.read(feed(watch, twice[place], place) or [])
        place += 1
        del states[place:]
        states.append(write_state(watch.tracker.state))
        if deaths and data.draw(st.integers(0, 4)) == 4:
            deaths -= 1
            place -= data.draw(st.integers(0, min(place, 10)))
            watch = watch_of(rules, states[place])
    reader.read(watch.tracker.close(len(twice)))
    assert reader.final() == undisturbed(rules, log).final()


def test_who_takes_over_goes_on_with_the_visits_of_the_tracklets_that_it_has_begun() -> None:
    """It looks at the last frames again, which are counted, and follows faces under numbers of its own."""
    watch = Watch()
    small = Face(axis(6), gate=Gate.SMALL, tracklet=3, place=9)
    watch.see_all(range(6), known(tracklet=1), stranger(2, tracklet=2))
    again = known(tracklet=11), stranger(2, tracklet=12), small._replace(tracklet=13)
    assert watch.observe(at(5), again) is None
    followed = [face._replace(gate=Gate.FOLLOWED) for face in again[:2]]
    watch.see_all(range(6, 20), *followed)
    assert watch.named == ["ada", None]
    assert [(one.person, one.frames) for one in watch.close()] == [("ada", 20), (None, 20)]


@given(rules=rules, log=logs(silences=True))
def test_what_is_told_of_a_visit_is_true(rules: VisitRules, log: list[Entry]) -> None:
    sightings = undisturbed(rules, log).kept.values()
    assert not any(one.open for one in sightings)
    ids = {one.id for one in sightings}
    for one in sightings:
        assert one.first <= one.last
        assert one.frames >= (1 if one.person else rules.unknown_frames) or one.changes
        assert (one.person is None) == (one.name is None) == (one.unnamed is not None)
        assert one.merged is None or one.merged in ids - {one.id}
        assert all(change.before != change.after for change in one.changes)


@given(rules=rules, log=logs(), data=st.data())
def test_exactly_those_frames_are_nothing_new_that_were_counted(
    rules: VisitRules, log: list[Entry], data: st.DataObject
) -> None:
    watch = watch_of(rules)
    for number, entry in enumerate(log):
        assert feed(watch, entry, number) is not None
        before = watch.tracker.state
        counts = [(one.sighting, one.published, one.closed) for one in before.visits]
        for earlier in data.draw(st.lists(st.sampled_from(log[: number + 1]), max_size=3)):
            assert feed(watch, earlier, number) is None
        assert [(one.sighting, one.published, one.closed) for one in before.visits] == counts


@given(rules=rules, log=logs(silences=True))
def test_revisions_never_go_down(rules: VisitRules, log: list[Entry]) -> None:
    watch, newest = watch_of(rules), 0
    for revision, entry in enumerate(log):
        for sighting in feed(watch, entry, revision) or []:
            assert sighting.revision >= newest
            newest = sighting.revision
    assert all(sighting.revision >= newest for sighting in watch.tracker.close(len(log) - 1))


@given(rules=rules, log=logs(silences=True))
def test_nobody_is_there_twice_at_once(rules: VisitRules, log: list[Entry]) -> None:
    watch = watch_of(rules)
    for revision, entry in enumerate(log):
        feed(watch, entry, revision)
        people = [visit.sighting.person for visit in watch.tracker.state.visits if visit.sighting.person]
        assert len(set(people)) == len(people)


@pytest.mark.parametrize("live", [True, False])
def test_a_mark_says_how_far_its_own_lane_is(live: bool) -> None:
    watch = Watch()
    watch.see(at(4, live=live))
    state = watch.tracker.state
    mark, other = (state.live, state.recorded) if live else (state.recorded, state.live)
    assert mark is not None
    assert (mark.offset, mark.captured, other) == (4, START + 400, None)
