"""From a photograph to a template, or to the reason why there is none."""

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from app.enrolment.rules import Face, Refusal, Rules, choose_face
from app.messages import Gate, Template
from app.models import Analysis, ImageError, Nets, Recogniser, decode_image, encode_jpeg
from app.settings import Settings

__all__ = ["Enrolled", "Photo", "PhotoReader", "examine", "judge"]

_CROP_QUALITY = 92


@dataclass(frozen=True, slots=True)
class Photo:
    """An uploaded file; `data` is None where it was larger than is allowed."""

    file: str
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A photograph that will do: the face on it, and its template."""

    face: Face
    template: Template


def examine(
    photo: Photo, wanted: int | None, recogniser: Recogniser, rules: Rules, embedder: str
) -> Enrolled | Refusal:
    """Find the face of a photograph, and make its template.

    Args:
        wanted: which face is meant, where there are several.
        embedder: what the template calls the net that embeds.
    """
    if photo.data is None:
        return Refusal("too-large", f"the photograph is larger than {rules.max_bytes / 2**20:.3g} MiB")
    try:
        image = decode_image(photo.data, rules.max_pixels)
    except ImageError as error:
        return Refusal(error.reason, str(error))
    size = (image.shape[1], image.shape[0])
    return judge(recogniser.analyse(image), size, wanted, rules, embedder)


def judge(
    analysis: Analysis, size: tuple[int, int], wanted: int | None, rules: Rules, embedder: str
) -> Enrolled | Refusal:
    """Make the template of the face that is meant from what was found.

    Args:
        size: width and height of the photograph.
        wanted, embedder: as for `examine`.
    """
    faces = tuple(_face(analysis, row) for row in range(len(analysis.gates)))
    chosen = choose_face(faces, wanted, rules)
    if isinstance(chosen, Refusal):
        return replace(chosen, faces=faces, size=size)
    return Enrolled(chosen, _template(analysis, chosen, embedder))


def _face(analysis: Analysis, row: int) -> Face:
    left, top, right, bottom = analysis.detections.boxes[row].tolist()
    score = float(analysis.detections.scores[row])
    return Face(row, (left, top, right, bottom), score, Gate(analysis.gates[row]))


def _template(analysis: Analysis, face: Face, embedder: str) -> Template:
    embedding = analysis.embeddings[face.index].astype(np.float32)
    width, height = face.size
    return Template(
        # The same photograph gives the same template, and is not enrolled twice.
        id=hashlib.sha256(embedding.tobytes()).hexdigest()[:16],
        embedding=embedding,
        embedder=embedder,
        width=width,
        height=height,
        score=face.score,
        crop=encode_jpeg(analysis.aligned[face.index], _CROP_QUALITY),
    )


class PhotoReader:
    """Runs the product's own nets on photographs, one at a time."""

    def __init__(self, settings: Settings, nets: Nets) -> None:
        self._rules = Rules.from_settings(settings)
        self._nets = nets
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="photos")

    async def read(self, photo: Photo, wanted: int | None) -> Enrolled | Refusal:
        """Examine a photograph once the nets are there; `wanted` picks a face where there are several."""
        recogniser = await self._nets.get()
        work = partial(examine, photo, wanted, recogniser, self._rules, self._nets.embedder)
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Let go of the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)
