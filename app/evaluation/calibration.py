"""The threshold of a gallery: from the rate at which strangers may be named, and how many are enrolled.

Who is searched for in a gallery of G photographs is compared G times. Were the comparisons independent, a
false match rate FMR would name a stranger at the rate FPIR = 1 - (1 - FMR)^G; the threshold is where the
impostor comparisons of a dataset have that FMR. It must rest on 30 false matches: then the true rate is
within 30 % of the measured one with 90 % confidence (Doddington et al., the rule of 30, 2000).
"""

import math
from dataclasses import dataclass

from app.evaluation.comparisons import compare_all
from app.evaluation.errors import EvaluationError
from app.evaluation.identification import assign_roles, search
from app.evaluation.points import allowed_errors
from app.evaluation.sample import Faces
from app.evaluation.tally import Tally

__all__ = ["RULE", "Calibrated", "Check", "calibrate", "false_match_rate"]

#: False matches that a threshold must rest on.
RULE = 30


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


def calibrate(people: Faces, fpir: float, gallery: int, margin: float) -> Calibrated:
    """Find the threshold at which a stranger is named at the rate `fpir` in a gallery of so many photographs.

    Raises:
        EvaluationError: the impostor comparisons of `people` cannot support it.
    """
    if not 0 < fpir < 1 or gallery < 1:
        raise EvaluationError(f"expected a rate between 0 and 1 and a gallery, found {fpir} and {gallery}")
    if len(people) < 2:
        raise EvaluationError("a threshold needs pictures of at least two people, found one person")
    impostors = compare_all(people).impostors
    fmr = false_match_rate(fpir, gallery)
    threshold = _threshold(impostors, fmr, f"a false-positive rate of {fpir:g} in a gallery of {gallery}")
    check = _check(people, gallery, threshold, fmr, margin)
    return Calibrated(fpir, gallery, fmr, threshold, len(impostors), impostors.at_least(threshold), check)


def _threshold(impostors: Tally, fmr: float, wish: str) -> float:
    allowed = allowed_errors(fmr, len(impostors))
    if allowed < RULE:
        raise EvaluationError(
            f"{wish} needs {math.ceil(RULE / fmr):,} impostor comparisons (a false match rate of {fmr:.2g},"
            f" resting on {RULE} false matches): the dataset has {len(impostors):,}"
        )
    threshold = impostors.threshold(allowed)
    if threshold is None:
        raise EvaluationError(
            f"{wish} cannot be had: more than {allowed} comparisons of two people have similarity 1;"
            " are there copies of one picture under several names?"
        )
    # Below 0 nothing would be refused, which no gallery wants.
    return max(0.0, threshold)


def _check(people: Faces, gallery: int, threshold: float, fmr: float, margin: float) -> Check | None:
    roles = assign_roles(people)
    if roles is None:
        return None
    chosen = roles.known[:gallery]
    known, strangers = search(people, chosen, roles.strangers)
    enrolled = sum(people[name][0] is not None for name in chosen)
    if not enrolled or not len(strangers.best):
        return None
    named = int((strangers.best >= threshold).sum())
    identified = known.right & (known.best >= threshold)
    return Check(
        gallery=enrolled,
        searches=len(strangers.best),
        named=named,
        fpir=named / len(strangers.best),
        expected=-math.expm1(enrolled * math.log1p(-fmr)),
        identified=float(identified.sum() / len(known)),
        identified_with_margin=float((identified & (known.lead >= margin)).sum() / len(known)),
    )
