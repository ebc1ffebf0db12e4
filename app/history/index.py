"""The history of sightings: a local SQLite index that follows the topic on every worker."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from app.messages import MessageError, Sighting, decode, encode

__all__ = ["Entry", "History", "Query"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

#: Stands for somebody unknown in a query, where None stands for anybody.
UNKNOWN = "unknown"

#: Raised whenever the tables below change: an index of another version is built again from the log.
_VERSION = 1

#: Bytes up to which an index is checked whole when it is opened; a larger one would take seconds.
_CHECKED = 256 * 2**20

#: Ended sightings that a worker is told of when it takes a partition over.
_RECENT = 64

_TABLES = """
CREATE TABLE sightings (
    id TEXT PRIMARY KEY, stream TEXT NOT NULL, person TEXT, first INTEGER NOT NULL, last INTEGER NOT NULL,
    open INTEGER NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL, message BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX by_time ON sightings (last);
CREATE INDEX by_person ON sightings (person, last);
CREATE INDEX by_stream ON sightings (stream, last);
CREATE INDEX by_place ON sightings (partition, offset);
CREATE TABLE positions (partition INTEGER PRIMARY KEY, next INTEGER NOT NULL);
CREATE TABLE origin (log TEXT NOT NULL);
"""

_UPSERT = """
INSERT INTO sightings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET person = excluded.person, first = excluded.first, last = excluded.last,
    open = excluded.open, partition = excluded.partition, offset = excluded.offset, message = excluded.message
"""


@dataclass(frozen=True, slots=True)
class Query:
    """Which sightings are wanted: None is any; times in milliseconds since the epoch."""

    person: str | None = None
    stream: str | None = None
    since: int | None = None
    until: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """A sighting and its place on the log."""

    sighting: Sighting
    partition: int
    offset: int


class History:
    """Every sighting that the log still holds, by person, stream and time.

    The log is the truth: the index is a file that can be deleted at any time. SQLite is called in a
    thread of its own, so that a slow disk never holds up the event loop.

    Arguments:
        keep: milliseconds for which sightings are kept.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="history")
        self._database: sqlite3.Connection | None = None
        self._listeners: set[Callable[[Sequence[Entry]], None]] = set()

    async def open(self, path: Path, log: str) -> Mapping[int, int]:
        """Open the index and return where the log is to be read on, offset by partition.

        Arguments:
            path: the file; its folder is made where it is missing.
            log: identity of the log (cluster and topic); an index of another log is thrown away.
        """
        return await self._run(partial(self._open, path, log))

    async def close(self) -> None:
        """Close the file."""
        database, self._database = self._database, None
        if database is not None:
            await self._run(database.close)
        self._thread.shutdown()

    def listen(self, listener: Callable[[Sequence[Entry]], None]) -> Callable[[], None]:
        """Call `listener` with what is new, once it can be queried; returns what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    async def add(self, records: Iterable[tuple[int, int, bytes | None]]) -> None:
        """Take in records as (partition, offset, value), all or none; unreadable ones are passed over."""
        batch = list(records)
        entries = [entry for record in batch if (entry := _readable(*record))]
        await self._run(partial(self._write, batch, entries))
        for listener in tuple(self._listeners):
            listener(entries)

    async def find(self, query: Query) -> list[Sighting]:
        """Return the sightings that a query asks for, newest first."""
        return await self._run(partial(self._find, query))

    async def get(self, sighting: str) -> Sighting | None:
        """Return one sighting."""
        found = await self._run(partial(self._select, "WHERE id = ?", [sighting]))
        return found[0].sighting if found else None

    async def recent_on(self, log_partition: int) -> list[Sighting]:
        """Return the sightings of a partition that are still open, and those that changed last."""
        condition = "WHERE open = 1 AND partition = ?"
        latest = f"WHERE open = 0 AND partition = ? ORDER BY offset DESC LIMIT {_RECENT}"
        found = await self._run(partial(self._select, condition, [log_partition]))
        found += reversed(await self._run(partial(self._select, latest, [log_partition])))
        return [entry.sighting for entry in found]

    async def since(self, positions: Mapping[int, int], limit: int = 500) -> list[Entry]:
        """Return the first sightings, as they are now, that changed at or after these offsets.

        In the log's order, partition by partition; ask again from where they end until there are none.
        """
        return await self._run(partial(self._since, dict(positions), limit))

    async def positions(self) -> Mapping[int, int]:
        """Return up to where the log has been taken in, next offset by partition."""
        return await self._run(self._positions)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    @property
    def _db(self) -> sqlite3.Connection:
        if self._database is None:
            raise RuntimeError("the history is not open")
        return self._database

    def _open(self, path: Path, log: str) -> Mapping[int, int]:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connect(path, log)
        except sqlite3.OperationalError:
            # Somebody else has it, or the disk is full: it is no worse for that.
            raise
        except sqlite3.DatabaseError as error:
            _log.warning("the index of sightings is built again: %s", error)
            self._discard(path)
            self._connect(path, log)
        return self._positions()

    def _connect(self, path: Path, log: str) -> None:
        self._database = database = sqlite3.connect(path, check_same_thread=False)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        if path.stat().st_size <= _CHECKED:
            _check(database)
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:
            self._create(database, log)
        elif version != _VERSION or database.execute("SELECT log FROM origin").fetchone() != (log,):
            self._discard(path)
            self._connect(path, log)

    def _create(self, database: sqlite3.Connection, log: str) -> None:
        with database:
            database.executescript(_TABLES)
            database.execute("INSERT INTO origin VALUES (?)", [log])
            database.execute(f"PRAGMA user_version = {_VERSION}")

    def _discard(self, path: Path) -> None:
        if self._database is not None:
            self._database.close()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)

    def _write(self, batch: Sequence[tuple[int, int, bytes | None]], entries: Sequence[Entry]) -> None:
        now = int(time.time() * 1000)
        with self._db as database:
            database.executemany(_UPSERT, [_row(entry) for entry in entries])
            database.executemany(
                "INSERT OR REPLACE INTO positions VALUES (?, ?)",
                [(place, offset + 1) for place, offset, _ in batch],
            )
            database.execute("DELETE FROM sightings WHERE last < ?", [now - self._keep])

    def _find(self, query: Query) -> list[Sighting]:
        conditions: dict[str, Any] = {
            "stream = ?": query.stream,
            "last >= ?": query.since,
            "first <= ?": query.until,
        }
        if query.person == UNKNOWN:
            conditions["person IS NULL AND 1 = ?"] = 1
        else:
            conditions["person = ?"] = query.person
        wanted = {condition: value for condition, value in conditions.items() if value is not None}
        where = " AND ".join(["1 = 1", *wanted])
        order = f"WHERE {where} ORDER BY last DESC, first DESC LIMIT ?"
        return [entry.sighting for entry in self._select(order, [*wanted.values(), query.limit])]

    def _since(self, positions: Mapping[int, int], limit: int) -> list[Entry]:
        found: list[Entry] = []
        condition = "WHERE partition = ? AND offset >= ? ORDER BY offset LIMIT ?"
        for partition, position in sorted(positions.items()):
            found += self._select(condition, [partition, position, limit - len(found)])
        return found

    def _select(self, rest: str, values: Sequence[Any]) -> list[Entry]:
        # `rest` is made of this file's own words; values travel as parameters.
        rows = self._db.execute(f"SELECT partition, offset, message FROM sightings {rest}", values)  # noqa: S608
        return [entry for row in rows if (entry := _readable(*row))]

    def _positions(self) -> Mapping[int, int]:
        return dict(self._db.execute("SELECT partition, next FROM positions"))


def _check(database: sqlite3.Connection) -> None:
    (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError("it is damaged")


def _row(entry: Entry) -> tuple[Any, ...]:
    seen = entry.sighting
    times = (seen.first, seen.last, int(seen.open))
    return seen.id, seen.stream, seen.person, *times, entry.partition, entry.offset, encode(seen)


def _readable(partition: int, offset: int, value: bytes | None) -> Entry | None:
    try:
        return Entry(decode(Sighting, value), partition, offset)
    except MessageError:
        return None
