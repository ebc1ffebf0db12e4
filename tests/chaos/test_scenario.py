"""The script: which visits its frames show, as far as can be counted by hand."""

import pytest
from chaos.scenario import CROWDED, PERIOD, SPREAD, Layout, Script, Shot, Visit, partition_of, visits
from standin_nets import SLOTS, UNKNOWN

GAP, UNKNOWN_FRAMES = 3000, 5
HOUR = 3_600_000


def shots(person: str, *times: int) -> list[Shot]:
    return [Shot("door", seq, captured, (person,)) for seq, captured in enumerate(times)]


def found(frames: list[Shot]) -> list[tuple[int, int, int]]:
    return [(one.first, one.last, one.frames) for one in visits(frames, GAP, UNKNOWN_FRAMES)]


def test_a_visit_lasts_until_somebody_is_gone_for_longer_than_the_gap() -> None:
    assert found(shots("ada", 0, 100, 3100, 6101)) == [(0, 3100, 3), (6101, 6101, 1)]


def test_a_clock_that_jumps_ends_a_visit_both_ways() -> None:
    times = (0, 100, HOUR, HOUR + 100, 400)
    assert found(shots("ada", *times)) == [(0, 100, 2), (400, 400, 1), (HOUR, HOUR + 100, 2)]


def test_somebody_unknown_counts_from_the_fifth_frame_on() -> None:
    assert found(shots(UNKNOWN, *range(4))) == []
    assert found(shots(UNKNOWN, *range(5))) == [(0, 4, 5)]


def test_each_stream_and_person_has_visits_of_their_own() -> None:
    frames = [Shot("door", 0, 0, ("ada", "carl")), Shot("gate", 0, 0, ("ada",))]
    assert visits(frames, GAP, UNKNOWN_FRAMES) == [
        Visit("door", "ada", 0, 0, 1), Visit("door", "carl", 0, 0, 1), Visit("gate", "ada", 0, 0, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("layout", [CROWDED, SPREAD], ids=lambda layout: layout.name)
def test_streams_lie_on_partitions_as_the_layout_says(layout: Layout) -> None:
    on = [partition_of(stream, layout.partitions) for stream in layout.streams()]
    assert on == [number for number in range(layout.partitions) for _ in range(layout.streams_each)]


def test_the_script_has_all_that_can_happen() -> None:
    streams = CROWDED.streams()
    rounds = list(Script(streams, 0).rounds(300))
    assert [list(Script(streams, 0).rounds(300)), [len(one) for one in rounds]] == [rounds, [6] * 300]
    frames = [shot for one in rounds for shot in one]
    assert {shot.captured for shot in frames} == {number * PERIOD for number in range(300)}
    # Nobody, and several at once.
    assert {len(shot.people) for shot in frames} >= {0, 1, 2, 3}
    assert max(len(shot.people) for shot in frames) <= len(SLOTS)
    known = visits(frames, GAP, UNKNOWN_FRAMES)
    assert any(one.person == UNKNOWN for one in known)
    whose = [(one.stream, one.person) for one in known]
    assert any(whose.count(one) > 1 for one in whose), "nobody comes back"
    assert any((one.last - one.first) / PERIOD + 1 > one.frames for one in known), (
        "nobody is away for a moment"
    )
