"""The history holds what the log says, can be asked, and is built again when it is of no use."""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from machine import patience
from makers import damage, make_sighting, newer

from app.history import index as module
from app.history.index import Entry, History, HistoryUnavailableError
from app.history.queries import Query
from app.history.timeline import Bar
from app.kafka.follower import Follower, ReadFrom
from app.messages import MessageError, Sighting, encode, version

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


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY", 0.01)


class Said:
    """Gives the warnings of the history, in order, and counts what hinders it."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self.hindered = 0

    def __call__(self) -> list[str]:
        return [one.getMessage() for one in self._caplog.records if one.name == module.__name__]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Said:
    said, hinder = Said(caplog), History._hinder

    def counted(history: History, error: Exception) -> None:
        hinder(history, error)
        said.hindered += 1

    monkeypatch.setattr(History, "_hinder", counted)
    return said


async def until_waiting(said: Said) -> None:
    """Wait until the history has tried in vain for a dozen times more: it complains of that once."""
    enough = said.hindered + 12
    async with patience(20):
        while said.hindered < enough:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def seen(identity: str, offset: int = 0, partition: int = 0, **more: object) -> tuple[int, int, bytes]:
    fields = {"first": NOW, "last": NOW} | more
    return partition, offset, encode(make_sighting(id=identity, **fields))


async def ids(history: History, limit: int = 1000, **query: object) -> list[str]:
    page = await history.find(Query(**query), limit)
    return [sighting.id for sighting in page.sightings]


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
    assert await ids(history, named=False) == ["u"]
    assert await ids(history, named=True) == ["y", "b", "a"]
    assert await ids(history, person="ada", named=False) == []
    assert await ids(history, person="nobody") == []
    assert await ids(history, stream="door") == ["u", "b", "a"]
    assert await ids(history, stream="door", person="ada") == ["a"]
    assert await ids(history, since=NOW - 2000) == ["u", "y", "b"]
    assert await ids(history, until=NOW - 4500) == ["y", "a"]
    assert await ids(history, since=NOW - 3500, until=NOW - 3500) == ["y"]
    assert await ids(history, limit=2) == ["u", "y"]


async def test_a_page_says_where_the_next_one_begins(history: History) -> None:
    """Two that were seen last at the same moment are told apart by their ids."""
    await history.add([seen(name, offset, last=NOW - 5) for offset, name in enumerate("cadb")])
    await history.add([seen("z", 4, last=NOW)])
    pages, after = [], None
    while True:
        page = await history.find(Query(), 2, after)
        pages.append([sighting.id for sighting in page.sightings])
        if (after := page.next) is None:
            break
    assert pages == [["z", "d"], ["c", "b"], ["a"]]


async def test_a_last_page_that_is_full_has_none_behind_it(history: History) -> None:
    await history.add([seen("a", 0), seen("b", 1)])
    assert (await history.find(Query(), 2)).next is None
    assert (await history.find(Query(), 1)).next == (NOW, "b")
    assert (await history.find(Query(stream="yard"), 1)).next is None


async def test_a_sighting_that_goes_on_moves_to_the_front(history: History) -> None:
    await history.add([seen(name, offset, last=NOW - 10 + offset) for offset, name in enumerate("abc")])
    page = await history.find(Query(), 1)
    await history.add([seen("a", 3, last=NOW)])
    behind = await history.find(Query(), 9, page.next)
    assert [sighting.id for sighting in behind.sightings] == ["b"]
    assert await ids(history) == ["a", "c", "b"]


async def test_what_is_part_of_another_is_listed_nowhere_and_found_all_the_same(history: History) -> None:
    await history.add([seen("a", 0), seen("b", 1)])
    await history.add([seen("b", 2, merged="a", revision=5)])
    assert (
        await ids(history) == await ids(history, person="ada") == await ids(history, stream="door") == ["a"]
    )
    assert [bar.sightings for bar in await history.timeline(Query(person="ada"), 0)] == [1]
    assert [bar.sightings for bar in await history.timeline(Query(stream="door"), 0)] == [1]
    whole, part = await history.get("a"), await history.get("b")
    assert whole and part and (whole.merged, part.merged) == (None, "a")
    assert [(entry.sighting.id, entry.sighting.merged) for entry in await history.since({0: 2})] == [
        ("b", "a")
    ]


async def test_what_is_part_of_a_part_is_told_the_whole(history: History) -> None:
    await history.add([seen(f"{number}", number, merged=f"{number + 1}") for number in range(5)])
    first = await history.get("0")
    # It was let go of, or has not come yet.
    assert first and first.merged == "5"
    await history.add([seen("5", 5)])
    for number in range(5):
        found = await history.get(f"{number}")
        assert found and found.merged == "5"


async def test_parts_that_go_round_in_a_circle_are_answered_all_the_same(history: History) -> None:
    await history.add([seen("a", 0, merged="b"), seen("b", 1, merged="a"), seen("c", 2, merged="c")])
    for name in "abc":
        found = await history.get(name)
        assert found and found.merged in {"a", "b", "c"}
    assert await ids(history) == []


async def test_a_timeline_of_a_person(history: History) -> None:
    await history.add(
        [
            seen("a", 0, first=NOW - 900, last=NOW - 800),
            seen("b", 1, first=NOW - 750, last=NOW - 700, name="Ada L"),
            seen("y", 2, first=NOW - 850, last=NOW - 100, stream="yard", open=False),
            seen("c", 3, first=NOW - 50, last=NOW, open=True),
            seen("x", 4, person="bob"),
            seen("old", 5, first=NOW - 5000, last=NOW - 4000),
        ]
    )
    assert await history.timeline(Query(person="ada", since=NOW - 1000, until=NOW), 100) == [
        Bar("door", "ada", "Ada L", NOW - 900, NOW - 700, 2, True),
        Bar("yard", "ada", "Ada", NOW - 850, NOW - 100, 1, False),
        Bar("door", "ada", "Ada", NOW - 50, NOW, 1, True),
    ]


async def test_a_timeline_of_a_stream(history: History) -> None:
    unknown = {"person": None, "name": None, "score": None, "open": False}
    await history.add(
        [
            seen("u", 0, first=NOW - 900, last=NOW - 800, **unknown),
            seen("a", 1, first=NOW - 850, last=NOW - 700),
            seen("v", 2, first=NOW - 790, last=NOW - 600, **unknown),
            seen("y", 3, stream="yard"),
        ]
    )
    assert await history.timeline(Query(stream="door"), 100) == [
        Bar("door", None, None, NOW - 900, NOW - 600, 2, False),
        Bar("door", "ada", "Ada", NOW - 850, NOW - 700, 1, True),
    ]


async def test_names_are_values_not_words_of_a_statement(history: History) -> None:
    await history.add([seen("a", 0, person="' OR 1 = 1 --")])
    assert await ids(history, person="' OR 1 = 1 --") == ["a"]
    assert await ids(history, person="' OR '1' = '1") == []


async def test_unreadable_records_are_passed_over_but_counted(history: History) -> None:
    await history.add([(0, 5, b"junk"), (0, 6, None), seen("a", 7)])
    assert await ids(history) == ["a"]
    assert await history.positions() == {0: 8}


async def test_a_newer_version_changes_nothing_and_is_told_of(path: Path) -> None:
    errors: list[MessageError] = []
    history = History(DAY, errors.append)
    await history.open(path, "log")
    later = newer(make_sighting(id="a", frames=99, revision=2**40))
    await history.add([seen("a", 0, frames=1), (0, 1, later), (0, 2, b"junk")])
    found = await history.get("a")
    assert found is not None
    assert found.frames == 1
    assert [error.reason for error in errors] == ["unknown-schema", "malformed"]
    await history.close()


async def test_a_program_that_knows_newer_sightings_reads_the_log_again(
    history: History, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the program before it passed over is behind the position that it has reached."""
    await history.add([seen("a", 0), (0, 1, newer(make_sighting(id="b")))])
    await history.close()
    assert module._SCHEMA.version % 1000 == version(Sighting)
    monkeypatch.setattr(module, "_SCHEMA", replace(module._SCHEMA, version=module._SCHEMA.version + 1))
    again = History(keep=DAY)
    assert await again.open(path, "log") == {}
    await again.close()


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


