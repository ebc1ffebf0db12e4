"""What can happen by chance."""

import math

__all__ = ["tail"]


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
