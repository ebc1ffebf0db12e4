"""Operating points: the threshold for an error rate that was asked for, and what it lets through."""

import math
from dataclasses import dataclass

from app.evaluation.histogram import Tally

__all__ = ["Point", "allowed_errors", "operate"]


@dataclass(frozen=True, slots=True)
class Point:
    """What a rate of false accepts costs; threshold and hits are None where the data cannot support it."""

    #: The false accepts asked for, as a share of `comparisons`.
    rate: float
    #: Attempts of impostors that it rests on, and how many the rate would need for one false accept.
    comparisons: int
    needed: int
    #: The least similarity that is accepted.
    threshold: float | None
    #: Attempts of impostors that reach the threshold.
    false_accepts: int
    #: The share of genuine attempts that reach it.
    hits: float | None
    #: Why there is no threshold; None where there is one.
    why_not: str | None = None


def allowed_errors(rate: float, comparisons: int) -> int:
    """Return how many false accepts are within `rate`."""
    # 0.001 * 3000 is a little less or more than 3.
    return math.floor(rate * comparisons * (1 + 1e-12))


def operate(rate: float, impostors: Tally, genuine: Tally, attempts: int) -> Point:
    """Return the point where at most `rate` of `impostors` are accepted.

    Arguments:
        genuine: similarities of genuine attempts that could be compared.
        attempts: all genuine attempts, those that failed for want of a face among them.
    """
    comparisons = len(impostors)
    needed = math.ceil(1 / rate * (1 - 1e-12))
    allowed = allowed_errors(rate, comparisons)
    threshold = impostors.threshold(allowed)
    why_not = None
    if not attempts:
        why_not = "there are no two pictures of one person"
    elif not allowed:
        why_not = f"{comparisons:,} attempts, {needed:,} needed"
    elif threshold is None:
        why_not = f"more than {allowed:,} attempts have similarity 1: copies of one picture?"
    if threshold is None or why_not:
        return Point(rate, comparisons, needed, None, 0, None, why_not)
    hits = genuine.at_least(threshold) / attempts
    return Point(rate, comparisons, needed, threshold, impostors.at_least(threshold), hits)
