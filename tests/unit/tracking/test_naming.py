"""A visit has one steady name, or a word why there is none."""

from dataclasses import replace
from typing import Any

import pytest
from makers import axis
from watch import RULES, Watch, at, known, stranger

from app.messages import Lack, Sighting


def between(one: int, other: int, similarity: float) -> object:
    return axis(one, other, similarity)


def looks_like(**similarities: float) -> object:
    """Return a face that is so similar to several people, the rest of it like nobody."""
    people = {"ada": 0, "bob": 1}
    vector = sum(axis(people[name]) * value for name, value in similarities.items())
    rest = 1 - float(vector @ vector)
    return vector + axis(7) * rest**0.5


def face(quality: float = 0.7, lack: Lack = Lack.UNKNOWN, **similarities: float):
    return known(quality=quality, lack=int(lack))._replace(looks=looks_like(**similarities))


def gate_of(told: list[Sighting]) -> tuple[str, float]:
    why = told[-1].unnamed
    assert why is not None
    return why.gate, why.lacking


def test_a_face_that_is_less_like_somebody_takes_no_name_away() -> None:
    watch = Watch(update=0)
    watch.see(at(0), known(tracklet=1))
    for offset in range(1, 9):
        (told,) = watch.see(at(offset), face(ada=0.36, quality=0.6)._replace(tracklet=1))
        assert (told.person, told.changes) == ("ada", ())
        assert watch.named == ["ada"]


def test_a_name_stays_where_another_leads_a_little() -> None:
    watch = Watch(update=0)
    watch.see(at(0), face(ada=0.6, bob=0.5)._replace(tracklet=1))
    for offset in range(1, 20):
        (told,) = watch.see(at(offset), face(ada=0.5, bob=0.58, quality=0.9)._replace(tracklet=1))
        assert told.person == "ada"


def test_a_name_changes_for_clearly_better_evidence_and_says_so() -> None:
    watch = Watch(update=0)
    (first,) = watch.see(at(0), face(ada=0.55, bob=0.48)._replace(tracklet=1))
    told = watch.see(at(1), face(ada=0.3, bob=0.9, quality=0.95)._replace(tracklet=1))
    told += watch.see(at(2), face(ada=0.3, bob=0.9, quality=0.95)._replace(tracklet=1))
    assert {one.id for one in told} == {first.id}
    assert told[-1].person == "bob"
    (change,) = told[-1].changes
    assert (change.before, change.before_name, change.after, change.after_name, change.reason) == (
        "ada", "Ada", "bob", "Bob", "corrected",
    )  # fmt: skip


def test_who_is_recognised_later_says_since_when() -> None:
    watch = Watch(update=0)
    watch.see_all(range(5), face(ada=0.35)._replace(tracklet=1))
    (told,) = watch.see(at(5), face(ada=0.9, quality=0.95)._replace(tracklet=1))
    (change,) = told.changes
    assert (told.person, told.unnamed, change.before, change.after) == ("ada", None, None, "ada")
    assert (change.reason, change.captured) == ("recognised", at(5).captured)


def test_who_was_never_published_without_a_name_has_not_changed() -> None:
    watch = Watch()
    assert watch.see_all(range(3), face(ada=0.35)._replace(tracklet=1)) == []
    (told,) = watch.see(at(3), face(ada=0.9, quality=0.95)._replace(tracklet=1))
    assert (told.person, told.changes, told.frames) == ("ada", (), 4)


def test_who_is_enrolled_while_they_are_there_is_named_at_the_next_frame() -> None:
    watch = Watch()
    watch.see_all(range(5), stranger(4, tracklet=1))
    watch.enrol("carl", axis(4))
    (told,) = watch.see(at(5))
    assert (told.person, [one.reason for one in told.changes]) == ("carl", ["recognised"])


def test_who_is_removed_while_they_are_there_loses_the_name() -> None:
    watch = Watch()
    watch.see(at(0), known())
    watch.enrol("ada", None)
    (told,) = watch.see(at(1), known())
    assert (told.person, told.name, told.score) == (None, None, None)
    (change,) = told.changes
    assert (change.before, change.after, change.reason) == ("ada", None, "removed")


