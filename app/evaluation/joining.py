"""From which similarity on two visits are one person's: templates of several pictures, compared.

Strangers' small pictures resemble each other more than they do good ones, so what is compared with its own
kind has a threshold of its own. A visit is compared with the handful that are open on its stream: one false
match in a thousand comparisons joins two people once in some hundred visits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.evaluation.calibration import RULE
from app.evaluation.face import Face
from app.evaluation.histogram import ScoreHistogram, allowed_errors
from app.evaluation.pooling import PROBES
from app.models import Floats
from app.search import compare
from app.tracking import TELLING, pooled

__all__ = ["FMR", "Joining", "join_threshold"]

#: The rate of false matches of two visits.
FMR = 1e-3


@dataclass(frozen=True, slots=True)
class Joining:
    """A threshold for two visits, and what it rests on.

    comparisons: of templates of different people; false_matches: how many of them reach the threshold.
    pairs: of two templates of one person; joined: the share of them that reach it.
    """

    threshold: float
    comparisons: int
    false_matches: int
    pairs: int
    joined: float


def join_threshold(people: Mapping[str, Sequence[Face | None]]) -> Joining | None:
    """Return the threshold; None where `people` are too few for it.

    Each is a visit with up to `PROBES` pictures; the first one of who has more is left out, for it is the one
    that they are enrolled with. Whose pictures do not tell who they are is left out, as in a worker.
    """
    visits = [_template(faces) for faces in _visits(people)]
    told = [visit for visit in visits if visit is not None]
    if not told:
        return None
    alike = compare(np.stack(told), np.stack(told))
    impostors = ScoreHistogram(alike[np.triu_indices(len(told), 1)])
    allowed = allowed_errors(FMR, len(impostors))
    threshold = impostors.threshold(allowed) if allowed >= RULE else None
    if threshold is None or impostors.at_least(threshold) < RULE:
        return None
    same = ScoreHistogram(_genuine(people))
    joined = same.at_least(threshold) / max(len(same), 1)
    return Joining(threshold, len(impostors), impostors.at_least(threshold), len(same), joined)


def _visits(people: Mapping[str, Sequence[Face | None]]) -> Iterator[list[Face]]:
    for faces in people.values():
        if len(faces) > 1:
            theirs = faces[1 : PROBES + 1] if len(faces) > PROBES else faces
            yield [face for face in theirs if face is not None]


def _template(faces: Sequence[Face]) -> Floats | None:
    """Return what faces are pooled to; None where they tell nobody."""
    quality = np.array([face.quality for face in faces])
    if not faces or quality.mean() < TELLING:
        return None
    return pooled(np.stack([face.embedding for face in faces]), quality)


def _genuine(people: Mapping[str, Sequence[Face | None]]) -> list[float]:
    """Return the similarities of a template of two pictures of somebody with their third one."""
    found = []
    for faces in _visits(people):
        one, other = _template(faces[:2]), _template(faces[2:])
        if len(faces) == PROBES and one is not None and other is not None:
            found.append(float(one @ other))
    return found
