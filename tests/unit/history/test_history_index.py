"""The history holds what the log says, can be asked, and is built again when it is of no use."""

import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from makers import make_sighting

from app.history.index import Entry, History, Query
from app.messages import encode

DAY = 24 * 3600 * 1000
NOW = int(time.time() * 1000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "worker" / "history.sqlite"


@pytest.fixture
async def history(path: Path) -> AsyncIterator[History]:
    made = History(keep=DAY)
    assert await made.open(path, "log") == {}
    yield made
    await made.close()


def seen(identity: str, offset: int = 0, partition: int = 0, **more: object) -> tuple[int, int, bytes]:
    fields = {"first": NOW, "last": NOW} | more
    return partition, offset, encode(make_sighting(id=identity, **fields))


async def ids(history: History, **query: object) -> list[str]:
    return [sighting.id for sighting in await history.find(Query(**query))]


async def test_a_later_version_replaces_an_earlier_one(history: History) -> None:
    await history.add([seen("a", 0, frames=1), seen("b", 1)])
    await history.add([seen("a", 2, frames=9, open=False)])
    found = await history.get("a")
    assert found and (found.frames, found.open) == (9, False)
    assert sorted(await ids(history)) == ["a", "b"]
    assert await history.get("c") is None


async def test_queries(history: History) -> None:
    await history.add(
        [
            seen("a", 0, person="ada", first=NOW - 5000, last=NOW - 4000),
            seen("b", 1, person="bob", first=NOW - 3000, last=NOW - 2000),
            seen("u", 2, person=None, name=None, score=None, first=NOW - 1000, last=NOW),
            seen("y", 0, 1, person="ada", stream="yard", first=NOW - 6000, last=NOW - 1000),
        ]
    )
    assert await ids(history) == ["u", "y", "b", "a"]
    assert await ids(history, person="ada") == ["y", "a"]
    assert await ids(history, person="unknown") == ["u"]
    assert await ids(history, person="nobody") == []
    assert await ids(history, stream="door") == ["u", "b", "a"]
    assert await ids(history, stream="door", person="ada") == ["a"]
    assert await ids(history, since=NOW - 2000) == ["u", "y", "b"]
    assert await ids(history, until=NOW - 4500) == ["y", "a"]
    assert await ids(history, since=NOW - 3500, until=NOW - 3500) == ["y"]
    assert await ids(history, limit=2) == ["u", "y"]


async def test_names_are_values_not_words_of_a_statement(history: History) -> None:
    await history.add([seen("a", 0, person="' OR 1 = 1 --")])
    assert await ids(history, person="' OR 1 = 1 --") == ["a"]
    assert await ids(history, person="' OR '1' = '1") == []


async def test_unreadable_records_are_passed_over_but_counted(history: History) -> None:
    await history.add([(0, 5, b"junk"), (0, 6, None), seen("a", 7)])
    assert await ids(history) == ["a"]
    assert await history.positions() == {0: 8}


async def test_what_is_open_on_a_partition_and_what_ended_last(history: History) -> None:
    ended = [seen(f"e{offset}", offset, open=False) for offset in range(100)]
    await history.add([*ended, seen("c", 0, 1), seen("a", 100)])
    found = [sighting.id for sighting in await history.recent_on(0)]
    assert found == ["a", *(f"e{offset}" for offset in range(36, 100))]


async def test_since_gives_each_sighting_as_it_is_now(history: History) -> None:
    await history.add([seen("a", 0), seen("b", 1), seen("a", 2, frames=20), seen("c", 0, 1)])
    found = await history.since({0: 1, 1: 0})
    assert [(entry.sighting.id, entry.partition, entry.offset) for entry in found] == [
        ("b", 0, 1), ("a", 0, 2), ("c", 1, 0),
    ]  # fmt: skip
    assert await history.since({0: 3}) == []


async def test_since_comes_in_pages(history: History) -> None:
    await history.add([seen(f"{place}-{offset}", offset, place) for place in (0, 1) for offset in range(5)])
    positions = {1: 0, 0: 1}
    pages = []
    while page := await history.since(positions, limit=3):
        pages.append([entry.sighting.id for entry in page])
        positions |= {entry.partition: entry.offset + 1 for entry in page}
    assert pages == [["0-1", "0-2", "0-3"], ["0-4", "1-0", "1-1"], ["1-2", "1-3", "1-4"]]


async def test_listeners_hear_what_can_be_asked_already(history: History) -> None:
    heard: list[Entry] = []
    stop = history.listen(heard.extend)
    await history.add([seen("a", 0), (0, 1, b"junk")])
    assert [entry.sighting.id for entry in heard] == ["a"]
    stop()
    await history.add([seen("b", 2)])
    assert len(heard) == 1


async def test_what_is_too_old_goes(history: History) -> None:
    await history.add([seen("old", 0, first=NOW - 2 * DAY, last=NOW - 2 * DAY), seen("new", 1)])
    assert await ids(history) == ["new"]


async def test_reading_goes_on_after_a_restart(history: History, path: Path) -> None:
    await history.add([seen("a", 4), seen("b", 9, 1)])
    await history.close()
    again = History(keep=DAY)
    assert await again.open(path, "log") == {0: 5, 1: 10}
    assert sorted(await ids(again)) == ["a", "b"]
    await again.close()


async def test_the_index_of_another_log_is_thrown_away(history: History, path: Path) -> None:
    await history.add([seen("a", 4)])
    await history.close()
    again = History(keep=DAY)
    assert await again.open(path, "another log") == {}
    assert await ids(again) == []
    await again.close()


def spoil(path: Path, kind: str) -> None:
    path.parent.mkdir()
    if kind == "junk":
        path.write_bytes(b"this is no database" * 1000)
    else:
        database = sqlite3.connect(path)
        database.execute("CREATE TABLE sightings (x)")
        if kind == "other version":
            database.execute("PRAGMA user_version = 99")
            database.execute("CREATE TABLE origin (log)")
        database.commit()
        database.close()


@pytest.mark.parametrize("kind", ["junk", "other version", "half made"])
async def test_an_index_of_no_use_is_built_again(path: Path, kind: str) -> None:
    spoil(path, kind)
    history = History(keep=DAY)
    assert await history.open(path, "log") == {}
    await history.add([seen("a")])
    assert await ids(history) == ["a"]
    await history.close()


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 20_000)


async def test_a_damaged_index_is_built_again(history: History, path: Path) -> None:
    await history.add([seen(f"{number}", number, crop=b"x" * 2000) for number in range(200)])
    await history.close()
    damage(path)
    again = History(keep=DAY)
    assert await again.open(path, "log") == {}
    assert await ids(again) == []
    await again.close()


async def test_an_index_that_somebody_else_has_is_left_alone(history: History, path: Path) -> None:
    await history.add([seen("a")])
    await history.close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    again = History(keep=DAY)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        await again.open(path, "log")
    await again.close()
    other.rollback()
    other.close()
    assert await again_open(path) == ["a"]


async def again_open(path: Path) -> list[str]:
    history = History(keep=DAY)
    await history.open(path, "log")
    found = await ids(history)
    await history.close()
    return found


async def test_a_history_that_was_never_opened_closes() -> None:
    await History(keep=DAY).close()
