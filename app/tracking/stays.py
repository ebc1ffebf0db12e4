"""The stays of people on one stream: who is there, since when, and when they have gone."""

import hashlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from app.messages import Sighting

__all__ = ["Moment", "Seen", "Stays"]

#: Ended stays that are remembered: the log may hand out their frames again after a crash.
_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame, as far as sightings are concerned."""

    stream: str
    partition: int
    offset: int
    #: Milliseconds since the epoch.
    captured: int


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


@dataclass(slots=True)
class _Stay:
    sighting: Sighting
    #: Capture time of the frame with which it was last handed out; None while nobody was told.
    told: int | None
    #: Handed out as closed, for want of frames; one from before the gap opens it again.
    closed: bool = False


class Stays:
    """Turns the faces of one stream's frames into sightings, one for each person's stay.

    Arguments:
        gap: milliseconds without a person after which their sighting is closed.
        update: least milliseconds between two versions of an open sighting.
        unknown_frames: frames with somebody unknown before that is a sighting.
        doubt: a face that is nobody's, but at least this similar to somebody who is there, is most
            likely them, turned away, and makes no sighting of somebody unknown.
    """

    def __init__(self, gap: int, update: int, unknown_frames: int, doubt: float) -> None:
        self._gap = gap
        self._update = update
        self._unknown_frames = unknown_frames
        self._doubt = doubt
        self._stays: dict[str | None, _Stay] = {}
        self._ended: deque[Sighting] = deque(maxlen=_REMEMBERED)

    def restore(self, sightings: Iterable[Sighting]) -> None:
        """Go on with sightings that another worker left open, and remember those that it closed."""
        for sighting in sightings:
            if sighting.open:
                self._stays.setdefault(sighting.person, _Stay(sighting, sighting.last))
            else:
                self._remember(sighting)

    def observe(self, moment: Moment, faces: Sequence[Seen]) -> list[Sighting]:
        """Take in a frame; return the sightings that have changed enough to be told."""
        told = self._end([person for person, stay in self._stays.items() if self._is_over(stay, moment)])
        for person, face in self._by_person(faces).items():
            stay = self._stays.get(person)
            if stay is None:
                if any(over.person == person and _counted(over, moment) for over in self._ended):
                    continue
                stay = self._stays[person] = _Stay(_opened(moment, face), None)
            else:
                stay.sighting = _continued(stay.sighting, moment, face)
                stay.closed = False
            if self._worth_telling(stay):
                stay.told = stay.sighting.last
                told.append(stay.sighting)
        return told

    def close(self) -> list[Sighting]:
        """Close every stay, for no frames come; those go on that frames from before the gap still reach."""
        going = [stay for stay in self._stays.values() if not stay.closed]
        for stay in going:
            stay.closed = True
        return [_close(stay) for stay in going if stay.told is not None]

    def _is_over(self, stay: _Stay, moment: Moment) -> bool:
        """Tell whether a person has been gone for longer than the gap when a frame comes."""
        since = moment.captured - stay.sighting.last
        # Time that goes back is a replay, or a recording played again: neither opens a closed stay. A later
        # frame from long before is no replay: what came before it was stamped with a time to come.
        earlier = moment.offset > stay.sighting.offset and since < -self._gap
        return since > self._gap or earlier or (stay.closed and since <= 0)

    def _end(self, people: Iterable[str | None]) -> list[Sighting]:
        stays = [self._stays.pop(person) for person in people]
        told = [stay for stay in stays if stay.told is not None]
        for stay in told:
            self._remember(stay.sighting)
        return [_close(stay) for stay in told if not stay.closed]

    def _remember(self, sighting: Sighting) -> None:
        self._ended.append(msgspec.structs.replace(sighting, crop=b""))

    def _by_person(self, faces: Sequence[Seen]) -> dict[str | None, Seen]:
        """Choose the best face of each person, and of those unknown the largest."""
        best: dict[str | None, Seen] = {}
        for face in faces:
            if face.person is None and self._doubtful(face, faces):
                continue
            rival = best.get(face.person)
            if rival is None or _rank(face) > _rank(rival):
                best[face.person] = face
        return best

    def _doubtful(self, face: Seen, faces: Sequence[Seen]) -> bool:
        there = face.nearest in self._stays or any(face.nearest == other.person for other in faces)
        return face.nearest is not None and face.similarity >= self._doubt and there

    def _worth_telling(self, stay: _Stay) -> bool:
        sighting = stay.sighting
        if stay.told is None:
            return sighting.person is not None or sighting.frames >= self._unknown_frames
        return sighting.last > stay.told and sighting.last - stay.told >= self._update


def _rank(face: Seen) -> float:
    """Say how good a face is for being kept, among faces of the same person."""
    return face.similarity if face.person else face.size


def _close(stay: _Stay) -> Sighting:
    stay.told = stay.sighting.last
    return msgspec.structs.replace(stay.sighting, open=False)


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
    )


def _continued(sighting: Sighting, moment: Moment, face: Seen) -> Sighting:
    if _counted(sighting, moment):
        return sighting
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
    )


def _counted(sighting: Sighting, moment: Moment) -> bool:
    """Tell whether a stay has taken in this frame, which the log hands out again after a crash.

    By its place and by its time: a recording that is played again has the times, a topic that was made
    anew the places, of frames that were counted.
    """
    return moment.offset <= sighting.offset and sighting.first <= moment.captured <= sighting.last


def _sighting_id(moment: Moment, person: str | None) -> str:
    origin = f"{moment.stream}/{moment.partition}/{moment.offset}/{person or ''}"
    return hashlib.sha256(origin.encode()).hexdigest()[:24]
