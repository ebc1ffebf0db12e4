"""A photograph of whose face no landmarks are found is refused, in words that JSON can say."""

import json
from collections.abc import Callable, Sequence

import numpy as np

from app.enrolment.photos import PhotoReader, Refusal
from app.models.arrays import Image
from app.models.detection import Detections, Detector, Landmarked
from app.models.images import encode_jpeg
from app.models.pipeline import Nets, Recogniser
from app.settings import Settings
from app.web.form import Photo


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
    picture = encode_jpeg(still("face_recognition/tests/test_images/obama.jpg"))
    try:
        refused = await reader.read(Photo("obama.jpg", picture), None)
    finally:
        reader.close()
    assert isinstance(refused, Refusal)
    told = json.loads(json.dumps(refused.told(), allow_nan=False))
    assert (told["reason"], len(told["faces"])) == ("no-landmarks", 1)
    assert told["detail"] == "eyes, nose and mouth of the face were not found"
