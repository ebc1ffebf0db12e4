"""When a picture is due, and what time it was captured at."""

import math
import threading
import time

__all__ = ["Clock", "Pace", "Thinner"]

#: Seconds by which a recording may fall behind its pace before the time lost is given up.
_PATIENCE = 0.5


class Clock:
    """Milliseconds since the epoch that never go back, whatever happens to the machine's clock."""

    def __init__(self) -> None:
        self._epoch = time.time() - time.monotonic()
        self._last = 0

    def now(self) -> int:
        """Return the time, always later than the one returned before."""
        return self.stamp(int((self._epoch + time.monotonic()) * 1000))

    def stamp(self, milliseconds: int) -> int:
        """Return `milliseconds`, or the least time that is later than the one returned before."""
        self._last = max(self._last + 1, milliseconds)
        return self._last


class Pace:
    """Holds the pictures of a recording back until they are due.

    `fps` None follows the presentation times, a number replaces them, infinity holds nothing back:
    then the presentation times alone say when a picture was captured, as if the recording had begun now.
    """

    def __init__(self, fps: float | None, closing: threading.Event) -> None:
        self._fps = fps
        self._closing = closing
        self._clock = Clock()
        self._start = time.monotonic()
        self._epoch = self._clock.now() + 1
        self._count = 0

    def admit(self, pts: int) -> int:
        """Wait until the picture of presentation time `pts` (ms) is due; return its capture time (ms)."""
        if self._fps == math.inf:
            return self._clock.stamp(self._epoch + pts)
        due = self._start + (pts / 1000 if self._fps is None else self._count / self._fps)
        self._count += 1
        late = time.monotonic() - due
        if late < 0:
            self._closing.wait(-late)
        elif late > _PATIENCE:
            # Whoever takes the pictures was away: go on at the same pace rather than in a burst.
            self._start += late
        return self._clock.now()


class Thinner:
    """Lets through no more than so many live pictures a second."""

    def __init__(self, fps: float | None) -> None:
        self._period = 0.0 if fps is None else 1 / fps
        self._due = -math.inf

    def keeps(self, now: float) -> bool:
        """Tell whether the picture that arrived at `now` (seconds, monotonic) is kept."""
        # Half a millisecond of slack, or a camera at exactly this rate would lose pictures to jitter.
        if now < self._due - 0.0005:
            return False
        following = self._due + self._period
        self._due = following if following > now else now + self._period
        return True
