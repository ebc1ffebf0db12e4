"""A threshold follows from the rate, the gallery and the impostors, or is refused."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.evaluation.calibration import RULE, calibrate, false_match_rate
from app.evaluation.check import tail
from app.evaluation.errors import EvaluationError
from app.evaluation.sample import Faces

MARGIN = 0.05


def crowd(people: int, each: int, seed: int = 1, dimension: int = 16, noise: float = 0.15) -> Faces:
    """People with pictures that lie near each other."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(people, 1, dimension))
    vectors = centres + noise * random.normal(size=(people, each, dimension))
    unit = (vectors / np.linalg.norm(vectors, axis=2, keepdims=True)).astype(np.float32)
    return {f"p{number}": list(theirs) for number, theirs in enumerate(unit)}


@pytest.mark.parametrize(("fpir", "gallery"), [(0.01, 1), (0.01, 1000), (0.5, 7), (1e-9, 10**6)])
def test_the_rate_of_a_gallery_comes_out_again(fpir: float, gallery: int) -> None:
    fmr = false_match_rate(fpir, gallery)
    assert 0 < fmr <= fpir
    assert -np.expm1(gallery * np.log1p(-fmr)) == pytest.approx(fpir)


def test_a_gallery_of_one_is_a_pair() -> None:
    assert false_match_rate(0.01, 1) == pytest.approx(0.01)


def test_the_threshold_is_the_least_that_has_the_rate() -> None:
    people = crowd(60, 4)
    found = calibrate(people, 0.1, 10, MARGIN)
    faces = [(name, face) for name, theirs in people.items() for face in theirs if face is not None]
    scores = np.array(
        [
            float(np.float64(one @ two))
            for place, (name, one) in enumerate(faces)
            for other, two in faces[place + 1 :]
            if name != other
        ]
    )
    assert found.comparisons == len(scores) == 240 * 239 // 2 - 60 * 6
    allowed = int(found.fmr * len(scores))
    assert RULE <= found.false_matches <= allowed
    # Half a step beside it, so that the rounding of a product decides nothing.
    assert (scores >= found.threshold + 5e-5).sum() <= allowed < (scores >= found.threshold - 1.5e-4).sum()
    assert (scores >= found.threshold).sum() == pytest.approx(found.false_matches, abs=2)


def test_more_people_in_the_gallery_need_a_higher_threshold() -> None:
    people = crowd(240, 1)
    thresholds = [calibrate(people, 0.2, gallery, MARGIN).threshold for gallery in (1, 10, 40)]
    assert thresholds == sorted(set(thresholds))


def test_it_is_tried_out_on_strangers() -> None:
    people = crowd(200, 5)
    found = calibrate(people, 0.2, 50, MARGIN)
    check = found.check
    assert check is not None
    # A quarter of 200 people are made strangers; 50 of the others are enrolled.
    assert (check.gallery, check.searches) == (50, 250)
    assert check.fpir == check.named / 250
    assert check.expected == pytest.approx(0.2)
    assert 0.1 < check.fpir < 0.35
    assert check.identified_with_margin <= check.identified <= 1


def test_a_gallery_smaller_than_asked_for_is_said_to_be() -> None:
    check = calibrate(crowd(160, 2), 0.5, 400, MARGIN).check
    assert check is not None
    assert check.gallery == 120
    assert check.expected == pytest.approx(1 - 0.5**0.3)


def test_people_who_cannot_be_enrolled_are_missed() -> None:
    people = dict(crowd(160, 3))
    whole = calibrate(people, 0.2, 100, MARGIN).check
    people = {name: [None, *theirs[1:]] if int(name[1:]) % 2 else theirs for name, theirs in people.items()}
    half = calibrate(people, 0.2, 100, MARGIN).check
    assert whole is not None
    assert half is not None
    assert half.gallery < whole.gallery
    assert half.identified < 0.75 * whole.identified


def test_a_rate_that_rests_on_too_little_is_refused_with_what_it_would_need() -> None:
    people = crowd(60, 4)
    needed = int(np.ceil(RULE / false_match_rate(0.01, 100)))
    with pytest.raises(EvaluationError, match=f"needs {needed:,} impostor comparisons") as caught:
        calibrate(people, 0.01, 100, MARGIN)
    assert "28,320" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_it_says_it_needs_is_enough() -> None:
    people = crowd(240, 1)
    gallery = next(size for size in range(1, 1000) if 30 / false_match_rate(0.01, size) > 28_680) - 1
    assert calibrate(people, 0.01, gallery, MARGIN).false_matches <= RULE + 1
    with pytest.raises(EvaluationError, match="impostor comparisons"):
        calibrate(people, 0.01, gallery + 1, MARGIN)


def test_one_person_is_not_enough() -> None:
    with pytest.raises(EvaluationError, match="at least two people, found one"):
        calibrate(crowd(1, 9), 0.01, 10, MARGIN)


def test_people_without_faces_have_no_impostors() -> None:
    people: Faces = {"ada": [None, None], "bo": [None]}
    with pytest.raises(EvaluationError, match="the dataset has 0"):
        calibrate(people, 0.01, 10, MARGIN)


