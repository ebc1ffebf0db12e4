"""What became of a source's pictures: counts that are kept while it runs and printed at its end."""

import time
from collections import Counter
from dataclasses import dataclass, field

from app.sources.base import Source

__all__ = ["Summary"]


@dataclass(slots=True)
class Summary:
    """How many frames were written, skipped and lost, and why."""

    source: Source
    stream: str
    #: Frames that Kafka has confirmed, and their JPEG bytes.
    sent: int = 0
    bytes: int = 0
    #: Frames on their way to Kafka.
    pending: int = 0
    #: Pictures that could not become a message, by reason.
    refused: Counter[str] = field(default_factory=Counter)
    #: Frames that Kafka did not take, by its error.
    errors: Counter[str] = field(default_factory=Counter)
    _started: float = field(default_factory=time.monotonic)
    _ended: float | None = None

    @property
    def skipped(self) -> Counter[str]:
        """Pictures that were never sent, by reason."""
        return self.refused + self.source.skipped

    @property
    def seconds(self) -> float:
        """Seconds since the beginning, until the end if it has come."""
        return (self._ended or time.monotonic()) - self._started

    def end(self) -> None:
        """Stop the time."""
        self._ended = time.monotonic()

    def losses(self) -> str:
        """Return what went wrong, such as ``skipped 3 (not-an-image 3)``, or nothing."""
        parts = [_part("skipped", self.skipped), _part("errors", self.errors)]
        if self.source.reconnects:
            parts.append(f"reconnected {self.source.reconnects}")
        return ", ".join(part for part in parts if part)

    def line(self) -> str:
        """Return everything in one line."""
        rate = self.sent / self.seconds if self.seconds else 0.0
        text = (
            f"{self.source.name} -> {self.stream}: {self.sent} frames, {self.bytes / 1e6:.1f} MB, "
            f"{self.seconds:.1f} s, {rate:.1f} frames/s"
        )
        return f"{text}, {self.losses()}" if self.losses() else text


def _part(title: str, counts: Counter[str]) -> str:
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
    return f"{title} {counts.total()} ({reasons})" if counts else ""
