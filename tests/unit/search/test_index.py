"""The index finds whom a search of everything finds, whoever came and went before."""

import sys
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.images import Floats
from app.search import Index, Nearest
from app.search.index import Chunk

#: Their products are exact in any order: 0, and halves and wholes of both signs.
VECTORS = [np.array(vector, np.float32) for vector in (*product((-0.5, 0.5), repeat=4), *np.eye(4).tolist())]
ROWS = st.lists(st.sampled_from(VECTORS), min_size=1, max_size=7).map(np.stack)
OWNERS = st.sampled_from(["ada", "bob", "cyd", "dan", "eve", "fay"])
STEPS = st.lists(st.tuples(OWNERS, ROWS | st.none()), max_size=30)


def written_out(people: Mapping[str, Floats], probe: Floats) -> tuple[str | None, float, float]:
    """Search everything, one vector after the other."""
    ranked = sorted(
        (-max(float(row @ probe) for row in rows), owner) for owner, rows in people.items()
    )  # fmt: skip
    first, second, *_ = [(-similarity, owner) for similarity, owner in ranked] + [(-1.0, None)] * 2
    return first[1], first[0], second[0]


def answers(found: Nearest) -> list[tuple[str | None, float, float]]:
    return list(zip(found.owners, found.similarities.tolist(), found.runners_up.tolist(), strict=True))


@given(STEPS, ROWS, st.integers(1, 9))
def test_it_finds_what_a_search_of_everything_finds(
    steps: list[tuple[str, Floats | None]], probes: Floats, chunk: int
) -> None:
    index, people = Index(chunk), dict[str, Floats]()
    for owner, rows in steps:
        if rows is None:
            index.remove(owner)
            people.pop(owner, None)
        else:
            index.add(owner, rows)
            people[owner] = rows
        assert answers(index.search(probes)) == [written_out(people, probe) for probe in probes]
    assert len(index) == sum(map(len, people.values()))
    assert {owner for owner in ("ada", "bob", "cyd", "dan", "eve", "fay") if owner in index} == set(people)


@given(st.integers(0, 1000), st.integers(1, 60), st.integers(1, 40))
def test_it_finds_the_nearest_among_vectors_of_any_kind(seed: int, people: int, chunk: int) -> None:
    random = np.random.default_rng(seed)
    gallery = {f"p{number}": unit(random, int(random.integers(1, 4)), 32) for number in range(people)}
    index = Index(chunk)
    for owner, rows in gallery.items():
        index.add(owner, rows)
    for owner in list(gallery)[::3]:
        index.remove(owner)
        del gallery[owner]
    probes = unit(random, 5, 32)
    found = index.search(probes)
    for (owner, similarity, runner_up), probe in zip(answers(found), probes, strict=True):
        expected = written_out(gallery, probe)
        assert (similarity, runner_up) == pytest.approx(expected[1:], abs=1e-6)
        assert owner == expected[0] or expected[1] - expected[2] < 1e-6


