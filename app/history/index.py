"""The history of sightings: a local SQLite index that follows the topic on every worker."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from app.errors import OnlookerError, one_line
from app.history.queries import Cursor, Page, Query, select_page, select_spans
from app.history.timeline import Bar, join_bars
from app.kafka import Follower, ReadFrom
from app.messages import MessageError, Sighting, decode, encode, version
from app.sqlite import Schema, discard, is_damage, open_database

__all__ = ["Entry", "History", "HistoryUnavailableError"]

T = TypeVar("T")
#: Partition, offset and value.
Record = tuple[int, int, bytes | None]

_log = logging.getLogger(__name__)

#: Seconds after which a disk that takes nothing is tried again.
_RETRY = 1.0

#: Sightings that are gone through to find the one that another is part of in the end.
_LONGEST_CHAIN = 100

#: The indexes hold all that is asked about a sighting: its row, heavy with a picture, is read only where it
#: is wanted. Of a table WITHOUT ROWID it would be read always.
_TABLES = """
CREATE TABLE sightings (
    id TEXT PRIMARY KEY, stream TEXT NOT NULL, person TEXT, name TEXT, first INTEGER NOT NULL,
    last INTEGER NOT NULL, open INTEGER NOT NULL, merged TEXT, revision INTEGER NOT NULL,
    partition INTEGER NOT NULL, offset INTEGER NOT NULL, message BLOB NOT NULL
);
CREATE INDEX by_time ON sightings (last, id, first, person, merged);
CREATE INDEX by_person ON sightings (person, last, id, first, stream, name, open, merged);
CREATE INDEX by_stream ON sightings (stream, last, id, first, person, name, open, merged);
CREATE INDEX by_place ON sightings (partition, offset);
CREATE TABLE positions (partition INTEGER PRIMARY KEY, next INTEGER NOT NULL);
CREATE TABLE origin (log TEXT NOT NULL);
"""
#: Raised whenever the tables change.
_TABLES_VERSION = 3
#: An index of another version is built again from the log. So is that of a program which knew fewer versions
#: of sightings: it passed over those that are newer.
_SCHEMA = Schema("index of sightings", version=_TABLES_VERSION * 1000 + version(Sighting), tables=_TABLES)

_UPSERT = """
INSERT INTO sightings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET person = excluded.person, name = excluded.name, first = excluded.first,
    last = excluded.last, open = excluded.open, merged = excluded.merged, revision = excluded.revision,
    partition = excluded.partition, offset = excluded.offset, message = excluded.message
WHERE excluded.revision > sightings.revision
    OR (excluded.revision = sightings.revision AND excluded.open <= sightings.open)
"""


class HistoryUnavailableError(OnlookerError):
    """The index cannot be asked now; it is opened, or built again, as soon as the disk lets us."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A sighting and its place on the log."""

    sighting: Sighting
    partition: int
    offset: int


