"""What is cut out of an image is what lies there, to the fraction of a pixel."""

import numpy as np
import pytest

from app.models.feed import cut, shrunk, squares_around


@pytest.fixture
def slope() -> np.ndarray:
    """An image that is as bright as its column and line say."""
    y, x = np.mgrid[:60, :80]
    return np.stack([x * 2, y * 3, x + y], axis=2).astype(np.uint8)


def test_whole_pixels_are_copied(slope: np.ndarray) -> None:
    found = cut(slope, np.array([10, 20, 34, 44], np.float32), 24)
    np.testing.assert_array_equal(found, slope[20:44, 10:34])


def test_what_is_outside_is_black(slope: np.ndarray) -> None:
    found = cut(slope, np.array([-4, -4, 20, 20], np.float32), 24)
    assert not found[:4].any()
    assert not found[:, :4].any()
    np.testing.assert_array_equal(found[4:, 4:], slope[:20, :20])
    assert not cut(slope, np.array([90, 70, 100, 80], np.float32), 8).any()


@pytest.mark.parametrize("side", [6, 12, 24, 96])
def test_the_middle_stays_the_middle_in_any_size(slope: np.ndarray, side: int) -> None:
    found = cut(slope, np.array([20.5, 10.25, 68.5, 58.25], np.float32), side).astype(float)
    inside = found[side // 4 : -(side // 4 or 1), side // 4 : -(side // 4 or 1)]
    # The mean of a slope is its value in the middle, half a pixel before the coordinate of the edge.
    np.testing.assert_allclose(inside[..., :2].mean(axis=(0, 1)), [2 * 44, 3 * 33.75], atol=1.0)


def test_squares_keep_the_middle_and_are_never_empty() -> None:
    boxes = np.array([[10, 20, 30, 60], [5, 5, 5, 5]], np.float32)
    np.testing.assert_allclose(squares_around(boxes, 2), [[-20, 0, 60, 80], [4, 4, 6, 6]])
    assert squares_around(boxes[:0]).shape == (0, 4)


def test_images_are_made_smaller_and_never_larger(slope: np.ndarray) -> None:
    assert shrunk(slope, 100) is slope
    assert shrunk(slope, 40).shape == (30, 40, 3)
    assert shrunk(np.zeros((1, 900, 3), np.uint8), 30).shape == (1, 30, 3)
