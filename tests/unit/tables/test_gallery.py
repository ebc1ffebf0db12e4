"""The gallery names who is near enough, and tells those who wait what has arrived."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from makers import DIMENSION, EMBEDDER, axis, make_person, make_template

from app.messages import Person
from app.search import Index, Match, Nearest
from app.tables import gallery as module
from app.tables.gallery import Gallery


@pytest.fixture
async def gallery() -> Gallery:
    """Ada along axis 0, Bob along axis 1 with a second template along axis 2."""
    made = Gallery(EMBEDDER, threshold=0.4, margin=0.05)
    await made.load([make_person("ada", axis(0)), make_person("bob", axis(1), axis(2))])
    return made


async def test_an_empty_gallery_knows_nobody() -> None:
    gallery = Gallery(EMBEDDER, 0.4, 0.05)
    assert await gallery.match(np.stack([axis(0)])) == [Match(None, None, -1.0, None)]
    assert await gallery.match(np.empty((0, DIMENSION))) == []
    assert gallery.templates == 0


async def test_the_nearest_template_counts(gallery: Gallery) -> None:
    probes = np.stack([axis(0, 5, 0.8), axis(2, 5, 0.7), axis(1)])
    assert [match.person for match in await gallery.match(probes)] == ["ada", "bob", "bob"]
    assert [match.name for match in await gallery.match(probes)] == ["Ada", "Bob", "Bob"]
    assert [match.similarity for match in await gallery.match(probes)] == pytest.approx([0.8, 0.7, 1.0])


async def test_who_is_not_near_enough_is_nobody_but_somebody_is_nearest(gallery: Gallery) -> None:
    (match,) = await gallery.match(np.stack([axis(0, 5, 0.39)]))
    assert (match.person, match.name, match.nearest) == (None, None, "ada")
    assert match.similarity == pytest.approx(0.39)


async def test_the_threshold_itself_is_enough() -> None:
    gallery = Gallery(EMBEDDER, threshold=0.5, margin=0.0)
    await gallery.put(make_person("ada", axis(0)))
    probe = np.zeros((1, DIMENSION), np.float32)
    probe[0, :4] = 0.5
    assert (await gallery.match(probe))[0].person == "ada"


async def test_several_faces_in_one_template_have_a_threshold_of_their_own() -> None:
    gallery = Gallery(EMBEDDER, threshold=0.5, margin=0.0, pooled_threshold=0.3)
    await gallery.put(make_person("ada", axis(0)))
    probes = np.stack([axis(0, 1, 0.4)] * 3)
    named = [match.person for match in await gallery.match(probes, np.array([1, 2, 8]))]
    assert named == [None, "ada", "ada"]
    assert [match.person for match in await gallery.match(probes)] == [None, None, None]


async def test_two_who_are_too_near_each_other_are_nobody(gallery: Gallery) -> None:
    between = (axis(0) + 1.01 * axis(1)) / np.linalg.norm(axis(0) + 1.01 * axis(1))
    clear = (axis(0) + 1.3 * axis(1)) / np.linalg.norm(axis(0) + 1.3 * axis(1))
    assert [match.person for match in await gallery.match(np.stack([between, clear]))] == [None, "bob"]


async def test_two_templates_of_one_person_are_no_rivals(gallery: Gallery) -> None:
    between = (axis(1) + axis(2)) / np.sqrt(2)
    assert (await gallery.match(np.stack([between])))[0].person == "bob"


async def test_templates_of_another_embedder_are_kept_but_not_matched(gallery: Gallery) -> None:
    old = make_template(axis(3), embedder="other@01234567")
    await gallery.put(make_person("eve", templates=[old]))
    assert (gallery.templates, gallery.stale, "eve" in gallery.people) == (3, 1, True)
    assert (await gallery.match(np.stack([axis(3)])))[0].person is None


async def test_changes_are_seen_at_once(gallery: Gallery) -> None:
    await gallery.remove("ada")
    await gallery.remove("ada")
    await gallery.put(make_person("bob", axis(4), name="Robert"))
    assert [match.name for match in await gallery.match(np.stack([axis(0), axis(1), axis(4)]))] == [
        None, None, "Robert",
    ]  # fmt: skip
    await gallery.load([])
    assert not gallery.people


async def test_a_match_says_how_near_the_next_person_is(gallery: Gallery) -> None:
    (match,) = await gallery.match(np.stack([axis(0, 1, 0.8)]))
    assert (match.nearest, match.person) == ("ada", "ada")
    assert (match.similarity, match.runner_up) == pytest.approx((0.8, 0.6), abs=1e-3)


async def test_its_version_is_another_one_whenever_people_change(gallery: Gallery) -> None:
    versions = [gallery.version]
    await gallery.put(make_person("carl", axis(3)))
    versions.append(gallery.version)
    await gallery.remove("carl")
    versions.append(gallery.version)
    await gallery.load([])
    versions.append(gallery.version)
    assert len(set(versions)) == 4


async def test_it_has_those_too_whom_it_cannot_read(gallery: Gallery) -> None:
    await gallery.leave_out("eve")
    assert [gallery.has(person) for person in ("ada", "eve", "carl")] == [True, True, False]


async def test_who_waits_is_told(gallery: Gallery) -> None:
    added = asyncio.create_task(gallery.wait_for("ada", "second"))
    removed = asyncio.create_task(gallery.wait_for("bob", None))
    await asyncio.sleep(0)
    await gallery.put(make_person("ada", axis(0), revision="other"))
    await gallery.remove("bob")
    await asyncio.wait_for(removed, 5)
    assert not added.done()
    await gallery.put(make_person("ada", axis(0), revision="second"))
    await asyncio.wait_for(added, 5)


async def test_a_revision_that_was_overtaken_has_arrived(gallery: Gallery) -> None:
    waiting = asyncio.create_task(gallery.wait_for("ada", "second"))
    await asyncio.sleep(0)
    await gallery.put(make_person("ada", axis(0), revision="second"))
    await gallery.put(make_person("ada", axis(0), revision="third"))
    await asyncio.wait_for(waiting, 5)


async def test_templates_of_an_odd_length_are_left_out(gallery: Gallery) -> None:
    odd = make_template(np.ones(3) / np.sqrt(3))
    await gallery.put(make_person("eve", templates=[odd, make_template(axis(3))]))
    await gallery.put(make_person("odd", templates=[odd]))
    assert gallery.templates == 4
    probes = np.stack([axis(0), axis(3)])
    assert [match.person for match in await gallery.match(probes)] == ["ada", "eve"]


async def test_a_gallery_of_other_lengths_than_the_faces_knows_nobody() -> None:
    gallery = Gallery(EMBEDDER, 0.4, 0.05)
    await gallery.put(make_person("odd", np.ones(3) / np.sqrt(3)))
    assert [match.person for match in await gallery.match(axis(0)[None])] == [None]


async def test_who_waits_for_somebody_known_hears_that_they_are_gone(gallery: Gallery) -> None:
    waiting = asyncio.create_task(gallery.wait_for("ada", "second", known=True))
    await asyncio.sleep(0)
    await gallery.put(make_person("bob", axis(1), revision="other"))
    assert not waiting.done()
    await gallery.remove("ada")
    await asyncio.wait_for(waiting, 5)


async def test_who_waits_hears_that_somebody_cannot_be_read(gallery: Gallery) -> None:
    adding = asyncio.create_task(gallery.wait_for("ada", "second", known=True))
    removing = asyncio.create_task(gallery.wait_for("ada", None))
    await asyncio.sleep(0)
    await gallery.leave_out("ada")
    await asyncio.wait_for(adding, 5)
    # They are still enrolled.
    assert not removing.done()
    await gallery.remove("ada")
    await asyncio.wait_for(removing, 5)


async def test_somebody_is_read_again_or_is_not(gallery: Gallery) -> None:
    await gallery.leave_out("ada")
    assert (set(gallery.people), gallery.unreadable) == ({"bob"}, {"ada"})
    await gallery.put(make_person("ada", axis(0)))
    assert (set(gallery.people), gallery.unreadable) == ({"ada", "bob"}, set())
    await gallery.load([make_person("ada", axis(0))], ["bob"])
    assert (set(gallery.people), gallery.unreadable) == ({"ada"}, {"bob"})


async def test_an_embedding_of_no_length_is_left_out(gallery: Gallery) -> None:
    nothing = make_template(np.empty(0))
    await gallery.put(make_person("eve", templates=[nothing, make_template(axis(3))]))
    assert (gallery.templates, gallery.stale) == (4, 0)


async def test_those_of_another_embedder_are_counted_until_they_go(gallery: Gallery) -> None:
    old = [make_template(axis(number), embedder="other@01234567") for number in range(3)]
    await gallery.put(make_person("eve", templates=old))
    await gallery.put(make_person("eve", templates=old[:2]))
    assert gallery.stale == 2
    await gallery.remove("eve")
    assert gallery.stale == 0


async def test_who_has_not_changed_is_not_touched_by_a_load(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, added = Index.add, list[str]()

    def noted(index: Index, owner: str, rows: Any) -> None:
        added.append(owner)
        add(index, owner, rows)

    monkeypatch.setattr(Index, "add", noted)
    await gallery.load([gallery.people["ada"], make_person("bob", axis(6)), make_person("cyd", axis(7))])
    assert added == ["bob", "cyd"]
    matches = await gallery.match(np.stack([axis(0), axis(1), axis(6), axis(7)]))
    assert [match.person for match in matches] == ["ada", None, "bob", "cyd"]
    await gallery.load([gallery.people["cyd"]])
    assert (set(gallery.people), gallery.templates, len(added)) == ({"cyd"}, 1, 2)


async def test_others_get_their_turn_while_everybody_is_loaded(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TURN", -1.0)
    turns = 0

    def people() -> Iterator[Person]:
        for number in range(10):
            # Each is asked for in a turn of its own.
            assert turns >= number
            yield make_person(f"p{number}", axis(number % DIMENSION))

    loading = asyncio.create_task(gallery.load(people()))
    while not loading.done():
        turns += 1
        await asyncio.sleep(0)
    await loading
    assert len(gallery.people) == 10


async def test_who_comes_or_goes_while_everybody_is_loaded_is_not_set_back(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TURN", -1.0)
    everybody = [make_person(person, axis(number)) for number, person in enumerate(["ada", "bob", "cyd"])]
    loading = asyncio.create_task(gallery.load(everybody))
    await asyncio.sleep(0)
    await gallery.put(make_person("bob", axis(5), name="Robert"))
    await gallery.remove("cyd")
    await gallery.put(make_person("dan", axis(6)))
    assert not loading.done()
    await loading
    assert {person.name for person in gallery.people.values()} == {"Ada", "Robert", "Dan"}
    # Only as long as it lasts.
    await gallery.load(everybody)
    assert {person.name for person in gallery.people.values()} == {"Ada", "Bob", "Cyd"}


class HeldSearch:
    """Lets searches come to an end, but not give their answers before they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[threading.Thread] = []
        self.searched, self.let_go = threading.Event(), threading.Event()
        search = Index.search

        def held(index: Index, probes: Any) -> Nearest:
            found = search(index, probes)
            self.threads.append(threading.current_thread())
            self.searched.set()
            assert self.let_go.wait(30)
            return found

        monkeypatch.setattr(Index, "search", held)


