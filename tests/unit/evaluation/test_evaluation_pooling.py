"""Several pictures of a person in one template, against one of them."""

import numpy as np
import pytest

from app.evaluation.face import Face
from app.evaluation.pooling import identify_pooled
from app.evaluation.visits import PROBES

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


def test_who_has_pictures_enough_and_no_face_on_one_is_no_stranger() -> None:
    people = crowd(0) | {"blink": [*person(61, 0, 0, 0), None]}
    found = identify_pooled(people)
    assert found is not None
    assert (found.enrolled, found.people, found.strangers) == (31, 21, 30)
    # What has no face is missed; a template is made of the others.
    assert found.single.rank1 == pytest.approx(62 / 63)
    assert found.pooled.rank1 == 1


def test_who_has_no_face_to_be_searched_for_by_is_missed() -> None:
    found = identify_pooled(crowd(0) | {"hidden": [*person(61, 0), None, None, None]})
    assert found is not None
    assert (found.enrolled, found.people, found.people_without_face) == (31, 21, 1)
    ways = (found.single, found.best, found.pooled)
    assert [way.rank1 for way in ways] == pytest.approx([20 / 21] * 3)


def test_who_has_no_face_on_the_enrolment_picture_is_missed() -> None:
    found = identify_pooled(crowd(0) | {"late": [None, *person(61, 0, 0, 0)], "never": [None]})
    assert found is not None
    assert (found.enrolled, found.not_enrolled, found.people) == (30, 2, 21)
    assert [way.rank1 for way in (found.single, found.best, found.pooled)] == pytest.approx([20 / 21] * 3)


def test_a_stranger_without_a_face_is_not_searched_for() -> None:
    found = identify_pooled(crowd(0) | {"hidden": [None, None], "blink": [None, *person(61, 0)]})
    assert found is not None
    assert (found.strangers, found.strangers_without_face) == (32, 1)
    assert found.pooled.points[0].comparisons == 31
    assert found.single.points[0].comparisons == 91


def test_where_no_stranger_has_a_face_no_rate_is_supported() -> None:
    people = {"ada": person(0, *[0] * (PROBES + 1)), "bo": person(1, 0), "cy": [None, None]}
    found = identify_pooled(people)
    assert found is not None
    assert (found.pooled.rank1, found.pooled.points[0].hits) == (1, None)
    assert found.pooled.points[0].why_not == "0 attempts, 100 needed"


@pytest.mark.parametrize(
    "people",
    [
        {},
        {"ada": person(0, *[0] * PROBES)},
        {"ada": person(0, *[0] * (PROBES + 1))},
        {"ada": person(0, *[0] * (PROBES + 1)), "bo": person(1, 0)},
        {"ada": person(0, *[0] * PROBES), "bo": person(1, 0)},
    ],
    ids=["nobody", "nobody to search for", "no strangers", "others alone", "strangers alone"],
)
def test_where_nobody_can_be_searched_for_nothing_is_measured(people: dict[str, list[Face | None]]) -> None:
    assert identify_pooled(people) is None
