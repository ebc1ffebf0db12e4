"""Who the visits to a stream are: one steady name each, and a word why there is none.

A name that was given stays unless another person leads clearly, or it is not enrolled any more. A person is
one visit: two that get one name are joined, unless they were on one frame; then the more similar one has it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec

from app.messages import Lack, Sighting, Unnamed
from app.search import Confidence, Match
from app.tracking.state import Visit

__all__ = ["NamingRules", "name_visits"]

#: So many margins must another person lead by, for a name to change.
_CLEARLY = 2
_GATES: dict[int, Literal["small", "turned", "blurred"]] = {
    Lack.SIZE: "small",
    Lack.FRONT: "turned",
    Lack.SHARPNESS: "blurred",
}


@dataclass(frozen=True, slots=True)
class NamingRules:
    """When a visit is given a name: the least similarity, and the least lead over the next person.

    threshold, pooled_threshold: of one face, and of several in one template.
    confidence: says how likely it is right.
    """

    threshold: float
    pooled_threshold: float
    margin: float
    confidence: Confidence


def name_visits(
    visits: Iterable[Visit],
    matches: Iterable[tuple[Visit, Match]],
    enrolled: Callable[[str], bool],
    rules: NamingRules,
) -> list[tuple[Visit, Visit]]:
    """Name those of `visits` of which `matches` tells anew; return which turned out to be of one person."""
    naming = _Naming(visits, rules)
    naming.forget(enrolled)
    for visit, match in sorted(matches, key=lambda pair: -pair[1].similarity):
        naming.settle(visit, match)
    return naming.same


class _Naming:
    def __init__(self, visits: Iterable[Visit], rules: NamingRules) -> None:
        self._rules = rules
        self._visits = list(visits)
        self.same: list[tuple[Visit, Visit]] = []

    def forget(self, enrolled: Callable[[str], bool]) -> None:
        """Take the names of people away who are not enrolled any more."""
        for visit in self._visits:
            person = visit.sighting.person
            if person is not None and not enrolled(person):
                _unname(visit, Unnamed(gate="unlike", lacking=0.0))

    def settle(self, visit: Visit, match: Match) -> None:
        """Decide about one visit."""
        visit.similarity = match.similarity if match.nearest is not None else None
        wanted = self._wanted(visit.sighting, match)
        if wanted is None:
            _unname(visit, self._why(visit, match))
            return
        others = [one for one in self._visits if one is not visit and one.sighting.person == wanted]
        rivals = [one for one in others if _beside(one, visit)]
        if visit.sighting.person != wanted and rivals and not self._yield(rivals, match):
            _unname(visit, self._beaten(match.similarity, max(map(_score, rivals))))
            return
        self._name(visit, wanted, match)
        self.same += [(one, visit) for one in others if one not in rivals]

    def _wanted(self, sighting: Sighting, match: Match) -> str | None:
        if sighting.person is None or match.person is None or match.person == sighting.person:
            return sighting.person or match.person
        lead = match.similarity - match.runner_up
        return match.person if lead >= _CLEARLY * self._rules.margin else sighting.person

    def _yield(self, rivals: Iterable[Visit], match: Match) -> bool:
        """Take the name away from visits beside one that is clearly more like the person; tell whether."""
        rivals = list(rivals)
        if any(match.similarity - _score(one) < _CLEARLY * self._rules.margin for one in rivals):
            return False
        for one in rivals:
            _unname(one, self._beaten(_score(one), match.similarity))
        return True

    def _beaten(self, similarity: float, rival: float) -> Unnamed:
        lacking = rival + _CLEARLY * self._rules.margin - similarity
        return Unnamed(gate="beside", lacking=max(0.0, lacking))

    def _name(self, visit: Visit, person: str, match: Match) -> None:
        sighting = visit.sighting
        score, confidence = sighting.score, sighting.confidence
        if match.nearest == person:
            score = match.similarity
            confidence = self._rules.confidence.of(score, score - match.runner_up, _faces(visit))
        visit.sighting = msgspec.structs.replace(
            sighting,
            person=person,
            name=match.name if match.person == person else sighting.name,
            score=score,
            confidence=confidence,
            unnamed=None,
        )

    def _why(self, visit: Visit, match: Match) -> Unnamed:
        """Say what stopped the name of a visit that is nobody's."""
        rules, template = self._rules, visit.template
        threshold = rules.threshold if _faces(visit) < 2 else rules.pooled_threshold
        if match.nearest is None:
            return Unnamed(gate="nobody", lacking=0.0)
        if match.similarity >= threshold:
            lead = match.similarity - match.runner_up
            return Unnamed(gate="ambiguous", lacking=max(0.0, rules.margin - lead))
        gate = _GATES.get(visit.lack)
        if gate is not None and template is not None and template.best < threshold:
            # Not even a good picture of the same person would be similar enough.
            return Unnamed(gate=gate, lacking=threshold - template.best)
        return Unnamed(gate="unlike", lacking=threshold - match.similarity)


def _faces(visit: Visit) -> int:
    return visit.template.faces if visit.template else 1


def _beside(one: Visit, other: Visit) -> bool:
    return other.sighting.id in one.beside


def _score(visit: Visit) -> float:
    return visit.sighting.score or 0.0


def _unname(visit: Visit, why: Unnamed) -> None:
    visit.sighting = msgspec.structs.replace(
        visit.sighting, person=None, name=None, score=None, confidence=None, unnamed=why
    )
