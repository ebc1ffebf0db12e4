"""Who is near enough, and clear enough of the next one, is named; both limits count as reached."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.search import Index, Nearest, decide


def nearest(similarity: float, runner_up: float, owner: str | None = "ada") -> Nearest:
    return Nearest((owner,), np.array([similarity]), np.array([runner_up]))


@pytest.mark.parametrize(
    ("similarity", "named"), [(0.5, True), (np.nextafter(0.5, 0), False), (np.nextafter(0.5, 1), True)]
)
def test_the_threshold_itself_is_enough(similarity: float, named: bool) -> None:
    assert decide(nearest(similarity, -1.0), 0.5, 0.0).tolist() == [named]


@pytest.mark.parametrize(
    ("runner_up", "named"), [(0.5, True), (np.nextafter(0.5, 1), False), (np.nextafter(0.5, 0), True)]
)
def test_the_margin_itself_is_enough(runner_up: float, named: bool) -> None:
    assert decide(nearest(0.75, runner_up), 0.5, 0.25).tolist() == [named]


@given(
    st.lists(st.tuples(st.sampled_from(["ada", None]), st.floats(-1, 1), st.floats(-1, 1)), max_size=9),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_of_many_probes_each_is_decided_by_itself(
    found: list[tuple[str | None, float, float]], threshold: float, margin: float
) -> None:
    owners, similarities, runners_up = zip(*found, strict=True) if found else ((), (), ())
    several = Nearest(tuple(owners), np.array(similarities), np.array(runners_up))
    expected = [
        owner is not None and similarity >= threshold and similarity - runner_up >= margin
        for owner, similarity, runner_up in found
    ]
    assert decide(several, threshold, margin).tolist() == expected


def test_nobody_is_never_named() -> None:
    assert decide(nearest(-1.0, -1.0, owner=None), -1.0, 0.0).tolist() == [False]


@pytest.mark.parametrize(("margin", "named"), [(0.25, True), (0.375, False)])
def test_the_margin_is_over_the_second_of_three(margin: float, named: bool) -> None:
    index = Index()
    for owner, along in {"ada": 0.75, "bob": 0.5, "cyd": 0.25}.items():
        index.add(owner, np.array([[along, np.sqrt(1 - along**2)], [-1.0, 0.0]], np.float32))
    found = index.search(np.array([[1.0, 0.0]], np.float32))
    assert (found.owners, found.runners_up.tolist()) == (("ada",), [0.5])
    assert decide(found, 0.5, margin).tolist() == [named]
