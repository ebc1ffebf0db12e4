"""Similarities are those of unit vectors, and what rounding puts beside 1 is 1."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.search import compare, settled


def test_every_probe_is_compared_with_every_template() -> None:
    probes = np.array([[1.0, 0.0], [0.6, 0.8]], np.float16)
    found = compare(probes, np.eye(2)[[1, 0, 1]])
    assert found.dtype == np.float32
    assert np.abs(found - [[0.0, 1.0, 0.0], [0.8, 0.6, 0.8]]).max() < 1e-3


def test_what_is_told_apart_is_not_settled() -> None:
    values = np.array([0.9999, 0.99998, 0.5, -1.0])
    assert (settled(values) == values).all()


def test_nothing_is_beyond_one() -> None:
    assert settled(np.array([1.0000001, 0.9999999, -1.0000001, -np.inf])).tolist() == [1.0, 1.0, -1.0, -1.0]


@given(st.lists(st.floats(-1, 1, width=32), min_size=1))
def test_what_is_in_order_stays_in_order(values: list[float]) -> None:
    ordered = settled(np.sort(np.array(values, np.float32)))
    assert ordered.dtype == np.float64
    assert (np.diff(ordered) >= 0).all()
