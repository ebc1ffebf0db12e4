"""The account of a run: what went in, what came out of it, and where the two do not agree."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields

from chaos.log import Log
from chaos.scenario import Shot, Visit
from chaos.writer import Message, Place, Raw
from standin_nets import DENORMAL, UNKNOWN

from app.messages import Faces, Sighting

__all__ = ["Account", "Row", "Shown", "View"]

#: Of each kind of mistake, how many are told.
_FEW = 5


@dataclass(slots=True)
class Row:
    """The counts of a run, or of several together."""

    runs: int = 0
    #: What Kafka acknowledged, and what became of it.
    frames: int = 0
    faces: int = 0
    dead_letters: int = 0
    skipped: int = 0
    #: Frames that nothing came of, more than once something came of, and lost ones that were committed over.
    lost: int = 0
    twice: int = 0
    holes: int = 0
    #: Visits that had to come of it; those that became several, and those with other times or counts.
    visits: int = 0
    split: int = 0
    wrong: int = 0
    #: Sightings of which a worker shows an older version, or none; people whom a worker does not know.
    outdated: int = 0
    people_lost: int = 0
    #: Workers that ended by themselves and were started again.
    restarts: int = 0
    #: Seconds from each kill until faces of a stream of the killed worker were published.
    takeovers: list[float] = field(default_factory=list)

    def add(self, other: "Row") -> None:
        """Add another run's counts."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


@dataclass(frozen=True, slots=True)
class Shown:
    """A sighting as the web side shows it."""

    person: str | None
    first: int
    last: int
    frames: int
    open: bool

    @classmethod
    def of(cls, sighting: Sighting) -> "Shown":
        """Return how a version of a sighting is to be shown."""
        return cls(sighting.person, sighting.first, sighting.last, sighting.frames, sighting.open)


@dataclass(frozen=True, slots=True)
class View:
    """What one worker shows: sightings by their ids, and the ids of the people it knows."""

    worker: str
    sightings: Mapping[str, Shown]
    people: Collection[str]