class History:
    """Every sighting that the log still holds, by person, stream and time.

    The log is the truth: the index is a file that can be deleted at any time. A disk that is full or fails
    ends nothing: what is to be written waits, and a file that is damaged is built again. SQLite is called
    in a thread of its own, so that a slow disk never holds up the event loop.

    Args:
        keep: milliseconds for which sightings are kept.
        unreadable: is told of what is passed over.
    """

    def __init__(self, keep: int, unreadable: Callable[[MessageError], None] = lambda _: None) -> None:
        self._keep = keep
        self._unreadable = unreadable
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="history")
        self._opened: tuple[Path, str] | None = None
        self._database: sqlite3.Connection | None = None
        self._follower: Follower | None = None
        self._hindered = False
        self._listeners: set[Callable[[Sequence[Entry]], None]] = set()

    @property
    def complete(self) -> bool:
        """Tell whether everything has been taken in that was on the log when it began to be followed."""
        return self._follower is not None and self._follower.complete

    async def open(self, path: Path, log: str) -> Mapping[int, int]:
        """Open the index and return where the log is to be read on, offset by partition.

        Where it cannot be opened now, there are no positions: `add` tries again, and raises them.

        Args:
            path: the file; its folder is made where it is missing.
            log: identity of the log (cluster and topic); an index of another log is thrown away.
        """
        self._opened = path, log
        try:
            return await self._run(self._open)
        except (OSError, sqlite3.OperationalError) as error:
            self._hinder(error)
            return {}

    async def close(self) -> None:
        """Close the file."""
        if self._opened is not None:
            self._opened = None
            await self._run(self._let_go)
        self._thread.shutdown()

    def follow(self, follower: Follower) -> None:
        """Say who hands over the log."""
        self._follower = follower

    def listen(self, listener: Callable[[Sequence[Entry]], None]) -> Callable[[], None]:
        """Call `listener` with what is new, once it can be queried; returns what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    async def add(self, records: Iterable[Record]) -> None:
        """Take in records as (partition, offset, value), all or none; while the disk takes nothing, wait.

        Unreadable ones are passed over, and versions older than the one that is here.

        Raises:
            ReadFrom: the index had to be opened or built again, and holds the log up to there.
        """
        batch = list(records)
        entries = [entry for record in batch if (entry := self._readable(*record))]
        taken = await self._insist(partial(self._write, batch, entries))
        if taken:
            for listener in tuple(self._listeners):
                listener(taken)

    async def find(self, query: Query, limit: int = 100, after: Cursor | None = None) -> Page:
        """Return the first sightings that a query asks for, newest first; those after a cursor alone.

        A sighting that goes on moves to the front, and is not on the pages behind it any more.

        Raises:
            HistoryUnavailableError: the index cannot be asked now; so do all that ask it.
        """
        return await self._ask(partial(self._find, query, limit, after))

    async def timeline(self, query: Query, gap: int) -> list[Bar]:
        """Return who was where, by when it began; with less than `gap` milliseconds between, as one."""
        return await self._ask(partial(self._timeline, query, gap))

    async def get(self, sighting: str) -> Sighting | None:
        """Return one sighting; where it is part of another, `merged` is the one that stands for both."""
        return await self._ask(partial(self._get, sighting))

    async def since(self, positions: Mapping[int, int], limit: int = 500) -> list[Entry]:
        """Return the first sightings, as they are now, that changed at or after these offsets.

        In the log's order, partition by partition; ask again from where they end until there are none.
        """
        return await self._ask(partial(self._since, dict(positions), limit))

    async def positions(self) -> Mapping[int, int]:
        """Return up to where the log has been taken in, next offset by partition."""
        return await self._ask(self._positions)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _ask(self, work: Callable[[], T]) -> T:
        return await self._run(partial(self._answer, work))

    async def _insist(self, work: Callable[[], T]) -> T:
        """Try until the disk plays along; say once that it does not, and once that it does again."""
        while True:
            try:
                done = await self._run(work)
            except (OSError, sqlite3.OperationalError) as error:
                self._hinder(error)
                await asyncio.sleep(_RETRY)
            except ReadFrom:
                self._relieve()
                raise
            else:
                self._relieve()
                return done

    def _hinder(self, error: Exception) -> None:
        if not self._hindered:
            _log.warning("the index of sightings has to wait: %s; trying again", one_line(error))
        self._hindered = True

    def _relieve(self) -> None:
        if self._hindered:
            # As loud as the complaint: whoever heard that wants to know that it is over.
            _log.warning("the index of sightings goes on")
        self._hindered = False

    @property
    def _db(self) -> sqlite3.Connection:
        if self._database is None:
            raise HistoryUnavailableError("the index of sightings is not open; the worker's log says why")
        return self._database

    def _answer(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                with suppress(OSError):
                    self._discard(error)
            elif not isinstance(error, sqlite3.OperationalError):
                raise
            raise HistoryUnavailableError(f"the index of sightings cannot be read: {error}") from None

    @property
    def _place(self) -> tuple[Path, str]:
        if self._opened is None:
            raise RuntimeError("the history was not opened, or is closed")
        return self._opened

    def _open(self) -> Mapping[int, int]:
        path, log = self._place
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = open_database(path, _SCHEMA, partial(_check_origin, log), any_thread=True)
        return self._positions()

    def _let_go(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def _discard(self, error: sqlite3.DatabaseError) -> None:
        """Delete the file; the next one who adds something has it built again."""
        path, _ = self._place
        self._let_go()
        discard(path, _SCHEMA, error)

    def _write(self, batch: Sequence[Record], entries: Sequence[Entry]) -> list[Entry]:
        if self._database is None:
            raise ReadFrom(self._open())
        try:
            return self._take_in(batch, entries)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self._discard(error)
            raise ReadFrom(self._open()) from None

    def _take_in(self, batch: Sequence[Record], entries: Sequence[Entry]) -> list[Entry]:
        now = int(time.time() * 1000)
        with self._db as database:
            taken = [entry for entry in entries if database.execute(_UPSERT, _row(entry)).rowcount]
            database.executemany(
                "INSERT OR REPLACE INTO positions VALUES (?, ?)",
                [(place, offset + 1) for place, offset, _ in batch],
            )
            database.execute("DELETE FROM sightings WHERE last < ?", [now - self._keep])
        return taken

    def _find(self, query: Query, limit: int, after: Cursor | None) -> Page:
        # One more than is wanted tells whether there is a next page.
        rows = self._db.execute(*select_page(query, after, limit + 1)).fetchall()
        entries = [self._readable(*record) for _, _, *record in rows[:limit]]
        end = Cursor(*rows[limit - 1][:2]) if len(rows) > limit else None
        return Page([entry.sighting for entry in entries if entry], end)

    def _timeline(self, query: Query, gap: int) -> list[Bar]:
        bars = (
            Bar(stream, person, name, first, last, sightings=1, open=bool(is_open))
            for stream, person, name, first, last, is_open in self._db.execute(*select_spans(query))
        )
        return join_bars(bars, gap)

    def _get(self, sighting: str) -> Sighting | None:
        found = self._select("WHERE id = ?", [sighting])
        if not found:
            return None
        one = found[0].sighting
        return one if one.merged is None else msgspec.structs.replace(one, merged=self._whole(one.merged))

    def _whole(self, sighting: str) -> str:
        """Return the sighting that this one is part of in the end; itself where it is part of none."""
        for _ in range(_LONGEST_CHAIN):
            row = self._db.execute("SELECT merged FROM sightings WHERE id = ?", [sighting]).fetchone()
            if row is None or row[0] is None:
                break
            (sighting,) = row
        return sighting

    def _since(self, positions: Mapping[int, int], limit: int) -> list[Entry]:
        found: list[Entry] = []
        condition = "WHERE partition = ? AND offset >= ? ORDER BY offset LIMIT ?"
        for partition, position in sorted(positions.items()):
            found += self._select(condition, [partition, position, limit - len(found)])
        return found

    def _select(self, rest: str, values: Sequence[Any]) -> list[Entry]:
        # `rest` is made of this file's own words; values travel as parameters.
        rows = self._db.execute(f"SELECT partition, offset, message FROM sightings {rest}", values)  # noqa: S608
        return [entry for row in rows if (entry := self._readable(*row))]

    def _readable(self, partition: int, offset: int, value: bytes | None) -> Entry | None:
        try:
            return Entry(decode(Sighting, value), partition, offset)
        except MessageError as error:
            self._unreadable(error)
            return None

    def _positions(self) -> Mapping[int, int]:
        return _positions_in(self._db)


def _check_origin(log: str, database: sqlite3.Connection) -> None:
    """Let an index that is new be of `log`; refuse one of another log, or whose positions cannot be read."""
    origin = database.execute("SELECT log FROM origin").fetchone()
    if origin is None:
        with database:
            database.execute("INSERT INTO origin VALUES (?)", [log])
    elif origin != (log,):
        raise sqlite3.DatabaseError("it is of another log")
    _positions_in(database)


def _positions_in(database: sqlite3.Connection) -> Mapping[int, int]:
    return dict(database.execute("SELECT partition, next FROM positions"))


def _row(entry: Entry) -> tuple[Any, ...]:
    seen = entry.sighting
    who, when = (seen.person, seen.name), (seen.first, seen.last, int(seen.open))
    log = (seen.revision, entry.partition, entry.offset, encode(seen))
    return seen.id, seen.stream, *who, *when, seen.merged, *log