def test_a_name_that_was_spelt_wrong_is_taken_over_and_is_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    watch.see(at(0), known())
    match = watch.match

    def renamed(*templates: Any) -> object:
        return [one.__class__(**{**vars_of(one), "name": "Countess"}) for one in match(*templates)]

    monkeypatch.setattr(watch, "match", renamed)
    watch.enrol("ada", axis(0))
    (told,) = watch.see(at(1), known())
    assert (told.name, told.changes) == ("Countess", ())


def vars_of(one: object) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


@pytest.mark.parametrize(
    ("lack", "gate"), [(Lack.SIZE, "small"), (Lack.SHARPNESS, "blurred"), (Lack.FRONT, "turned")]
)
def test_a_poor_face_has_no_name_for_what_it_lacks(lack: Lack, gate: str) -> None:
    told = Watch().see_all(range(5), face(ada=0.2, quality=0.3, lack=lack))
    assert gate_of(told) == (gate, pytest.approx(0.1, abs=1e-3))


def test_several_faces_have_a_threshold_of_their_own() -> None:
    watch = Watch(naming=replace(RULES.naming, threshold=0.6, pooled_threshold=0.4))
    seen = face(ada=0.5)._replace(tracklet=1)
    watch.see(at(0), seen)
    assert watch.named == [None]
    watch.see(at(1), seen)
    assert watch.named == ["ada"]


def test_what_several_faces_lack_is_lacking_to_their_own_threshold() -> None:
    watch = Watch(naming=replace(RULES.naming, pooled_threshold=0.6))
    told = watch.see_all(range(5), face(ada=0.35))
    assert gate_of(told) == ("unlike", pytest.approx(0.25, abs=2e-3))


def test_a_good_face_has_no_name_for_it_is_like_nobody() -> None:
    told = Watch().see_all(range(5), face(ada=0.3, lack=Lack.SIZE))
    assert gate_of(told) == ("unlike", pytest.approx(0.1, abs=2e-3))


def test_a_face_of_which_nobody_says_what_it_lacks_is_like_nobody() -> None:
    told = Watch().see_all(range(5), face(ada=0.3, quality=0.3))
    assert gate_of(told) == ("unlike", pytest.approx(0.1, abs=2e-3))


def test_who_is_near_to_two_people_has_no_name_for_that() -> None:
    told = Watch().see_all(range(5), face(ada=0.6, bob=0.58))
    assert gate_of(told) == ("ambiguous", pytest.approx(0.03, abs=2e-3))


def test_where_nobody_is_enrolled_that_is_why() -> None:
    watch = Watch()
    watch.people.clear()
    assert gate_of(watch.see_all(range(5), stranger())) == ("nobody", 0.0)


def test_of_two_on_one_frame_who_are_like_one_person_the_more_similar_one_is_them() -> None:
    told = Watch().see_all(range(5), face(ada=0.45), known(similarity=0.9))
    names = {sighting.person: sighting for sighting in told}
    assert names["ada"].score == pytest.approx(0.9, abs=1e-3)
    assert names[None].unnamed is not None
    assert names[None].unnamed.gate == "beside"


def test_who_comes_beside_one_that_was_taken_for_them_gets_their_name_back() -> None:
    watch = Watch(update=0)
    watch.see_all(range(3), face(ada=0.45)._replace(tracklet=1, place=0))
    told = watch.see(
        at(3),
        face(ada=0.45)._replace(tracklet=1, place=0),
        known(tracklet=2, place=4),
    )
    people = {sighting.person: sighting for sighting in told}
    assert [(one.before, one.after, one.reason) for one in people[None].changes] == [
        ("ada", None, "corrected")
    ]
    assert (people["ada"].frames, people["ada"].changes) == (1, ())
    assert watch.named == [None, "ada"]


def test_a_face_that_was_found_twice_is_one_person() -> None:
    watch = Watch(update=0)
    (told,) = watch.see(at(0), known(similarity=0.9), known(similarity=0.95))
    assert (told.person, told.frames, told.faces) == ("ada", 1, 1)
    (told,) = watch.see(at(1), known(), known())
    assert (told.frames, watch.named) == (2, ["ada", "ada"])
