"""From which similarity on two visits are one person's: templates of several pictures, compared.

Strangers' small pictures resemble each other more than they do good ones, so what is compared with its own
kind has a threshold of its own. A visit is compared with the handful that are open on its stream: one false
match in a thousand comparisons joins two people once in some hundred visits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from app.evaluation.calibration import RULE
from app.evaluation.errors import EvaluationError
from app.evaluation.face import Face
from app.evaluation.histogram import ScoreHistogram, allowed_errors
from app.evaluation.visits import PROBES, Probes, assign_visits, faces_of, template
from app.models import Floats
from app.search import compare
from app.tracking import TELLING

__all__ = ["FMR", "Joining", "join_threshold"]

#: The rate of false matches of two visits.
FMR = 1e-3


@dataclass(frozen=True, slots=True)
class Joining:
    """A threshold for two visits, and what it rests on.

    comparisons: of templates of different people; false_matches: how many of them reach the threshold.
    pairs: of two templates of one person, without a picture in common; joined: the share that reaches it.
    """

    threshold: float
    comparisons: int
    false_matches: int
    pairs: int
    joined: float


def join_threshold(people: Mapping[str, Probes]) -> Joining:
    """Find the threshold; everybody who comes is one visit.

    Whose pictures do not tell who they are is left out, as in a worker.

    Raises:
        EvaluationError: `people` are too few for it.
    """
    visits = assign_visits(people)
    faces = [faces_of(probes) for probes in (*visits.known.values(), *visits.strangers.values())]
    impostors = _impostors([found for found in map(_template, faces) if found is not None])
    allowed = allowed_errors(FMR, len(impostors))
    threshold = impostors.threshold(allowed)
    if allowed < RULE or threshold is None or impostors.at_least(threshold) < RULE:
        raise EvaluationError(
            f"a false match rate of {FMR:g} needs {RULE / FMR:,.0f} comparisons of visits of two people,"
            f" most of which are not copies of each other: the dataset has {len(impostors):,}"
        )
    genuine = ScoreHistogram(_genuine(faces))
    joined = genuine.at_least(threshold) / max(len(genuine), 1)
    return Joining(threshold, len(impostors), impostors.at_least(threshold), len(genuine), joined)


def _template(faces: list[Face]) -> Floats | None:
    """Return what faces are pooled to; None where they do not tell who it is."""
    tells = faces and np.mean([face.quality for face in faces]) >= TELLING
    return template(faces) if tells else None


def _impostors(templates: list[Floats]) -> ScoreHistogram:
    """Return the similarities of each template, one a person, with every other one."""
    if not templates:
        return ScoreHistogram()
    rows = np.stack(templates)
    return ScoreHistogram(compare(rows, rows)[np.triu_indices(len(rows), 1)])


def _genuine(visits: Iterable[list[Face]]) -> list[float]:
    """Return the similarities of a template of two pictures of somebody with their third one."""
    found = []
    for faces in visits:
        one, other = _template(faces[:2]), _template(faces[2:])
        if len(faces) == PROBES and one is not None and other is not None:
            found.append(float(one @ other))
    return found
