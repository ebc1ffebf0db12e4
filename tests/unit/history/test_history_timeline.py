"""Bars of one person and stream are one where little lies between them."""

from hypothesis import given
from hypothesis import strategies as st

from app.history.timeline import Bar, join_bars


def bar(first: int, last: int, **more: object) -> Bar:
    fields = {"stream": "door", "person": "ada", "name": "Ada", "sightings": 1, "open": False}
    return Bar(**(fields | {"first": first, "last": last} | more))


def spans(bars: list[Bar]) -> list[tuple[int, int, int]]:
    return [(one.first, one.last, one.sightings) for one in bars]


def test_bars_nearer_than_the_gap_are_one() -> None:
    bars = [bar(0, 10), bar(19, 30), bar(40, 50)]
    assert spans(join_bars(bars, 10)) == [(0, 30, 2), (40, 50, 1)]
    assert spans(join_bars(bars, 11)) == [(0, 50, 3)]
    assert spans(join_bars(bars, 0)) == [(0, 10, 1), (19, 30, 1), (40, 50, 1)]


def test_bars_that_overlap_are_one_whatever_the_gap() -> None:
    assert spans(join_bars([bar(0, 10), bar(9, 12)], 0)) == [(0, 12, 2)]
    assert spans(join_bars([bar(0, 10), bar(10, 12)], 0)) == [(0, 10, 1), (10, 12, 1)]


def test_a_long_bar_swallows_those_within_it() -> None:
    assert spans(join_bars([bar(0, 100), bar(5, 10), bar(90, 95), bar(101, 102)], 2)) == [(0, 102, 4)]


def test_nobody_is_joined_to_somebody_else_or_from_elsewhere() -> None:
    bars = [bar(0, 10), bar(1, 11, person="bob"), bar(2, 12, stream="yard"), bar(3, 13, person=None)]
    assert join_bars(bars, 100) == bars


def test_those_who_are_unknown_are_one() -> None:
    bars = [bar(0, 10, person=None, name=None), bar(5, 20, person=None, name=None)]
    assert spans(join_bars(bars, 0)) == [(0, 20, 2)]


def test_the_latest_name_counts_and_who_is_there_still_is() -> None:
    (joined,) = join_bars([bar(0, 50, name="Ada L", open=True), bar(5, 20)], 0)
    assert (joined.name, joined.open) == ("Ada L", True)
    (joined,) = join_bars([bar(0, 10), bar(5, 20, name="Ada L")], 0)
    assert (joined.name, joined.open) == ("Ada L", False)


WHO = [("door", "ada"), ("door", None), ("yard", "ada")]
BARS = st.lists(st.tuples(st.sampled_from(WHO), st.integers(0, 60), st.integers(0, 9)), max_size=15)


@given(BARS, st.integers(0, 8))
def test_a_bar_begins_where_nobody_was_for_long_enough(
    given: list[tuple[tuple[str, str | None], int, int]], gap: int
) -> None:
    drawn = (bar(first, first + length, stream=who[0], person=who[1]) for who, first, length in given)
    bars = sorted(drawn, key=lambda one: one.first)
    joined = join_bars(bars, gap)
    assert sum(one.sightings for one in joined) == len(bars)
    assert all(any(covers(one, part) for one in joined) for part in bars)
    begins = [
        one.first
        for number, one in enumerate(bars)
        if all(one.first - other.last >= gap for other in bars[:number] if same(one, other))
    ]
    assert [one.first for one in joined] == begins


def same(one: Bar, other: Bar) -> bool:
    return (one.stream, one.person) == (other.stream, other.person)


def covers(one: Bar, part: Bar) -> bool:
    return same(one, part) and one.first <= part.first and part.last <= one.last
