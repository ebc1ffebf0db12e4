"""Whatever a net puts out, what is read of it is bounded, and each row is a box with numbers or none."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.arrays import Floats
from app.models.catalogue import CatalogueError, Input
from app.models.detection import FR50, MTCNN, SCRFD, Detections, Detector, RetinaFace
from app.models.detection.base import MOST

FEED = Input("RGB", 0.0, 1.0)
WILD = (0.0, 1.0, -1.0, 0.7, 1e-30, 1e30, -1e30, np.inf, -np.inf, np.nan)
ANCHORS = {"proposal.stride": "16", "proposal.scales": "4,8,16,32", "proposal.ratios": "0.5,1,2"}


class Wild:
    """A net that puts out numbers drawn from a seed, some of which are none."""

    inputs: tuple[str, ...] = ("data",)
    metadata = ANCHORS

    def __init__(self, seed: int, share: float, shapes: Mapping[str, Sequence[int]]) -> None:
        self.outputs = tuple(shapes)
        self._shapes = shapes
        self._random = np.random.default_rng(seed)
        self._share = share

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Floats]) -> list[Floats]:
        image = feeds[self.inputs[0]]
        return [
            self._draw([self._size(side, image) for side in self._shapes[name]])
            for name in names or self.outputs
        ]

    def _size(self, side: int, image: Floats) -> int:
        """Return a side of an output; 0 is one for each image."""
        return len(image) if side == 0 else side

    def _draw(self, shape: Sequence[int]) -> Floats:
        numbers = self._random.random(shape)
        wild = self._random.random(shape) < self._share
        return np.where(wild, self._random.choice(WILD, shape), numbers).astype(np.float32)


class Regions(Wild):
    inputs = ("features", "rois")

    def _size(self, side: int, image: Floats) -> int:
        return side

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Floats]) -> list[Floats]:
        count = len(feeds["rois"])
        return [self._draw((1, count, 2)), self._draw((1, count, 8))]


class Grid(Wild):
    """A SCRFD: as many candidates as the image has places."""

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Floats]) -> list[Floats]:
        count, _, height, width = feeds["data"].shape
        return [
            self._draw((count, 2 * height * width // stride**2, columns))
            for columns in (1, 4, 10)
            for stride in (8, 16, 32)
        ]


def retinaface(seed: int, share: float) -> Detector:
    shapes = {}
    for stride, cells in ((32, (2, 3)), (16, (4, 6))):
        shapes[f"face_rpn_cls_prob_reshape_stride{stride}_output"] = (0, 4, *cells)
        shapes[f"face_rpn_bbox_pred_stride{stride}_output"] = (0, 8, *cells)
        shapes[f"face_rpn_landmark_pred_stride{stride}_output"] = (0, 20, *cells)
    return RetinaFace(Wild(seed, share, shapes), FEED, side=640, score=0.5, batch=1)


def mtcnn(seed: int, share: float) -> Detector:
    nets = [
        Wild(seed, share, {"prob1_output": (0, 2, 43, 43), "conv4_2_output": (0, 4, 43, 43)}),
        Wild(seed, share, {"prob1_output": (0, 2), "conv5_2_output": (0, 4)}),
        Wild(seed, share, {"prob1_output": (0, 2), "conv6_2_output": (0, 4), "conv6_3_output": (0, 10)}),
    ]
    return MTCNN(nets, FEED, side=640, score=0.5)


def fr50(seed: int, share: float) -> Detector:
    proposer = Wild(seed, share, {"p": (1, 24, 20, 30), "d": (1, 48, 20, 30), "f": (1, 1, 20, 30)})
    names = {"cls_prob_reshape_output": (), "bbox_pred_reshape_output": ()}
    return FR50([proposer, Regions(seed, share, names)], FEED, score=0.5)


def scrfd(seed: int, share: float) -> Detector:
    shapes = {str(number): () for number in range(9)}
    return SCRFD(Grid(seed, share, shapes), FEED, side=640, score=0.5, batch=1)


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
@pytest.mark.parametrize("make", [retinaface, scrfd, mtcnn, fr50])
@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.0, 0.05, 0.5, 1.0]))
def test_any_output_is_read(make: object, seed: int, share: float) -> None:
    image = np.zeros((64, 96, 3), np.uint8)
    found: Detections = make(seed, share).detect(image)  # type: ignore[operator]
    assert len(found) <= MOST
    assert np.isfinite(found.boxes).all()
    assert np.isfinite(found.scores).all()
    assert (found.boxes >= 0).all()
    assert (found.boxes <= (96, 64, 96, 64)).all()
    assert found.landmarks.shape == (len(found), 5, 2)
    assert (np.diff(found.scores) <= 0).all()


def test_landmarks_of_a_retinaface_that_has_them() -> None:
    """One anchor, of 128 pixels around the middle of a cell, moved by fractions of its side."""
    shapes = {
        "face_rpn_cls_prob_reshape_stride16_output": (0, 4, 6, 8),
        "face_rpn_bbox_pred_stride16_output": (0, 8, 6, 8),
        "face_rpn_landmark_pred_stride16_output": (0, 20, 6, 8),
    }
    maps = [np.zeros((1, *shape[1:]), np.float32) for shape in shapes.values()]
    maps[0][0, 2, 3, 4] = 0.9
    maps[2][0, :10, 3, 4] = [-0.2, -0.1, 0.2, -0.1, 0, 0, -0.2, 0.3, 0.2, 0.3]
    net = Wild(0, 0, shapes)
    net.run = lambda names, feeds: maps  # type: ignore[method-assign]
    detector = RetinaFace(net, FEED, side=640, score=0.5, batch=1)
    assert detector.landmarks
    found = detector.detect(np.zeros((96, 128, 3), np.uint8))
    x, y = 4 * 16 + 7.5, 3 * 16 + 7.5
    np.testing.assert_allclose(found.boxes, [[max(x - 63.5, 0), 0, 128, 96]])
    expected = np.array([[-0.2, -0.1], [0.2, -0.1], [0, 0], [-0.2, 0.3], [0.2, 0.3]]) * 128 + (x, y)
    np.testing.assert_allclose(found.landmarks[0], expected, atol=1e-4)


def test_no_region_is_no_face() -> None:
    proposer = Wild(0, 0, {"p": (1, 24, 2, 3), "d": (1, 48, 2, 3), "f": (1, 1, 2, 3)})
    still = proposer.run

    def far_away(names: Sequence[str] | None, feeds: Mapping[str, Floats]) -> list[Floats]:
        scores, _, features = still(names, feeds)
        return [scores, np.full((1, 48, 2, 3), -1e6, np.float32), features]

    proposer.run = far_away  # type: ignore[method-assign]
    head = Regions(0, 0, {"cls_prob_reshape_output": (), "bbox_pred_reshape_output": ()})
    found = FR50([proposer, head], FEED, score=0.5).detect(np.zeros((64, 96, 3), np.uint8))
    assert (len(found), found.boxes.shape, found.landmarks.shape) == (0, (0, 4), (0, 5, 2))


def test_nets_that_are_something_else_are_refused() -> None:
    net = Wild(0, 0, {"a": (0, 2), "b": (0, 4)})
    for make, said in (
        (lambda: MTCNN([net] * 3, FEED, side=640, score=0.5), r"^no MTCNN: net 1 puts out a, b$"),
        (lambda: MTCNN([], FEED, side=640, score=0.5), r"^no MTCNN: expected 3 nets, found 0$"),
        (lambda: FR50([net], FEED, score=0.5), r"^no FR50: expected 2 nets, found 1$"),
        (lambda: FR50([net, net], FEED, score=0.5), r"^no FR50: its nets put out a, b; a, b$"),
        (lambda: RetinaFace(net, FEED, side=640, score=0.5, batch=1), r"^no RetinaFace: it puts out a, b$"),
    ):
        with pytest.raises(CatalogueError, match=said):
            make()
