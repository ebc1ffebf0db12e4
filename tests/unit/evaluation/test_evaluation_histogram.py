"""A histogram is as exact as the list of similarities itself."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.evaluation.histogram import STEPS, ScoreHistogram, allowed_errors, operating_point
from app.search import settled

SIMILARITIES = st.lists(
    st.one_of(
        st.floats(-1, 1, width=32),
        st.sampled_from([-1.0, -0.0001, 0.0, 0.49, 0.4901, 1.0]),
        st.integers(-10_000, 10_000).map(lambda step: step / 10_000),
    ),
    max_size=40,
)


@given(SIMILARITIES, st.integers(0, 20_000))
def test_it_counts_what_reaches_a_threshold_as_the_gallery_compares(values: list[float], row: int) -> None:
    threshold = float(STEPS[row])
    assert ScoreHistogram(values).at_least(threshold) == sum(
        value >= threshold for value in settled(np.array(values))
    )


@given(SIMILARITIES, st.integers(0, 40))
@example([1.0, 1.0], 1)
def test_the_threshold_is_the_least_that_few_enough_reach(values: list[float], allowed: int) -> None:
    reaching = (settled(np.array(values))[:, None] >= STEPS[None, :]).sum(axis=0)
    fitting = STEPS[reaching <= allowed]
    assert ScoreHistogram(values).threshold(allowed) == (fitting[0] if fitting.size else None)


def test_single_precision_is_compared_in_double() -> None:
    below = np.float32(0.48)
    above = np.nextafter(below, np.float32(1))
    assert float(below) < 0.48 < float(above)
    assert ScoreHistogram(np.array([below, above])).at_least(0.48) == 1


def test_parts_add_up_to_the_whole() -> None:
    values = np.random.default_rng(7).uniform(-1, 1, (90, 30)).astype(np.float32)
    parts = ScoreHistogram()
    for row in values:
        parts.add(row)
    assert len(parts) == values.size
    assert (parts.counts == ScoreHistogram(values).counts).all()


def test_what_rounding_puts_beyond_one_still_counts() -> None:
    assert ScoreHistogram([1.0000001, -1.0000001]).at_least(1.0) == 1


@given(st.integers(0, 10_000))
def test_a_vector_times_itself_is_one(seed: int) -> None:
    vector = np.random.default_rng(seed).normal(size=512).astype(np.float32)
    vector /= np.linalg.norm(vector)
    assert ScoreHistogram([float(vector @ vector)]).at_least(1.0) == 1


def test_every_step_is_the_number_its_decimals_are_read_as() -> None:
    assert all(float(f"{step:.4f}") == step for step in STEPS)


@pytest.mark.parametrize(
    ("rate", "comparisons", "allowed"),
    [(0.01, 300, 3), (0.001, 3000, 3), (0.01, 299, 2), (0.1, 30, 3), (1e-4, 9999, 0), (1 / 3, 3, 1)],
)
def test_as_many_errors_are_allowed_as_the_rate_says(rate: float, comparisons: int, allowed: int) -> None:
    assert allowed_errors(rate, comparisons) == allowed


def test_a_point_by_hand() -> None:
    impostors = ScoreHistogram([0.1] * 197 + [0.3, 0.35, 0.4])
    point = operating_point(0.01, impostors, ScoreHistogram([0.2, 0.3, 0.3001, 0.9]), attempts=5)
    assert (point.threshold, point.false_accepts, point.comparisons) == (0.3001, 2, 200)
    # Two of four reach it; the fifth attempt had no face.
    assert point.hits == 2 / 5


def test_a_rate_below_one_false_accept_is_not_supported() -> None:
    point = operating_point(0.001, ScoreHistogram([0.1] * 999), ScoreHistogram([0.9]), attempts=1)
    assert (point.threshold, point.hits, point.needed) == (None, None, 1000)
    assert (
        operating_point(0.001, ScoreHistogram([0.1] * 1000), ScoreHistogram([0.9]), attempts=1).threshold
        is not None
    )


def test_the_reason_for_no_figure_is_the_true_one() -> None:
    """Attempts that are too few, nobody to be recognised, and ties are not mixed up."""
    many = ScoreHistogram([0.1] * 1000)
    assert (
        operating_point(0.001, ScoreHistogram([0.1] * 999), ScoreHistogram([0.9]), 1).why_not
        == "999 attempts, 1,000 needed"
    )
    assert (
        operating_point(0.001, many, ScoreHistogram(), 0).why_not == "there are no two pictures of one person"
    )
    assert operating_point(0.001, ScoreHistogram([1.0] * 1000), ScoreHistogram([0.9]), 1).why_not == (
        "more than 1 attempts have similarity 1: copies of one picture?"
    )
    assert operating_point(0.001, many, ScoreHistogram([0.9]), 1).why_not is None


def test_ties_are_not_split() -> None:
    point = operating_point(0.01, ScoreHistogram([0.5] * 2 + [0.1] * 98), ScoreHistogram([0.5]), attempts=1)
    assert (point.threshold, point.false_accepts, point.hits) == (0.5001, 0, 0.0)
