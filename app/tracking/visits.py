"""The visits of people to one stream: who is there, since when, and when they have gone."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from app.messages import Sighting
from app.tracking.state import Mark, StreamState, Visit

__all__ = ["Moment", "Seen", "VisitRules", "VisitTracker"]


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame, as far as sightings are concerned."""

    stream: str
    #: Where the frame is: its partition and offset, on the topic of the cameras or on that of recordings.
    partition: int
    offset: int
    live: bool
    #: Milliseconds since the epoch.
    captured: int
    #: Where its faces are on `faces`: what a version of a sighting stands for.
    revision: int


@dataclass(frozen=True, slots=True)
class Seen:
    """One face of a frame after the gallery has been asked."""

    #: Who it is; None where it is nobody enrolled.
    person: str | None
    name: str | None
    #: Cosine similarity to the nearest person, and who that is.
    similarity: float
    nearest: str | None
    #: Smaller side of the face, pixels of the frame.
    size: float
    #: JPEG bytes of the aligned face, where it travelled.
    crop: bytes | None


@dataclass(frozen=True, slots=True)
class VisitRules:
    """When a visit begins, ends and is published.

    gap: milliseconds without a person after which their visit has ended.
    update: least milliseconds between two versions of an open sighting.
    unknown_frames: frames with somebody unknown before that is a sighting.
    low_threshold: a face that is nobody's, but at least this similar to somebody who is there, is most likely
        them, turned away, and makes no visit of somebody unknown.
    """

    gap: int
    update: int
    unknown_frames: int
    low_threshold: float


class VisitTracker:
    """Turns the faces of one stream's frames into sightings, one for each visit.

    The same frames make the same sightings, also where the state was written and read in between, and where
    frames come again.
    """

    def __init__(self, rules: VisitRules, state: StreamState | None = None) -> None:
        self._rules = rules
        self.state = state or StreamState()

    def observe(self, moment: Moment, faces: Sequence[Seen]) -> list[Sighting] | None:
        """Take in a frame; return the sightings to be published, None for a frame that was counted before."""
        if self._counted(moment):
            return None
        self._count(moment)
        changed = self._end([visit for visit in self.state.visits if self._is_over(visit, moment)], moment)
        for person, face in self._by_person(faces).items():
            visit = self._visit_of(person)
            reopened = visit is not None and visit.closed and visit.published is not None
            if visit is None:
                visit = Visit(_opened(moment, face), None)
                self.state.visits.append(visit)
            else:
                visit.sighting = _continued(visit.sighting, moment, face)
                visit.closed = False
            if reopened or self._worth_publishing(visit):
                visit.published = visit.sighting.last
                changed.append(visit.sighting)
        return changed

    def close(self, revision: int) -> list[Sighting]:
        """End every visit, for no frames come; those go on that frames from before the gap still reach."""
        going = [visit for visit in self.state.visits if not visit.closed]
        for visit in going:
            visit.closed = True
        return [_ended(visit, revision) for visit in going if visit.published is not None]

    def _counted(self, moment: Moment) -> bool:
        """Tell whether a frame has been counted, which the log hands out again after a takeover.

        By its place and its time: a recording that is played again has the times, a topic that was made anew
        the places, of frames that were counted.
        """
        mark = self.state.live if moment.live else self.state.recorded
        return mark is not None and moment.offset <= mark.offset and moment.captured <= mark.captured

    def _count(self, moment: Moment) -> None:
        before = self.state.live if moment.live else self.state.recorded
        latest = moment.captured
        if before is not None and moment.offset > before.offset:
            # Where time has gone back, frames from before that may still come again.
            latest = max(latest, before.captured)
        mark = Mark(moment.offset, latest)
        if moment.live:
            self.state.live = mark
        else:
            self.state.recorded = mark

    def _visit_of(self, person: str | None) -> Visit | None:
        return next((visit for visit in self.state.visits if visit.sighting.person == person), None)

    def _is_over(self, visit: Visit, moment: Moment) -> bool:
        """Tell whether a person has been gone for longer than the gap when a frame comes."""
        since = moment.captured - visit.sighting.last
        # Time that goes back is a recording that begins again, or a clock that was put right.
        return abs(since) > self._rules.gap or (visit.closed and since <= 0)

    def _end(self, visits: Iterable[Visit], moment: Moment) -> list[Sighting]:
        over = list(visits)
        self.state.visits = [visit for visit in self.state.visits if visit not in over]
        return [
            _ended(visit, moment.revision)
            for visit in over
            if visit.published is not None and not visit.closed
        ]

    def _by_person(self, faces: Sequence[Seen]) -> dict[str | None, Seen]:
        """Choose the best face of each person, and of those unknown the largest."""
        best: dict[str | None, Seen] = {}
        for face in faces:
            if face.person is None and self._is_uncertain(face, faces):
                continue
            rival = best.get(face.person)
            if rival is None or _rank(face) > _rank(rival):
                best[face.person] = face
        return best

    def _is_uncertain(self, face: Seen, faces: Sequence[Seen]) -> bool:
        if face.nearest is None or face.similarity < self._rules.low_threshold:
            return False
        return self._visit_of(face.nearest) is not None or any(face.nearest == one.person for one in faces)

    def _worth_publishing(self, visit: Visit) -> bool:
        sighting = visit.sighting
        if visit.published is None:
            return sighting.person is not None or sighting.frames >= self._rules.unknown_frames
        return sighting.last > visit.published and sighting.last - visit.published >= self._rules.update


def _rank(face: Seen) -> float:
    """Say how good a face is for being kept, among faces of the same person."""
    return face.similarity if face.person else face.size


def _ended(visit: Visit, revision: int) -> Sighting:
    visit.published = visit.sighting.last
    return msgspec.structs.replace(visit.sighting, open=False, revision=revision)


def _opened(moment: Moment, face: Seen) -> Sighting:
    return Sighting(
        id=_sighting_id(moment, face.person),
        stream=moment.stream,
        person=face.person,
        name=face.name,
        first=moment.captured,
        last=moment.captured,
        frames=1,
        offset=moment.offset,
        score=face.similarity if face.person else None,
        crop=face.crop or b"",
        crop_score=_rank(face) if face.crop else -1.0,
        open=True,
        revision=moment.revision,
    )


def _continued(sighting: Sighting, moment: Moment, face: Seen) -> Sighting:
    better = face.crop is not None and _rank(face) > sighting.crop_score
    return msgspec.structs.replace(
        sighting,
        name=face.name or sighting.name,
        last=max(sighting.last, moment.captured),
        frames=sighting.frames + 1,
        offset=moment.offset,
        score=None if sighting.score is None else max(sighting.score, face.similarity),
        crop=face.crop if better else sighting.crop,
        crop_score=_rank(face) if better else sighting.crop_score,
        revision=moment.revision,
    )


def _sighting_id(moment: Moment, person: str | None) -> str:
    """Return the same id for the same visit, whoever tracks it; a topic made anew has other times."""
    place = f"{int(moment.live)}/{moment.partition}/{moment.offset}/{moment.captured}"
    origin = f"{moment.stream}/{place}/{person or ''}"
    return hashlib.sha256(origin.encode()).hexdigest()[:24]