@pytest.mark.parametrize(("probes", "direct"), [(2, True), (3, False)])
async def test_only_a_large_search_is_made_in_a_thread(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, probes: int, direct: bool
) -> None:
    monkeypatch.setattr(module, "_DIRECT", 2 * gallery.templates)
    held = HeldSearch(monkeypatch)
    held.let_go.set()
    await gallery.match(np.stack([axis(0)] * probes))
    assert [thread is threading.main_thread() for thread in held.threads] == [direct]


async def test_the_event_loop_goes_on_while_a_large_gallery_is_searched(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DIRECT", 0)
    held = HeldSearch(monkeypatch)
    matching = asyncio.create_task(gallery.match(axis(0)[None]))
    await asyncio.to_thread(held.searched.wait, 30)
    await gallery.put(make_person("cyd", axis(3)))
    assert not matching.done()
    held.let_go.set()
    (match,) = await matching
    assert (match.person, len(held.threads)) == ("ada", 1)


async def test_who_is_removed_while_they_are_searched_for_is_not_named(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DIRECT", 0)
    held = HeldSearch(monkeypatch)
    matching = asyncio.create_task(gallery.match(axis(0, 1, 0.8)[None]))
    await asyncio.to_thread(held.searched.wait, 30)
    await gallery.remove("ada")
    held.let_go.set()
    (match,) = await matching
    assert (match.person, match.similarity) == ("bob", pytest.approx(0.6))
