"""The stand-in nets, through the product's own pipeline: who is painted is found and told apart."""

import time

import numpy as np
import onnxruntime as ort
import pytest
from standin_nets import (
    DENORMAL,
    PEOPLE,
    SLOTS,
    STRIDE,
    THRESHOLD,
    UNKNOWN,
    picture_of,
    poison,
    standin_embedder,
    write_standins,
)

from app.messages import Gate
from app.models.chosen import chosen_nets
from app.models.images import Floats, decode_jpeg
from app.models.pipeline import Analysis, Recogniser, load_recogniser
from app.settings import Settings


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(**write_standins(tmp_path_factory.mktemp("standins") / "weights"))


@pytest.fixture(scope="module")
def standins(settings: Settings) -> Recogniser:
    return load_recogniser(settings)


def look(standins: Recogniser, *people: str) -> Analysis:
    return standins.analyse(decode_jpeg(picture_of(people)))


def embedding(standins: Recogniser, person: str) -> Floats:
    (found,) = look(standins, person).embeddings
    return found


def test_a_black_picture_has_no_faces(standins: Recogniser) -> None:
    assert len(look(standins).detections) == 0


@pytest.mark.parametrize("count", range(1, len(SLOTS) + 1))
def test_everybody_in_a_picture_is_found_where_they_are(standins: Recogniser, count: int) -> None:
    found = look(standins, *PEOPLE[:count]).detections
    middles = {tuple((box[:2] + box[2:]) / 2) for box in found.boxes}
    assert middles == {((column + 0.5) * STRIDE, (row + 0.5) * STRIDE) for row, column in SLOTS[:count]}
    assert (found.boxes[:, 2:] - found.boxes[:, :2]) == pytest.approx(32, abs=0.01)


def test_faces_are_good_enough_to_be_embedded(standins: Recogniser) -> None:
    for person in (*PEOPLE, UNKNOWN):
        assert look(standins, person).gates.tolist() == [Gate.PASSED]


def test_people_are_told_apart(standins: Recogniser) -> None:
    vectors = np.stack([embedding(standins, person) for person in (*PEOPLE, UNKNOWN)])
    likeness = vectors @ vectors.T
    assert len(likeness) >= 7
    assert (likeness - np.eye(len(likeness))).max() < 0.3


def test_a_person_is_the_same_in_every_slot_and_beside_anybody(standins: Recogniser) -> None:
    alone = embedding(standins, "ada")
    for others in (["carl"], ["florence", UNKNOWN], ["dorothy", "emmy", "blaise"]):
        best = (look(standins, *others, "ada").embeddings @ alone).max()
        assert best > 0.95


def test_the_threshold_comes_with_the_embedder(settings: Settings) -> None:
    assert chosen_nets(settings).embedder.threshold_or(None) == THRESHOLD


def test_a_poisoned_picture_fails_and_the_nets_are_sound_all_the_same(standins: Recogniser) -> None:
    image = decode_jpeg(poison())
    with pytest.raises(Exception, match="Gather"):
        standins.analyse(image)
    standins.check()
    assert len(look(standins, "ada").detections) == 1


def test_a_thread_that_computes_with_denormals_is_told_by_an_embedding(standins: Recogniser) -> None:
    assert embedding(standins, "ada")[DENORMAL] == 0
    plain = ort.InferenceSession(standin_embedder().SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = plain.run(None, {"pixels": np.full((1, 3, 112, 112), 128, np.float32)})
    assert found[0, DENORMAL] == 1


def test_a_frame_takes_little_time(standins: Recogniser) -> None:
    def seconds() -> float:
        started = time.perf_counter()
        look(standins, *PEOPLE[:3])
        return time.perf_counter() - started

    assert min(seconds() for _ in range(20)) < 0.02
