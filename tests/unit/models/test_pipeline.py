"""The whole way of a real photograph: who is the same is near, who is not is far, and threads agree."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from makers import THRESHOLD
from media.stills import GROUP, PEOPLE, PORTRAIT

from app.messages import Gate
from app.models.images import Image
from app.models.pipeline import Recogniser, load_recogniser
from app.settings import Settings
from app.weights.catalogue import CatalogueError


def test_the_same_person_is_above_the_threshold_and_others_below(
    each_recogniser: Recogniser, still: Callable[[str], Image]
) -> None:
    people, rows = [], []
    for person, names in PEOPLE.items():
        for name in names:
            found = each_recogniser.analyse(still(name))
            largest = int(
                np.prod(found.detections.boxes[:, 2:] - found.detections.boxes[:, :2], axis=1).argmax()
            )
            assert found.gates[largest] == Gate.PASSED
            people.append(person)
            rows.append(found.embeddings[largest])
    similarities = np.stack(rows) @ np.stack(rows).T
    same = np.equal.outer(np.array(people), np.array(people))
    assert similarities[same].min() > THRESHOLD
    assert similarities[~same].max() < THRESHOLD


def test_embeddings_have_length_one(recogniser: Recogniser, still: Callable[[str], Image]) -> None:
    found = recogniser.analyse(still(GROUP))
    assert found.embeddings.shape == (6, 512)
    assert found.embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found.embeddings, axis=1), 1, atol=1e-5)
    assert found.aligned.shape == (6, 112, 112, 3)
    assert found.aligned.dtype == np.uint8


def test_many_faces_at_once_are_each_embedded_as_alone(
    recogniser: Recogniser, still: Callable[[str], Image]
) -> None:
    faces = recogniser.analyse(still(GROUP)).aligned
    many = np.concatenate([faces] * 3)
    together = recogniser.embedder.embed(many)
    alone = np.concatenate([recogniser.embedder.embed(face[None]) for face in many])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert recogniser.embedder.embed(faces[:0]).shape == (0, 512)


def test_faces_that_fail_the_gate_have_zeros(recogniser: Recogniser, still: Callable[[str], Image]) -> None:
    image = still(GROUP)
    found = recogniser.analyse(image)
    sizes = (found.detections.boxes[:, 2:] - found.detections.boxes[:, :2]).min(axis=1)
    smallest, unsurest = int(sizes.argmin()), len(sizes) - 1
    assert smallest != unsurest
    strict = Recogniser(
        recogniser.detector,
        recogniser.embedder,
        min_face=int(np.ceil(sizes[smallest])),
        embed_score=float(found.detections.scores[unsurest]) + 1e-6,
    )
    gated = strict.analyse(image)
    expected = np.full(len(sizes), Gate.PASSED)
    expected[sizes < np.ceil(sizes[smallest])] = Gate.SMALL
    expected[unsurest] = Gate.UNSURE
    assert gated.gates.tolist() == expected.tolist()
    assert gated.gates.dtype == np.uint8
    for row in (smallest, unsurest):
        assert not gated.embeddings[row].any()
        assert not gated.aligned[row].any()
    passed = expected == Gate.PASSED
    np.testing.assert_allclose(gated.embeddings[passed], found.embeddings[passed], atol=1e-5)


def test_a_picture_without_faces(recogniser: Recogniser) -> None:
    found = recogniser.analyse(np.full((240, 320, 3), 90, np.uint8))
    assert (found.gates.shape, found.embeddings.shape, found.aligned.shape) == (
        (0,), (0, 512), (0, 112, 112, 3),
    )  # fmt: skip


def test_threads_may_share_it(recogniser: Recogniser, still: Callable[[str], Image]) -> None:
    names = [GROUP, *(names[0] for names in PEOPLE.values())]
    images = [still(name) for name in names]
    alone = [recogniser.analyse(image).embeddings for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(recogniser.analyse, images * 3))
    for expected, found in zip(alone * 3, together, strict=True):
        np.testing.assert_allclose(found.embeddings, expected, atol=1e-5)


@pytest.mark.parametrize("setting", ["detector", "embedder"])
def test_an_unknown_net_is_named(weights: Path, setting: str) -> None:
    with pytest.raises(CatalogueError, match="unknown entry 'nope'"):
        load_recogniser(Settings(weights_dir=weights, **{setting: "nope"}))


def test_images_that_are_analysed_together_give_what_each_gives_alone(
    weights: Path, recogniser: Recogniser, still: Callable[[str], Image]
) -> None:
    """Of several sizes, some equal, one without a face; more of a size than go into a batch."""
    together = load_recogniser(Settings(weights_dir=weights, batch=2))
    portrait, group = still(PORTRAIT), still(GROUP)
    images = [portrait, np.full((90, 70, 3), 99, np.uint8), group, portrait[:, ::-1], portrait]
    found = together.analyse_all(images)
    assert (together.batch, recogniser.batch, len(found)) == (2, 1, len(images))
    assert [len(one.detections) for one in found] == [1, 0, 6, 1, 1]
    for image, one in zip(images, found, strict=True):
        alone = recogniser.analyse(image)
        np.testing.assert_allclose(one.detections.boxes, alone.detections.boxes, atol=0.05)
        np.testing.assert_allclose(one.detections.landmarks, alone.detections.landmarks, atol=0.05)
        np.testing.assert_array_equal(one.gates, alone.gates)
        # Aligned by landmarks that differ in the last digits.
        np.testing.assert_allclose(one.embeddings, alone.embeddings, atol=0.01)
