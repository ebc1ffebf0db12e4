"""The gallery names who is near enough, and tells those who wait what has arrived."""

import asyncio

import numpy as np
import pytest
from makers import DIMENSION, EMBEDDER, axis, make_faces, make_person, make_template

from app.messages import Gate
from app.tables.gallery import Gallery, Match


@pytest.fixture
async def gallery() -> Gallery:
    """Ada along axis 0, Bob along axis 1 with a second template along axis 2."""
    made = Gallery(EMBEDDER, threshold=0.4, margin=0.05)
    await made.load([make_person("ada", axis(0)), make_person("bob", axis(1), axis(2))])
    return made


def test_an_empty_gallery_knows_nobody() -> None:
    gallery = Gallery(EMBEDDER, 0.4, 0.05)
    assert gallery.match(np.stack([axis(0)])) == [Match(None, None, -1.0, None)]
    assert gallery.match(np.empty((0, DIMENSION))) == []
    assert gallery.templates == 0


async def test_the_nearest_template_counts(gallery: Gallery) -> None:
    probes = np.stack([axis(0, 5, 0.8), axis(2, 5, 0.7), axis(1)])
    assert [match.person for match in gallery.match(probes)] == ["ada", "bob", "bob"]
    assert [match.name for match in gallery.match(probes)] == ["Ada", "Bob", "Bob"]
    assert [match.similarity for match in gallery.match(probes)] == pytest.approx([0.8, 0.7, 1.0])


async def test_who_is_not_near_enough_is_nobody_but_somebody_is_nearest(gallery: Gallery) -> None:
    (match,) = gallery.match(np.stack([axis(0, 5, 0.39)]))
    assert (match.person, match.name, match.nearest) == (None, None, "ada")
    assert match.similarity == pytest.approx(0.39)


async def test_the_threshold_itself_is_enough() -> None:
    gallery = Gallery(EMBEDDER, threshold=0.5, margin=0.0)
    await gallery.put(make_person("ada", axis(0)))
    probe = np.zeros((1, DIMENSION), np.float32)
    probe[0, :4] = 0.5
    assert gallery.match(probe)[0].person == "ada"


async def test_two_who_are_too_near_each_other_are_nobody(gallery: Gallery) -> None:
    between = (axis(0) + 1.01 * axis(1)) / np.linalg.norm(axis(0) + 1.01 * axis(1))
    clear = (axis(0) + 1.3 * axis(1)) / np.linalg.norm(axis(0) + 1.3 * axis(1))
    assert [match.person for match in gallery.match(np.stack([between, clear]))] == [None, "bob"]


async def test_two_templates_of_one_person_are_no_rivals(gallery: Gallery) -> None:
    between = (axis(1) + axis(2)) / np.sqrt(2)
    assert gallery.match(np.stack([between]))[0].person == "bob"


async def test_templates_of_another_embedder_are_kept_but_not_matched(gallery: Gallery) -> None:
    old = make_template(axis(3), embedder="other@01234567")
    await gallery.put(make_person("eve", templates=[old]))
    assert (gallery.templates, gallery.stale, "eve" in gallery.people) == (3, 1, True)
    assert gallery.match(np.stack([axis(3)]))[0].person is None


async def test_changes_are_seen_at_once(gallery: Gallery) -> None:
    await gallery.remove("ada")
    await gallery.remove("ada")
    await gallery.put(make_person("bob", axis(4), name="Robert"))
    assert [match.name for match in gallery.match(np.stack([axis(0), axis(1), axis(4)]))] == [
        None, None, "Robert",
    ]  # fmt: skip
    await gallery.load([])
    assert not gallery.people


async def test_only_embedded_faces_are_named(gallery: Gallery) -> None:
    gates = np.array([Gate.PASSED, Gate.SMALL, Gate.PASSED], np.uint8)
    faces = make_faces([axis(0), axis(1), axis(7)], gates=gates)
    first, second, third = gallery.name(faces)
    assert first and first.person == "ada"
    assert second is None
    assert third and third.person is None
    assert gallery.name(make_faces()) == []


async def test_faces_of_another_embedder_are_not_compared(gallery: Gallery) -> None:
    same_size = make_faces([axis(0)], embedder="other@01234567")
    longer = make_faces([np.ones(12) / np.sqrt(12)], embedder="other@01234567")
    assert gallery.name(same_size) == gallery.name(longer) == [None]


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
    assert [match.person for match in gallery.match(probes)] == ["ada", "eve"]


async def test_a_gallery_of_other_lengths_than_the_faces_knows_nobody() -> None:
    gallery = Gallery(EMBEDDER, 0.4, 0.05)
    await gallery.put(make_person("odd", np.ones(3) / np.sqrt(3)))
    assert [match.person for match in gallery.match(axis(0)[None])] == [None]


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
