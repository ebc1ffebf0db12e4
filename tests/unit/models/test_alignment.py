"""Alignment brings known points to known places."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.feed import REFERENCE_LANDMARKS, SIZE, align, similarity_transform

angles = st.floats(-3.1, 3.1)
scales = st.floats(0.05, 20)
shifts = st.floats(-3000, 3000)


def turned(points: np.ndarray, angle: float, scale: float, x: float, y: float) -> np.ndarray:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (points @ turn.T + (x, y)).astype(np.float32)


@given(angles, scales, shifts, shifts)
def test_a_similarity_is_found_again(angle: float, scale: float, x: float, y: float) -> None:
    moved = turned(REFERENCE_LANDMARKS, angle, scale, x, y)
    matrix = similarity_transform(moved, REFERENCE_LANDMARKS)
    # float32 points far away that are drawn close together keep only so much of their shape.
    tolerance = 0.02 + 1e-3 * (abs(x) + abs(y)) / (100 * scale)
    np.testing.assert_allclose(moved @ matrix[:, :2].T + matrix[:, 2], REFERENCE_LANDMARKS, atol=tolerance)


def test_it_is_the_least_squares_optimum() -> None:
    source = REFERENCE_LANDMARKS + np.random.default_rng(1).normal(0, 6, REFERENCE_LANDMARKS.shape).astype(
        np.float32
    )
    matrix = similarity_transform(source, REFERENCE_LANDMARKS).astype(np.float64)

    def error(candidate: np.ndarray) -> float:
        return float(np.square(source @ candidate[:, :2].T + candidate[:, 2] - REFERENCE_LANDMARKS).sum())

    least = error(matrix)
    for axis, step in [(0, 1e-3), (1, 1e-3), (2, 1e-2), (3, 1e-2)]:
        for sign in (1, -1):
            a, b, x, y = matrix[0, 0], matrix[1, 0], matrix[0, 2], matrix[1, 2]
            a, b, x, y = np.array([a, b, x, y]) + sign * step * np.eye(4)[axis]
            assert error(np.array([[a, -b, x], [b, a, y]])) > least


def test_a_mirrored_face_is_not_mirrored_back() -> None:
    mirrored = REFERENCE_LANDMARKS * (-1, 1) + (SIZE, 0)
    matrix = similarity_transform(mirrored.astype(np.float32), REFERENCE_LANDMARKS)
    assert np.linalg.det(matrix[:, :2]) >= 0


def test_marked_points_land_on_the_template() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    landmarks = turned(REFERENCE_LANDMARKS, 0.4, 2.0, 250, 40)
    for x, y in landmarks:
        cv2.circle(image, (round(float(x)), round(float(y))), 5, (255, 255, 255), -1)
    aligned = align(image, landmarks)
    assert aligned.shape == (SIZE, SIZE, 3)
    assert aligned.dtype == np.uint8
    count, _, _, centres = cv2.connectedComponentsWithStats((aligned[:, :, 0] > 127).astype(np.uint8))
    assert count == 6
    for point in REFERENCE_LANDMARKS:
        assert np.linalg.norm(centres[1:] - point, axis=1).min() < 0.6


def test_an_aligned_face_stays_as_it_is() -> None:
    image = np.random.default_rng(2).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    np.testing.assert_array_equal(align(image, REFERENCE_LANDMARKS), image)


@pytest.mark.parametrize("value", [0.0, 17.5])
def test_points_that_coincide_are_no_error(value: float) -> None:
    aligned = align(np.full((50, 60, 3), 9, np.uint8), np.full((5, 2), value, np.float32))
    assert aligned.shape == (SIZE, SIZE, 3)
