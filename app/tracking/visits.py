"""The visits of people to one stream: who is there, since when, and when they have gone."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.messages import Change, Faces, Gate, Sighting
from app.search import Match
from app.tracking.assignment import PART, TELLING, assign, tracklet_key
from app.tracking.naming import NamingRules, name_visits
from app.tracking.state import Mark, Place, StreamState, Visit
from app.tracking.templates import joined, with_face

__all__ = ["Observed", "VisitRules", "VisitTracker"]

#: Visits that are open at once on a stream: a checkpoint holds all of them, and is one message.
_MOST = 256
#: Changes of a name that a sighting tells.
_CHANGES = 10


@dataclass(frozen=True, slots=True)
class VisitRules:
    """When a visit begins, ends, is named and is published.

    gap: milliseconds without a person after which their visit has ended.
    update: least milliseconds between two versions of an open sighting.
    unknown_frames: frames with somebody unknown before that is a sighting.
    unknown_quality: and the least quality of their best face: poorer ones are not told apart.
    naming: when a visit is given a name.
    join: least cosine similarity of two visits' templates that are of one person.
    doubt: a visit without a name that is so similar to somebody who was there a moment ago is most likely
        theirs, turned away, and is not published while they may come back.
    """

    gap: int
    update: int
    unknown_frames: int
    unknown_quality: float
    naming: NamingRules
    join: float
    doubt: float


@dataclass(frozen=True, slots=True)
class Observed:
    """A frame whose faces are assigned, and what is to be decided now.

    visits: the visit of each face, None for one that is of none.
    undecided: visits whose templates are to be matched; each has one.
    sightings: those that are to be published, by their ids.
    """

    faces: Faces
    revision: int
    visits: list[Visit | None]
    undecided: list[Visit]
    sightings: dict[str, Sighting]

    @property
    def templates(self) -> NDArray[np.float32]:
        """The templates of `undecided`, (M, D) of length one."""
        return np.stack([visit.template.vector for visit in self.undecided if visit.template])

    @property
    def sizes(self) -> NDArray[np.intp]:
        """Of how many faces each of these is, (M,)."""
        return np.array([visit.template.faces for visit in self.undecided if visit.template], np.intp)


class VisitTracker:
    """Turns the faces of one stream's frames into sightings, one for each visit.

    A frame is observed, the templates that changed are matched, and it is decided. The same frames and
    matches make the same sightings, also where the state was written and read in between, and where frames
    come again.
    """

    def __init__(self, rules: VisitRules, state: StreamState | None = None) -> None:
        self._rules = rules
        self.state = state or StreamState()
        #: The version of the gallery at the last frame.
        self._gallery: int | None = None

    def observe(self, faces: Faces, revision: int, embedder: str, gallery: int) -> Observed | None:
        """Take in a frame; None for one that was counted before.

        Args:
            revision: the offset of `faces` on its topic, for which new versions of sightings stand.
            embedder: the net whose embeddings can be compared.
            gallery: a number that is another one whenever people have come, gone or changed.
        """
        embedded = (faces.gates == Gate.PASSED) & (faces.embedder == embedder)
        if self._counted(faces):
            self._link_again(faces, embedded)
            return None
        self._count(faces)
        over = [visit for visit in self.state.visits if self._is_over(visit, faces.captured)]
        ended = {one.id: one for one in self._end(over, revision)}
        self._forget_others(embedder)
        visits = assign(faces, embedded, self.state.visits, self._rules.join)
        self._make_room(sum(visit is None for visit in visits), visits)
        for row in np.flatnonzero(embedded).tolist():
            if visits[row] is None and len(self.state.visits) < _MOST:
                visits[row] = self._begun(faces, row, revision)
        observed = Observed(faces, revision, visits, [], ended)
        changed = self._take_in(observed, embedded)
        self._join_alike(changed, observed)
        # One visit's name may hang on another one's. Who begins here goes on with what was decided.
        if changed or over or self._gallery not in {None, gallery}:
            observed.undecided.extend(one for one in self.state.visits if one.template)
        self._gallery = gallery
        return observed

    def decide(
        self, observed: Observed, matches: Sequence[Match], enrolled: Callable[[str], bool]
    ) -> list[Sighting]:
        """Name the visits of a frame; return the sightings to be published.

        Args:
            matches: who each of the frame's `undecided` is most like.
            enrolled: tells whether somebody is.
        """
        before = {visit.sighting.id: visit.sighting for visit in self.state.visits}
        pairs = zip(observed.undecided, matches, strict=True)
        for one, other in name_visits(self.state.visits, pairs, enrolled, self._rules.naming):
            self._join(one, other, observed)
        for visit in self.state.visits:
            renamed = _note_change(visit, before[visit.sighting.id], observed)
            due = visit in observed.visits and self._is_due(visit)
            if renamed or due or visit.sighting.id in observed.sightings:
                visit.published = visit.sighting.last
                observed.sightings[visit.sighting.id] = visit.sighting
        return list(observed.sightings.values())

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

    def _link_again(self, faces: Faces, embedded: NDArray[np.bool_]) -> None:
        """Learn the tracklets of a worker that looks at a frame again, for those that go on from there."""
        known = {key for visit in self.state.visits for key in visit.tracklets}
        visits = assign(faces, embedded, self.state.visits, self._rules.join)
        for row, visit in enumerate(visits):
            if visit is not None and tracklet_key(faces, row) not in known:
                self._link(visit, faces, row)

    def _is_over(self, visit: Visit, captured: int) -> bool:
        """Tell whether a person has been gone for longer than the gap when a frame comes."""
        since = captured - visit.sighting.last
        # Time that goes back is a recording that begins again, or a clock that was put right.
        return abs(since) > self._rules.gap or (visit.closed and since <= 0)

    def _end(self, visits: Sequence[Visit], revision: int) -> list[Sighting]:
        self.state.visits = [visit for visit in self.state.visits if visit not in visits]
        gone = {visit.sighting.id for visit in visits}
        for visit in self.state.visits:
            visit.beside = [one for one in visit.beside if one not in gone]
        return [
            _ended(visit, revision) for visit in visits if visit.published is not None and not visit.closed
        ]

    def _forget_others(self, embedder: str) -> None:
        """Forget templates that a net has made with which nothing can be compared any more."""
        for visit in self.state.visits:
            if visit.template is not None and visit.template.embedder != embedder:
                visit.template = None

    def _make_room(self, wanted: int, here: Sequence[Visit | None]) -> None:
        """Forget who was hardly there, the longest away first, where more people come than can be kept."""
        spare = len(self.state.visits) + wanted - _MOST
        if spare > 0:
            hardly = [one for one in self.state.visits if one.published is None and one not in here]
            hardly.sort(key=lambda visit: visit.sighting.last)
            self._end(hardly[:spare], 0)

    def _begun(self, faces: Faces, row: int, revision: int) -> Visit:
        visit = Visit(sighting=_opened(faces, row, revision), tracklets={}, beside=[])
        self.state.visits.append(visit)
        return visit

    def _take_in(self, observed: Observed, embedded: NDArray[np.bool_]) -> list[Visit]:
        """Let the visits of a frame go on; return those whose templates have changed."""
        faces = observed.faces
        here: dict[str, Visit] = {}
        changed: dict[str, Visit] = {}
        for row, visit in enumerate(observed.visits):
            if visit is None:
                continue
            self._link(visit, faces, row)
            if visit.sighting.id not in here:
                here[visit.sighting.id] = visit
                _go_on(visit, faces, row, observed.revision)
            if embedded[row] and _learn(visit, faces, row):
                changed[visit.sighting.id] = visit
        for visit in here.values():
            # In the order in which they came: a state is the same bytes whoever writes it.
            visit.beside = [one for one in dict.fromkeys((*visit.beside, *here)) if one != visit.sighting.id]
        return list(changed.values())

    def _link(self, visit: Visit, faces: Faces, row: int) -> None:
        key = tracklet_key(faces, row)
        if key is None:
            return
        for one in self.state.visits:
            one.tracklets.pop(key, None)
        stale = [old for old, seen in visit.tracklets.items() if faces.captured - seen > self._rules.gap]
        for old in stale:
            del visit.tracklets[old]
        visit.tracklets[key] = faces.captured

    def _join_alike(self, changed: Iterable[Visit], observed: Observed) -> None:
        """Join visits whose templates turn out to be of one person."""
        for visit in changed:
            for other in tuple(self.state.visits):
                if visit in self.state.visits and other is not visit and self._is_one_person(visit, other):
                    self._join(visit, other, observed)

    def _is_one_person(self, one: Visit, other: Visit) -> bool:
        if one.template is None or other.template is None or other.sighting.id in one.beside:
            return False
        people = {one.sighting.person, other.sighting.person} - {None}
        if len(people) > 1 or min(one.template.best, other.template.best) < TELLING:
            return False
        return one.template.similarity(other.template) >= self._rules.join

    def _join(self, one: Visit, other: Visit, observed: Observed) -> None:
        """Make one visit of two: of the one that was published, and of two of the older one."""
        visits = self.state.visits
        if one not in visits or other not in visits:
            return
        kept, part = sorted((one, other), key=lambda visit: (visit.published is None, visits.index(visit)))
        visits.remove(part)
        _absorb(kept, part)
        for visit in visits:
            if part.sighting.id in visit.beside:
                others = (one if one != part.sighting.id else kept.sighting.id for one in visit.beside)
                visit.beside = [*dict.fromkeys(others)]
        observed.visits[:] = [kept if visit is part else visit for visit in observed.visits]
        if part.published is not None:
            kept.sighting = msgspec.structs.replace(kept.sighting, revision=observed.revision)
            merged = msgspec.structs.replace(
                part.sighting, open=False, merged=kept.sighting.id, revision=observed.revision
            )
            observed.sightings.update({one.id: one for one in (merged, kept.sighting)})

    def _is_due(self, visit: Visit) -> bool:
        """Tell whether a visit that is on the frame is to be published."""
        sighting = visit.sighting
        reopened, visit.closed = visit.closed, False
        if visit.published is None:
            return sighting.person is not None or self._is_somebody(visit)
        since = sighting.last - visit.published
        return reopened or (since > 0 and since >= self._rules.update)

    def _is_somebody(self, visit: Visit) -> bool:
        """Tell whether somebody without a name is a visit of their own."""
        best = visit.template.best if visit.template else 0.0
        return (
            visit.sighting.frames >= self._rules.unknown_frames
            and best >= self._rules.unknown_quality
            and not any(self._may_be(visit, other) for other in self.state.visits)
        )

    def _may_be(self, visit: Visit, other: Visit) -> bool:
        """Tell whether a visit may be the go-on of another one, of somebody who has turned away."""
        if other is visit or other.published is None or other.sighting.id in visit.beside:
            return False
        if visit.template is None or other.template is None:
            return False
        # Two good faces of one person are more alike than that.
        expected = PART * visit.template.best * other.template.best
        return visit.template.similarity(other.template) >= max(self._rules.doubt, expected)


def _note_change(visit: Visit, before: Sighting, observed: Observed) -> bool:
    """Take note of another person; tell whether there is one, or another name of theirs, to be told of."""
    after = visit.sighting
    if visit.published is None or (before.person, before.name) == (after.person, after.name):
        return False
    changes = after.changes
    if before.person != after.person:
        change = Change(
            captured=observed.faces.captured,
            before=before.person,
            before_name=before.name,
            after=after.person,
            after_name=after.name,
            reason=_reason(before, after),
        )
        changes = (*changes, change)[-_CHANGES:]
    visit.sighting = msgspec.structs.replace(after, revision=observed.revision, changes=changes)
    return True


def _reason(before: Sighting, after: Sighting) -> Literal["recognised", "corrected", "removed"]:
    if before.person is None:
        return "recognised"
    lost = after.unnamed is not None and after.unnamed.gate != "beside"
    return "removed" if lost else "corrected"


def _ended(visit: Visit, revision: int) -> Sighting:
    visit.published = visit.sighting.last
    return msgspec.structs.replace(visit.sighting, open=False, revision=revision)


def _opened(faces: Faces, row: int, revision: int) -> Sighting:
    return Sighting(
        id=_sighting_id(faces, row),
        stream=faces.stream,
        person=None,
        name=None,
        first=faces.captured,
        last=faces.captured,
        frames=0,
        offset=faces.offset,
        score=None,
        crop=b"",
        crop_score=-1.0,
        open=True,
        revision=revision,
    )


def _go_on(visit: Visit, faces: Faces, row: int, revision: int) -> None:
    """Count a frame for a visit."""
    visit.sighting = msgspec.structs.replace(
        visit.sighting,
        last=max(visit.sighting.last, faces.captured),
        frames=visit.sighting.frames + 1,
        offset=faces.offset,
        revision=revision,
    )
    visit.place = Place(faces.live, *faces.boxes[row].tolist())


def _learn(visit: Visit, faces: Faces, row: int) -> bool:
    """Take a face that was embedded into the template; tell whether that is another one now."""
    before = visit.template
    quality = 0.0 if faces.quality is None else float(faces.quality[row])
    best = before.best if before else -1.0
    visit.template = with_face(before, faces.embedder, faces.embeddings[row], quality)
    if quality > best:
        visit.lack = 0 if faces.lacks is None else int(faces.lacks[row])
    crop = faces.crops[row]
    better = crop is not None and quality > visit.sighting.crop_score
    visit.sighting = msgspec.structs.replace(
        visit.sighting,
        faces=visit.sighting.faces + 1,
        quality=visit.template.best,
        crop=crop if better and crop is not None else visit.sighting.crop,
        crop_score=quality if better else visit.sighting.crop_score,
    )
    return visit.template is not before


def _absorb(kept: Visit, part: Visit) -> None:
    """Let `kept` stand for both."""
    one, other = kept.sighting, part.sighting
    named = one if one.person is not None or other.person is None else other
    crop = max((one, other), key=lambda sighting: sighting.crop_score)
    last = max((kept, part), key=lambda visit: visit.sighting.last)
    kept.template = joined(kept.template, part.template)
    if kept.template is not None and part.template is not None and part.template.best >= kept.template.best:
        kept.lack = part.lack
    kept.sighting = msgspec.structs.replace(
        one,
        person=named.person,
        name=named.name,
        score=named.score,
        confidence=named.confidence,
        unnamed=named.unnamed,
        first=min(one.first, other.first),
        last=last.sighting.last,
        frames=one.frames + other.frames,
        offset=last.sighting.offset,
        faces=one.faces + other.faces,
        quality=kept.template.best if kept.template else one.quality,
        crop=crop.crop,
        crop_score=crop.crop_score,
        revision=max(one.revision, other.revision),
    )
    kept.place = last.place
    kept.tracklets = kept.tracklets | part.tracklets
    kept.beside = [*kept.beside, *(one for one in part.beside if one not in kept.beside)]


def _sighting_id(faces: Faces, row: int) -> str:
    """Return the same id for the same visit, whoever tracks it; a topic made anew has other times."""
    place = f"{int(faces.live)}/{faces.partition}/{faces.offset}/{faces.captured}"
    origin = f"{faces.stream}/{place}/{row}"
    return hashlib.sha256(origin.encode()).hexdigest()[:24]
