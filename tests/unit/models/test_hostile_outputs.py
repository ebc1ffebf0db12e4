"""Whatever a net puts out, what is read of it is bounded and can be published: no output loses a frame."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from makers import DIMENSION, make_faces

from app.messages import Faces, Gate, decode, encode
from app.models.detection import (
    FR50,
    MTCNN,
    SCRFD,
    CenterFace,
    Detections,
    Detector,
    Landmarked,
    RetinaFace,
    YuNet,
)
from app.models.detection.base import MOST, in_pixels_of, one_for_each_face
from app.models.images import Floats
from app.models.pipeline import gate
from app.weights.catalogue import CatalogueError, Input

FEED = Input("RGB", 0.0, 1.0)
WILD = (0.0, 1.0, -1.0, 0.7, 1e-30, 1e30, -1e30, 3e38, -3e38, np.inf, -np.inf, np.nan)
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
    """As many candidates as the image has places: so many at a place, at this stride, with these columns."""

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Floats]) -> list[Floats]:
        count, _, height, width = feeds["data"].shape
        return [
            self._draw((count, each * height * width // stride**2, columns))
            for each, stride, columns in (self._shapes[name] for name in names or self.outputs)
        ]


class Maps(Wild):
    """Maps of so many channels, at a quarter of the image's size."""

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Floats]) -> list[Floats]:
        count, _, height, width = feeds["data"].shape
        return [self._draw((count, *self._shapes[name], height // 4, width // 4)) for name in self.outputs]


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
    shapes = {f"{kind}{stride}": (2, stride, kind) for kind in (1, 4, 10) for stride in (8, 16, 32)}
    return SCRFD(Grid(seed, share, shapes), FEED, side=640, score=0.5, batch=1)


def yunet(seed: int, share: float) -> Detector:
    heads = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    shapes = {f"{head}_{stride}": (1, stride, kind) for head, kind in heads.items() for stride in (8, 16, 32)}
    return YuNet(Grid(seed, share, shapes), FEED, side=640, score=0.5, batch=1)


def centerface(seed: int, share: float) -> Detector:
    shapes = {"heat": (1,), "sizes": (2,), "offsets": (2,), "points": (10,)}
    return CenterFace(Maps(seed, share, shapes), FEED, side=640, score=0.5, batch=1)


def landmarked(seed: int, share: float) -> Detector:
    return Landmarked(retinaface(seed, 0.0), centerface(seed, share))


def assert_published(found: Detections) -> None:
    """Each face can travel, and is embedded only where all of its landmarks are numbers."""
    gates = gate(found, 1, 0.0)
    faces = make_faces(
        [np.zeros(DIMENSION)] * len(found),
        boxes=found.boxes,
        landmarks=found.landmarks,
        scores=found.scores,
        gates=gates,
    )
    assert decode(Faces, encode(faces)).landmarks.tobytes() == found.landmarks.tobytes()
    assert np.isfinite(found.landmarks[gates == Gate.PASSED]).all()


@pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide by zero) encountered:RuntimeWarning")
@pytest.mark.parametrize("make", [retinaface, scrfd, mtcnn, fr50, yunet, centerface, landmarked])
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
    assert_published(found)


def views(*noses: float) -> Detections:
    """Return one face, seen several times, and then another one; of all landmarks one differs."""
    boxes = np.array([(0, 0, 50, 50)] * (len(noses) - 1) + [(200, 200, 260, 260)], np.float32)
    landmarks = np.full((len(noses), 5, 2), 20, np.float32)
    landmarks[:, 2, 0] = noses
    return Detections(boxes, landmarks, np.linspace(0.8, 0.4, len(noses), dtype=np.float32))


@pytest.mark.parametrize("broken", [np.inf, -np.inf, np.nan])
def test_a_landmark_that_is_no_number_is_of_no_account_to_others(broken: float) -> None:
    found = one_for_each_face(views(30, broken, 60, 40))
    known = np.array([0.8, 0, 0.8 - 0.8 / 3, 0], np.float32)
    expected = np.array([known @ [30, 0, 60, 0] / known.sum(), 40])
    np.testing.assert_allclose(found.landmarks[:, 2, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(np.delete(found.landmarks.reshape(2, 10), 4, axis=1), 20, rtol=1e-6)
    assert_published(found)


@pytest.mark.parametrize("broken", [np.inf, np.nan])
def test_a_face_of_which_no_view_has_all_landmarks_has_none(broken: float) -> None:
    found = one_for_each_face(views(broken, broken, 40))
    assert np.isnan(found.landmarks[0]).all()
    np.testing.assert_allclose(found.landmarks[1, 2], [40, 20])
    assert_published(found)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_landmarks_that_end_beyond_all_numbers_are_none() -> None:
    small, large = np.zeros((300, 300, 3), np.uint8), np.zeros((900, 900, 3), np.uint8)
    found = in_pixels_of(large, small, one_for_each_face(views(3e38, 40)))
    assert np.isnan(found.landmarks[0]).all()
    np.testing.assert_allclose(found.landmarks[1, 2], [120, 60])
    assert_published(found)


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


def test_what_is_made_much_smaller_does_not_flicker() -> None:
    """Every other pixel of the photograph is white: a third of its size, it is nearly grey."""
    seen = []
    proposer = Wild(0, 0, {"p": (1, 24, 2, 3), "d": (1, 48, 2, 3), "f": (1, 1, 2, 3)})
    still = proposer.run
    proposer.run = lambda names, feeds: [seen.append(feeds["data"]), *still(names, feeds)][1:]  # type: ignore[method-assign]
    head = Regions(0, 0, {"cls_prob_reshape_output": (), "bbox_pred_reshape_output": ()})
    board = np.indices((1800, 2400)).sum(axis=0) % 2 * 255
    FR50([proposer, head], Input("RGB", 0.0, 1.0), score=0.5).detect(
        np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    )
    assert seen[0].shape == (1, 3, 600, 800)
    assert np.abs(seen[0] - 127.5).max() < 20


def test_nets_that_are_something_else_are_refused() -> None:
    net = Wild(0, 0, {"a": (0, 2), "b": (0, 4)})
    for make, said in (
        (lambda: MTCNN([net] * 3, FEED, side=640, score=0.5), r"^no MTCNN: net 1 puts out a, b$"),
        (lambda: MTCNN([], FEED, side=640, score=0.5), r"^no MTCNN: expected 3 nets, found 0$"),
        (lambda: FR50([net], FEED, score=0.5), r"^no FR50: expected 2 nets, found 1$"),
        (lambda: FR50([net, net], FEED, score=0.5), r"^no FR50: its nets put out a, b; a, b$"),
        (lambda: RetinaFace(net, FEED, side=640, score=0.5, batch=1), r"^no RetinaFace: it puts out a, b$"),
        (lambda: YuNet(net, FEED, side=640, score=0.5, batch=1), r"^no YuNet: it puts out a, b$"),
        (
            lambda: CenterFace(net, FEED, side=640, score=0.5, batch=1),
            r"^no CenterFace: expected outputs of \[\(1, 1, 8, 16\), .*\], found \[\(1, 2\), \(1, 4\)\]$",
        ),
    ):
        with pytest.raises(CatalogueError, match=said):
            make()
