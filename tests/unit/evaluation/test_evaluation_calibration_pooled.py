"""The threshold of several faces in one template, from visits that are compared with everybody enrolled."""

import numpy as np
import pytest
from crowd import people

from app.evaluation import EvaluationError, calibrate, calibrate_pooled
from app.evaluation.calibration import RULE
from app.evaluation.visits import Probes, assign_visits, template

MARGIN = 0.05


def singles(crowd: dict[str, Probes]) -> dict[str, list[np.ndarray]]:
    return {name: [face.embedding for face in faces if face] for name, faces in crowd.items()}


def test_the_threshold_is_the_least_that_has_the_rate() -> None:
    crowd = people(100, 200, 1.5)
    found = calibrate_pooled(crowd, 0.1, 10, MARGIN)
    visits = assign_visits(crowd)
    scores = np.array(
        [
            float(template(faces) @ face.embedding)
            for name, faces in visits.with_several_faces()
            for other, face in visits.enrolled.items()
            if face is not None and name != other
        ]
    )
    assert found.comparisons == len(scores) == 300 * 100 - 100
    allowed = int(found.fmr * len(scores))
    assert RULE <= found.false_matches <= allowed
    # Half a step beside it, so that the rounding of a product decides nothing.
    assert (scores >= found.threshold + 5e-5).sum() <= allowed < (scores >= found.threshold - 1.5e-4).sum()


def test_it_is_where_the_geometry_says() -> None:
    # Vectors in 64 dimensions at random have similarities of deviation 1/8: 0.1 % are above 3.09 of these.
    fpir = 1 - (1 - 1e-3) ** 10
    found = calibrate_pooled(people(300, 300, 1.0), fpir, 10, MARGIN)
    assert found.threshold == pytest.approx(3.09 / 8, abs=0.02)


def test_a_template_finds_more_people_than_a_face() -> None:
    crowd = people(300, 300, 1.5)
    single, pooled = calibrate(singles(crowd), 0.1, 20, MARGIN), calibrate_pooled(crowd, 0.1, 20, MARGIN)
    assert single.check is not None
    assert pooled.check is not None
    assert pooled.check.identified > single.check.identified + 0.1


def test_it_is_tried_out_on_strangers() -> None:
    check = calibrate_pooled(people(100, 200, 1.0), 0.2, 50, MARGIN).check
    assert check is not None
    assert (check.gallery, check.searches) == (50, 200)
    assert check.fpir == check.named / 200
    assert check.expected == pytest.approx(0.2)
    assert 0.1 < check.fpir < 0.35
    assert check.identified_with_margin <= check.identified <= 1


def test_where_nobody_comes_who_is_enrolled_nothing_is_tried_out() -> None:
    crowd = {
        name: faces[:1] if name.startswith("known") else faces for name, faces in people(100, 200, 1).items()
    }
    assert calibrate_pooled(crowd, 0.2, 10, MARGIN).check is None


@pytest.mark.parametrize(
    "crowd",
    [{}, people(0, 50, 1), {"ada": people(1, 0, 1)["known-0"][:1]}, {"ada": [None] * 4, "bo": [None] * 3}],
    ids=["nobody", "nobody enrolled", "one picture", "no faces"],
)
def test_where_nobody_has_several_pictures_that_is_the_reason(crowd: dict[str, Probes]) -> None:
    with pytest.raises(EvaluationError, match=r"^nobody can be searched for by two pictures with a face"):
        calibrate_pooled(crowd, 0.1, 10, MARGIN)


def test_a_rate_that_rests_on_too_little_is_refused_with_what_it_would_need() -> None:
    with pytest.raises(EvaluationError, match=r"needs 298,\d+ impostor .* has 29,900$"):
        calibrate_pooled(people(100, 200, 1), 0.01, 100, MARGIN)


def test_thirty_pairs_of_people_are_needed() -> None:
    # Each is compared with each other twice, once as the one who comes.
    with pytest.raises(
        EvaluationError, match="rest on 34 false matches of only 23 pairs of people, and needs 30"
    ):
        calibrate_pooled(people(8, 0, 30, seed=5), 0.9, 1, MARGIN)


def test_strangers_who_are_named_too_often_prove_a_threshold_wrong() -> None:
    crowd = people(300, 100, 1.0)
    assert calibrate_pooled(crowd, 0.1, 200, MARGIN).check is not None
    again = {f"again {name}": crowd[name][1:] for name in list(crowd)[:60]}
    with pytest.raises(EvaluationError, match="does not hold: tried out with 200 people enrolled"):
        calibrate_pooled(crowd | again, 0.1, 200, MARGIN)


@pytest.mark.parametrize(("fpir", "gallery"), [(0.0, 1), (1.0, 1), (0.1, 0)])
def test_nonsense_is_refused(fpir: float, gallery: int) -> None:
    with pytest.raises(EvaluationError, match=r"expected a (rate|gallery)"):
        calibrate_pooled(people(4, 4, 1), fpir, gallery, MARGIN)
