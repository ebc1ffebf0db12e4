"""The visits of people to one stream: who is there, since when, and when they have gone."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec

from app.messages import Faces, Sighting
from app.search import Match
from app.tracking.state import Mark, StreamState, Visit

__all__ = ["VisitRules", "VisitTracker"]

#: A face: how good it is for being kept among those of its person, who it is, and the aligned face as JPEG
#: bytes where that travelled.
_Face = tuple[float, Match, bytes | None]


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

    def observe(self, faces: Faces, matches: Sequence[Match | None], revision: int) -> list[Sighting] | None:
        """Take in a frame; return the sightings to be published, None for a frame that was counted before.

        Args:
            matches: who each of `faces` is; None for one that was compared with nobody, which is left out.
            revision: the offset of `faces` on its topic, for which new versions of sightings stand.
        """
        if self._counted(faces):
            return None
        self._count(faces)
        over = [visit for visit in self.state.visits if self._is_over(visit, faces.captured)]
        changed = self._end(over, revision)
        for person, face in self._by_person(faces, matches).items():
            visit = self._visit_of(person)
            reopened = visit is not None and visit.closed and visit.published is not None
            if visit is None:
                visit = Visit(_opened(faces, face, revision), None)
                self.state.visits.append(visit)
            else:
                visit.sighting = _continued(visit.sighting, faces, face, revision)
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

    def _counted(self, faces: Faces) -> bool:
        """Tell whether a frame has been counted, which the log hands out again after a takeover.

        By its place and its time: a recording that is played again has the times, a topic that was made anew
        the places, of frames that were counted.
        """
        mark = self.state.live if faces.live else self.state.recorded
        return mark is not None and faces.offset <= mark.offset and faces.captured <= mark.captured

    def _count(self, faces: Faces) -> None:
        before = self.state.live if faces.live else self.state.recorded
        latest = faces.captured
        if before is not None and faces.offset > before.offset:
            # Where time has gone back, frames from before that may still come again.
            latest = max(latest, before.captured)
        mark = Mark(faces.offset, latest)
        if faces.live:
            self.state.live = mark
        else:
            self.state.recorded = mark

    def _visit_of(self, person: str | None) -> Visit | None:
        return next((visit for visit in self.state.visits if visit.sighting.person == person), None)

    def _is_over(self, visit: Visit, captured: int) -> bool:
        """Tell whether a person has been gone for longer than the gap when a frame comes."""
        since = captured - visit.sighting.last
        # Time that goes back is a recording that begins again, or a clock that was put right.
        return abs(since) > self._rules.gap or (visit.closed and since <= 0)

    def _end(self, visits: Sequence[Visit], revision: int) -> list[Sighting]:
        self.state.visits = [visit for visit in self.state.visits if visit not in visits]
        return [
            _ended(visit, revision) for visit in visits if visit.published is not None and not visit.closed
        ]

    def _by_person(self, faces: Faces, matches: Sequence[Match | None]) -> dict[str | None, _Face]:
        """Choose the best face of each person, and of those unknown the largest."""
        people = {match.person for match in matches if match}
        sizes = (faces.boxes[:, 2:] - faces.boxes[:, :2]).min(axis=1).tolist()
        best: dict[str | None, _Face] = {}
        for match, size, crop in zip(matches, sizes, faces.crops, strict=True):
            if match is None or self._is_uncertain(match, people):
                continue
            rank = match.similarity if match.person else size
            if match.person not in best or rank > best[match.person][0]:
                best[match.person] = rank, match, crop
        return best

    def _is_uncertain(self, match: Match, people: Collection[str | None]) -> bool:
        """Tell whether nobody's face is most likely that of somebody on the frame, or on the stream."""
        if match.person or match.nearest is None or match.similarity < self._rules.low_threshold:
            return False
        return self._visit_of(match.nearest) is not None or match.nearest in people

    def _worth_publishing(self, visit: Visit) -> bool:
        sighting = visit.sighting
        if visit.published is None:
            return sighting.person is not None or sighting.frames >= self._rules.unknown_frames
        return sighting.last > visit.published and sighting.last - visit.published >= self._rules.update


def _ended(visit: Visit, revision: int) -> Sighting:
    visit.published = visit.sighting.last
    return msgspec.structs.replace(visit.sighting, open=False, revision=revision)


def _opened(faces: Faces, face: _Face, revision: int) -> Sighting:
    rank, match, crop = face
    return Sighting(
        id=_sighting_id(faces, match.person),
        stream=faces.stream,
        person=match.person,
        name=match.name,
        first=faces.captured,
        last=faces.captured,
        frames=1,
        offset=faces.offset,
        score=match.similarity if match.person else None,
        crop=crop or b"",
        crop_score=rank if crop else -1.0,
        open=True,
        revision=revision,
    )


def _continued(sighting: Sighting, faces: Faces, face: _Face, revision: int) -> Sighting:
    rank, match, crop = face
    better = crop is not None and rank > sighting.crop_score
    return msgspec.structs.replace(
        sighting,
        name=match.name or sighting.name,
        last=max(sighting.last, faces.captured),
        frames=sighting.frames + 1,
        offset=faces.offset,
        score=None if sighting.score is None else max(sighting.score, match.similarity),
        crop=crop if better else sighting.crop,
        crop_score=rank if better else sighting.crop_score,
        revision=revision,
    )


def _sighting_id(faces: Faces, person: str | None) -> str:
    """Return the same id for the same visit, whoever tracks it; a topic made anew has other times."""
    place = f"{int(faces.live)}/{faces.partition}/{faces.offset}/{faces.captured}"
    origin = f"{faces.stream}/{place}/{person or ''}"
    return hashlib.sha256(origin.encode()).hexdigest()[:24]
