"""A question reads what it asks for, and pages joined are the whole list."""

import asyncio
import sqlite3
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import START, make_sighting

from app.history.index import _TABLES, History
from app.history.queries import Cursor, Query, Statement, select_page, select_spans
from app.messages import Sighting, encode

#: Every way in which a filter can be there or not.
QUERIES = [
    Query(*values)
    for values in product((None, "ada"), (None, True, False), (None, "door"), (None, 1), (None, 9))
]


@pytest.fixture(scope="module")
def tables() -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(":memory:")
    database.executescript(_TABLES)
    yield database
    database.close()


def plan(tables: sqlite3.Connection, statement: Statement) -> list[str]:
    rows = tables.execute(f"EXPLAIN QUERY PLAN {statement.sql}", statement.values)
    return [detail for *_, detail in rows]


@pytest.mark.parametrize("after", [None, Cursor(START, "a")], ids=["the first page", "a later page"])
@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_a_page_is_read_in_its_order_from_an_index(
    tables: sqlite3.Connection, query: Query, after: Cursor | None
) -> None:
    """Nothing is sorted. Without a filter or a cursor an index is read from its end until there is enough."""
    (step,) = plan(tables, select_page(query, after, 10))
    filtered = query.person or query.stream or query.since or after or query.named is False
    assert step.startswith("SEARCH" if filtered else "SCAN sightings USING INDEX by_time")
    assert "INDEX by_person" in step or "INDEX by_stream" in step or not (query.person or query.stream)


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_the_row_of_what_is_not_wanted_is_not_read(tables: sqlite3.Connection, query: Query) -> None:
    """It holds a picture; what is long ago is found by passing over what came after it."""
    sql, values = select_page(query, None, 10)
    steps = [operation for _, operation, *_ in tables.execute(f"EXPLAIN {sql}", values)]
    assert "DeferredSeek" in steps


@pytest.mark.parametrize("query", [query for query in QUERIES if query.person or query.stream], ids=str)
def test_a_timeline_reads_one_persons_or_streams_part_of_an_index_alone(
    tables: sqlite3.Connection, query: Query
) -> None:
    step, order = plan(tables, select_spans(query))
    assert step.startswith("SEARCH sightings USING COVERING INDEX by_")
    assert order == "USE TEMP B-TREE FOR ORDER BY"


def test_what_is_too_old_is_found_by_an_index(tables: sqlite3.Connection) -> None:
    (step,) = plan(tables, Statement("DELETE FROM sightings WHERE last < ?", [START]))
    assert step.startswith("SEARCH") and step.endswith("INDEX by_time (last<?)")


MOMENTS = st.integers(START, START + 6)
SIGHTINGS = st.lists(
    st.builds(
        make_sighting,
        id=st.text("aб\U0001f600z", min_size=1, max_size=3),
        stream=st.sampled_from(["door", "yard"]),
        person=st.sampled_from([None, "ada", "bob"]),
        first=MOMENTS,
        last=MOMENTS,
        merged=st.sampled_from([None, None, None, "whole"]),
    ),
    max_size=12,
    unique_by=lambda sighting: sighting.id,
)
FILTERS = st.builds(
    Query,
    person=st.sampled_from([None, "ada"]),
    named=st.none() | st.booleans(),
    stream=st.sampled_from([None, "door"]),
    since=st.none() | MOMENTS,
    until=st.none() | MOMENTS,
)


def wanted(sighting: Sighting, query: Query) -> bool:
    return (
        sighting.merged is None
        and query.person in (None, sighting.person)
        and query.named in (None, sighting.person is not None)
        and query.stream in (None, sighting.stream)
        and (query.since is None or sighting.last >= query.since)
        and (query.until is None or sighting.first <= query.until)
    )


async def read_pages(history: History, query: Query, limit: int) -> list[Sighting]:
    found: list[Sighting] = []
    after = None
    while True:
        page = await history.find(query, limit, after)
        assert len(page.sightings) == limit or page.next is None
        found += page.sightings
        if (after := page.next) is None:
            return found


@given(SIGHTINGS, FILTERS, st.integers(1, 5))
@settings(max_examples=60)
def test_pages_joined_are_the_whole_list(sightings: list[Sighting], query: Query, limit: int) -> None:
    async def check() -> None:
        with TemporaryDirectory() as folder:
            history = History(keep=2**50)
            await history.open(Path(folder) / "history.sqlite", "log")
            await history.add((0, offset, encode(one)) for offset, one in enumerate(sightings))
            newest_first = sorted(sightings, key=lambda one: (one.last, one.id), reverse=True)
            listed = [one for one in newest_first if wanted(one, query)]
            assert (await history.find(query, 1000)).sightings == listed
            assert await read_pages(history, query, limit) == listed
            await history.close()

    asyncio.run(check())
