"""How likely a name is right: fitted to people who are really searched for, and tried on others.

Logistic regression of whether the nearest person is the right one, on the similarity and the lead over the
next person (Platt: Probabilistic outputs for support vector machines, 1999). Probes of people enrolled weigh
as much as those of strangers, however many there are of each: a confidence is for visitors of whom every
second one is enrolled.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.evaluation.calibration import RULE
from app.evaluation.errors import EvaluationError
from app.evaluation.identification import Searches, look_up, lot
from app.evaluation.visits import Probes, Visits, assign_visits, faces_of, template
from app.models import Floats
from app.search import Curve

__all__ = ["Bin", "FittedConfidence", "Reliability", "fit_confidence"]

#: Steps of Newton's method at most; a dozen are usual.
_STEPS = 100
#: Keeps the curve finite where all that is right is more similar than all that is wrong.
_RIDGE = 1e-3
_BINS = 10


class Bin(NamedTuple):
    """Probes of about one confidence: their share of all, their mean confidence, the share that is right."""

    share: float
    confidence: float
    right: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """How well confidences hold for people whom they were not fitted to.

    brier: mean squared difference from 1 where the nearest person is the right one, from 0 where not; who
        always says one half has 0.25 (Brier, 1950).
    error: expected calibration error, the mean distance of confidence and share that is right over the bins
        (Naeini et al., 2015).
    bins: ten of equal width; those without probes are left out.
    """

    brier: float
    error: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class FittedConfidence:
    """A curve, how many probes of people enrolled and of strangers it rests on, and how well it holds.

    reliability: of each half of the people, with the curve of the other half.
    """

    curve: Curve
    enrolled: int
    strangers: int
    reliability: Reliability


@dataclass(frozen=True, slots=True)
class _Outcomes:
    """What came of N searches.

    measures: (N, 3): 1, similarity, lead.
    right: (N,) whether the nearest person is the right one.
    enrolled: (N,) whether the probe's person is.
    people: (N,) whose the probe is, by number.
    second: (N,) in which half of the people they are.
    """

    measures: NDArray[np.float64]
    right: NDArray[np.bool_]
    enrolled: NDArray[np.bool_]
    people: NDArray[np.intp]
    second: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.right)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Those of the probes, (N,): one half is shared by people enrolled, and one by strangers."""
        each = np.where(self.enrolled, self.enrolled.sum(), (~self.enrolled).sum())
        return np.asarray(0.5 / each, np.float64)

    def half(self, second: bool) -> "_Outcomes":
        """Return the searches for one half of the people."""
        rows = self.second == second
        columns = (self.measures, self.right, self.enrolled, self.people, self.second)
        return _Outcomes(*(column[rows] for column in columns))

    def count_people(self, enrolled: bool) -> int:
        """Return how many people were searched for: of one person, several probes fail together."""
        return len(np.unique(self.people[self.enrolled == enrolled]))


def fit_confidence(people: Mapping[str, Probes], *, several: bool) -> FittedConfidence:
    """Fit the curve of single faces, or of `several` in one template.

    Raises:
        EvaluationError: too few people are enrolled, or are strangers.
    """
    outcomes = _search(assign_visits(people), several)
    halves = outcomes.half(False), outcomes.half(True)
    for enrolled, whom in ((True, "people enrolled"), (False, "strangers")):
        count = min(half.count_people(enrolled) for half in halves)
        if count < RULE:
            raise EvaluationError(
                f"{count} {whom} could be searched for in one half of the dataset, {RULE} are needed"
            )
    confidence = np.empty(len(outcomes))
    for half, other in zip((False, True), reversed(halves), strict=True):
        rows = outcomes.second == half
        confidence[rows] = _confidence(_fit(other), outcomes.measures[rows])
    probes = int(outcomes.enrolled.sum())
    added, by_similarity, by_lead = (round(float(one), 4) for one in _fit(outcomes))
    return FittedConfidence(
        (added, by_similarity, by_lead),
        probes,
        len(outcomes) - probes,
        _reliability(confidence, outcomes),
    )


def _search(visits: Visits, several: bool) -> _Outcomes:
    index = visits.index()
    known = [(name, probe) for name, probe in _probes(visits.known, several) if name in index]
    strangers = list(_probes(visits.strangers, several))
    found = [look_up(index, known), look_up(index, [(None, probe) for _, probe in strangers])]
    names = [name for name, _ in (*known, *strangers)]
    numbers = {name: number for number, name in enumerate(names)}
    return _Outcomes(
        np.concatenate([_measures(searches) for searches in found]),
        np.concatenate([searches.right for searches in found]),
        np.array([True] * len(known) + [False] * len(strangers), np.bool_),
        np.array([numbers[name] for name in names], np.intp),
        np.array([lot(name)[0] % 2 for name in names], np.bool_),
    )


def _probes(people: Mapping[str, Probes], several: bool) -> Iterator[tuple[str, Floats]]:
    """Give who is searched for, and by what: a template of all their faces, or one face after the other."""
    for name, probes in people.items():
        faces = faces_of(probes)
        if not several:
            yield from ((name, face.embedding) for face in faces)
        elif len(faces) > 1:
            yield name, template(faces)


def _measures(searches: Searches) -> NDArray[np.float64]:
    similarities = searches.nearest.similarities
    lead = similarities - searches.nearest.runners_up
    return np.stack([np.ones(len(similarities)), similarities, lead], axis=1)


def _fit(outcomes: _Outcomes) -> NDArray[np.float64]:
    """Return the coefficients, (3,), by Newton's method."""
    weights, measures = outcomes.weights, outcomes.measures
    # Platt's targets: no more certain than so many probes allow.
    right, wrong = outcomes.right.sum(), (~outcomes.right).sum()
    targets = np.where(outcomes.right, (right + 1) / (right + 2), 1 / (wrong + 2))
    ridge = _RIDGE * np.diag([0.0, 1.0, 1.0]) / len(outcomes)
    curve = np.zeros(3)
    for _ in range(_STEPS):
        confidence = _confidence(curve, measures)
        gradient = measures.T @ (weights * (confidence - targets)) + ridge @ curve
        hessian = (measures.T * (weights * confidence * (1 - confidence))) @ measures + ridge
        step = np.linalg.solve(hessian, gradient)
        # A longer one may leap over the minimum, to where the curve is flat.
        curve -= step / max(1.0, float(np.abs(measures @ step).max()) / 4)
        if np.abs(step).max() < 1e-8:
            break
    return curve


def _confidence(curve: NDArray[np.float64], measures: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(measures @ curve, -30, 30))), np.float64)


def _reliability(confidence: NDArray[np.float64], outcomes: _Outcomes) -> Reliability:
    weights = outcomes.weights
    places = np.minimum((confidence * _BINS).astype(np.intp), _BINS - 1)
    bins = []
    for place in np.unique(places):
        inside = weights * (places == place)
        share = float(inside.sum())
        bins.append(Bin(share, float(inside @ confidence) / share, float(inside @ outcomes.right) / share))
    return Reliability(
        float(weights @ (confidence - outcomes.right) ** 2),
        sum(one.share * abs(one.confidence - one.right) for one in bins),
        tuple(bins),
    )
