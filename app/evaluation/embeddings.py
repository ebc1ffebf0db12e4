"""The central face of each picture, through the product's own path, several pictures at once."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from app.evaluation.cache import Cache, Missing
from app.evaluation.errors import DatasetError
from app.evaluation.face import Face
from app.messages import Gate
from app.models import Image, Recogniser, images
from app.progress import SILENT, Progress, Task

__all__ = ["Embeddings", "central_face"]


class Embeddings:
    """Embeds pictures, each once: what the cache knows is not looked at again."""

    def __init__(
        self, cache: Cache, fingerprint: str, load: Callable[[], Recogniser], max_pixels: int
    ) -> None:
        """Set up; `load` is called when the first picture is new, not before."""
        self._cache = cache
        self._fingerprint = fingerprint
        self._load = load
        self._max_pixels = max_pixels

    def of(
        self, pictures: Sequence[Path], threads: int, progress: Progress = SILENT
    ) -> dict[Path, Face | None]:
        """Return each picture's central face; None where none was found.

        Raises:
            DatasetError: a picture cannot be read. What was embedded until then is remembered.
        """
        with _pool(threads) as pool:
            digests = dict(zip(pictures, pool.map(_digest_of, pictures), strict=True))
            found = self._known(digests.values())
            self._cache.use(self._fingerprint, found)
            new = {digest: path for path, digest in digests.items() if digest not in found}
            if new:
                found |= self._embed(pool, new, progress)
        return {path: found[digest] for path, digest in digests.items()}

    def _known(self, digests: Iterable[str]) -> dict[str, Face | None]:
        found = {}
        for digest in digests:
            with suppress(Missing):
                found[digest] = self._cache.get(self._fingerprint, digest)
        return found

    def _embed(
        self, pool: ThreadPoolExecutor, new: Mapping[str, Path], progress: Progress
    ) -> dict[str, Face | None]:
        recogniser = self._load()
        faces = pool.map(lambda known: self._analyse(recogniser, *known), new.items())
        found = {}
        with Task(progress, "embedding pictures", len(new)) as task:
            for digest, face in zip(new, faces, strict=True):
                self._cache.put(self._fingerprint, digest, face)
                found[digest] = face
                task.update(1)
        return found

    def _analyse(self, recogniser: Recogniser, digest: str, path: Path) -> Face | None:
        data = _read(path)
        if _digest(data) != digest:
            raise DatasetError(f"{path}: it was changed while the dataset was read")
        try:
            return central_face(recogniser, images.decode_image(data, self._max_pixels))
        except images.ImageError as error:
            raise DatasetError(f"{path}: {error}") from None


def central_face(recogniser: Recogniser, image: Image) -> Face | None:
    """Return the face whose box lies nearest to the centre; None without one.

    A face that the gate refuses is none.
    """
    found = recogniser.analyse(image)
    embedded = np.flatnonzero(found.gates == Gate.PASSED)
    if not embedded.size:
        return None
    boxes = found.detections.boxes[embedded]
    centre = np.array([image.shape[1], image.shape[0]]) / 2
    distances = np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - centre, axis=1)
    row = embedded[distances.argmin()]
    return Face(np.asarray(found.embeddings[row], np.float32), float(found.quality[row]))


@contextmanager
def _pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Give threads; what interrupts the work waits for the pictures that are in them, not for all."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="picture")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _digest_of(path: Path) -> str:
    return _digest(_read(path))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from None
