"""A template is what the best faces of a visit are pooled to."""

import numpy as np
import pytest
from makers import axis

from app.tracking.templates import joined, with_face

NET, OTHER = "net@01234567", "other@01234567"


def test_of_one_face_it_is_that_face() -> None:
    template = with_face(None, NET, axis(3), 0.5)
    np.testing.assert_array_equal(template.vector, axis(3))
    assert (template.best, template.embeddings.dtype, template.vector.dtype) == (0.5, np.float16, np.float32)


def test_of_several_it_is_between_them_and_nearer_to_the_better_one() -> None:
    template = with_face(with_face(None, NET, axis(0), 0.5), NET, axis(1), 0.8)
    assert float(np.linalg.norm(template.vector)) == pytest.approx(1, abs=1e-5)
    assert 0 < template.vector[0] < template.vector[1]
    assert template.quality.tolist() == pytest.approx([0.8, 0.5])


def test_the_best_eight_are_kept() -> None:
    template = None
    for number in range(20):
        template = with_face(template, NET, axis(number % 8), number / 20)
    assert template is not None
    assert template.quality.tolist() == pytest.approx([(19 - place) / 20 for place in range(8)])
    assert with_face(template, NET, axis(0), 0.6) is template
    assert with_face(template, NET, axis(0), 0.61) is not template


def test_how_good_it_is_is_how_good_its_three_best_faces_are() -> None:
    template = None
    for quality in (0.3, 0.9, 0.6, 0.1):
        template = with_face(template, NET, axis(0), quality)
    assert template is not None
    assert template.best == pytest.approx(0.6)


def test_faces_of_another_embedder_are_forgotten() -> None:
    template = with_face(with_face(None, NET, axis(0), 0.9), OTHER, np.ones(4) / 2, 0.2)
    assert (template.embedder, len(template.vector), len(template.quality)) == (OTHER, 4, 1)


def test_two_are_joined_to_that_of_all_their_faces() -> None:
    one, other = with_face(None, NET, axis(0), 0.5), with_face(None, NET, axis(0, 1, 0.9), 0.7)
    both = joined(one, other)
    assert both is not None
    np.testing.assert_array_equal(both.vector, with_face(one, NET, axis(0, 1, 0.9), 0.7).vector)
    assert joined(one, None) is one
    assert joined(None, other) is other
    assert joined(None, None) is None
    assert joined(one, with_face(None, OTHER, axis(1), 0.9)) is one
