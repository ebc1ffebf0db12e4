"""What the index of sightings may be asked, and how SQLite is asked it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.messages import Sighting

__all__ = ["Cursor", "Page", "Query", "Statement", "select_page", "select_spans"]


@dataclass(frozen=True, slots=True)
class Query:
    """Which sightings are wanted: None is any; times in milliseconds since the epoch.

    What is part of another sighting is never among them.
    """

    person: str | None = None
    #: Whether they have a name.
    named: bool | None = None
    stream: str | None = None
    since: int | None = None
    until: int | None = None


class Cursor(NamedTuple):
    """Where a page ends: at the sighting with this id, which was seen last then."""

    last: int
    id: str


@dataclass(frozen=True, slots=True)
class Page:
    """Sightings, newest first."""

    sightings: list[Sighting]
    #: Where the next page begins; None where nothing comes after this one.
    next: Cursor | None


class Statement(NamedTuple):
    """A statement, made of this file's own words alone, and the values that travel as its parameters."""

    sql: str
    values: list[Any]


def select_page(query: Query, after: Cursor | None, limit: int) -> Statement:
    """Return what selects the sightings of a query, newest first, those after a cursor alone."""
    where, values = _where(query, after)
    columns = "last, id, partition, offset, message"
    sql = f"SELECT {columns} FROM sightings WHERE {where} ORDER BY last DESC, id DESC LIMIT ?"  # noqa: S608
    return Statement(sql, [*values, limit])


def select_spans(query: Query) -> Statement:
    """Return what selects who was where, and when, in the order in which they came."""
    where, values = _where(query)
    columns = "stream, person, name, first, last, open"
    return Statement(f"SELECT {columns} FROM sightings WHERE {where} ORDER BY first, id", values)  # noqa: S608


def _where(query: Query, after: Cursor | None = None) -> Statement:
    conditions = list(_conditions(query, after))
    return Statement(
        " AND ".join(condition for condition, _ in conditions),
        [value for _, values in conditions for value in values],
    )


def _conditions(query: Query, after: Cursor | None) -> Iterator[tuple[str, Sequence[Any]]]:
    yield "merged IS NULL", ()
    if query.person is not None:
        yield "person = ?", [query.person]
    if query.named is not None:
        yield "person IS NOT NULL" if query.named else "person IS NULL", ()
    if query.stream is not None:
        yield "stream = ?", [query.stream]
    if query.since is not None:
        yield "last >= ?", [query.since]
    if query.until is not None:
        yield "first <= ?", [query.until]
    if after is not None:
        yield "(last, id) < (?, ?)", after
