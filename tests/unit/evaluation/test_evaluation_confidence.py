"""How likely a name is right is fitted to people who were searched for, and holds for others too."""

from collections.abc import Callable

import numpy as np
import pytest
from crowd import people

from app.evaluation import EvaluationError, FittedConfidence, fit_confidence
from app.evaluation.confidence import _fit, _Outcomes, _reliability
from app.evaluation.face import Face
from app.search import Confidence


def fitted(*, several: bool, noise: float = 1.5) -> FittedConfidence:
    return fit_confidence(people(200, 200, noise), several=several)


def outcomes(count: int, curve: tuple[float, float, float], seed: int = 0) -> tuple[_Outcomes, np.ndarray]:
    """Return searches whose names are right as often as `curve` says, and how often; all weigh the same."""
    random = np.random.default_rng(seed)
    similarity = random.uniform(0, 1, count)
    measures = np.stack([np.ones(count), similarity, similarity * random.uniform(0, 1, count)], axis=1)
    truth = 1 / (1 + np.exp(-measures @ np.array(curve)))
    half = np.arange(count) % 2 == 0
    return _Outcomes(measures, random.random(count) < truth, half, np.arange(count), half), truth


def test_a_set_that_follows_a_curve_gives_that_curve() -> None:
    curve = (-6.0, 9.0, 4.0)
    found, truth = outcomes(50_000, curve)
    assert _fit(found) == pytest.approx(curve, rel=0.08)
    exact = _reliability(truth, found)
    assert exact.error < 0.01
    assert all(abs(one.confidence - one.right) < 0.05 for one in exact.bins)


def test_who_claims_too_much_is_found_out() -> None:
    found, truth = outcomes(20_000, (-6.0, 9.0, 4.0))
    exact, bold = _reliability(truth, found), _reliability(np.minimum(truth + 0.2, 1.0), found)
    assert bold.error > 0.15
    assert bold.brier > exact.brier + 0.01


def test_one_half_says_nothing() -> None:
    found, truth = outcomes(1000, (-6.0, 9.0, 4.0))
    assert _reliability(np.full_like(truth, 0.5), found).brier == pytest.approx(0.25)


@pytest.mark.parametrize("several", [False, True])
def test_it_holds_for_people_whom_it_was_not_fitted_to(several: bool) -> None:
    reliability = fitted(several=several).reliability
    assert reliability.error < 0.05
    assert reliability.brier < 0.25
    assert sum(one.share for one in reliability.bins) == pytest.approx(1)
    assert all(abs(one.confidence - one.right) < 0.25 for one in reliability.bins if one.share > 0.05)


def test_half_of_the_weight_is_on_strangers_however_many_they_are() -> None:
    few, many = (fit_confidence(people(100, count, 1.2), several=False) for count in (100, 400))
    for similarity in (0.2, 0.35, 0.5):
        one, other = (Confidence(single=found.curve).of(similarity, similarity, 1) for found in (few, many))
        assert one == pytest.approx(other, abs=0.12)


def test_more_similar_is_surer() -> None:
    confidence = Confidence(fitted(several=False).curve)
    sure = [confidence.of(similarity, similarity - 0.2, 1) or 0.0 for similarity in (0.2, 0.4, 0.6, 0.9)]
    assert sure == sorted(sure)
    assert sure[0] < 0.3 < 0.9 < sure[-1]


def test_the_probes_that_it_rests_on_are_counted() -> None:
    single, pooled = fitted(several=False), fitted(several=True)
    assert (single.enrolled, single.strangers) == (600, 600)
    assert (pooled.enrolled, pooled.strangers) == (200, 200)


def test_who_has_one_face_is_no_probe_of_several() -> None:
    crowd = people(200, 200, 1.5)
    for name in list(crowd)[:50]:
        crowd[name] = [*crowd[name][:2], None, None]
    assert fit_confidence(crowd, several=True).enrolled == 150
    assert fit_confidence(crowd, several=False).enrolled == 500


def test_who_has_no_face_to_be_enrolled_with_is_not_searched_for() -> None:
    crowd = people(200, 200, 1.5)
    for name in list(crowd)[:50]:
        crowd[name] = [None, *crowd[name][1:]]
    assert fit_confidence(crowd, several=True).enrolled == 150


def test_names_of_people_may_be_any_that_a_folder_has() -> None:
    crowd = {f"\udce9{name}": faces for name, faces in people(100, 100, 1.5).items()}
    assert fit_confidence(crowd, several=False).enrolled == 300


def without_faces(given: dict[str, list[Face | None]]) -> dict[str, list[Face | None]]:
    return {name: [None] * len(faces) for name, faces in given.items()}


@pytest.mark.parametrize(
    ("make", "whom"),
    [
        (dict, "people enrolled"),
        (lambda: people(5, 200, 1), "people enrolled"),
        (lambda: people(200, 5, 1), "strangers"),
        (lambda: without_faces(people(200, 200, 1)), "people enrolled"),
        (lambda: {"one": people(1, 0, 1)["known-0"][:1]}, "people enrolled"),
    ],
    ids=["nobody", "few enrolled", "few strangers", "no faces", "one picture"],
)
@pytest.mark.parametrize("several", [False, True])
def test_too_few_are_refused(
    make: Callable[[], dict[str, list[Face | None]]], whom: str, several: bool
) -> None:
    with pytest.raises(
        EvaluationError, match=rf"^\d+ {whom} could be searched for in one half .*, 30 are needed$"
    ):
        fit_confidence(make(), several=several)


def test_many_pictures_of_few_people_are_few() -> None:
    with pytest.raises(EvaluationError, match="people enrolled could be searched for"):
        fit_confidence(people(50, 200, 1), several=False)


def test_who_are_all_told_apart_are_no_surer_than_so_many_probes_allow() -> None:
    found = fit_confidence(people(200, 200, 0.01), several=True)
    assert np.isfinite(found.curve).all()
    sure = Confidence(pooled=found.curve).of(1.0, 0.9, 3)
    assert sure is not None
    assert 0.9 < sure < 1
