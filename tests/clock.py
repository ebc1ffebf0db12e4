"""The time, which passes when a test says so."""

import time

__all__ = ["Clock"]


class Clock:
    """Stands in for the module `time` in a module under test; what is measured passes by itself."""

    perf_counter = staticmethod(time.perf_counter)

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def time(self) -> float:
        """Return the time that a test has set, seconds since the epoch."""
        return self.now

    monotonic = time
