"""Few aligned faces travel: those of a new face, and of a frame now and then."""

import numpy as np
import pytest

from app.agents import crops as module
from app.agents.crops import Crops
from app.models.detection import Detections
from app.models.gate import Gate
from app.models.images import decode_jpeg
from app.models.pipeline import Analysis


def analysis(*gates: Gate) -> Analysis:
    count = len(gates)
    columns = Detections(
        np.zeros((count, 4), np.float32), np.zeros((count, 5, 2), np.float32), np.ones(count, np.float32)
    )
    aligned = np.full((count, 112, 112, 3), 120, np.uint8)
    return Analysis(columns, np.array(gates, np.uint8), np.zeros((count, 8), np.float32), aligned, {})


ONE, TWO = analysis(Gate.PASSED), analysis(Gate.PASSED, Gate.PASSED)


def travels(crops: list[bytes | None]) -> list[bool]:
    return [crop is not None for crop in crops]


def test_the_first_face_travels_as_a_jpeg() -> None:
    (crop,) = Crops().choose("door", 0, ONE)
    assert crop is not None
    assert decode_jpeg(crop).shape == (112, 112, 3)


def test_the_next_travels_when_it_is_time() -> None:
    crops = Crops()
    told = [travels(crops.choose("door", captured, ONE))[0] for captured in range(0, 1100, 100)]
    assert [index for index, went in enumerate(told) if went] == [0, 5, 10]


def test_one_more_face_travels_at_once() -> None:
    crops = Crops()
    crops.choose("door", 0, ONE)
    assert travels(crops.choose("door", 100, TWO)) == [True, True]
    assert travels(crops.choose("door", 200, TWO)) == [False, False]


def test_a_face_that_was_away_travels_again() -> None:
    crops = Crops()
    crops.choose("door", 0, ONE)
    assert crops.choose("door", 100, analysis()) == []
    assert travels(crops.choose("door", 200, ONE)) == [True]


def test_what_the_gate_kept_back_does_not_travel() -> None:
    crops = Crops()
    assert travels(crops.choose("door", 0, analysis(Gate.SMALL, Gate.PASSED, Gate.UNSURE))) == [
        False, True, False,
    ]  # fmt: skip


def test_a_clock_that_goes_back_stops_nothing() -> None:
    crops = Crops()
    crops.choose("door", 10_000, ONE)
    assert travels(crops.choose("door", 5_000, ONE)) == [True]


def test_streams_do_not_mind_each_other() -> None:
    crops = Crops()
    crops.choose("door", 0, ONE)
    assert travels(crops.choose("yard", 0, ONE)) == [True]


def test_streams_that_are_long_gone_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 2)
    crops = Crops()
    for stream in ("door", "yard", "door", "roof"):
        crops.choose(stream, 0, ONE)
    assert travels(crops.choose("door", 1, ONE)) == [False]
    assert travels(crops.choose("yard", 1, ONE)) == [True]
