"""How likely a name is right."""

import pytest

from app.search import Confidence

CURVES = Confidence(single=(-4.0, 8.0, 2.0), pooled=(-4.0, 8.0, 4.0))


def test_it_is_a_logistic_curve_of_similarity_and_lead() -> None:
    assert CURVES.of(0.5, 0.0, 1) == pytest.approx(0.5)
    assert CURVES.of(0.5, 0.5, 1) == pytest.approx(1 / (1 + 2.718281828**-1.0))


def test_several_faces_have_their_own() -> None:
    assert CURVES.of(0.5, 0.5, 2) == CURVES.of(0.5, 0.5, 8) == pytest.approx(1 / (1 + 2.718281828**-2.0))


def test_where_none_was_learnt_nothing_is_said() -> None:
    assert Confidence().of(0.9, 0.9, 1) is None
    assert Confidence(single=(0.0, 1.0, 1.0)).of(0.9, 0.9, 2) is None


@pytest.mark.parametrize("added", [-1e9, 1e9])
def test_it_is_never_quite_certain(added: float) -> None:
    sure = Confidence(single=(added, 0.0, 0.0)).of(1.0, 1.0, 1)
    assert sure is not None
    assert 0 < sure < 1