async def places(history: History) -> list[tuple[str, int, int]]:
    return [
        (entry.sighting.id, entry.offset, entry.sighting.revision) for entry in await history.since({0: 0})
    ]


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
@pytest.mark.parametrize(
    ("revisions", "kept", "told"),
    [
        ([5, 7], (1, 7), [5, 7]),
        ([7, 5], (0, 7), [7]),
        ([7, 7], (1, 7), [7, 7]),
        ([0, 0], (1, 0), [0, 0]),
        ([7, 0], (0, 7), [7]),
        ([5, 9, 7], (1, 9), [5, 9]),
    ],
)
async def test_the_newer_version_stays(
    history: History, revisions: list[int], kept: tuple[int, int], told: list[int], together: bool
) -> None:
    """A worker that was away writes what it knew when it left: after what another has written since."""
    heard: list[Entry] = []
    history.listen(heard.extend)
    records = [seen("a", offset, revision=revision) for offset, revision in enumerate(revisions)]
    for batch in [records] if together else [[record] for record in records]:
        await history.add(batch)
    assert await places(history) == [("a", *kept)]
    assert [entry.sighting.revision for entry in heard] == told
    assert await history.positions() == {0: len(revisions)}


@pytest.mark.parametrize("other", [8, 9], ids=["of the same revision", "that was opened again"])
async def test_an_end_is_not_undone_by_what_was_on_its_way_before_it(history: History, other: int) -> None:
    """Who takes over a silent stream ends its sighting at the revision that the owner before had reached."""
    await history.add([seen("a", 0, revision=8, open=False)])
    await history.add([seen("a", 1, revision=other, open=True)])
    found = await history.get("a")
    assert found and found.open is (other == 9)


