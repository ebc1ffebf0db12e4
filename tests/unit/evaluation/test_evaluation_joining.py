"""From which similarity on two visits are one person's."""

import numpy as np
import pytest
from crowd import people

from app.evaluation import EvaluationError, join_threshold
from app.evaluation.face import Face


def test_one_in_a_thousand_comparisons_of_two_people_reaches_it() -> None:
    found = join_threshold(people(0, 300, 1.5))
    assert found.comparisons == 300 * 299 / 2
    assert 30 <= found.false_matches <= found.comparisons / 1000
    assert 0.2 < found.threshold < 0.6


def test_visits_of_one_person_reach_it() -> None:
    found = join_threshold(people(300, 0, 1.0))
    assert (found.pairs, found.joined) == (300, pytest.approx(1.0, abs=0.02))


def test_the_picture_of_the_enrolment_is_no_part_of_a_visit() -> None:
    given = people(300, 0, 1.0)
    stranger = Face(np.ones(64, np.float32) / 8, 0.7)
    assert join_threshold({name: [stranger, *faces[1:]] for name, faces in given.items()}) == join_threshold(
        given
    )


def test_poor_faces_are_left_out() -> None:
    given = people(0, 300, 1.5)
    poor = Face(np.ones(64, np.float32) / 8, 0.2)
    crowd = {f"poor-{number}": [poor, poor] for number in range(50)}
    assert join_threshold(given | crowd) == join_threshold(given)


def test_of_too_few_there_is_none() -> None:
    with pytest.raises(EvaluationError, match=r"needs 30,000 comparisons .* the dataset has 4,950"):
        join_threshold(people(0, 100, 1.5))
    for nobody in ({}, {"one": [None, None]}):
        with pytest.raises(EvaluationError, match="the dataset has 0"):
            join_threshold(nobody)


def test_copies_of_one_picture_give_none() -> None:
    face = Face(np.ones(64, np.float32) / 8, 0.7)
    with pytest.raises(EvaluationError, match="not copies of each other"):
        join_threshold({f"copy-{number}": [face, face] for number in range(300)})
