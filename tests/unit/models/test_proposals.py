"""Proposals are decoded as the original does, and the same image always gives the same ones."""

import numpy as np
import pytest

from app.models.detection.boxes import Proposals

ANCHORS = 12


def outputs(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and deltas of a net that sees no face and moves no anchor."""
    scores = np.zeros((1, 2 * ANCHORS, rows, columns), np.float32)
    return scores, np.zeros((1, 4 * ANCHORS, rows, columns), np.float32)


def test_an_anchor_that_is_not_moved_is_the_published_one() -> None:
    scores, deltas = outputs(40, 40)
    # The square one of scale 8: 128 pixels around the middle of the cell in line 20, column 10.
    scores[0, ANCHORS + 5, 20, 10] = 0.9
    found = Proposals()(scores, deltas, 640, 640, 1)
    np.testing.assert_allclose(found[0], [0, 160 - 56, 320 - 56, 160 + 71, 320 + 71])


@pytest.mark.parametrize(
    ("anchor", "corners"),
    # What generate_anchors of py-faster-rcnn gives for ratio 0.5 and 2 at scale 8.
    [(1, (-84, -40, 99, 55)), (9, (-36, -80, 51, 95))],
)
def test_ratios_are_rounded_as_published(anchor: int, corners: tuple[int, ...]) -> None:
    scores, deltas = outputs(40, 40)
    scores[0, ANCHORS + anchor, 20, 20] = 0.9
    found = Proposals()(scores, deltas, 640, 640, 1)
    np.testing.assert_allclose(found[0, 1:], np.array(corners) + 320)


def test_deltas_move_and_grow() -> None:
    scores, deltas = outputs(40, 40)
    scores[0, ANCHORS + 5, 20, 10] = 0.9
    deltas[0, 20:24, 20, 10] = 0.5, -0.25, np.log(2), 0
    found = Proposals()(scores, deltas, 640, 640, 1)
    centre_x, centre_y = 167.5 + 64, 327.5 - 32
    expected = [centre_x - 127.5, centre_y - 63.5, centre_x + 127.5, centre_y + 63.5]
    np.testing.assert_allclose(found[0, 1:], expected, rtol=1e-6)


def test_regions_stay_in_the_image_and_small_ones_go() -> None:
    scores, deltas = outputs(4, 4)
    scores[0, ANCHORS:] = 0.5
    found = Proposals()(scores, deltas, 64, 64, 4)
    assert len(found)
    assert found[:, 1:].min() >= 0
    assert found[:, 3].max() <= 63
    assert found[:, 4].max() <= 63
    # Sixteen pixels of the original are 64 of the one that was enlarged fourfold, which has no more.
    assert not len(Proposals()(scores, deltas, 64, 64, 4.1))


def test_there_are_at_most_300_surest_first_and_always_the_same() -> None:
    random = np.random.default_rng(5)
    scores, deltas = outputs(38, 63)
    scores[:] = random.uniform(0.01, 1, scores.shape)
    deltas[:] = random.normal(0, 0.1, deltas.shape)
    found = Proposals()(scores, deltas, 600, 1000, 1)
    assert found.shape == (300, 5)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, Proposals()(scores, deltas, 600, 1000, 1))
