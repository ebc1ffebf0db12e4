"""SQLite files of this user alone, that hold what can be had again: opened, or begun anew where of no use."""

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from app.errors import OnlookerError
from app.locks import locked

__all__ = ["ForeignDatabaseError", "Schema", "discard", "is_damage", "open_database"]

_log = logging.getLogger(__name__)

#: Bytes up to which a file is checked whole when it is opened; a larger one would take seconds.
_CHECKED = 256 * 2**20


class ForeignDatabaseError(OnlookerError):
    """A file is the database of something else, which is left alone."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What a database is called in messages, and how its tables are made.

    Its `version` is raised whenever the tables change. An `application` (`PRAGMA application_id`) tells the
    database from others, where its path alone does not.
    """

    name: str
    version: int
    tables: str
    application: int = 0


def open_database(
    path: Path | None,
    schema: Schema,
    check: Callable[[sqlite3.Connection], None] = lambda _: None,
    *,
    any_thread: bool = False,
    timeout: float = 5.0,
) -> sqlite3.Connection:
    """Open the database at `path`, made where it is missing; None is one in memory.

    One that is damaged, or of another version, is deleted and begun anew. What is deleted from it is
    overwritten. Processes open it one after the other: none takes for damage what another has half made.

    Args:
        check: is called last, and raises sqlite3.DatabaseError where what the tables hold is of no use.
        any_thread: whether another thread than this one may use the connection.
        timeout: seconds to wait for somebody else who writes.

    Raises:
        ForeignDatabaseError: it has tables, and is not of the schema's application.
        sqlite3.OperationalError: it is locked, or the disk is full: it is no worse for that.
        OSError: it cannot be made or written.
    """

    def connect() -> sqlite3.Connection:
        if path is not None:
            _own(path)
        database = sqlite3.connect(path or ":memory:", timeout=timeout, check_same_thread=not any_thread)
        try:
            _prepare(database, path, schema)
            check(database)
        except BaseException:
            database.close()
            raise
        return database

    with nullcontext() if path is None else locked(Path(f"{path}.lock")):
        try:
            return connect()
        except sqlite3.DatabaseError as error:
            if path is None or not is_damage(error):
                raise
            discard(path, schema, error)
            return connect()


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Tell whether a file is of no use, rather than out of reach for now."""
    # A table that is not there, or a format that SQLite does not know: neither is mended by waiting.
    lasting = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
    return lasting or type(error) is sqlite3.DatabaseError


def discard(path: Path, schema: Schema, error: sqlite3.DatabaseError) -> None:
    """Delete the closed database at `path`, and say why."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    _log.warning("the %s is built again: %s", schema.name, error)


def _own(path: Path) -> None:
    # Before SQLite makes it, which would let others read it; the files beside it get the same mode.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)


def _prepare(database: sqlite3.Connection, path: Path | None, schema: Schema) -> None:
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables:
        _check(database, path, schema)
    database.execute("PRAGMA secure_delete = ON")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    if not tables:
        _create(database, schema)


def _check(database: sqlite3.Connection, path: Path | None, schema: Schema) -> None:
    if database.execute("PRAGMA application_id").fetchone() != (schema.application,):
        raise ForeignDatabaseError(
            f"{path}: expected the {schema.name}, found another database: move it away"
        )
    if database.execute("PRAGMA user_version").fetchone() != (schema.version,):
        raise sqlite3.DatabaseError("it is of another version")
    small = path is None or path.stat().st_size <= _CHECKED
    if small and database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise sqlite3.DatabaseError("it is damaged")


def _create(database: sqlite3.Connection, schema: Schema) -> None:
    """Make all of it or nothing."""
    database.executescript(
        f"BEGIN; {schema.tables}; PRAGMA application_id = {schema.application};"
        f" PRAGMA user_version = {schema.version}; COMMIT"
    )
