"""The threshold of a gallery: from the rate at which strangers may be named, and how many are enrolled.

Who is searched for in a gallery of G photographs is compared G times. Were the comparisons independent, a
false match rate FMR would name a stranger at the rate FPIR = 1 - (1 - FMR)^G; the threshold is where the
impostor comparisons of a dataset have that FMR. It must rest on 30 false matches: then the true rate is
within 30 % of the measured one with 90 % confidence (Doddington et al., the rule of 30, 2000). It speaks of
independent errors: they must come from 30 pairs of people, however many pictures two people have.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from app.evaluation.check import Check, Trial, try_pooled, try_singles
from app.evaluation.comparisons import Block, count_matching_pairs, every_pair, every_search
from app.evaluation.errors import EvaluationError
from app.evaluation.face import Face
from app.evaluation.histogram import ScoreHistogram, allowed_errors
from app.evaluation.sample import Faces
from app.evaluation.visits import assign_visits, template

__all__ = [
    "FPIRS",
    "GALLERIES",
    "RULE",
    "Calibrated",
    "calibrate",
    "calibrate_pooled",
    "check_request",
    "false_match_rate",
]

#: False matches that a threshold must rest on, and pairs of people that these must come from.
RULE = 30
#: What can be asked for: a rate from the first number on and below the second one, and a gallery.
FPIRS = (1e-9, 1.0)
GALLERIES = (1, 10**9)


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
    found = _calibrated(partial(every_pair, people), fpir, gallery)
    return _checked(found, try_singles(people, gallery), margin)


def calibrate_pooled(
    people: Mapping[str, Sequence[Face | None]], fpir: float, gallery: int, margin: float
) -> Calibrated:
    """Find the same for several faces in one template: each visit is compared with everybody enrolled.

    Raises:
        EvaluationError: as `calibrate`, or too few people have several pictures.
    """
    check_request(fpir, gallery)
    visits = assign_visits(people)
    probes = {name: template(faces) for name, faces in visits.with_several_faces()}
    enrolled = {name: face.embedding for name, face in visits.enrolled.items() if face is not None}
    if not probes or not enrolled:
        raise EvaluationError(
            "nobody can be searched for by two pictures with a face, or nobody is enrolled with another one"
        )
    found = _calibrated(partial(every_search, probes, enrolled), fpir, gallery)
    return _checked(found, try_pooled(visits, probes, gallery), margin)


def _calibrated(blocks: Callable[[], Iterable[Block]], fpir: float, gallery: int) -> Calibrated:
    """Find the threshold and see that it rests on enough."""
    impostors = ScoreHistogram()
    for block in blocks():
        impostors.add(block.similarities[block.impostors])
    fmr = false_match_rate(fpir, gallery)
    request = f"a false-positive rate of {fpir:g} in a gallery of {gallery}"
    threshold = _threshold(impostors, fmr, request)
    matches = impostors.at_least(threshold)
    _check_support(blocks(), threshold, matches, request)
    return Calibrated(fpir, gallery, fmr, threshold, len(impostors), matches, None)


def _checked(found: Calibrated, trial: Trial | None, margin: float) -> Calibrated:
    """Try a threshold out, where there is anybody to search for."""
    if trial is None:
        return found
    check = trial.check(found.threshold, found.fmr, margin)
    # In a smaller gallery it may be one person whom many others look like.
    if check.beyond_chance and check.gallery >= RULE:
        raise EvaluationError(
            f"a false-positive rate of {found.fpir:g} in a gallery of {found.gallery} does not hold:"
            f" tried out with {check.gallery:,} people enrolled, {check.named:,} of"
            f" {check.searches:,} strangers were named, {check.expected:.2%} expected;"
            " are some people in the dataset under several names?"
        )
    return replace(found, check=check)


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


def _check_support(blocks: Iterable[Block], threshold: float, matches: int, request: str) -> None:
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
    pairs = count_matching_pairs(blocks, threshold, RULE)
    if pairs < RULE:
        raise EvaluationError(
            f"{request} would rest on {matches:,} false matches of only {pairs} pairs of people, and needs"
            f" {RULE} pairs: take more people, not more pictures of them"
        )
