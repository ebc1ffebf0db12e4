"""The face that a picture is of, where others may be on it too."""

import numpy as np

from app.messages import Gate
from app.models.arrays import Floats, Image
from app.models.pipeline import Recogniser

__all__ = ["central_face"]


def central_face(recogniser: Recogniser, image: Image) -> Floats | None:
    """Return the embedding (D,) of the face whose box lies nearest to the centre; None without one.

    A face that the gate refuses is none.
    """
    found = recogniser.analyse(image)
    embedded = np.flatnonzero(found.gates == Gate.PASSED)
    if not embedded.size:
        return None
    boxes = found.detections.boxes[embedded]
    centre = np.array([image.shape[1], image.shape[0]]) / 2
    distances = np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - centre, axis=1)
    return np.asarray(found.embeddings[embedded[distances.argmin()]], np.float32)