class Account:
    """Settles what was sent with what is on the log and what is shown.

    Arguments:
        sent: what Kafka has acknowledged.
        expected: the visits that the frames show.
        people: names of those who are enrolled, by their ids.
    """

    def __init__(
        self,
        sent: Mapping[Place, Message],
        log: Log,
        expected: Sequence[Visit],
        people: Mapping[str, str],
        views: Sequence[View],
    ) -> None:
        self.row = Row(runs=1, frames=len(sent), visits=len(expected), skipped=log.skipped)
        self.problems: list[str] = []
        self._sent, self._log, self._people = sent, log, people
        self._settle_frames()
        self._settle_faces()
        self._settle_visits(expected)
        for view in views:
            self._settle_view(view)

    def check(self) -> None:
        """Raise AssertionError where anything does not agree; it says what, and names the first few."""
        assert not self.problems, "\n".join(["the account does not agree:", *self.problems])

    def _settle_frames(self) -> None:
        log = self._log
        self._say("frames are not on the log as they were acknowledged", self._sent.keys() ^ log.frames)
        without = {place for place in self._sent if not log.outcomes(place)}
        holes = {place for place in without if log.committed.get(place[:2], 0) > place.offset}
        self.row.lost, self.row.holes = len(without), len(holes)
        self.row.faces, self.row.dead_letters = len(log.faces), len(log.letters)
        self.row.twice = sum(len(copies) - 1 for copies in [*log.faces.values(), *log.letters.values()])
        self._say("frames were lost, neither published nor a dead letter", map(self._named, sorted(without)))
        self._say("frames that nothing came of were committed over", map(self._named, sorted(holes)))
        both = sorted(place for place in self._sent if log.outcomes(place) > 1)
        self._say("frames were published and are dead letters too", map(self._named, both))
        strange = {place for place in [*log.faces, *log.letters] if place not in self._sent}
        self._say("outcomes are of no frame that was sent", sorted(strange))
        self._say("partitions were never committed to their end", log.uncommitted())
        self._say("frames of recordings were skipped", ["as the workers say"] * log.skipped)
        self._say("dead letters are of no frame", [f"{one.topic}: {one.detail}" for one in log.other_letters])
        wrong = [place for place in self._sent if log.outcomes(place) and not self._rightly(place)]
        told = (f"{self._named(place)}: {log.letters.get(place)}" for place in wrong)
        self._say("frames are dead letters, or are none, for another reason than expected", told)

    def _rightly(self, place: Place) -> bool:
        """Tell whether what could not be handled, and nothing else, is a dead letter with its reason."""
        message = self._sent[place]
        expected = message.reason if isinstance(message, Raw) else "internal-error" * message.poisoned
        return {*self._log.letters.get(place, ())} == {expected} - {""}

    def _settle_faces(self) -> None:
        """Compare the faces of each frame with who is on it."""
        wrong: list[str] = []
        for place, copies in self._log.faces.items():
            shot = self._sent.get(place)
            if isinstance(shot, Shot) and not all(_shows(faces, shot) for faces in copies):
                wrong.append(self._named(place))
        self._say("frames have other faces than they show", wrong)
        denormals = [
            self._named(place)
            for place, copies in self._log.faces.items()
            if any(len(faces) and faces.embeddings[:, DENORMAL].any() for faces in copies)
        ]
        self._say("frames were embedded by a thread that computes with denormals", denormals)

    def _settle_visits(self, expected: Sequence[Visit]) -> None:
        newest = self._log.newest()
        found: dict[tuple[str, str], list[Visit]] = defaultdict(list)
        for sighting in newest:
            visit = self._visit(sighting)
            found[visit.stream, visit.person].append(visit)
        split, wrong = [], [f"({self._visit(one)}) is still open" for one in newest if one.open]
        for visit in expected:
            same = found[visit.stream, visit.person]
            overlapping = [one for one in same if one.first <= visit.last and visit.first <= one.last]
            if len(overlapping) > 1:
                split.append(f"({visit}) became {', '.join(f'({one})' for one in overlapping)}")
            elif overlapping != [visit]:
                wrong.append(f"({visit}) became {f'({overlapping[0]})' if overlapping else 'nothing'}")
            found[visit.stream, visit.person] = [one for one in same if one not in overlapping]
        wrong += [f"({visit}) never happened" for left in found.values() for visit in left]
        self.row.split, self.row.wrong = len(split), len(wrong)
        self._say("visits were split or doubled", split)
        self._say("visits are wrong", wrong)

    def _visit(self, sighting: Sighting) -> Visit:
        person = UNKNOWN if sighting.person is None else self._people.get(sighting.person, sighting.person)
        return Visit(sighting.stream, person, sighting.first, sighting.last, sighting.frames)

    def _settle_view(self, view: View) -> None:
        newest = {sighting.id: sighting for sighting in self._log.newest()}
        outdated = [
            f"({self._visit(sighting)}) as {view.sightings.get(id)}"
            for id, sighting in newest.items()
            if view.sightings.get(id) != Shown.of(sighting)
        ]
        self.row.outdated += len(outdated)
        self._say(f"sightings are shown in no or in an older version by {view.worker}", outdated)
        self._say(f"sightings that {view.worker} shows are not on the log", view.sightings.keys() - newest)
        missing = [name for id, name in self._people.items() if id not in view.people]
        self.row.people_lost += len(missing)
        self._say(f"people are not known to {view.worker}", missing)
        self._say(f"people whom {view.worker} knows were never enrolled", {*view.people} - {*self._people})

    def _named(self, place: Place) -> str:
        message = self._sent.get(place)
        if isinstance(message, Shot):
            return f"{message.stream} frame {message.seq} ({place})"
        return f"{message.stream if message else 'unknown'} ({place})"

    def _say(self, what: str, which: Iterable[object]) -> None:
        told = [str(one) for one in which]
        if told:
            more = f"; and {len(told) - _FEW} more" if len(told) > _FEW else ""
            self.problems.append(f"{len(told)} {what}: {'; '.join(told[:_FEW])}{more}")


def _shows(faces: Faces, shot: Shot) -> bool:
    return (faces.stream, faces.seq, faces.captured, len(faces)) == (
        shot.stream, shot.seq, shot.captured, len(shot.people),
    )  # fmt: skip
