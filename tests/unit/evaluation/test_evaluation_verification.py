"""The accuracy of pairs, against cases by hand and against the definition, written out."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.evaluation.errors import EvaluationError
from app.evaluation.pairs import Pair
from app.evaluation.verification import best_threshold, verify
from app.models.images import Floats

Scored = tuple[float | None, bool, int]


def turned(similarity: float) -> Floats:
    """A unit vector with this similarity to the first axis."""
    return np.array([similarity, np.sqrt(1 - similarity**2)], np.float32)


def given_pairs(scored: list[Scored]) -> tuple[list[Pair], dict[Path, Floats | None]]:
    """Pairs with these similarities (None: the second picture has no face), kinds and folds."""
    embeddings: dict[Path, Floats | None] = {Path("axis"): turned(1.0)}
    pairs = []
    for number, (score, same, fold) in enumerate(scored):
        path = Path(str(number))
        embeddings[path] = None if score is None else turned(score)
        pairs.append(Pair(Path("axis"), path, same, fold))
    return pairs, embeddings


def test_each_fold_is_decided_by_the_others_threshold() -> None:
    first: list[Scored] = [(0.75, True, 0), (0.5, True, 0), (0.25, False, 0), (0.0, False, 0)]
    second: list[Scored] = [(0.875, True, 1), (0.625, True, 1), (0.5625, False, 1), (0.125, False, 1)]
    found = verify(*given_pairs(first + second))
    # The second fold's threshold, 0.625, refuses the genuine 0.5 of the first; the first one's, 0.5, accepts
    # the impostor 0.5625 of the second.
    assert [fold.threshold for fold in found.folds] == [0.625, 0.5]
    assert [fold.accuracy for fold in found.folds] == [0.75, 0.75]
    assert (found.accuracy, found.deviation, found.pairs) == (0.75, 0.0, 8)


def test_the_deviation_is_that_of_a_sample() -> None:
    scored: list[Scored] = [(0.5, True, 0), (0.0, False, 0), (0.25, True, 1), (0.375, False, 1)]
    found = verify(*given_pairs(scored))
    accuracies = [fold.accuracy for fold in found.folds]
    mean = sum(accuracies) / 2
    assert len(set(accuracies)) == 2
    assert found.accuracy == mean
    assert found.deviation == pytest.approx(sum((value - mean) ** 2 for value in accuracies) ** 0.5)


def test_a_pair_without_a_face_is_wrong_and_no_impostor_attempt() -> None:
    scored: list[Scored] = [(0.75, True, 0), (None, True, 0), (0.0, False, 0), (None, False, 0)]
    found = verify(*given_pairs(scored))
    assert (found.accuracy, found.without_face) == (0.5, 2)
    assert (found.attempts, len(found.genuine), len(found.impostors)) == (2, 1, 1)


def test_a_miss_for_want_of_a_face_lowers_the_share_of_hits() -> None:
    scored: list[Scored] = [(0.75, True, 0), (None, True, 0)] + [(0.0, False, 0)] * 100
    point = verify(*given_pairs(scored)).points[0]
    assert (point.rate, point.hits) == (0.01, 0.5)


def test_rates_that_the_pairs_cannot_support_have_no_figure() -> None:
    scored: list[Scored] = [(0.75, True, 0)] + [(number / 200, False, 0) for number in range(100)]
    found = verify(*given_pairs(scored))
    assert [point.threshold is None for point in found.points] == [False, True, True]
    assert [point.needed for point in found.points] == [100, 1000, 10_000]


def test_one_fold_has_no_deviation() -> None:
    found = verify(*given_pairs([(0.75, True, 0), (0.25, False, 0)]))
    assert (found.accuracy, found.deviation, found.folds[0].threshold) == (1.0, None, 0.75)


def test_nothing_to_choose_a_threshold_by_is_said() -> None:
    scored: list[Scored] = [(0.5, True, 0), (0.0, False, 0), (None, True, 1), (None, False, 1)]
    with pytest.raises(EvaluationError, match="the threshold of fold 1"):
        verify(*given_pairs(scored))


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.4, 0.5]), st.booleans()), min_size=1))
def test_no_score_decides_more_pairs_rightly(pairs: list[tuple[float, bool]]) -> None:
    def right(threshold: float) -> int:
        return sum((score >= threshold) == same for score, same in pairs)

    found = best_threshold(np.array([score for score, _ in pairs]), np.array([same for _, same in pairs]))
    best = sorted({score for score, _ in pairs if right(score) == max(right(other) for other, _ in pairs)})
    assert found == best[len(best) // 2]
