"""Open-set identification: who of the gallery is on a picture, if anybody?

Phillips, Grother, Micheals: Evaluation Methods in Face Recognition, 2011; Grother, Ngan: FRVT, NIST IR 8009.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.evaluation.histogram import Point, ScoreHistogram, operating_point
from app.evaluation.sample import Faces
from app.models import Floats
from app.search import Index, Nearest

__all__ = [
    "FPIRS",
    "Identification",
    "Roles",
    "Searches",
    "assign_roles",
    "identify",
    "look_up",
    "lot",
    "search",
]

#: The false-positive identification rates that are looked at.
FPIRS = (1e-2, 1e-3)


@dataclass(frozen=True, slots=True)
class Roles:
    """Who is enrolled, with their first picture, and who is a stranger."""

    known: tuple[str, ...]
    strangers: tuple[str, ...]
    #: How many of the strangers have several pictures: they would be known, had there been enough others.
    made: int


@dataclass(frozen=True, slots=True)
class Searches:
    """What a gallery with one picture of each said of probes; a probe without a face has no search.

    nearest: of the N probes with a face.
    right: (N,) whether that is the person; never for a stranger.
    without_face: probes that were not searched for.
    """

    nearest: Nearest
    right: NDArray[np.bool_]
    without_face: int

    def __len__(self) -> int:
        """How many probes there were, those without a face among them."""
        return len(self.right) + self.without_face


@dataclass(frozen=True, slots=True)
class Identification:
    """How well a gallery of one picture of each person names the people of other pictures.

    What failed for want of a face is a miss for the people enrolled. A stranger without a face was not
    searched for, so that no rate rests on them.
    """

    enrolled: int
    #: People whose enrolment picture has no face.
    not_enrolled: int
    probes: int
    probes_without_face: int
    strangers: int
    strangers_made: int
    stranger_probes: int
    stranger_probes_without_face: int
    #: The share of probes whose nearest person is the right one.
    rank1: float
    #: DIR, rank 1, at each FPIR.
    points: tuple[Point, ...]


def assign_roles(people: Mapping[str, Sequence[object]]) -> Roles | None:
    """Say who is enrolled and who is not; None where nobody has two pictures.

    Who has one picture is a stranger. Where these are less than a quarter of the people, others join them, by
    the SHA-256 of their names: it is the same ones every time.
    """
    several = sorted((name for name, theirs in people.items() if len(theirs) > 1), key=lot)
    if not several:
        return None
    single = [name for name, theirs in people.items() if len(theirs) == 1]
    wanted = -(-len(people) // 4) - len(single)
    made = max(0, min(wanted, len(several) - 1))
    return Roles(tuple(several[made:]), (*single, *several[:made]), made)


def identify(people: Faces) -> Identification | None:
    """Enrol and search; None where nobody has two pictures."""
    roles = assign_roles(people)
    if roles is None:
        return None
    known, strangers = search(people, roles.known, roles.strangers)
    right = ScoreHistogram(known.nearest.similarities[known.right])
    impostors = ScoreHistogram(strangers.nearest.similarities)
    enrolled = sum(people[name][0] is not None for name in roles.known)
    return Identification(
        enrolled=enrolled,
        not_enrolled=len(roles.known) - enrolled,
        probes=len(known),
        probes_without_face=known.without_face,
        strangers=len(roles.strangers),
        strangers_made=roles.made,
        stranger_probes=len(strangers),
        stranger_probes_without_face=strangers.without_face,
        rank1=len(right) / len(known),
        points=tuple(operating_point(rate, impostors, right, len(known)) for rate in FPIRS),
    )


def search(people: Faces, known: Sequence[str], strangers: Sequence[str]) -> tuple[Searches, Searches]:
    """Enrol the first picture of each of `known`; search for their others, and for all of `strangers`."""
    index = Index()
    for name in known:
        if (face := people[name][0]) is not None:
            index.add(name, face[None])
    theirs = [(name, face) for name in known for face in people[name][1:]]
    # Who is not enrolled is never the right one.
    others = [(None, face) for name in strangers for face in people[name]]
    return look_up(index, theirs), look_up(index, others)


def look_up(index: Index, probes: Sequence[tuple[str | None, Floats | None]]) -> Searches:
    """Search `index` for `probes`, each with who it is: None for a stranger, who is never the right one."""
    faces = [face for _, face in probes if face is not None]
    nearest = index.search(np.stack(faces) if faces else np.empty((0, 0), np.float32))
    people = [person for person, face in probes if face is not None]
    right = [
        person is not None and person == owner for person, owner in zip(people, nearest.owners, strict=True)
    ]
    return Searches(nearest, np.array(right, np.bool_), len(probes) - len(faces))


def lot(name: str) -> bytes:
    """Return what puts people in an order that has nothing to do with their names, always the same one."""
    # The bytes that the folder is called: they need not be text.
    return hashlib.sha256(os.fsencode(name)).digest()
