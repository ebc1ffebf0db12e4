"""The cache of faces: what the nets said of each picture, in a SQLite file for this user alone."""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from app.evaluation.errors import EvaluationError
from app.evaluation.face import Face
from app.sqlite import ForeignDatabaseError, Schema, open_database

__all__ = ["Cache", "CacheError", "Missing", "open_cache"]

#: `used` is when a run last took the embedding, in seconds since 1970.
_TABLE = """
CREATE TABLE faces (
    fingerprint TEXT NOT NULL, picture TEXT NOT NULL, embedding BLOB, quality REAL, used REAL NOT NULL,
    PRIMARY KEY (fingerprint, picture)
) WITHOUT ROWID
"""
#: "Onlo" in ASCII is what tells our file from another one.
_SCHEMA = Schema("cache of embeddings", version=4, tables=_TABLE, application=0x4F6E6C6F)
#: Finds fingerprints whose embeddings are not all of one length, or not single-precision numbers.
_UNFIT = """
SELECT 1 FROM faces WHERE embedding IS NOT NULL GROUP BY fingerprint
HAVING min(length(embedding)) != max(length(embedding)) OR max(length(embedding)) % 4
OR NOT min(length(embedding)) OR sum(typeof(embedding) != 'blob' OR typeof(quality) != 'real')
"""
_DAY = 24 * 3600.0


class CacheError(EvaluationError):
    """The cache of embeddings cannot be used."""


class Missing(LookupError):
    """The cache does not know a picture."""


class Cache:
    """Faces by fingerprint and picture, which is the SHA-256 of a file's bytes."""

    def __init__(self, database: sqlite3.Connection, path: Path | None) -> None:
        self._database = database
        self._path = path

    def get(self, fingerprint: str, picture: str) -> Face | None:
        """Return the face of a picture, None for one without a face, or raise Missing."""
        query = "SELECT embedding, quality FROM faces WHERE fingerprint = ? AND picture = ?"
        with _one_line(self._path):
            row = self._database.execute(query, [fingerprint, picture]).fetchone()
        if row is None:
            raise Missing(picture)
        embedding, quality = row
        return None if embedding is None else Face(np.frombuffer(embedding, np.float32), quality)

    def put(self, fingerprint: str, picture: str, face: Face | None) -> None:
        """Remember a face, from this moment on: what interrupts the run does not lose it."""
        kept = (None, None) if face is None else (face.embedding.astype(np.float32).tobytes(), face.quality)
        with _one_line(self._path), self._database:
            row = [fingerprint, picture, *kept, time.time()]
            self._database.execute("INSERT OR REPLACE INTO faces VALUES (?, ?, ?, ?, ?)", row)

    def use(self, fingerprint: str, pictures: Iterable[str]) -> None:
        """Remember, to the day, that embeddings were of use now."""
        now = time.time()
        query = "UPDATE faces SET used = ? WHERE fingerprint = ? AND picture = ? AND used < ?"
        with _one_line(self._path), self._database:
            self._database.executemany(
                query, [(now, fingerprint, picture, now - _DAY) for picture in pictures]
            )

    def forget(self, days: float, code: str) -> None:
        """Delete what was of no use for so many days, and fingerprints that do not begin with `code`."""
        query = "DELETE FROM faces WHERE used < ? OR substr(fingerprint, 1, ?) != ?"
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
        cache = Cache(open_database(path, _SCHEMA, _check, timeout=30), path)
    try:
        yield cache
    finally:
        cache.close()


def _check(database: sqlite3.Connection) -> None:
    if database.execute(_UNFIT).fetchone() is not None:
        raise sqlite3.DatabaseError("it is damaged")


@contextmanager
def _one_line(path: Path | None) -> Iterator[None]:
    """Turn what SQLite and the system raise into an error for people."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise CacheError(f"cannot use the {_SCHEMA.name} {path}: {why}") from None
    except ForeignDatabaseError as error:
        raise CacheError(str(error)) from None
