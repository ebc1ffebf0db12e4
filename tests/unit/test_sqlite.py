"""A database of what can be had again is this user's alone, and begun anew where it is of no use."""

import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.sqlite import ForeignDatabaseError, Schema, discard, is_damage, open_database

SCHEMA = Schema("list of things", version=3, tables="CREATE TABLE things (name)", application=0x1234)


@pytest.fixture(autouse=True)
def common_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "things.sqlite"


def opened(path: Path | None, schema: Schema = SCHEMA, **more: Any) -> closing[sqlite3.Connection]:
    return closing(open_database(path, schema, **more))


def put(path: Path, name: str) -> None:
    with opened(path) as database, database:
        database.execute("INSERT INTO things VALUES (?)", [name])


def names(database: sqlite3.Connection) -> list[str]:
    return [name for (name,) in database.execute("SELECT name FROM things")]


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement)


def test_what_was_put_is_there_the_next_time(path: Path) -> None:
    put(path, "one")
    put(path, "two")
    with opened(path) as database:
        assert names(database) == ["one", "two"]


@pytest.mark.parametrize("made_by_others", [False, True])
def test_nobody_else_can_read_the_files(path: Path, made_by_others: bool) -> None:
    if made_by_others:
        path.touch(mode=0o644)
    with opened(path) as database, database:
        database.execute("INSERT INTO things VALUES ('one')")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {f"things.sqlite{suffix}": 0o600 for suffix in ("", "-wal", "-shm", ".lock")}


def test_one_in_memory_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with opened(None) as database:
        assert names(database) == []
    assert list(tmp_path.iterdir()) == []


def spoil(path: Path, how: str) -> None:
    match how:
        case "no database":
            path.write_bytes(b"this is no database" * 1000)
        case "torn":
            path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 4096)
        case "other version":
            change(path, "PRAGMA user_version = 99")
        case "earlier format":
            with path.open("r+b") as file:
                # The format of the schema; SQLite knows up to 4.
                file.seek(44)
                file.write(b"\0\0\0\x09")


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("no database", "file is not a database"),
        ("torn", "it is damaged"),
        ("other version", "it is of another version"),
        ("earlier format", "unsupported file format"),
    ],
)
def test_one_of_no_use_is_begun_anew(
    path: Path, caplog: pytest.LogCaptureFixture, how: str, why: str
) -> None:
    put(path, "one")
    spoil(path, how)
    with opened(path) as database:
        assert names(database) == []
    assert caplog.messages == [f"the list of things is built again: {why}"]
    put(path, "two")
    with opened(path) as database:
        assert names(database) == ["two"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_said_to_be_of_no_use_is_begun_anew(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(database: sqlite3.Connection) -> None:
        if names(database):
            raise sqlite3.DatabaseError("one is too many")

    put(path, "one")
    with opened(path, check=refuse) as database:
        assert names(database) == []
    assert caplog.messages == ["the list of things is built again: one is too many"]


def test_a_large_one_is_not_checked_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(path, "one")
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 4096)
    monkeypatch.setattr("app.sqlite._CHECKED", 4096)
    with opened(path) as database, pytest.raises(sqlite3.DatabaseError) as caught:
        names(database)
    assert is_damage(caught.value)


def test_the_database_of_something_else_is_left_alone(path: Path) -> None:
    change(path, "CREATE TABLE precious (thing)")
    before = path.read_bytes()
    with pytest.raises(
        ForeignDatabaseError, match=r"things\.sqlite: expected the list of things, found another"
    ):
        open_database(path, SCHEMA)
    assert path.read_bytes() == before


def test_one_that_somebody_else_has_is_left_alone(path: Path) -> None:
    put(path, "one")
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked") as caught:
            open_database(path, SCHEMA, timeout=0)
        assert not is_damage(caught.value)
        other.rollback()
    with opened(path) as database:
        assert names(database) == ["one"]


@pytest.mark.parametrize("old", [False, True], ids=["where there is none", "where it is of another version"])
def test_many_who_open_it_at_once_have_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, old: bool
) -> None:
    at_once = threading.Barrier(8)

    def work(path: Path, number: int) -> None:
        at_once.wait(10)
        with opened(path, timeout=30) as database, database:
            database.execute("INSERT INTO things VALUES (?)", [str(number)])

    with ThreadPoolExecutor(at_once.parties) as threads:
        for turn in range(20):
            path = tmp_path / f"{turn}.sqlite"
            if old:
                change(path, "CREATE TABLE things (name)")
                change(path, f"PRAGMA application_id = {SCHEMA.application}")
            list(threads.map(work, [path] * at_once.parties, range(at_once.parties)))
            with opened(path) as database:
                assert sorted(names(database)) == [str(number) for number in range(at_once.parties)]
    assert caplog.messages == ["the list of things is built again: it is of another version"] * 20 * old


@pytest.mark.parametrize("place", ["", "no/such/folder"])
def test_one_that_cannot_be_made_is_an_error(tmp_path: Path, place: str) -> None:
    with pytest.raises(OSError, match="directory"):
        open_database(tmp_path / place, SCHEMA)


def test_tables_are_made_whole_or_not_at_all(path: Path) -> None:
    broken = Schema("list of things", 3, "CREATE TABLE things (name); CREATE TABLE nothing")
    with pytest.raises(sqlite3.OperationalError):
        open_database(path, broken)
    with opened(path) as database:
        assert names(database) == []


def test_what_is_deleted_is_not_in_the_file_any_more(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def careless(*args: Any, **more: Any) -> sqlite3.Connection:
        """Connect as SQLite does unless it was built to delete securely."""
        database = connect(*args, **more)
        database.execute("PRAGMA secure_delete = OFF")
        return database

    monkeypatch.setattr(sqlite3, "connect", careless)
    put(path, "a face")
    assert b"a face" in path.read_bytes()
    with opened(path) as database, database:
        database.execute("DELETE FROM things")
    assert b"a face" not in path.read_bytes()


@pytest.mark.parametrize("any_thread", [False, True])
def test_other_threads_may_use_it_where_that_is_asked_for(any_thread: bool) -> None:
    errors: list[Exception] = []

    def use(database: sqlite3.Connection) -> None:
        try:
            names(database)
        except sqlite3.ProgrammingError as error:
            errors.append(error)

    with opened(None, any_thread=any_thread) as database:
        thread = threading.Thread(target=use, args=[database])
        thread.start()
        thread.join()
    assert bool(errors) is not any_thread


def test_a_discarded_one_leaves_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").touch()
    discard(path, SCHEMA, sqlite3.DatabaseError("it is damaged"))
    assert list(path.parent.iterdir()) == []
    assert caplog.messages == ["the list of things is built again: it is damaged"]
