"""Who is enrolled and who comes: nobody is searched for by what they are enrolled with."""

import numpy as np
import pytest
from crowd import people

from app.evaluation.face import Face
from app.evaluation.visits import PROBES, Probes, assign_visits, template

FACE = Face(np.eye(4, dtype=np.float32)[0], 0.7)


@pytest.mark.parametrize(
    ("pictures", "enrolled", "comes_with"),
    [(0, False, 0), (1, True, 0), (2, False, 2), (PROBES, False, PROBES), (PROBES + 1, True, PROBES),
     (PROBES + 5, True, PROBES)],
)  # fmt: skip
def test_it_goes_by_how_many_pictures_there_are(pictures: int, enrolled: bool, comes_with: int) -> None:
    for theirs in ([FACE] * pictures, [None] * pictures):
        visits = assign_visits({"ada": theirs})
        assert ("ada" in visits.enrolled) == enrolled
        coming = {**visits.known, **visits.strangers}
        assert len(coming.get("ada", ())) == comes_with
        assert ("ada" in visits.known) == (enrolled and comes_with > 0)


def test_roles_and_pictures_are_disjoint() -> None:
    visits = assign_visits(people(20, 10, 1.0) | {"other": people(1, 0, 1.0, seed=1)["known-0"][:1]})
    assert not visits.enrolled.keys() & visits.strangers.keys()
    assert visits.known.keys() == visits.enrolled.keys() - {"other"}
    assert not any(visits.enrolled[name] is face for name, faces in visits.known.items() for face in faces)
    assert len(visits.index()) == 21


def test_a_smaller_gallery_keeps_those_who_come() -> None:
    others = {f"other-{number}": faces[:1] for number, faces in enumerate(people(30, 0, 1.0).values())}
    visits = assign_visits(others | people(20, 5, 1.0))
    smaller, smallest = visits.with_gallery(25), visits.with_gallery(8)
    assert (len(smaller.enrolled), smaller.known.keys()) == (25, visits.known.keys())
    assert (len(smallest.enrolled), smallest.known.keys()) == (8, smallest.enrolled.keys())
    assert smallest.strangers == visits.strangers


def test_who_has_one_face_has_no_several() -> None:
    crowd: dict[str, Probes] = {"ada": [FACE, None, FACE], "bo": [None, FACE], "cy": [FACE] * 4}
    assert {name: len(faces) for name, faces in assign_visits(crowd).with_several_faces()} == {
        "ada": 2,
        "cy": 3,
    }


def test_a_template_has_length_one() -> None:
    faces = people(1, 0, 1.0)["known-0"]
    assert np.linalg.norm(template(face for face in faces if face)) == pytest.approx(1, abs=1e-6)
