"""What a name is worth is learnt from people who were searched for, and is true of others too."""

from collections.abc import Callable

import numpy as np
import pytest
from crowd import people

from app.evaluation import Learnt, learn_confidence
from app.evaluation.face import Face
from app.search import Confidence


def learnt(*, pools: bool, noise: float = 1.5) -> Learnt:
    found = learn_confidence(people(200, 200, noise), pools=pools)
    assert found is not None
    return found


@pytest.mark.parametrize("pools", [False, True])
def test_on_people_that_it_was_not_learnt_from_it_is_as_often_right_as_it_says(pools: bool) -> None:
    trial = learnt(pools=pools).trial
    assert trial.error < 0.05
    assert trial.brier < 0.25
    assert sum(share for share, _, _ in trial.steps) == pytest.approx(1)
    assert all(abs(confidence - right) < 0.25 for share, confidence, right in trial.steps if share > 0.05)


def test_half_of_the_weight_is_on_strangers_however_many_they_are() -> None:
    few, many = (learn_confidence(people(100, count, 1.2), pools=False) for count in (60, 400))
    assert few is not None
    assert many is not None
    probes = [(similarity, similarity) for similarity in (0.2, 0.35, 0.5)]
    for probe in probes:
        one, other = (Confidence(single=found.curve).of(*probe, 1) for found in (few, many))
        assert one == pytest.approx(other, abs=0.12)


def test_more_similar_is_surer() -> None:
    curves = Confidence(learnt(pools=False).curve)
    sure = [curves.of(similarity, similarity - 0.2, 1) or 0.0 for similarity in (0.2, 0.4, 0.6, 0.9)]
    assert sure == sorted(sure)
    assert sure[0] < 0.3 < 0.9 < sure[-1]


def test_the_probes_that_it_rests_on_are_counted() -> None:
    assert (learnt(pools=False).enrolled, learnt(pools=False).strangers) == (600, 600)
    assert (learnt(pools=True).enrolled, learnt(pools=True).strangers) == (200, 200)


def without_faces(given: dict[str, list[Face | None]]) -> dict[str, list[Face | None]]:
    return {name: [None] * len(faces) for name, faces in given.items()}


@pytest.mark.parametrize(
    "make",
    [
        lambda: {},
        lambda: people(5, 200, 1),
        lambda: people(200, 5, 1),
        lambda: without_faces(people(200, 200, 1)),
        lambda: {"one": people(1, 0, 1)["known-0"][:1]},
    ],
    ids=["nobody", "few enrolled", "few strangers", "no faces", "one picture"],
)
def test_of_too_few_nothing_is_learnt(make: Callable[[], dict[str, list[Face | None]]]) -> None:
    assert learn_confidence(make(), pools=False) is None
    assert learn_confidence(make(), pools=True) is None


def test_who_are_all_told_apart_are_no_surer_than_so_many_probes_allow() -> None:
    found = learn_confidence(people(200, 200, 0.01), pools=True)
    assert found is not None
    assert np.isfinite(found.curve).all()
    sure = Confidence(pooled=found.curve).of(1.0, 0.9, 3)
    assert sure is not None
    assert 0.9 < sure < 1
