"""The account finds what it is there for: each kind of mistake, made on purpose."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from chaos.account import Account, Row, Shown, View
from chaos.log import Log
from chaos.scenario import Shot, Visit
from chaos.writer import Message, Place, Raw
from makers import axis, make_faces, make_sighting
from standin_nets import DENORMAL

FRAMES, PEOPLE = "recordings", {"a1": "ada"}
TIMES = (1000, 1100, 1200)
SIGHTING = make_sighting(person="a1", first=1000, last=1200, frames=3, open=False, revision=9)


def place(offset: int) -> Place:
    return Place(FRAMES, 0, offset)


def sent() -> dict[Place, Message]:
    """Return three frames, and at last something that is no frame."""
    shots = [Shot("door", offset, captured, ()) for offset, captured in enumerate(TIMES)]
    return {place(offset): shot for offset, shot in enumerate(shots)} | {
        place(3): Raw("door", b"", (), "malformed")
    }


def whole() -> Log:
    """Return what is on the log where nothing went wrong."""
    faces = {
        place(offset): [make_faces(offset=offset, seq=offset, captured=captured)]
        for offset, captured in enumerate(TIMES)
    }
    older = msgspec.structs.replace(SIGHTING, last=1000, frames=1, open=True, revision=5)
    return Log(
        frames={*map(place, range(4))},
        faces=faces,
        letters={place(3): ["malformed"]},
        # The last to come is of a worker that had been away.
        sightings={SIGHTING.id: [SIGHTING, older]},
        ends={(FRAMES, 0): 4},
        committed={(FRAMES, 0): 4},
    )


def account(log: Log, shown: Any = None, people: Any = PEOPLE) -> Account:
    view = View("worker-0", shown or {SIGHTING.id: Shown.of(SIGHTING)}, [*people])
    expected = [Visit("door", "ada", 1000, 1200, 3)]
    return Account(sent(), log, expected, PEOPLE, [view])


def test_an_account_of_a_run_without_mistakes_agrees() -> None:
    settled = account(whole())
    settled.check()
    assert settled.row == Row(runs=1, frames=4, faces=3, dead_letters=1, visits=1)


@pytest.mark.parametrize(("committed", "holes"), [(4, 1), (2, 1), (1, 0)])
def test_a_lost_frame_is_found_and_whether_it_was_committed_over(committed: int, holes: int) -> None:
    log = whole()
    del log.faces[place(1)]
    log.committed[FRAMES, 0] = committed
    settled = account(log)
    assert (settled.row.lost, settled.row.holes) == (1, holes)
    with pytest.raises(AssertionError, match=r"1 frames were lost.*: door frame 1 \(recordings 0:1\)"):
        settled.check()


def test_what_is_never_committed_is_found() -> None:
    log = whole()
    log.committed.clear()
    with pytest.raises(AssertionError, match="never committed to their end: recordings 0 up to 0 of 4"):
        account(log).check()


def test_a_frame_that_was_done_again_is_counted_and_no_mistake() -> None:
    log = whole()
    log.faces[place(1)] *= 2
    settled = account(log)
    settled.check()
    assert settled.row.twice == 1


def test_a_frame_may_not_be_published_and_a_dead_letter_too() -> None:
    log = whole()
    log.letters[place(1)] = ["internal-error"]
    with pytest.raises(AssertionError, match="published and are dead letters too: door frame 1"):
        account(log).check()


def test_what_is_no_frame_must_be_a_dead_letter_for_the_right_reason() -> None:
    log = whole()
    log.letters[place(3)] = ["internal-error"]
    with pytest.raises(AssertionError, match=r"another reason than expected: door \(recordings 0:3\)"):
        account(log).check()


def test_faces_must_be_those_of_the_frame() -> None:
    log = whole()
    log.faces[place(0)].append(make_faces(offset=0, seq=7, captured=1000))
    with pytest.raises(AssertionError, match="other faces than they show: door frame 0"):
        account(log).check()


def test_a_thread_that_computed_with_denormals_is_found() -> None:
    log = whole()
    log.faces[place(0)] = [make_faces([axis(DENORMAL)], offset=0, captured=1000)]
    with pytest.raises(AssertionError, match="computes with denormals: door frame 0"):
        account(log).check()


@pytest.mark.parametrize(
    ("found", "split", "wrong", "text"),
    [
        ([], 0, 1, "1000 \\+ 200 ms, 3 frames\\) became nothing"),
        ([{"frames": 2}], 0, 1, "became .*2 frames"),
        ([{"open": True}], 0, 1, "is still open"),
        ([{}, {"id": "b"}], 1, 0, "split or doubled"),
        ([{"last": 1000}, {"id": "b", "first": 1100}], 1, 0, "split or doubled"),
        ([{}, {"id": "b", "stream": "gate"}], 0, 1, "on gate.* never happened"),
        ([{}, {"id": "b", "person": None}], 0, 1, "stranger.* never happened"),
    ],
)
def test_visits_that_are_not_as_they_were_are_found(
    found: list[dict[str, Any]], split: int, wrong: int, text: str
) -> None:
    newest = [msgspec.structs.replace(SIGHTING, **changes) for changes in found]
    settled = account(replace(whole(), sightings={one.id: [one] for one in newest}))
    assert (settled.row.split, settled.row.wrong) == (split, wrong)
    with pytest.raises(AssertionError, match=text):
        settled.check()


def test_an_older_version_that_is_shown_is_found() -> None:
    shown = {SIGHTING.id: Shown("a1", 1000, 1000, 1, True)}
    settled = account(whole(), shown=shown)
    assert settled.row.outdated == 1
    with pytest.raises(AssertionError, match="older version by worker-0"):
        settled.check()


def test_somebody_whom_a_worker_does_not_know_is_found() -> None:
    settled = account(whole(), people={})
    assert settled.row.people_lost == 1
    with pytest.raises(AssertionError, match="people are not known to worker-0: ada"):
        settled.check()
