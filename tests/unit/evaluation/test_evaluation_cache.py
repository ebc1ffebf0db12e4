"""The cache gives back what it was given, is this user's alone, and is built again when it is damaged."""

import sqlite3
import stat
import time
from pathlib import Path

import numpy as np
import pytest

from app.evaluation.cache import Cache, CacheError, Missing, open_cache
from app.evaluation.face import Face

FACE = Face(np.array([0.6, -0.8], np.float32), 0.75)
LONGER = Face(np.array([0.6, -0.8, 0.6, -0.8], np.float32), 0.5)
DAY = 24 * 3600


def filled(path: Path) -> None:
    with open_cache(path) as cache:
        cache.put("fingerprint", "picture", FACE)


def knows(cache: Cache, fingerprint: str, picture: str) -> bool:
    try:
        cache.get(fingerprint, picture)
    except Missing:
        return False
    return True


def test_what_was_put_is_there_the_next_time(tmp_path: Path) -> None:
    with open_cache(tmp_path / "c") as cache:
        cache.put("fingerprint", "picture", FACE)
        cache.put("fingerprint", "empty", None)
    with open_cache(tmp_path / "c") as cache:
        found = cache.get("fingerprint", "picture")
        assert found is not None
        assert (found.embedding == FACE.embedding).all()
        assert found.quality == FACE.quality
        assert cache.get("fingerprint", "empty") is None
        assert not knows(cache, "other fingerprint", "picture")
        assert not knows(cache, "fingerprint", "other picture")


def test_it_is_for_this_user_alone(tmp_path: Path) -> None:
    (tmp_path / "c").touch(mode=0o644)
    with open_cache(tmp_path / "c") as cache:
        cache.put("fingerprint", "picture", FACE)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes["c"] == 0o600
    assert set(modes.values()) == {0o600}


def test_what_an_interrupted_run_put_is_kept(tmp_path: Path) -> None:
    def interrupted() -> None:
        with open_cache(tmp_path / "c") as cache:
            cache.put("fingerprint", "picture", FACE)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with open_cache(tmp_path / "c") as cache:
        assert knows(cache, "fingerprint", "picture")


@pytest.mark.parametrize(
    "damage",
    [
        "no database",
        "torn",
        "other version",
        "no table",
        "other columns",
        "odd blob",
        "empty blob",
        "text",
        "no quality",
    ],
)
def test_a_damaged_cache_is_built_again(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "c"
    filled(path)
    if damage == "no database":
        path.write_bytes(b"this is no database, whatever its name says" * 100)
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 4096)
    else:
        change(
            path,
            {
                "other version": "PRAGMA user_version = 99",
                "no table": "ALTER TABLE faces RENAME TO something",
                "other columns": "ALTER TABLE faces RENAME COLUMN fingerprint TO path",
                "odd blob": "UPDATE faces SET embedding = x'010203'",
                "empty blob": "UPDATE faces SET embedding = x''",
                "text": "UPDATE faces SET embedding = 'face'",
                "no quality": "UPDATE faces SET quality = NULL",
            }[damage],
        )
    with open_cache(path) as cache:
        assert not knows(cache, "fingerprint", "picture")
        cache.put("fingerprint", "picture", FACE)
        assert knows(cache, "fingerprint", "picture")


def test_embeddings_of_two_lengths_are_damage(tmp_path: Path) -> None:
    with open_cache(tmp_path / "c") as cache:
        cache.put("fingerprint", "picture", FACE)
        cache.put("other fingerprint", "picture", LONGER)
        cache.put("fingerprint", "empty", None)
    with open_cache(tmp_path / "c") as cache:
        assert knows(cache, "fingerprint", "picture")
        cache.put("fingerprint", "longer", LONGER)
    with open_cache(tmp_path / "c") as cache:
        assert not knows(cache, "fingerprint", "picture")


def change(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as database:
        database.execute(statement)
    database.close()


def test_what_is_of_no_use_for_long_is_deleted_with_its_bytes(tmp_path: Path) -> None:
    path, now = tmp_path / "c", time.time()
    old = Face(np.frombuffer(b"precious", np.float32), 0.5)
    with open_cache(path) as cache:
        cache.put("fingerprint", "old", old)
        cache.put("fingerprint", "new", FACE)
    change(path, f"UPDATE faces SET used = {now - 89 * DAY} WHERE picture = 'old'")
    with open_cache(path) as cache:
        cache.forget(90, "fingerprint")
        assert knows(cache, "fingerprint", "old")
    assert b"precious" in path.read_bytes()
    change(path, f"UPDATE faces SET used = {now - 91 * DAY} WHERE picture = 'old'")
    with open_cache(path) as cache:
        cache.forget(90, "fingerprint")
        assert not knows(cache, "fingerprint", "old")
        assert knows(cache, "fingerprint", "new")
    assert not [file for file in tmp_path.iterdir() if b"precious" in file.read_bytes()]


def test_what_is_of_use_stays(tmp_path: Path) -> None:
    path = tmp_path / "c"
    filled(path)
    change(path, f"UPDATE faces SET used = {time.time() - 89 * DAY}")
    with open_cache(path) as cache:
        cache.use("fingerprint", ["picture"])
        cache.forget(2, "fingerprint")
        assert knows(cache, "fingerprint", "picture")


def test_ways_of_other_code_are_deleted_and_those_of_this_code_stay_side_by_side(tmp_path: Path) -> None:
    with open_cache(tmp_path / "c") as cache:
        for fingerprint in ("code-one", "code-two", "former-one"):
            cache.put(fingerprint, "picture", FACE)
        cache.forget(90, "code")
        known = [
            fingerprint
            for fingerprint in ("code-one", "code-two", "former-one")
            if knows(cache, fingerprint, "picture")
        ]
    assert known == ["code-one", "code-two"]


def test_somebody_elses_database_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "c") as database:
        database.execute("CREATE TABLE precious (thing)")
    database.close()
    before = (tmp_path / "c").read_bytes()
    with pytest.raises(CacheError, match="found another database"), open_cache(tmp_path / "c"):
        pass
    assert (tmp_path / "c").read_bytes() == before


@pytest.mark.parametrize("what", ["a folder", "nowhere"])
def test_what_cannot_be_opened_is_one_line(tmp_path: Path, what: str) -> None:
    path = tmp_path if what == "a folder" else tmp_path / "no" / "such" / "c"
    with pytest.raises(CacheError, match=r"^cannot use the cache of embeddings [^\n]*$"), open_cache(path):
        pass


def test_one_in_memory_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_cache(None) as cache:
        cache.put("fingerprint", "picture", FACE)
        assert knows(cache, "fingerprint", "picture")
    assert list(tmp_path.iterdir()) == []
