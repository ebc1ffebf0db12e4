"""The tail of a binomial distribution, by hand and against the sum of whole numbers."""

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.evaluation.chance import tail


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 16))
def test_it_is_the_sum_of_all_that_is_as_rare(hits: int, tries: int, sixteenths: int) -> None:
    rate = Fraction(sixteenths, 16)
    exact = sum(
        comb(tries, number) * rate**number * (1 - rate) ** (tries - number)
        for number in range(hits, tries + 1)
    )
    assert tail(hits, tries, float(rate)) == pytest.approx(float(exact), rel=1e-9)


def test_large_numbers_are_no_obstacle() -> None:
    # 100,000 tries at 0.01: 1,000 are expected, give or take 31.
    assert tail(1000, 100_000, 0.01) == pytest.approx(0.504, abs=0.01)
    assert tail(1200, 100_000, 0.01) < 1e-9
    assert tail(800, 100_000, 0.01) > 1 - 1e-9
