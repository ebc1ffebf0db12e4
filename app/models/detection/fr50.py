"""Faster R-CNN on a ResNet-50 (mxnet-face): regions of one net are looked at again by a second one."""

from collections.abc import Sequence

import numpy as np

from app.models.detection.base import Detections, Detector, in_pixels_of
from app.models.detection.boxes import moved, proposals_of, suppress, up_to_the_edge
from app.models.feed import blob, resized
from app.models.images import Floats, Image
from app.models.runtime.session import Session
from app.weights import CatalogueError, Input

__all__ = ["FR50"]

#: Length to which the shorter side is brought, up or down, unless the longer one would be longer than this.
#: The net knows faces as they are then, so that no setting changes it.
SHORT, LONG = 600, 1000
#: Least score of a face, and overlap above which the less sure of two goes; as its first users had it.
LEAST, IOU = 0.6, 0.3
#: What the head puts out, in the names of the checkpoint.
SCORES, DELTAS = "cls_prob_reshape_output", "bbox_pred_reshape_output"


class FR50(Detector):
    """Propose regions, and read the scores and deltas that the head has for each."""

    def __init__(self, nets: Sequence[Session], feed: Input, *, score: float) -> None:
        """Join the two nets, proposer and head; faces have at least `score`, and never less than 0.6.

        Raises:
            CatalogueError: the nets are not the two halves of an import.
        """
        if len(nets) != 2:
            raise CatalogueError(f"no FR50: expected 2 nets, found {len(nets)}")
        self._proposer, self._head = proposer, head = nets
        self._feed = feed
        self._score = max(score, LEAST)
        try:
            self._proposals = proposals_of(proposer.metadata)
        except (KeyError, ValueError):
            raise CatalogueError("no FR50: nothing about its anchors is stored with the net") from None
        if len(proposer.outputs) != 3 or len(head.inputs) != 2 or not {SCORES, DELTAS} <= set(head.outputs):
            raise CatalogueError(
                f"no FR50: its nets put out {', '.join(proposer.outputs)}; {', '.join(head.outputs)}"
            )

    @classmethod
    def finds_landmarks(cls, _: Sequence[str]) -> bool:
        """Tell that it does not: boxes are all that the head moves."""
        return False

    def detect_all(self, images: Sequence[Image]) -> list[Detections]:
        """Find the faces of each of `images`, one after the other: each fills the nets alone."""
        return [self._find(image) for image in images]

    def _find(self, image: Image) -> Detections:
        scaled = _scale(image)
        height, width = scaled.shape[:2]
        fed = blob([scaled], self._feed)
        scores, deltas, features = self._proposer.run(None, {self._proposer.inputs[0]: fed})
        regions = self._proposals(scores, deltas, height, width, height / image.shape[0])
        if not len(regions):
            return Detections.of_boxes(np.empty((0, 4), np.float32), np.empty(0, np.float32))
        given = dict(zip(self._head.inputs, (features, regions), strict=True))
        scores, deltas = self._head.run([SCORES, DELTAS], given)
        return in_pixels_of(image, scaled, self._decode(regions, scores[0], deltas[0]))

    def _decode(self, regions: Floats, scores: Floats, deltas: Floats) -> Detections:
        """Return the faces in pixels of what the net was fed; columns are those of no face, then of a face.

        There is no averaging: the head has looked at each region by itself, and has moved it for itself.
        """
        boxes = up_to_the_edge(moved(regions[:, 1:], deltas[:, 4:]))
        candidates = Detections.of_boxes(boxes, scores[:, 1])[scores[:, 1] >= self._score].surest()
        return candidates[suppress(candidates.boxes, candidates.scores, IOU)]


def _scale(image: Image) -> Image:
    """Return `image` in the size that the net was trained with."""
    height, width = image.shape[:2]
    factor = min(SHORT / min(height, width), LONG / max(height, width))
    return resized(image, max(1, round(width * factor)), max(1, round(height * factor)))
