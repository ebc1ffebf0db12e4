"""A stream that is watched: feeds a tracker of visits with faces, and finds them in a small gallery."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from makers import EMBEDDER, START, axis, make_faces
from numpy.typing import NDArray

from app.messages import Faces, Gate, Sighting
from app.search import Confidence, Index, Match, decide
from app.tracking.naming import NamingRules
from app.tracking.state import StreamState
from app.tracking.visits import VisitRules, VisitTracker

__all__ = ["GAP", "PEOPLE", "RULES", "Face", "Moment", "Watch", "at", "known", "make_rules", "stranger"]

GAP = 3000
#: Of a single face 0.5 where the similarity is 0.5, of several surer.
CONFIDENCE = Confidence(single=(-5.0, 10.0, 0.0), pooled=(-5.0, 12.0, 1.0))
#: Who is enrolled, and what they look like.
PEOPLE: Mapping[str, NDArray[np.float32]] = {"ada": axis(0), "bob": axis(1)}
#: Pixels from one face to the next.
_APART = 100


def make_rules(**more: Any) -> VisitRules:
    """Return rules, some of them as given."""
    rules = VisitRules(
        gap=GAP,
        update=1000,
        unknown_frames=5,
        unknown_quality=0.26,
        naming=NamingRules(threshold=0.4, pooled_threshold=0.4, margin=0.05, confidence=CONFIDENCE),
        join=0.42,
        doubt=0.25,
    )
    return replace(rules, **more)


RULES = make_rules()


class Moment(NamedTuple):
    """A frame, and where its faces are on the log."""

    stream: str
    partition: int
    offset: int
    live: bool
    captured: int
    revision: int


def at(offset: int, step: int = 100, **more: Any) -> Moment:
    """Return the moment of a frame, `step` milliseconds after the one before."""
    fields = {"stream": "door", "partition": 0, "live": False, "captured": START + offset * step}
    return Moment(offset=offset, **({"revision": offset} | fields | more))


class Face(NamedTuple):
    """A face on a frame; `place` tells faces apart that are at several places."""

    looks: NDArray[np.float32]
    quality: float = 0.7
    tracklet: int | None = None
    gate: Gate = Gate.PASSED
    crop: bytes | None = None
    place: int | None = None
    lack: int = 0


def known(person: str = "ada", similarity: float = 1.0, **more: Any) -> Face:
    """Return a face of somebody who is enrolled, so similar to their template."""
    return Face(axis(list(PEOPLE).index(person), 7, similarity), **more)


def stranger(number: int = 2, **more: Any) -> Face:
    """Return a face of one of several people whom nobody has enrolled."""
    return Face(axis(number), **more)


class Watch:
    """A tracker, fed one frame after the other, and who is enrolled."""

    def __init__(self, state: StreamState | None = None, **rules: Any) -> None:
        self.tracker = VisitTracker(make_rules(**rules), state)
        self.people = dict(PEOPLE)
        #: Raised whenever `people` are changed.
        self.gallery = 0
        #: Who the faces of the last frame were.
        self.named: list[str | None] = []

    def observe(self, moment: Moment, faces: Sequence[Face]) -> list[Sighting] | None:
        """Show a frame; None where it was counted before."""
        observed = self.tracker.observe(_faces(moment, faces), moment.revision, EMBEDDER, self.gallery)
        if observed is None:
            return None
        matches = self.match(observed.templates, observed.sizes) if observed.undecided else []
        told = self.tracker.decide(observed, matches, lambda person: person in self.people)
        self.named = [visit and visit.sighting.person for visit in observed.visits]
        return told

    def see(self, moment: Moment, *faces: Face) -> list[Sighting]:
        """Show a frame that was not shown before."""
        told = self.observe(moment, faces)
        assert told is not None
        return told

    def see_all(self, offsets: Iterable[int], *faces: Face) -> list[Sighting]:
        """Show frames with the same faces."""
        return [sighting for offset in offsets for sighting in self.see(at(offset), *faces)]

    def close(self) -> list[Sighting]:
        """Let the stream fall silent."""
        return self.tracker.close(1000)

    def enrol(self, person: str, looks: NDArray[np.float32] | None) -> None:
        """Enrol somebody, or remove them."""
        self.gallery += 1
        self.people.pop(person, None)
        if looks is not None:
            self.people[person] = looks

    def match(self, templates: NDArray[np.float32], sizes: NDArray[np.intp]) -> list[Match]:
        """Find out whom templates of so many faces are most like."""
        index, rules = Index(), self.tracker._rules.naming
        for person, looks in self.people.items():
            index.add(person, looks[None])
        found = index.search(templates)
        thresholds = np.where(sizes < 2, rules.threshold, rules.pooled_threshold)
        named = decide(found, thresholds, rules.margin).tolist()
        columns = zip(
            found.owners, found.similarities.tolist(), found.runners_up.tolist(), named, strict=True
        )
        return [
            Match(owner if them else None, owner and owner.title() if them else None, similar, owner, next)
            for owner, similar, next, them in columns
        ]


def _faces(moment: Moment, faces: Sequence[Face]) -> Faces:
    *place, _ = moment
    places = [row if face.place is None else face.place for row, face in enumerate(faces)]
    boxes = np.array([(_APART * place, 0, _APART * place + 60, 80) for place in places], np.float32)
    gates = np.array([face.gate for face in faces], np.uint8)
    looks = [face.looks if face.gate == Gate.PASSED else 0 * face.looks for face in faces]
    followed = [face.tracklet for face in faces if face.tracklet is not None]
    assert len(followed) in {0, len(faces)}, "all faces of a frame are followed, or none"
    return make_faces(
        looks,
        boxes=boxes.reshape(-1, 4),
        gates=gates,
        crops=[face.crop for face in faces],
        quality=np.array([face.quality for face in faces], np.float32),
        lacks=np.array([face.lack for face in faces], np.uint8),
        tracklets=np.array(followed, np.uint64) if followed else None,
        **dict(zip(Moment._fields, place, strict=False)),
    )
