"""The lock: every jar of the broker with its Maven coordinates and SHA-256."""

from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

from app.broker.errors import BrokerError

__all__ = ["LOCK", "LockedJar", "read_lock", "sha256"]

LOCK = Path(__file__).with_name("jars.lock")


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One jar: where it is in a Maven repository, and what it must be."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """The jar's name in the cache."""
        return f"{self.artifact}-{self.version}.jar"

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def read_lock(path: Path = LOCK) -> list[LockedJar]:
    """Return the jars of a lock, each line of which is ``group:artifact:version sha256``.

    Raises:
        BrokerError: a line is something else.
    """
    return [_parse(line, path) for line in path.read_text("ascii").splitlines() if not line.startswith("#")]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _parse(line: str, path: Path) -> LockedJar:
    try:
        coordinates, digest = line.split()
        group, artifact, version = coordinates.split(":")
    except ValueError:
        raise BrokerError(f"{path.name}: expected `group:artifact:version sha256`, found `{line}`") from None
    return LockedJar(group, artifact, version, digest)
