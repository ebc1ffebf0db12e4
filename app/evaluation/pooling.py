"""What it is worth to pool the faces of a visit: open-set identification by several pictures at once.

What fails for want of a face, in the enrolment or in the probes, is a miss; a stranger without one is not
searched for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.evaluation.histogram import Point, ScoreHistogram, operating_point
from app.evaluation.identification import FPIRS, look_up
from app.evaluation.visits import Probes, assign_visits, faces_of, template
from app.models import Floats
from app.search import Index

__all__ = ["Pooling", "Rates", "identify_pooled"]


@dataclass(frozen=True, slots=True)
class Rates:
    """How well people are identified by what is made of their pictures in one way.

    rank1: the share of searches whose nearest person is the right one.
    points: DIR, rank 1, at each FPIR.
    """

    rank1: float
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Pooling:
    """The same people, searched for by one of their pictures and by all of them."""

    enrolled: int
    #: People whose enrolment picture has no face.
    not_enrolled: int
    #: People who are searched for, and those of them who have no face in any of the pictures.
    people: int
    people_without_face: int
    strangers: int
    strangers_without_face: int
    #: One picture at random: what each of them finds, on average.
    single: Rates
    #: The one of best quality.
    best: Rates
    #: All of them in one template, as those of a visit.
    pooled: Rates


def identify_pooled(people: Mapping[str, Probes]) -> Pooling | None:
    """Enrol and search; None where nobody has pictures enough, or nobody is a stranger."""
    visits = assign_visits(people)
    if not visits.known or not visits.strangers:
        return None
    index = visits.index()
    known, strangers = list(visits.known.items()), [(None, probes) for probes in visits.strangers.values()]
    return Pooling(
        len(index),
        len(visits.enrolled) - len(index),
        len(known),
        _without_face(known),
        len(strangers),
        _without_face(strangers),
        *(_rates(index, known, strangers, make) for make in (_each, _best, _pooled)),
    )


def _without_face(people: Sequence[tuple[str | None, Probes]]) -> int:
    return sum(not any(probes) for _, probes in people)


def _each(probes: Probes) -> list[Floats | None]:
    return [None if face is None else face.embedding for face in probes]


def _best(probes: Probes) -> list[Floats | None]:
    faces = faces_of(probes)
    return [max(faces, key=lambda face: face.quality).embedding if faces else None]


def _pooled(probes: Probes) -> list[Floats | None]:
    faces = faces_of(probes)
    return [template(faces) if faces else None]


def _rates(
    index: Index,
    people: Sequence[tuple[str | None, Probes]],
    strangers: Sequence[tuple[str | None, Probes]],
    make: Callable[[Probes], list[Floats | None]],
) -> Rates:
    """Search for people, and for strangers, by what is made of the pictures of each."""
    known, others = (
        look_up(index, [(name, probe) for name, probes in some for probe in make(probes)])
        for some in (people, strangers)
    )
    hits = ScoreHistogram(known.nearest.similarities[known.right])
    impostors = ScoreHistogram(others.nearest.similarities)
    points = tuple(operating_point(rate, impostors, hits, len(known)) for rate in FPIRS)
    return Rates(len(hits) / len(known), points)
