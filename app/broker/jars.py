"""Kafka's jars: fetched by their locked coordinates, used only when their digests are the locked ones."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory

from app.broker.errors import BrokerError, JarsUnavailableError
from app.progress import SILENT, Progress, Task

__all__ = ["LOCK", "LockedJar", "prepare_jars", "read_lock", "sha256"]

#: Every jar with its Maven coordinates and SHA-256.
LOCK = Path(__file__).with_name("jars.lock")
_CONNECTIONS = 6
_TIMEOUT = 30


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


def prepare_jars(cache: Path, progress: Progress = SILENT, lock: Path = LOCK) -> list[Path]:
    """Return the jars of the lock in the folder `cache`, fetching those that are missing.

    The digest of every jar is checked each time; if one is wrong, none is used.

    Raises:
        JarsUnavailableError: a jar is missing and cannot be fetched.
        BrokerError: a jar is not the locked one.
    """
    locked = read_lock(lock)
    cache.mkdir(parents=True, exist_ok=True)
    # One name for one folder: Java's start-up cache holds for the very paths that it was made with.
    cache = cache.resolve()
    if missing := [jar for jar in locked if not (cache / jar.file).exists()]:
        _fetch_all(missing, cache, progress)
    paths = [cache / jar.file for jar in locked]
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        list(pool.map(_check, locked, paths))
    return paths


def _check(jar: LockedJar, path: Path) -> None:
    found = sha256(path)
    if found != jar.sha256:
        raise BrokerError(
            f"{jar} is not the locked jar: expected sha256 {jar.sha256}, found {found} in {path}; "
            "remove that file to fetch it again"
        )


def _fetch_all(jars: list[LockedJar], cache: Path, progress: Progress) -> None:
    # Nothing enters the cache before all of it is there and checked, nor after an interruption.
    with TemporaryDirectory(dir=cache, prefix="incoming-") as incoming:
        fetched = _in_parallel(_fetcher(Path(incoming)), jars, progress)
        for jar, path in fetched.items():
            path.replace(cache / jar.file)


def _in_parallel(
    fetch: Callable[[LockedJar], Path], jars: Iterable[LockedJar], progress: Progress
) -> dict[LockedJar, Path]:
    pool = ThreadPoolExecutor(_CONNECTIONS)
    try:
        waiting = {pool.submit(fetch, jar): jar for jar in jars}
        fetched: dict[LockedJar, Path] = {}
        with Task(progress, "fetching Apache Kafka", len(waiting)) as task:
            for future in as_completed(waiting):
                fetched[waiting[future]] = future.result()
                task.update(1)
        return fetched
    finally:
        pool.shutdown(cancel_futures=True)


def _fetcher(incoming: Path) -> Callable[[LockedJar], Path]:
    # Imported here: half a second, and most starts have nothing to fetch.
    from jgo.config import GlobalSettings
    from jgo.maven import MavenContext

    maven = MavenContext(repo_cache=incoming, timeout=_TIMEOUT)
    maven.remote_repos.update(GlobalSettings.load().repositories)

    def fetch(jar: LockedJar) -> Path:
        try:
            path = maven.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise JarsUnavailableError(f"cannot fetch {jar} from the Maven repository: {reason}") from None
        _check(jar, path)
        return path

    return fetch


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