def unit(random: np.random.Generator, count: int, dimension: int) -> Floats:
    vectors = random.normal(size=(count, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_an_empty_index_knows_nobody() -> None:
    index = Index()
    assert answers(index.search(np.ones((2, 3)) / np.sqrt(3))) == [(None, -1.0, -1.0)] * 2
    assert answers(index.search(np.empty((0, 3)))) == []
    index.remove("ada")
    assert (len(index), "ada" in index) == (0, False)


def test_who_is_alone_has_no_runner_up_however_many_templates_they_have() -> None:
    index = Index()
    index.add("ada", np.stack(VECTORS))
    assert answers(index.search(VECTORS[0][None])) == [("ada", 1.0, -1.0)]


@pytest.mark.parametrize("order", [("ada", "bob"), ("bob", "ada")])
@pytest.mark.parametrize("chunk", [1, 10])
def test_of_two_who_are_as_near_it_is_the_same_one_whoever_came_first(
    order: tuple[str, str], chunk: int
) -> None:
    index = Index(chunk)
    for owner in order:
        index.add(owner, VECTORS[0][None])
    assert answers(index.search(VECTORS[0][None])) == [("ada", 1.0, 1.0)]


def test_what_rounding_put_beside_one_is_a_tie() -> None:
    random = np.random.default_rng(3)
    (vector,) = unit(random, 1, 512)
    index = Index()
    index.add("bob", vector[None])
    index.add("ada", (vector * np.float32(1 - 2e-7))[None])
    assert answers(index.search(vector[None])) == [("ada", 1.0, 1.0)]


def test_more_probes_than_are_compared_at_once_are_all_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    index = Index(8)
    for number in range(30):
        index.add(f"p{number}", unit(random, 2, 16))
    probes = unit(random, 50, 16)
    whole = index.search(probes)
    monkeypatch.setattr("app.search.index._BLOCK", 24)
    parts = index.search(probes)
    assert parts.owners == whole.owners
    assert parts.similarities == pytest.approx(whole.similarities, abs=1e-6)


@pytest.mark.parametrize("rows", [np.ones(3), np.empty((0, 4)), np.empty((2, 0)), np.ones((1, 5))])
def test_what_is_no_template_is_refused_and_changes_nothing(rows: Floats) -> None:
    index = Index()
    index.add("ada", VECTORS[0][None])
    with pytest.raises(ValueError, match="expected templates"):
        index.add("ada", rows)
    assert answers(index.search(VECTORS[0][None])) == [("ada", 1.0, -1.0)]


def test_probes_of_another_length_are_refused() -> None:
    index = Index()
    index.add("ada", VECTORS[0][None])
    with pytest.raises(ValueError):
        index.search(np.ones((1, 5)))


def test_memory_is_bounded_by_who_is_there() -> None:
    random = np.random.default_rng(1)
    index = Index(16)
    for number in range(400):
        index.add(f"p{number}", unit(random, 1 + number % 3, 4))
    for number in random.permutation(400)[:390].tolist():
        index.remove(f"p{number}")
        held = sorted(len(chunk) for chunk in index._chunks)
        assert len(held) < 2 or sum(held[:2]) > 16
    assert len(index._chunks) <= 3


def test_what_is_added_does_not_move_who_is_there() -> None:
    """An enrolment costs what it adds: the other chunks are the same arrays after it."""
    random = np.random.default_rng(1)
    index = Index(64)
    for number in range(200):
        index.add(f"p{number}", unit(random, 1, 8))
    before = [view.rows for view in index._views]
    index.add("new", unit(random, 1, 8))
    index.remove("p0")
    shared = [np.shares_memory(one, two.rows) for one, two in zip(before, index._views, strict=True)]
    assert shared == [False, True, True, True]


def test_who_was_removed_is_not_kept_in_memory() -> None:
    index = Index()
    index.add("ada", VECTORS[0][None])
    index.add("bob", VECTORS[1][None])
    index.remove("ada")
    (chunk,) = index._chunks
    assert not any((row == VECTORS[0]).all() for row in chunk.view.rows)
    assert "ada" not in chunk.view.owners


@pytest.mark.parametrize("step", ["add", "remove", "extend"])
def test_a_search_in_the_midst_of_a_change_sees_what_was_before_it(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index(chunk=4)
    for number, vector in enumerate(VECTORS[:9]):
        index.add(f"p{number}", vector[None])
    real, between = getattr(Chunk, step), list[Nearest]()

    def watched(*arguments: object) -> None:
        between.append(index.search(np.stack(VECTORS)))
        real(*arguments)
        between.append(index.search(np.stack(VECTORS)))

    monkeypatch.setattr(Chunk, step, watched)
    changes = [
        change
        for owner in ("p0", "p5", "p1", "p8")
        for change in (partial(index.add, owner, np.stack(VECTORS[10:12])), partial(index.remove, owner))
    ]
    looks = 0
    for change in changes:
        before = answers(index.search(np.stack(VECTORS)))
        between.clear()
        change()
        assert all(answers(found) == before for found in between)
        looks += len(between)
    assert looks


@pytest.fixture
def restless() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("restless")
def test_a_search_in_a_thread_sees_one_moment_while_others_come_and_go() -> None:
    """Whoever searches finds all templates of a person or none, and those who are always there always."""
    axes = np.eye(16, dtype=np.float32)
    index = Index(chunk=4)
    for number in range(6):
        index.add(f"stays{number}", axes[[number]])
    probes = axes[[0, 1, 2, 3, 4, 5, 8, 9]]
    stop, wrong = threading.Event(), list[object]()

    def search() -> None:
        while not stop.is_set():
            found = index.search(probes)
            staying = found.owners[:6] == tuple(f"stays{number}" for number in range(6))
            ones = found.similarities[:6].tolist() == [1.0] * 6
            # "both" has the two last ones with either set of templates, "comes" comes and goes.
            both = {found.owners[6], found.owners[7]} == {"both"} and min(found.similarities[6:]) == 1.0
            if not (staying and ones and both):
                wrong.append(found)

    index.add("both", axes[[8, 9]])
    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(1500):
        index.add("both", axes[[9, 8]] if turn % 2 else axes[[10, 8, 9]])
        index.add(f"comes{turn % 5}", axes[[11, 12, 13][: 1 + turn % 3]])
        index.remove(f"comes{(turn + 2) % 5}")
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
