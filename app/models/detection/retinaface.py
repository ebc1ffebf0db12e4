"""RetinaFace (Deng et al. 2019): anchors at one stride or several, with landmarks where the net has them."""

from collections.abc import Sequence

import numpy as np

from app.models.detection.base import Detections, SingleShot
from app.models.detection.boxes import anchors, moved, up_to_the_edge
from app.models.images import Floats
from app.models.runtime.session import Session
from app.weights import CatalogueError, Input

__all__ = ["RetinaFace"]

#: Scales of the two square anchors at each place, by stride; all nets of the family have them.
SCALES = {32: (32, 16), 16: (8, 4), 8: (2, 1)}
SCORES, DELTAS, POINTS = "face_rpn_cls_prob_reshape_stride", "face_rpn_bbox_pred_stride", "face_rpn_landmark"


class RetinaFace(SingleShot):
    """Read the scores, deltas and landmarks that RetinaFace puts out for the anchors of each stride."""

    def __init__(self, session: Session, feed: Input, *, side: int, score: float, batch: int) -> None:
        """Set up as any `SingleShot`.

        Raises:
            CatalogueError: the net does not put out scores and deltas for anchors that are known.
        """
        super().__init__(session, feed, side=side, score=score, batch=batch)
        self._landmarks = self.finds_landmarks(session.outputs)
        kinds = (SCORES, DELTAS, POINTS) if self._landmarks else (SCORES, DELTAS)
        self._names = {
            stride: [name for kind in kinds for name in session.outputs if _is(name, kind, stride)]
            for stride in SCALES
        }
        self._names = {stride: names for stride, names in self._names.items() if names}
        if not self._names or any(len(names) != len(kinds) for names in self._names.values()):
            raise CatalogueError(f"no RetinaFace: it puts out {', '.join(session.outputs)}")

    @classmethod
    def finds_landmarks(cls, outputs: Sequence[str]) -> bool:
        """Tell whether there are any among `outputs`."""
        return any(name.startswith(POINTS) for name in outputs)

    @property
    def _outputs(self) -> list[str]:
        return [name for names in self._names.values() for name in names]

    def _decode(self, outputs: list[Floats], width: int) -> Detections:
        each = len(outputs) // len(self._names)
        levels = [
            self._level(outputs[index * each : (index + 1) * each], stride)
            for index, stride in enumerate(self._names)
        ]
        return Detections.joined(levels)

    def _level(self, maps: list[Floats], stride: int) -> Detections:
        """Read the maps of one stride; channels are scores of no face, then of a face, anchor by anchor."""
        scores = maps[0][len(SCALES[stride]) :].transpose(1, 2, 0).reshape(-1)
        kept = np.nonzero(scores >= self._score)[0]
        placed = anchors(stride, SCALES[stride], (1,), *maps[0].shape[1:])[kept]
        deltas = maps[1].transpose(1, 2, 0).reshape(-1, 4)[kept]
        boxes = up_to_the_edge(moved(placed, deltas))
        if len(maps) == 2:
            return Detections.of_boxes(boxes, scores[kept])
        sizes = (placed[:, 2:] - placed[:, :2] + 1)[:, None]
        points = maps[2].transpose(1, 2, 0).reshape(-1, 5, 2)[kept]
        landmarks = placed[:, None, :2] + (sizes - 1) / 2 + points * sizes
        return Detections(boxes, landmarks.astype(np.float32), scores[kept])


def _is(name: str, kind: str, stride: int) -> bool:
    return name.startswith(kind) and name.removesuffix("_output").endswith(f"stride{stride}")
