"""Several pictures of a person in one template, against one of them."""

import numpy as np
import pytest

from app.evaluation.face import Face
from app.evaluation.pooling import PROBES, identify_pooled

DIMENSION = 64


def person(number: int, *spreads: float) -> list[Face | None]:
    """Return faces of somebody, each so far from their own axis; the farther, the poorer."""
    faces: list[Face | None] = []
    for place, spread in enumerate(spreads):
        noise = np.random.default_rng([number, place]).standard_normal(DIMENSION)
        vector = np.eye(DIMENSION)[number] + spread * noise
        faces.append(Face((vector / np.linalg.norm(vector)).astype(np.float32), 1 / (1 + spread)))
    return faces


def crowd(spread: float) -> dict[str, list[Face | None]]:
    """Return twenty people with a good picture and poor ones, strangers, and others who are enrolled."""
    known = {f"known-{number}": person(number, 0, *[spread] * 3) for number in range(20)}
    strangers = {f"stranger-{number}": person(number, *[spread] * 3) for number in range(20, 50)}
    return known | strangers | {f"other-{number}": person(number, 0) for number in range(50, 60)}


def test_who_is_enrolled_who_is_searched_for_and_who_is_a_stranger() -> None:
    found = identify_pooled(crowd(0.1))
    assert found is not None
    assert (found.enrolled, found.people, found.strangers) == (30, 20, 30)
    assert (found.single.rank1, found.best.rank1, found.pooled.rank1) == (1, 1, 1)
    # Each picture is a search of its own where they are not pooled.
    ways = (found.single, found.best, found.pooled)
    assert [[point.comparisons for point in way.points] for way in ways] == [[90, 90], [30, 30], [30, 30]]


def test_pooled_pictures_are_better_than_one() -> None:
    found = identify_pooled(crowd(0.5))
    assert found is not None
    assert found.pooled.rank1 > found.single.rank1 + 0.1


def test_the_best_picture_is_the_one_of_best_quality() -> None:
    people = crowd(0.3)
    for number in range(20):
        people[f"known-{number}"] = person(number, 0, 0.4, 0.05, 0.4)
    found = identify_pooled(people)
    assert found is not None
    assert found.best.rank1 == 1 > found.single.rank1


def test_who_is_not_enrolled_is_nobody_s_right_one() -> None:
    people = {"ada": person(0, 0, 0, 0, 0), "bo": [*person(1, 0, 0), None], "cy": person(2, 0)}
    people["di"] = [None, *person(3, 0, 0.1, 0.1)]
    found = identify_pooled(people)
    assert found is not None
    # A picture without a face is none: `di` has three, and is a stranger.
    assert (found.enrolled, found.people, found.strangers) == (2, 1, 2)


@pytest.mark.parametrize(
    "people",
    [
        {},
        {"ada": person(0, *[0] * PROBES)},
        {"ada": person(0, *[0] * (PROBES + 1))},
        {"ada": person(0, *[0] * (PROBES + 1)), "bo": person(1, 0), "cy": [None, None]},
    ],
    ids=["nobody", "nobody to search for", "no strangers", "no faces of strangers"],
)
def test_where_nobody_can_be_searched_for_nothing_is_measured(people: dict[str, list[Face | None]]) -> None:
    assert identify_pooled(people) is None
