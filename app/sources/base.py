"""What every source is: pictures one after another, read by one thread, closed by any."""

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import numpy as np
from numpy.typing import NDArray

from app.errors import OnlookerError

__all__ = ["Bgr", "Picture", "Source", "SourceError", "SourceOptions", "mask"]

#: (H, W, 3) uint8, blue, green, red.
Bgr = NDArray[np.uint8]


class SourceError(OnlookerError):
    """A source cannot be opened, read or written to its stream."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a source is to be read."""

    #: Pictures a second; None is the source's own pace, infinity as fast as they are taken.
    fps: float | None = None
    #: Begin again at the end of a file or folder.
    loop: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture as its source gave it: a JPEG's bytes, or pixels."""

    image: bytes | Bgr
    #: Presentation time in the medium, milliseconds since its start.
    pts: int
    #: When it was captured, milliseconds since the epoch.
    captured: int


class Source(ABC):
    """Something that gives pictures; one thread runs `pictures`, any may call `close`."""

    #: A live source prefers fresh pictures to all pictures; a recording prefers all.
    live: bool = False
    #: What to call it in front of people; never holds credentials.
    name: str

    def __init__(self, name: str, options: SourceOptions) -> None:
        self.name = name
        self.options = options
        #: Pictures that could not be given, by reason.
        self.skipped: Counter[str] = Counter()
        #: How often the source was lost and opened again.
        self.reconnects = 0
        self._closing = threading.Event()

    @abstractmethod
    def pictures(self) -> Generator[Picture, None, None]:
        """Give the pictures, at the source's pace, until its end or `close`.

        Raises:
            SourceError: it cannot be read.
        """

    def close(self) -> None:
        """Ask `pictures` to end; it does at the next picture, or when its wait is interrupted."""
        self._closing.set()

    @property
    def closing(self) -> bool:
        """Whether `close` has been called."""
        return self._closing.is_set()


def mask(url: str) -> str:
    """Return `url` without what may be secret: user, password and query."""
    try:
        parts = urlsplit(url)
        _, at, host = parts.netloc.rpartition("@")
    except ValueError:
        return "a malformed address"
    query = "***" if parts.query else ""
    return urlunsplit((parts.scheme, f"***{at}{host}" if at else host, parts.path, query, ""))
