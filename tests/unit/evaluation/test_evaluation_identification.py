"""Open-set identification, by hand and against a search written out."""

import os
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.evaluation.comparisons import compare_all, count_matching_pairs, every_pair
from app.evaluation.identification import assign_roles, identify, search
from app.evaluation.sample import Faces
from app.models.images import Floats


def axis(number: int, toward: int | None = None, similarity: float = 1.0) -> Floats:
    vector = np.zeros(16, np.float32)
    vector[number] = similarity
    if toward is not None:
        vector[toward] = np.sqrt(1 - similarity**2)
    return vector


def counts(**people: int) -> Mapping[str, list[int]]:
    return {name: [0] * count for name, count in people.items()}


def test_who_has_one_picture_is_a_stranger() -> None:
    roles = assign_roles(counts(ada=3, bo=1, cy=2, di=1))
    assert roles is not None
    assert (set(roles.known), set(roles.strangers), roles.made) == ({"ada", "cy"}, {"bo", "di"}, 0)


def test_where_there_are_too_few_strangers_a_quarter_of_the_people_become_some() -> None:
    people = counts(**{f"p{number}": 3 for number in range(40)}, single=1)
    roles = assign_roles(people)
    assert roles is not None
    assert (len(roles.strangers), roles.made, len(roles.known)) == (11, 10, 30)
    assert set(roles.known) | set(roles.strangers) == set(people)
    assert roles == assign_roles(dict(reversed(people.items())))


def test_a_folder_need_not_be_called_by_text() -> None:
    roles = assign_roles({os.fsdecode(b"Ren\xe9"): [0, 0], "bo": [0, 0], "Zoë": [0, 0]})
    assert roles is not None
    assert len(roles.known) == 2


@pytest.mark.parametrize(("people", "known"), [(counts(ada=2), 1), (counts(ada=2, bo=2), 1)])
def test_somebody_stays_known(people: Mapping[str, list[int]], known: int) -> None:
    roles = assign_roles(people)
    assert roles is not None
    assert len(roles.known) == known


def test_without_second_pictures_nobody_can_be_searched_for() -> None:
    assert assign_roles(counts(ada=1, bo=1)) is None
    assert identify({"ada": [axis(0)], "bo": [axis(1)]}) is None


def made_up() -> Faces:
    """Ada is found, Bo is taken for Ada, Cy cannot be enrolled, Di has a probe without a face."""
    return {
        "ada": [axis(0), axis(0, 8, 0.75)],
        "bo": [axis(1), axis(0, 8, 0.5)],
        "cy": [None, axis(2)],
        "di": [axis(3), axis(3, 8, 0.625), None],
        **{f"stranger{number}": [axis(0, 9, 0.25)] for number in range(99)},
        "near": [axis(3, 9, 0.6875)],
        "hidden": [None],
    }


def test_misses_for_want_of_a_face_are_counted_never_dropped() -> None:
    found = identify(made_up())
    assert found is not None
    assert (found.enrolled, found.not_enrolled) == (3, 1)
    assert (found.probes, found.probes_without_face) == (5, 1)
    assert (found.strangers, found.strangers_made) == (101, 0)
    assert (found.stranger_probes, found.stranger_probes_without_face) == (101, 1)
    # Ada and the first probe of Di, of five.
    assert found.rank1 == 2 / 5


def test_the_threshold_lets_as_many_strangers_through_as_it_says() -> None:
    found = identify(made_up())
    assert found is not None
    one, less = found.points
    # One of the 100 strangers searched for is within 1 %: everybody above the others' 0.25 is accepted.
    assert (one.comparisons, one.false_accepts, one.threshold) == (100, 1, 0.2501)
    assert one.hits == 2 / 5
    assert (less.threshold, less.needed) == (None, 1000)


def test_the_lead_is_over_the_second_person() -> None:
    people: Faces = {"ada": [axis(0), axis(0, 1, 0.8)], "bo": [axis(1), axis(1)]}
    known, strangers = search(people, ["ada", "bo"], [])
    lead = known.nearest.similarities - known.nearest.runners_up
    assert lead == pytest.approx([0.2, 1.0])
    assert (len(strangers), strangers.without_face) == (0, 0)


def test_a_gallery_in_which_nobody_could_be_enrolled_names_nobody() -> None:
    known, _ = search({"ada": [None, axis(0)], "bo": [None, axis(1)]}, ["ada", "bo"], [])
    assert (list(known.nearest.similarities), known.right.any()) == ([-1.0, -1.0], False)


