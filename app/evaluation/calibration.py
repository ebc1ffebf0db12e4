"""The threshold of a gallery: from the rate at which strangers may be named, and how many are enrolled.

Who is searched for in a gallery of G photographs is compared G times. Were the comparisons independent, a
false match rate FMR would name a stranger at the rate FPIR = 1 - (1 - FMR)^G; the threshold is where the
impostor comparisons of a dataset have that FMR. It must rest on 30 false matches: then the true rate is
within 30 % of the measured one with 90 % confidence (Doddington et al., the rule of 30, 2000). It speaks of
independent errors: they must come from 30 pairs of people, however many pictures two people have.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.evaluation.comparisons import compare_all, count_matching_pairs
from app.evaluation.errors import EvaluationError
from app.evaluation.histogram import ScoreHistogram, allowed_errors
from app.evaluation.identification import Searches, assign_roles, search
from app.evaluation.sample import Faces
from app.search import decide

__all__ = [
    "FPIRS",
    "GALLERIES",
    "RULE",
    "Calibrated",
    "Check",
    "calibrate",
    "check_request",
    "false_match_rate",
    "tail",
]

#: False matches that a threshold must rest on, and pairs of people that these must come from.
RULE = 30
#: What can be asked for: a rate from the first number on and below the second one, and a gallery.
FPIRS = (1e-9, 1.0)
GALLERIES = (1, 10**9)
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
class Calibrated:
    """A threshold and what it rests on."""

    fpir: float
    gallery: int
    #: The false match rate that follows from these two.
    fmr: float
    threshold: float
    #: Impostor comparisons, and how many reach the threshold.
    comparisons: int
    false_matches: int
    #: None where the dataset has nobody to enrol and search for.
    check: Check | None


def false_match_rate(fpir: float, gallery: int) -> float:
    """Return the rate of false matches that gives `fpir` in a gallery of so many photographs."""
    return -math.expm1(math.log1p(-fpir) / gallery)


def check_request(fpir: float, gallery: int) -> None:
    """Refuse what no dataset could support, or what means nothing.

    Raises:
        EvaluationError: it is out of range.
    """
    if not FPIRS[0] <= fpir < FPIRS[1]:
        raise EvaluationError(f"expected a rate from {FPIRS[0]:g} on and below {FPIRS[1]:g}, found {fpir:g}")
    if not GALLERIES[0] <= gallery <= GALLERIES[1]:
        raise EvaluationError(
            f"expected a gallery of {GALLERIES[0]} to {GALLERIES[1]:,} photographs, found another number"
        )


def calibrate(people: Faces, fpir: float, gallery: int, margin: float) -> Calibrated:
    """Find the threshold at which a stranger is named at the rate `fpir` in a gallery of so many photographs.

    Raises:
        EvaluationError: the impostor comparisons of `people` cannot support it, or strangers who were
            searched for prove it wrong.
    """
    check_request(fpir, gallery)
    if len(people) < 2:
        raise EvaluationError("a threshold needs pictures of at least two people, found one person")
    impostors = compare_all(people).impostors
    fmr = false_match_rate(fpir, gallery)
    request = f"a false-positive rate of {fpir:g} in a gallery of {gallery}"
    threshold = _threshold(impostors, fmr, request)
    _check_support(people, threshold, impostors.at_least(threshold), request)
    check = _check(people, gallery, threshold, fmr, margin)
    # In a smaller gallery it may be one person whom many others look like.
    if check is not None and check.beyond_chance and check.gallery >= RULE:
        raise EvaluationError(
            f"{request} does not hold: tried out with {check.gallery:,} people enrolled, {check.named:,} of"
            f" {check.searches:,} strangers were named, {check.expected:.2%} expected;"
            " are some people in the dataset under several names?"
        )
    return Calibrated(fpir, gallery, fmr, threshold, len(impostors), impostors.at_least(threshold), check)


def _threshold(impostors: ScoreHistogram, fmr: float, request: str) -> float:
    allowed = allowed_errors(fmr, len(impostors))
    if allowed < RULE:
        raise EvaluationError(
            f"{request} needs {math.ceil(RULE / fmr):,} impostor comparisons"
            f" (a false match rate of {fmr:.2g}, resting on {RULE} false matches):"
            f" the dataset has {len(impostors):,}"
        )
    threshold = impostors.threshold(allowed)
    if threshold is None:
        raise EvaluationError(
            f"{request} cannot be had: more than {allowed} comparisons of two people have similarity 1;"
            " are there copies of one picture under several names?"
        )
    # Below 0 nothing would be refused, which no gallery wants.
    return max(0.0, threshold)


def _check_support(people: Faces, threshold: float, matches: int, request: str) -> None:
    """Refuse a threshold that too few false matches reach, or those of too few people."""
    if matches < RULE and not threshold:
        raise EvaluationError(
            f"{request} would take a threshold of 0, which {matches} comparisons of two people reach:"
            f" {RULE} are needed, so take more people"
        )
    if matches < RULE:
        raise EvaluationError(
            f"{request} would rest on {matches} false matches, not {RULE}: too many comparisons are just as"
            " similar; are there copies of one picture under several names?"
        )
    pairs = count_matching_pairs(people, threshold, RULE)
    if pairs < RULE:
        raise EvaluationError(
            f"{request} would rest on {matches:,} false matches of only {pairs} pairs of people, and needs"
            f" {RULE} pairs: take more people, not more pictures of them"
        )


def _check(people: Faces, gallery: int, threshold: float, fmr: float, margin: float) -> Check | None:
    roles = assign_roles(people)
    if roles is None:
        return None
    chosen = roles.known[:gallery]
    known, strangers = search(people, chosen, roles.strangers)
    enrolled = sum(people[name][0] is not None for name in chosen)
    searches = len(strangers.right)
    if not enrolled or not searches:
        return None
    named = int(_named(strangers, threshold).sum())
    identified = known.right & _named(known, threshold)
    expected = -math.expm1(enrolled * math.log1p(-fmr))
    return Check(
        gallery=enrolled,
        searches=searches,
        named=named,
        fpir=named / searches,
        expected=expected,
        identified=float(identified.sum() / len(known)),
        identified_with_margin=float((known.right & _named(known, threshold, margin)).sum() / len(known)),
        beyond_chance=_is_beyond_chance(people, roles.strangers, strangers, threshold, expected),
    )


def _named(searches: Searches, threshold: float, margin: float = 0.0) -> NDArray[np.bool_]:
    return decide(searches.nearest, threshold, margin)


def _is_beyond_chance(
    people: Faces, names: Sequence[str], searches: Searches, threshold: float, expected: float
) -> bool:
    """Tell whether more strangers were named, each by their first face, than the rate `expected` explains."""
    owners = [number for number, name in enumerate(names) for face in people[name] if face is not None]
    _, firsts = np.unique(owners, return_index=True)
    named = int(_named(searches, threshold)[firsts].sum())
    return tail(named, len(firsts), expected) < _CHANCE


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
