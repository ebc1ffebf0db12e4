"""Photographs for enrolment: which face is meant, whether it will do, and its template."""

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from app.messages import Gate, Template
from app.models.images import ImageError, decode_image, encode_jpeg
from app.models.pipeline import Analysis, Nets, Recogniser
from app.settings import Settings

__all__ = ["Enrolled", "Photo", "PhotoReader", "Refusal"]

_CROP_QUALITY = 92

Face = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Photo:
    """An uploaded file; `data` is None where it was larger than is allowed."""

    file: str
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A photograph that will do."""

    file: str
    face: Face
    template: Template

    def told(self) -> dict[str, Any]:
        """Return what the answer says of it."""
        return {"file": self.file, "ok": True, "face": self.face, "template": self.template.id}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A photograph that will not do, and why."""

    file: str
    reason: str
    detail: str
    faces: list[Face] | None = None
    #: Width and height of the photograph that the faces' boxes refer to.
    size: tuple[int, int] | None = None

    def told(self) -> dict[str, Any]:
        """Return what the answer says of it."""
        told: dict[str, Any] = {"file": self.file, "ok": False, "reason": self.reason, "detail": self.detail}
        if self.faces is not None and self.size is not None:
            told |= {"faces": self.faces, "width": self.size[0], "height": self.size[1]}
        return told


class PhotoReader:
    """Runs the product's own nets on photographs, one at a time, beside the streams."""

    def __init__(self, settings: Settings, nets: Nets) -> None:
        self._settings = settings
        self._nets = nets
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="photos")

    async def read(self, photo: Photo, face: int | None) -> Enrolled | Refusal:
        """Find the face of a photograph; `face` picks one where there are several."""
        recogniser = await self._nets.get()
        work = partial(self._read, recogniser, photo, face)
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Let go of the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _read(self, recogniser: Recogniser, photo: Photo, face: int | None) -> Enrolled | Refusal:
        if photo.data is None:
            limit = self._settings.max_photo_bytes / 2**20
            return Refusal(photo.file, "too-large", f"the photograph is larger than {limit:.3g} MiB")
        try:
            image = decode_image(photo.data, self._settings.max_photo_pixels)
        except ImageError as error:
            return Refusal(photo.file, error.reason, str(error))
        size = (image.shape[1], image.shape[0])
        return self._choose(photo.file, size, recogniser.analyse(image), face)

    def _choose(
        self, file: str, size: tuple[int, int], analysis: Analysis, wanted: int | None
    ) -> Enrolled | Refusal:
        faces = [_described(analysis, row) for row in range(len(analysis.gates))]
        if not faces:
            return Refusal(file, "no-face", "no face was found")
        if wanted is None and len(faces) > 1:
            return Refusal(file, "several-faces", f"{len(faces)} faces were found: say which", faces, size)
        row = wanted or 0
        if row >= len(faces):
            return Refusal(file, "bad-face", f"there is no face {row}: {len(faces)} were found", faces, size)
        if analysis.gates[row] == Gate.UNALIGNED:
            text = "eyes, nose and mouth of the face were not found"
            return Refusal(file, "no-landmarks", text, faces, size)
        least = max(self._settings.enrol_face, self._settings.min_face)
        if min(faces[row]["size"]) < least or analysis.gates[row] != Gate.PASSED:
            width, height = faces[row]["size"]
            text = f"the face is {width} x {height} pixels, at least {least} x {least} are needed"
            return Refusal(file, "face-too-small", text, faces, size)
        return Enrolled(file, faces[row], _template(analysis, row, self._nets.embedder))


def _described(analysis: Analysis, row: int) -> Face:
    left, top, right, bottom = (round(float(side), 1) for side in analysis.detections.boxes[row])
    return {
        "index": row,
        "box": [left, top, right, bottom],
        "size": [round(right - left), round(bottom - top)],
        "score": round(float(analysis.detections.scores[row]), 3),
    }


def _template(analysis: Analysis, row: int, embedder: str) -> Template:
    embedding = analysis.embeddings[row].astype(np.float32)
    width, height = _described(analysis, row)["size"]
    return Template(
        # The same photograph gives the same template, and is not enrolled twice.
        id=hashlib.sha256(embedding.tobytes()).hexdigest()[:16],
        embedding=embedding,
        embedder=embedder,
        width=width,
        height=height,
        score=float(analysis.detections.scores[row]),
        crop=encode_jpeg(analysis.aligned[row], _CROP_QUALITY),
    )
