"""How quick this machine is: what tests wait for at most, and what they ask of it, goes by that.

Limits and loads in tests are those of the machine that they were chosen on. One that is slower waits longer
and is asked for less; one that is quicker does what the tests say, for a limit is no measure of speed.
"""

import asyncio
import time

import cv2
import numpy as np

__all__ = ["SLOWNESS", "load", "patience"]

#: Seconds that `_work` took on the machine on which limits and loads were chosen, with nothing else running.
_THERE = 0.040
#: More is no slow machine but one that stood still meanwhile.
_MOST = 8.0


def _work() -> float:
    """Do what tests do most: Python, and pictures; return the seconds that it took."""
    begin = time.perf_counter()
    total = 0
    for number in range(300_000):
        total += number % 7
    picture = np.full((540, 960, 3), total % 256, np.uint8)
    for _ in range(2):
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 5), np.uint8)
    return time.perf_counter() - begin


#: How many times as slow as that machine this one is, at least 1; measured once.
SLOWNESS = min(_MOST, max(1.0, min(_work() for _ in range(3)) / _THERE))


def patience(seconds: float) -> asyncio.Timeout:
    """Return what gives up after so many seconds of that machine."""
    return asyncio.timeout(seconds * SLOWNESS)


def load(rate: float) -> float:
    """Return the rate, of frames or whatever, that is to this machine what `rate` was to that one."""
    return rate / SLOWNESS
