"""A photograph of whose face no landmarks are found is refused."""

from collections.abc import Callable, Sequence

import numpy as np
from media.stills import PORTRAIT

from app.enrolment import Photo, PhotoReader, Refusal
from app.models.detection import Detections, Detector, Landmarked
from app.models.images import Image, encode_jpeg
from app.models.pipeline import Nets, Recogniser
from app.settings import Settings


class Blind(Detector):
    """Finds nothing."""

    def detect_all(self, images: Sequence[Image]) -> list[Detections]:
        nothing = Detections.of_boxes(np.empty((0, 4), np.float32), np.empty(0, np.float32))
        return [nothing for _ in images]


async def test_a_face_without_landmarks_is_refused(
    recogniser: Recogniser, still: Callable[[str], Image]
) -> None:
    without = Recogniser(Landmarked(recogniser.detector, Blind()), recogniser.embedder, 24, 0.5)
    reader = PhotoReader(Settings(), Nets(lambda: without, "a@0+b@0", "c@0"))
    picture = encode_jpeg(still(PORTRAIT))
    try:
        refused = await reader.read(Photo("obama.jpg", picture), None)
    finally:
        reader.close()
    assert isinstance(refused, Refusal)
    assert (refused.reason, len(refused.faces)) == ("no-landmarks", 1)
    assert np.isfinite(refused.faces[0].box).all()
    assert refused.detail == "eyes, nose and mouth of the face were not found"
