"""A threshold tried out: strangers are really searched for, in a gallery as large as there is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.evaluation.identification import Searches, assign_roles, look_up, search
from app.evaluation.sample import Faces
from app.evaluation.visits import Visits
from app.models import Floats
from app.search import decide

__all__ = ["Check", "Trial", "tail", "try_pooled", "try_singles"]

#: What happens less often than this does not happen by chance.
_CHANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Check:
    """Strangers who were really searched for, in the gallery asked for or the largest that there is."""

    gallery: int
    searches: int
    #: Searches that named somebody, and their share.
    named: int
    fpir: float
    #: The share that independent comparisons would give in this gallery.
    expected: float
    #: The share of the enrolled people's probes that were given their name; of all, those without a face too.
    identified: float
    #: The same where the second person must be `margin` behind, as `identify` has it.
    identified_with_margin: float
    #: Whether so many strangers were named that independent comparisons do not explain it.
    beyond_chance: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """What a gallery of so many people has said of those who are enrolled, and of strangers.

    firsts: the row of each stranger's first search.
    """

    enrolled: int
    known: Searches
    strangers: Searches
    firsts: NDArray[np.intp]

    def check(self, threshold: float, fmr: float, margin: float) -> Check:
        """Say who is named from `threshold` on, where comparisons have the false match rate `fmr`."""
        named = _named(self.strangers, threshold)
        identified = self.known.right & _named(self.known, threshold)
        with_margin = self.known.right & _named(self.known, threshold, margin)
        expected = -math.expm1(self.enrolled * math.log1p(-fmr))
        return Check(
            gallery=self.enrolled,
            searches=len(named),
            named=int(named.sum()),
            fpir=float(named.mean()),
            expected=expected,
            identified=float(identified.sum() / len(self.known)),
            identified_with_margin=float(with_margin.sum() / len(self.known)),
            beyond_chance=tail(int(named[self.firsts].sum()), len(self.firsts), expected) < _CHANCE,
        )


def try_singles(people: Faces, gallery: int) -> Trial | None:
    """Search for single pictures; None where nobody is enrolled, or there is no stranger with a face."""
    roles = assign_roles(people)
    if roles is None:
        return None
    chosen = roles.known[:gallery]
    known, strangers = search(people, chosen, roles.strangers)
    enrolled = sum(people[name][0] is not None for name in chosen)
    owners = [name for name in roles.strangers for face in people[name] if face is not None]
    return _trial(enrolled, known, strangers, owners)


def try_pooled(visits: Visits, probes: Mapping[str, Floats], gallery: int) -> Trial | None:
    """Search for `probes`, a template of each person; None as with single pictures."""
    chosen = visits.with_gallery(gallery)
    index = chosen.index()
    known = [(name, probes[name]) for name in chosen.known if name in probes]
    strangers = [(None, probes[name]) for name in chosen.strangers if name in probes]
    if not known:
        return None
    owners = [str(number) for number in range(len(strangers))]
    return _trial(len(index), look_up(index, known), look_up(index, strangers), owners)


def _trial(enrolled: int, known: Searches, strangers: Searches, owners: list[str]) -> Trial | None:
    if not enrolled or not owners:
        return None
    first = {owner: row for row, owner in reversed(list(enumerate(owners)))}
    return Trial(enrolled, known, strangers, np.array(sorted(first.values()), np.intp))


def _named(searches: Searches, threshold: float, margin: float = 0.0) -> NDArray[np.bool_]:
    return decide(searches.nearest, threshold, margin)


def tail(hits: int, tries: int, rate: float) -> float:
    """Return the probability of at least `hits` in `tries` independent ones, each a hit at `rate`, 0 to 1."""
    if hits <= 0:
        return 1.0
    if rate <= 0 or hits > tries:
        return 0.0
    if rate >= 1:
        return 1.0
    return min(1.0, math.fsum(_exactly(number, tries, rate) for number in range(hits, tries + 1)))


def _exactly(hits: int, tries: int, rate: float) -> float:
    """Return the probability of just so many, by logarithms: the number of ways may be too large to write."""
    ways = math.lgamma(tries + 1) - math.lgamma(hits + 1) - math.lgamma(tries - hits + 1)
    return math.exp(ways + hits * math.log(rate) + (tries - hits) * math.log1p(-rate))
