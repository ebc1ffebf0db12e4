"""The cache of embeddings: what the nets said of each picture, in a SQLite file for this user alone."""

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from app.evaluation.errors import CacheError
from app.models.arrays import Floats

__all__ = ["Cache", "Missing", "open_cache"]

#: "Onlo" in ASCII: what tells our file from another one.
_OURS = 0x4F6E6C6F
#: Raised whenever the table changes: a cache of another version is built again.
_VERSION = 2
#: `used` is when a run last took the embedding, in seconds since 1970.
_TABLE = """
CREATE TABLE faces (
    way TEXT NOT NULL, picture TEXT NOT NULL, embedding BLOB, used REAL NOT NULL, PRIMARY KEY (way, picture)
) WITHOUT ROWID
"""
_COLUMNS = ["way", "picture", "embedding", "used"]
#: Finds ways whose embeddings are not all of one length, or not single-precision numbers.
_UNFIT = """
SELECT 1 FROM faces WHERE embedding IS NOT NULL GROUP BY way
HAVING min(length(embedding)) != max(length(embedding)) OR max(length(embedding)) % 4
OR NOT min(length(embedding)) OR sum(typeof(embedding) != 'blob')
"""
_DAY = 24 * 3600.0


class Missing(LookupError):
    """The cache does not know a picture."""


class Cache:
    """Embeddings by picture and way: SHA-256 of a file's bytes, and of all that decides what comes out."""

    def __init__(self, database: sqlite3.Connection, path: Path | None) -> None:
        self._database = database
        self._path = path

    def get(self, way: str, picture: str) -> Floats | None:
        """Return the embedding of a picture, None for one without a face, or raise Missing."""
        query = "SELECT embedding FROM faces WHERE way = ? AND picture = ?"
        with _one_line(self._path):
            row = self._database.execute(query, [way, picture]).fetchone()
        if row is None:
            raise Missing(picture)
        return None if row[0] is None else np.frombuffer(row[0], np.float32)

    def put(self, way: str, picture: str, embedding: Floats | None) -> None:
        """Remember an embedding, from this moment on: what interrupts the run does not lose it."""
        blob = None if embedding is None else embedding.astype(np.float32).tobytes()
        with _one_line(self._path), self._database:
            row = [way, picture, blob, time.time()]
            self._database.execute("INSERT OR REPLACE INTO faces VALUES (?, ?, ?, ?)", row)

    def use(self, way: str, pictures: Iterable[str]) -> None:
        """Remember, to the day, that embeddings were of use now."""
        now = time.time()
        query = "UPDATE faces SET used = ? WHERE way = ? AND picture = ? AND used < ?"
        with _one_line(self._path), self._database:
            self._database.executemany(query, [(now, way, picture, now - _DAY) for picture in pictures])

    def forget(self, days: float, code: str) -> None:
        """Delete what was of no use for so many days, and ways that do not begin with `code`."""
        query = "DELETE FROM faces WHERE used < ? OR substr(way, 1, ?) != ?"
        with _one_line(self._path), self._database:
            self._database.execute(query, [time.time() - days * _DAY, len(code), code])

    def close(self) -> None:
        """Close the file."""
        self._database.close()


@contextmanager
def open_cache(path: Path | None) -> Iterator[Cache]:
    """Open the cache at `path`, made where it is missing; None is one in memory.

    A damaged file, or one of another version, is built again.

    Raises:
        CacheError: it cannot be written, or is somebody else's database.
    """
    with _one_line(path):
        cache = Cache(_open(path) if path else _connect(None), path)
    try:
        yield cache
    finally:
        cache.close()


def _open(path: Path) -> sqlite3.Connection:
    # Before SQLite makes it, which would let others read it; the files beside it get the same mode.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)
    try:
        database = _connect(path)
    except sqlite3.OperationalError:
        # Locked, or the disk is full: it is no worse for that.
        raise
    except sqlite3.DatabaseError:
        _discard(path)
        return _open(path)
    return database


def _connect(path: Path | None) -> sqlite3.Connection:
    database = sqlite3.connect(path or ":memory:", timeout=30)
    try:
        _prepare(database, path)
    except BaseException:
        database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection, path: Path | None) -> None:
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables:
        with database:
            database.execute(_TABLE)
            database.execute(f"PRAGMA application_id = {_OURS}")
            database.execute(f"PRAGMA user_version = {_VERSION}")
    elif database.execute("PRAGMA application_id").fetchone() != (_OURS,):
        raise CacheError(f"{path}: expected a cache of embeddings, found another database: move it away")
    elif not _is_whole(database):
        raise sqlite3.DatabaseError("it is damaged, or of another version")
    # What is deleted is overwritten.
    database.execute("PRAGMA secure_delete = ON")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")


def _is_whole(database: sqlite3.Connection) -> bool:
    return (
        database.execute("PRAGMA user_version").fetchone() == (_VERSION,)
        and database.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
        and [column for _, column, *_ in database.execute("PRAGMA table_info(faces)")] == _COLUMNS
        and database.execute(_UNFIT).fetchone() is None
    )


def _discard(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


@contextmanager
def _one_line(path: Path | None) -> Iterator[None]:
    """Turn what SQLite and the system raise into an error for people."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise CacheError(f"cannot use the cache of embeddings {path}: {why}") from None
