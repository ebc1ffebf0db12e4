"""One template of several faces."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from makers import axis

from app.tracking.pool import pooled


def near(number: int, spread: float, seed: int) -> "np.ndarray":
    """Return a face of length one, not far from an axis."""
    vector = axis(number) + spread * np.random.default_rng(seed).standard_normal(len(axis(number)))
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def test_a_single_face_is_its_own_template() -> None:
    for quality in (0.0, 0.5, 1.0):
        np.testing.assert_allclose(pooled(axis(1)[None], np.array([quality])), axis(1), atol=1e-6)


def test_it_has_length_one_and_lies_between_its_faces() -> None:
    template = pooled(np.stack([axis(0), axis(1)]), np.array([0.7, 0.7]))
    assert np.linalg.norm(template) == pytest.approx(1)
    assert template @ axis(0) == pytest.approx(template @ axis(1))


def test_the_better_face_weighs_more_and_a_poor_one_next_to_nothing() -> None:
    faces = np.stack([axis(0), axis(1)])
    better = pooled(faces, np.array([0.8, 0.5]))
    assert better @ axis(0) > better @ axis(1) > 0.3
    assert pooled(faces, np.array([0.8, 0.2])) @ axis(0) > 0.99
    # Where there are no others, poor ones are what there is.
    poor = pooled(faces, np.array([0.1, 0.1]))
    assert poor @ axis(0) == pytest.approx(poor @ axis(1))


def test_somebody_else_s_face_is_left_out() -> None:
    own = [near(0, 0.1, seed) for seed in range(4)]
    qualities = np.array([0.7] * 4)
    template = pooled(np.stack(own), qualities)
    mixed = pooled(np.stack([*own, axis(1)]), np.append(qualities, 0.9))
    np.testing.assert_allclose(mixed, template, atol=1e-5)


class Faces:
    """Draws faces of people, as an embedder that is any good would make them."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def person(self, other: "np.ndarray | None" = None, similarity: float = 0.0) -> "np.ndarray":
        """Return somebody, with this similarity to somebody else."""
        own = self._random.standard_normal(512)
        if other is not None:
            own -= (own @ other) * other
            own = similarity * other + np.sqrt(1 - similarity**2) * own / np.linalg.norm(own)
        return np.asarray(own / np.linalg.norm(own))

    def of(self, person: "np.ndarray", similarities: Sequence[float]) -> list["np.ndarray"]:
        """Return a face of somebody for each similarity to them."""
        return [self.person(person, similarity) for similarity in similarities]

    def shuffled(self, *faces: "np.ndarray") -> "np.ndarray":
        return self._random.permutation(np.stack(faces)).astype(np.float32)


#: Two faces of one person have the product of these as their similarity: 0.4 to 0.8.
LIKENESS = st.floats(0.64, 0.89)


@given(
    st.sampled_from([(2, 1), (3, 1), (4, 2), (5, 3)]).flatmap(
        lambda counts: st.tuples(*(st.lists(LIKENESS, min_size=n, max_size=n) for n in counts))
    ),
    st.floats(-0.15, 0.0),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.6, 1.0]),
)
def test_faces_of_somebody_else_do_not_vouch_for_each_other(
    likeness: tuple[list[float], list[float]], similarity: float, seed: int, quality: float
) -> None:
    draw = Faces(seed)
    person = draw.person()
    own = draw.of(person, likeness[0])
    mixed = draw.shuffled(*own, *draw.of(draw.person(person, similarity), likeness[1]))
    count = len(mixed)
    template = pooled(mixed, np.full(count, quality))
    assert template @ pooled(np.stack(own), np.full(len(own), quality)) > 0.9
    np.testing.assert_allclose(pooled(mixed[::-1], np.full(count, quality)), template, atol=1e-5)


@given(st.integers(1, 2), st.lists(st.floats(0, 1), min_size=4, max_size=4), st.integers(0, 2**32))
def test_a_few_good_faces_of_somebody_else_do_not_outvote_the_many(
    strangers: int, qualities: list[float], seed: int
) -> None:
    draw = Faces(seed)
    own, others = (draw.of(draw.person(), [0.75] * count) for count in (4, strangers))
    template = pooled(np.stack(own + others), np.array(qualities + [1.0] * strangers))
    np.testing.assert_allclose(template, pooled(np.stack(own), np.array(qualities)), atol=1e-5)


def test_of_two_that_have_nothing_in_common_neither_is_left_out() -> None:
    assert pooled(np.stack([axis(0), -axis(0)]), np.array([0.9, 0.8])) @ axis(0) == pytest.approx(1)


def test_faces_that_have_nothing_in_common_make_a_template_all_the_same() -> None:
    template = pooled(np.stack([axis(number) for number in range(3)]), np.array([0.5] * 3))
    assert np.isfinite(template).all()
    assert np.linalg.norm(template) == pytest.approx(1)


def test_the_order_makes_no_difference() -> None:
    faces, quality = np.stack([near(0, 0.3, seed) for seed in range(5)]), np.linspace(0.2, 0.9, 5)
    np.testing.assert_allclose(pooled(faces[::-1], quality[::-1]), pooled(faces, quality), atol=1e-6)


def test_half_precision_as_it_travels_will_do() -> None:
    faces = np.stack([near(0, 0.3, seed) for seed in range(3)])
    exact = pooled(faces, np.array([0.6] * 3))
    assert pooled(faces.astype(np.float16), np.array([0.6] * 3)) @ exact > 0.9999
