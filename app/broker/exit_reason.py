"""Why Kafka ended, in one line, from what it wrote."""

import re
import signal
from pathlib import Path

from app.broker.configuration import CONSOLE_LOG, LOG_FILE

__all__ = ["exit_reason"]

# One failed start writes about half of this; what is further back had other causes.
_TAIL = 256 * 1024
_ERROR = re.compile(r"^\S+ \S+ (?:ERROR|FATAL) (.*)(?:\n([\w.$]*(?:Exception|Error)\b.*))?", re.MULTILINE)
_FATAL = re.compile(r"^(?:Terminating due to|Error:|# A fatal error).*", re.MULTILINE)
_LONGEST = 300


def exit_reason(data: Path, code: int, started: float) -> str:
    """Return the signal, else what Java said, else Kafka's first recent error, else the exit status.

    `started` is when it was started, in seconds since the epoch: an older log is of another run.
    """
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    if said := _FATAL.search(_tail(data / CONSOLE_LOG, started)):
        return said.group()[:_LONGEST]
    if error := _ERROR.search(_tail(data / LOG_FILE, started)):
        return ": ".join(part.strip() for part in error.groups() if part)[:_LONGEST]
    return f"exit status {code}"


def _tail(path: Path, started: float) -> str:
    try:
        if path.stat().st_mtime < started:
            return ""
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
