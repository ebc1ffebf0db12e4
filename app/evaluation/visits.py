"""Visits to a gallery, made of the pictures of known people: who is enrolled, and who comes.

Who has more than `PROBES` pictures is enrolled with the first one, and comes with the next ones; who has more
than one, but no more than that, is a stranger; who has one is enrolled beside them. It goes by how many
pictures there are, whatever is on them: with a detector that misses faces, it is the same people.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.evaluation.face import Face
from app.evaluation.identification import lot
from app.models import Floats
from app.search import Index
from app.tracking import pooled

__all__ = ["PROBES", "Probes", "Visits", "assign_visits", "faces_of", "template"]

#: Pictures that are pooled.
PROBES = 3

#: The pictures of somebody who comes; None for one without a face.
Probes = Sequence[Face | None]


@dataclass(frozen=True, slots=True)
class Visits:
    """Who is enrolled, with which face, and by which pictures people come.

    enrolled: None for a picture without a face.
    known, strangers: those who are enrolled, and those who are not.
    """

    enrolled: Mapping[str, Face | None]
    known: Mapping[str, Probes]
    strangers: Mapping[str, Probes]

    def index(self) -> Index:
        """Return the gallery: everybody who is enrolled with a face."""
        index = Index()
        for name, face in self.enrolled.items():
            if face is not None:
                index.add(name, face.embedding[None])
        return index

    def with_gallery(self, size: int) -> "Visits":
        """Return them with no more than so many enrolled, those who come themselves first."""
        names = sorted(self.enrolled, key=lambda name: (name not in self.known, lot(name)))[:size]
        known = {name: self.known[name] for name in names if name in self.known}
        return Visits({name: self.enrolled[name] for name in names}, known, self.strangers)

    def with_several_faces(self) -> Iterator[tuple[str, list[Face]]]:
        """Give everybody who comes with at least two faces, and these."""
        for name, probes in {**self.known, **self.strangers}.items():
            faces = faces_of(probes)
            if len(faces) > 1:
                yield name, faces


def assign_visits(people: Mapping[str, Probes]) -> Visits:
    """Say who is enrolled and who comes."""
    known = {name: theirs[1 : PROBES + 1] for name, theirs in people.items() if len(theirs) > PROBES}
    strangers = {name: theirs for name, theirs in people.items() if 1 < len(theirs) <= PROBES}
    enrolled = {name: theirs[0] for name, theirs in people.items() if theirs and name not in strangers}
    return Visits(enrolled, known, strangers)


def faces_of(probes: Probes) -> list[Face]:
    """Return the faces that were found."""
    return [face for face in probes if face is not None]


def template(faces: Iterable[Face]) -> Floats:
    """Return the template, (D,) of length one, of one or more faces."""
    faces = list(faces)
    return pooled(np.stack([face.embedding for face in faces]), np.array([face.quality for face in faces]))
