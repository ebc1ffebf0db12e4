"""An event's id says where the log was read to, and nothing else is read as one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.events import parse_positions, write_positions


@given(st.dictionaries(st.integers(0, 99_999), st.integers(0, 10**18 - 1), min_size=1, max_size=20))
def test_what_is_written_is_read(positions: dict[int, int]) -> None:
    assert parse_positions(write_positions(positions)) == positions


def test_the_text_is_short_and_in_order() -> None:
    assert write_positions({3: 4, 0: 17}) == "0-17.3-4"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "-",
        "0",
        "0-",
        "-1",
        "0-1.",
        "a-b",
        "0--1",
        "0-1,1-2",
        "1000000-1",
        "0-" + "1" * 19,
        "0-1 .1-2",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_positions(text)


@given(st.text(max_size=30))
def test_nothing_but_a_value_error(text: str) -> None:
    try:
        positions = parse_positions(text)
    except ValueError:
        return
    assert parse_positions(write_positions(positions)) == positions