def drawn_people(shape: list[list[bool]], seed: int) -> Faces:
    """People with so many pictures, of which the false ones have no face."""
    random = np.random.default_rng(seed)
    people: dict[str, list[Floats | None]] = {}
    for number, theirs in enumerate(shape):
        vectors = random.normal(size=(len(theirs), 4)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        people[f"p{number}"] = [
            vector if seen else None for vector, seen in zip(vectors, theirs, strict=True)
        ]
    return people


SHAPES = st.lists(st.lists(st.booleans(), min_size=1, max_size=4), min_size=1, max_size=6)


@given(SHAPES, st.integers(0, 1000))
def test_every_pair_of_pictures_is_compared_once(shape: list[list[bool]], seed: int) -> None:
    people = drawn_people(shape, seed)
    faces = [(name, face) for name, theirs in people.items() for face in theirs if face is not None]
    pairs = [(one, two) for place, one in enumerate(faces) for two in faces[place + 1 :]]
    found = compare_all(people)
    for histogram, same in ((found.genuine, True), (found.impostors, False)):
        scores = [float(one[1] @ two[1]) for one, two in pairs if (one[0] == two[0]) == same]
        assert len(histogram) == len(scores)
        # The block's product may be rounded otherwise than that of two vectors.
        for threshold in (-0.5, 0.0, 0.5):
            near = sum(abs(score - threshold) < 1e-6 for score in scores)
            assert abs(histogram.at_least(threshold) - sum(score >= threshold for score in scores)) <= near
    assert found.attempts == sum(len(theirs) * (len(theirs) - 1) // 2 for theirs in shape)


@given(SHAPES, st.integers(0, 1000), st.sampled_from([-0.5, 0.0, 0.5]))
def test_pairs_of_people_are_counted_once(shape: list[list[bool]], seed: int, threshold: float) -> None:
    people = drawn_people(shape, seed)
    faces = [(name, face) for name, theirs in people.items() for face in theirs if face is not None]
    scores = [
        (frozenset((one[0], two[0])), float(one[1] @ two[1]))
        for place, one in enumerate(faces)
        for two in faces[place + 1 :]
        if one[0] != two[0]
    ]
    least = {pair for pair, score in scores if score >= threshold + 1e-6}
    most = {pair for pair, score in scores if score >= threshold - 1e-6}
    assert len(least) <= count_matching_pairs(every_pair(people), threshold, 99) <= len(most)
    assert count_matching_pairs(every_pair(people), threshold, 2) <= 2


def test_pairs_of_people_are_counted_over_all_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    people = drawn_people([[True] * 3] * 20, 5)
    whole = count_matching_pairs(every_pair(people), 0.8, 1000)
    monkeypatch.setattr("app.evaluation.comparisons._BLOCK", 60 * 7)
    assert 30 < whole == count_matching_pairs(every_pair(people), 0.8, 1000)
    assert count_matching_pairs(every_pair(people), 0.8, 30) == 30


def test_a_search_and_the_tally_agree_on_copies() -> None:
    vector = np.random.default_rng(3).normal(size=512).astype(np.float32)
    vector /= np.linalg.norm(vector)
    _, strangers = search({"ada": [vector], "copy": [vector]}, ["ada"], ["copy"])
    assert strangers.nearest.similarities[0] == 1.0


def test_blocks_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    people = drawn_people([[True] * 3] * 20, 5)
    whole = compare_all(people)
    monkeypatch.setattr("app.evaluation.comparisons._BLOCK", 60 * 7)
    parts = compare_all(people)
    assert (
        (len(parts.genuine), len(parts.impostors)) == (len(whole.genuine), len(whole.impostors)) == (60, 1710)
    )
    assert np.abs(np.cumsum(parts.impostors.counts - whole.impostors.counts)).max() <= 2


@given(SHAPES.filter(lambda shape: max(map(len, shape)) > 1), st.integers(0, 1000))
def test_a_search_finds_the_nearest(shape: list[list[bool]], seed: int) -> None:
    people = drawn_people(shape, seed)
    roles = assign_roles(people)
    assert roles is not None
    known, strangers = search(people, roles.known, roles.strangers)
    gallery = {name: face for name in roles.known if (face := people[name][0]) is not None}
    hits = 0
    for name in roles.known:
        for face in people[name][1:]:
            if face is not None and gallery:
                hits += max(gallery, key=lambda other: float(gallery[other] @ face)) == name
    assert known.right.sum() == hits
    best = [
        max((float(other @ face) for other in gallery.values()), default=-1.0)
        for name in roles.strangers
        for face in people[name]
        if face is not None
    ]
    assert strangers.nearest.similarities == pytest.approx(best, abs=1e-6)
    assert len(known) == sum(len(people[name]) - 1 for name in roles.known)
    assert len(strangers) == sum(len(people[name]) for name in roles.strangers)
