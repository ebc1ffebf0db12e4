"""What it is worth to pool the faces of a visit: open-set identification by several pictures at once.

Who has enough pictures is enrolled with the first one and searched for by the others, all in one template;
who has too few for that, and more than one, is a stranger; who has one is enrolled beside them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.evaluation.face import Face
from app.evaluation.histogram import Point, ScoreHistogram, operating_point
from app.evaluation.identification import FPIRS
from app.models import Floats
from app.search import Index
from app.tracking import pooled

__all__ = ["PROBES", "Pooling", "Way", "identify_pooled"]

#: Pictures that are pooled.
PROBES = 3


@dataclass(frozen=True, slots=True)
class Way:
    """How well people are identified by one template of their pictures, made in one way.

    rank1: the share of people whose nearest person is the right one.
    points: DIR, rank 1, at each FPIR.
    """

    rank1: float
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Pooling:
    """The same people, searched for by one of their pictures and by all of them."""

    enrolled: int
    people: int
    strangers: int
    #: One picture at random: what each of them finds, on average.
    single: Way
    #: The one of best quality.
    best: Way
    #: `PROBES` pictures in one template, as those of a visit.
    pooled: Way


def identify_pooled(people: Mapping[str, Sequence[Face | None]]) -> Pooling | None:
    """Enrol and search; None where nobody has pictures enough, or nobody is a stranger."""
    seen = {name: [face for face in theirs if face is not None] for name, theirs in people.items()}
    known = [name for name, theirs in seen.items() if len(theirs) > PROBES]
    strangers = [name for name, theirs in seen.items() if 1 < len(theirs) <= PROBES]
    if not known or not strangers:
        return None
    index = Index()
    for name in seen.keys() - set(strangers):
        if seen[name]:
            index.add(name, seen[name][0].embedding[None])
    enrolled = sum(name in index for name in seen)
    probes = [(name, seen[name][1 : PROBES + 1]) for name in known]
    others = [(name, seen[name]) for name in strangers]
    ways = (_way(index, probes, others, make) for make in (_each, _best, _pooled))
    return Pooling(enrolled, len(known), len(strangers), *ways)


def _each(faces: Sequence[Face]) -> list[Floats]:
    return [face.embedding for face in faces]


def _best(faces: Sequence[Face]) -> list[Floats]:
    return [max(faces, key=lambda face: face.quality).embedding]


def _pooled(faces: Sequence[Face]) -> list[Floats]:
    return [pooled(np.stack(_each(faces)), np.array([face.quality for face in faces]))]


def _way(
    index: Index,
    people: Sequence[tuple[str, Sequence[Face]]],
    strangers: Sequence[tuple[str, Sequence[Face]]],
    make: Callable[[Sequence[Face]], list[Floats]],
) -> Way:
    """Search for people, and for strangers, by what is made of the faces of each."""
    probes = [(name, probe) for name, faces in people for probe in make(faces)]
    others = [probe for _, faces in strangers for probe in make(faces)]
    found, taken = index.search(np.stack([probe for _, probe in probes])), index.search(np.stack(others))
    right = np.array([owner == name for owner, (name, _) in zip(found.owners, probes, strict=True)], np.bool_)
    hits, impostors = ScoreHistogram(found.similarities[right]), ScoreHistogram(taken.similarities)
    points = tuple(operating_point(rate, impostors, hits, len(probes)) for rate in FPIRS)
    return Way(float(right.mean()), points)