async def test_an_older_version_changes_nothing_that_can_be_asked_for(history: History) -> None:
    await history.add([seen("a", 0, revision=9, person="ada", first=NOW - 5, last=NOW, open=False)])
    await history.add([seen("a", 1, revision=8, person="bob", first=NOW - 9, last=NOW - 2, open=True)])
    found = await history.get("a")
    assert found and (found.person, found.first, found.open) == ("ada", NOW - 5, False)
    assert (await ids(history, person="bob"), await ids(history, until=NOW - 7)) == ([], [])


async def test_what_is_too_old_goes(history: History) -> None:
    await history.add([seen("old", 0, first=NOW - 2 * DAY, last=NOW - 2 * DAY), seen("new", 1)])
    assert await ids(history) == ["new"]


async def test_what_is_too_old_goes_where_nothing_comes_any_more(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    await history.add([seen("a")])
    monkeypatch.setattr(time, "time", lambda: NOW / 1000 + 25 * 3600)
    await history.add([])
    assert await ids(history) == []


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


async def test_a_damaged_index_is_built_again(history: History, path: Path) -> None:
    await history.add([seen(f"{number}", number, crop=b"x" * 2000) for number in range(200)])
    await history.close()
    damage(path)
    again = History(keep=DAY)
    assert await again.open(path, "log") == {}
    assert await ids(again) == []
    await again.close()


async def test_an_index_that_somebody_else_has_is_left_alone_and_waited_for(
    history: History, path: Path, said: Said
) -> None:
    await history.add([seen("a", 6)])
    await history.close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    again = History(keep=DAY)
    assert await again.open(path, "log") == {}
    assert said() == ["the index of sightings has to wait: database is locked; trying again"]
    other.rollback()
    other.close()
    with pytest.raises(ReadFrom) as wish:
        await again.add([seen("b", 0)])
    assert wish.value.positions == {0: 7}
    assert await ids(again) == ["a"]
    await again.close()


async def test_an_index_that_cannot_be_opened_is_opened_later(path: Path, said: Said) -> None:
    path.parent.write_text("where a folder should be")
    history = History(keep=DAY)
    assert await history.open(path, "log") == {}
    adding = asyncio.create_task(history.add([]))
    questions = (history.find(Query()), history.timeline(Query(), 0), history.get("a"))
    for ask in (*questions, history.since({0: 0}), history.positions()):
        with pytest.raises(HistoryUnavailableError):
            await ask
    await until_waiting(said)
    assert len(said()) == 1
    path.parent.unlink()
    with pytest.raises(ReadFrom) as wish:
        await adding
    assert wish.value.positions == {}
    assert said()[1:] == ["the index of sightings goes on"]
    await history.add([seen("a")])
    assert await ids(history) == ["a"]
    await history.close()


async def test_what_a_full_disk_does_not_take_is_taken_in_once_there_is_room(
    history: History, said: Said
) -> None:
    heard: list[Entry] = []
    history.listen(heard.extend)
    await history.add([seen("a", 0)])
    (pages,) = history._db.execute("PRAGMA page_count").fetchone()
    history._db.execute(f"PRAGMA max_page_count = {pages}")
    large = [seen(f"b{number}", number, crop=b"x" * 5000) for number in range(1, 9)]
    adding = asyncio.create_task(history.add(large))
    await until_waiting(said)
    assert said() == ["the index of sightings has to wait: database or disk is full; trying again"]
    assert (await ids(history), await history.positions(), len(heard)) == (["a"], {0: 1}, 1)

    history._db.execute("PRAGMA max_page_count = 1000000")
    await adding
    assert said()[1:] == ["the index of sightings goes on"]
    assert (len(await ids(history)), await history.positions(), len(heard)) == (9, {0: 9}, 9)
    await history.add([seen("c", 9)])
    assert len(said()) == 2


async def test_who_waits_for_the_disk_can_be_stopped(history: History, said: Said) -> None:
    history._db.execute("PRAGMA query_only = ON")
    adding = asyncio.create_task(history.add([seen("a")]))
    await until_waiting(said)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding


@pytest.fixture
async def damaged(history: History, path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[History]:
    """Yield a history whose file is damaged, but too large to be checked when it is opened."""
    await history.add([seen(f"{number}", number, crop=b"x" * 2000) for number in range(200)])
    await history.close()
    damage(path)
    monkeypatch.setattr("app.sqlite._CHECKED", 0)
    again = History(keep=DAY)
    assert await again.open(path, "log") == {0: 200}
    yield again
    await again.close()


async def test_an_index_found_damaged_by_what_is_written_is_built_again(damaged: History) -> None:
    with pytest.raises(ReadFrom) as wish:
        await damaged.add([seen(f"{number}", 200 + number) for number in range(200)])
    assert wish.value.positions == {}
    assert (await ids(damaged), await damaged.positions()) == ([], {})
    await damaged.add([seen("a")])
    assert await ids(damaged) == ["a"]


async def test_an_index_found_damaged_by_a_question_is_built_again(damaged: History) -> None:
    for _ in range(2):
        with pytest.raises(HistoryUnavailableError):
            await damaged.find(Query(), limit=1000)
    with pytest.raises(ReadFrom) as wish:
        await damaged.add([])
    assert wish.value.positions == {}
    assert await ids(damaged) == []


async def test_nothing_to_add_is_nothing(history: History) -> None:
    heard: list[Any] = []
    history.listen(heard.append)
    await history.add([])
    await history.add([(0, 0, b"junk")])
    assert (heard, await history.positions()) == ([], {0: 1})


async def test_a_history_is_complete_when_all_of_the_log_was_handed_over(history: History) -> None:
    assert not history.complete
    for complete in (False, True):
        history.follow(cast(Follower, SimpleNamespace(complete=complete)))
        assert history.complete is complete


@pytest.fixture
def common_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


async def test_nobody_else_can_read_the_files(common_umask: None, path: Path) -> None:
    history = History(keep=DAY)
    await history.open(path, "log")
    await history.add([seen("a")])
    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()}
    assert modes == {f"history.sqlite{suffix}": "0o600" for suffix in ("", "-wal", "-shm", ".lock")}
    await history.close()


async def test_a_face_that_is_deleted_is_not_in_the_file_any_more(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def careless(*args: Any, **more: Any) -> sqlite3.Connection:
        """Connect as SQLite does unless it was built to delete securely."""
        database = connect(*args, **more)
        database.execute("PRAGMA secure_delete = OFF")
        return database

    monkeypatch.setattr(sqlite3, "connect", careless)
    crop = b"a face " * 300
    for keep, record in ((2 * DAY, seen("old", 0, last=NOW - DAY, crop=crop)), (DAY // 2, seen("new", 1))):
        history = History(keep)
        await history.open(path, "log")
        await history.add([record])
        await history.close()
        assert holds(path, b"a face a face") is (keep == 2 * DAY)


def holds(path: Path, text: bytes) -> bool:
    return text in path.read_bytes()


async def test_a_history_that_was_never_opened_closes() -> None:
    await History(keep=DAY).close()