@pytest.mark.parametrize("seed", range(5))
def test_copies_under_two_names_are_suspected(seed: int) -> None:
    (face,) = crowd(1, 1, seed, dimension=512)["p0"]
    assert face is not None
    people: Faces = {name: [face] * 40 for name in ("ada", "bo")}
    with pytest.raises(EvaluationError, match="copies of one picture under several names"):
        calibrate(people, 0.1, 1, MARGIN)


def test_a_picture_under_forty_names_gives_no_threshold() -> None:
    people = dict(crowd(60, 2, dimension=512))
    copy = people["p0"][0]
    people |= {f"copy{number}": [copy, people[f"p{number}"][1]] for number in range(40)}
    with pytest.raises(EvaluationError, match="have similarity 1"):
        calibrate(people, 0.3, 10, MARGIN)


def test_ties_below_one_leave_too_few_false_matches() -> None:
    # Everybody is as similar to everybody: a threshold above that rests on nothing.
    vectors = np.hstack([np.full((40, 1), 0.5**0.5), np.eye(40) * 0.5**0.5]).astype(np.float32)
    people: Faces = {f"p{number}": [vector] for number, vector in enumerate(vectors)}
    with pytest.raises(EvaluationError, match="would rest on 0 false matches, not 30: too many"):
        calibrate(people, 0.1, 1, MARGIN)


def test_people_who_are_all_unlike_each_other_are_not_enough() -> None:
    with pytest.raises(EvaluationError, match="a threshold of 0, which 0 comparisons of two people reach"):
        calibrate(crowd(2, 14), 0.3, 1, MARGIN)


def test_two_people_with_many_pictures_are_not_enough() -> None:
    people = crowd(2, 14, noise=3)
    with pytest.raises(EvaluationError, match=r"false matches of only 1 pairs of people, .* more people"):
        calibrate(people, 0.3, 1, MARGIN)


def test_thirty_pairs_of_people_are_enough() -> None:
    # Everybody looks like everybody: 8 people make 28 pairs, 9 make 36.
    with pytest.raises(EvaluationError, match="of only 28 pairs of people, and needs 30"):
        calibrate(crowd(8, 6, noise=3), 0.9, 1, MARGIN)
    assert calibrate(crowd(9, 6, noise=3), 0.9, 1, MARGIN).false_matches >= RULE


def with_second_names(people: Faces, count: int) -> Faces:
    """Give the last pictures of some people another name."""
    changed = dict(people)
    for name in list(people)[:count]:
        changed[name], changed[f"again {name}"] = people[name][:-1], people[name][-1:]
    return changed


def test_strangers_who_are_named_too_often_prove_a_threshold_wrong() -> None:
    people = crowd(200, 3, dimension=64)
    found = calibrate(people, 0.2, 150, MARGIN).check
    assert found is not None
    assert not found.beyond_chance
    says = r"does not hold: tried out with 150 people enrolled, 21 of 74 strangers .* named, 5\.00% expected"
    with pytest.raises(EvaluationError, match=says):
        calibrate(with_second_names(people, 60), 0.05, 150, MARGIN)


def test_in_a_small_gallery_it_is_said_but_not_refused() -> None:
    people = dict(crowd(428, 3, dimension=64))
    people |= {name: theirs[:1] for name, theirs in list(people.items())[28:]}
    check = calibrate(with_second_names(people, 28), 0.02, 28, MARGIN).check
    assert check is not None
    assert check.gallery == 28 < RULE
    assert check.beyond_chance


def test_where_nobody_has_two_pictures_nothing_is_tried_out() -> None:
    assert calibrate(crowd(100, 1), 0.1, 2, MARGIN).check is None


@pytest.mark.parametrize(
    ("fpir", "gallery"),
    [(0.0, 1), (1.0, 1), (float("nan"), 1), (5e-324, 10**9), (1e-300, 1), (0.1, 0), (0.1, 10**400)],
)
def test_nonsense_is_refused(fpir: float, gallery: int) -> None:
    with pytest.raises(EvaluationError, match=r"expected a (rate|gallery) [^\n]{,60}, found"):
        calibrate(crowd(4, 2), fpir, gallery, MARGIN)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 16))
def test_a_tail_is_the_sum_of_all_that_is_as_rare(hits: int, tries: int, sixteenths: int) -> None:
    rate = Fraction(sixteenths, 16)
    exact = sum(
        comb(tries, number) * rate**number * (1 - rate) ** (tries - number)
        for number in range(hits, tries + 1)
    )
    assert tail(hits, tries, float(rate)) == pytest.approx(float(exact), rel=1e-9)


def test_large_numbers_are_no_obstacle_to_a_tail() -> None:
    # 100,000 tries at 0.01: 1,000 are expected, give or take 31.
    assert tail(1000, 100_000, 0.01) == pytest.approx(0.504, abs=0.01)
    assert tail(1200, 100_000, 0.01) < 1e-9
    assert tail(800, 100_000, 0.01) > 1 - 1e-9
