"""Logs that say a thing once, not a hundred times a second."""

import logging
import time

__all__ = ["keep_calm"]

_SECONDS = 5.0


class _Calm(logging.Filter):
    """Lets one record of a kind through in a while: the same line of code at the same level."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, int, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind, now = (record.pathname, record.lineno, record.levelno), time.monotonic()
        if record.levelno < logging.WARNING or now - self._last.get(kind, -_SECONDS) >= _SECONDS:
            self._last[kind] = now
            return True
        return False


def keep_calm(package: str) -> None:
    """Let each warning of a package through once in five seconds: while Kafka is away, clients repeat them.

    A logger's filter does not see what its children log, so each of them gets it.
    """
    calm = _Calm()
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] == package]
    for name in names:
        logging.getLogger(name).addFilter(calm)
