"""SCRFD (Guo et al. 2021), as InsightFace exports it: distances from places of a grid to a face's sides."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from app.models.detection.base import TRIED, Detections, SingleShot
from app.models.feed import blob
from app.models.images import Floats, Image
from app.models.runtime.session import Session
from app.weights import CatalogueError, Input

__all__ = ["SCRFD"]

STRIDES = (8, 16, 32)
#: Candidates at each place of the grid.
EACH = 2
#: Numbers that each kind of output has for a candidate: score, sides of the box, and landmarks if any.
COLUMNS = (1, 4, 10)


class SCRFD(SingleShot):
    """Read scores, then distances to the sides, then landmarks, each at strides 8, 16 and 32.

    The outputs bear no names that say what they are. Some exports have an axis for the batch, in others the
    candidates of all images would lie mixed: these see one image at a time.
    """

    def __init__(self, session: Session, feed: Input, *, side: int, score: float, batch: int) -> None:
        """Set up as any `SingleShot`.

        Raises:
            CatalogueError: the net does not put out what a SCRFD does, or only for images of one size.
        """
        super().__init__(session, feed, side=side, score=score, batch=batch)
        self._landmarks = self.finds_landmarks(session.outputs)
        self._flat = self._has_no_batch()
        if self._flat:
            self._batch = 1

    @classmethod
    def finds_landmarks(cls, outputs: Sequence[str]) -> bool:
        """Tell whether there is the third kind of `outputs`."""
        return len(outputs) == len(COLUMNS) * len(STRIDES)

    @property
    def _outputs(self) -> None:
        return None

    def _has_no_batch(self) -> bool:
        """Look at what comes out for two cells of the coarsest grid, and refuse what is no SCRFD's."""
        kinds = COLUMNS if self._landmarks else COLUMNS[:2]
        found = [output.shape for output in self._tried()]
        pixels = math.prod(TRIED)
        flat = [(EACH * pixels // stride**2, columns) for columns in kinds for stride in STRIDES]
        if found not in (flat, [(1, *shape) for shape in flat]):
            raise CatalogueError(f"no SCRFD: expected outputs of {flat}, maybe with a batch, found {found}")
        return found == flat

    def _run(self, images: Sequence[Image]) -> Iterator[Detections]:
        if not self._flat:
            yield from super()._run(images)
            return
        fed = blob(images, self._feed)
        yield self._decode(self._session.run(None, {self._session.inputs[0]: fed}), fed.shape[3])

    def _decode(self, outputs: list[Floats], width: int) -> Detections:
        count = len(STRIDES)
        levels = [self._level(outputs[index::count], stride, width) for index, stride in enumerate(STRIDES)]
        return Detections.joined(levels)

    def _level(self, kinds: list[Floats], stride: int, width: int) -> Detections:
        """Read the outputs of one stride; rows are the candidates, place by place, line by line."""
        scores = kinds[0][:, 0]
        kept = np.nonzero(scores >= self._score)[0]
        rows, columns = np.divmod(kept // EACH, width // stride)
        places = np.stack([columns, rows], axis=1).astype(np.float32) * stride
        sides = kinds[1][kept] * stride
        boxes = np.concatenate([places - sides[:, :2], places + sides[:, 2:]], axis=1)
        if not self._landmarks:
            return Detections.of_boxes(boxes, scores[kept])
        landmarks = places[:, None] + kinds[2][kept].reshape(-1, 5, 2) * stride
        return Detections(boxes, landmarks, scores[kept])
