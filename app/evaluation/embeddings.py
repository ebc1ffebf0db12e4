"""The central face of each picture, through the product's own path, several pictures at once."""

import hashlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from app.evaluation import central
from app.evaluation.cache import Cache, Missing
from app.evaluation.errors import DatasetError
from app.evaluation.versions import library_versions
from app.models import alignment, detection, embedding, feed, gate, images, pipeline, runtime
from app.models.arrays import Floats
from app.models.chosen import Chosen
from app.models.pipeline import Recogniser
from app.models.runtime.device import choose_device
from app.progress import SILENT, Progress, Task
from app.settings import Settings
from app.weights.catalogue import Entry

__all__ = ["Embeddings", "code_digest", "way_of"]

#: The code that a picture goes through.
_CODE = (alignment, detection, embedding, feed, gate, images, pipeline, runtime, central)


def way_of(settings: Settings, nets: Chosen) -> str:
    """Return `code_digest` and the SHA-256 of all else that decides which embedding comes out of a picture.

    Those are the nets' files and how they are fed, the settings of detection and gate, the device, and the
    versions of libraries. An embedding of a former version is never taken for one of this version.

    Raises:
        DeviceError: the device that the settings ask for cannot be used.
    """
    said = {
        "nets": {role: entry and _read_as(entry) for role, entry in nets.by_role.items()},
        "settings": [
            settings.detection_side,
            settings.detection_score,
            settings.min_face,
            settings.embed_score,
        ],
        "device": choose_device(settings.device).device,
        "libraries": library_versions(),
    }
    return f"{code_digest()}-{_digest(msgspec.json.encode(said))}"


def code_digest() -> str:
    """Return the SHA-256 of the code that a picture goes through."""
    files = [path for module in _CODE for path in _files(Path(inspect.getfile(module)))]
    return _digest(msgspec.json.encode([_digest(path.read_bytes()) for path in files]))


def _read_as(entry: Entry) -> dict[str, Any]:
    """Return an entry without what is only told of it."""
    told = ("name", "title", "source", "homepage", "licence", "note", "figures", "threshold", "calibration")
    return {key: value for key, value in msgspec.to_builtins(entry).items() if key not in told}


def _files(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.py")) if path.name == "__init__.py" else [path]


class Embeddings:
    """Embeds pictures, each once: what the cache knows is not looked at again."""

    def __init__(self, cache: Cache, way: str, load: Callable[[], Recogniser], max_pixels: int) -> None:
        """Set up; `load` is called when the first picture is new, not before."""
        self._cache = cache
        self._way = way
        self._load = load
        self._max_pixels = max_pixels

    def of(
        self, pictures: Sequence[Path], threads: int, progress: Progress = SILENT
    ) -> dict[Path, Floats | None]:
        """Return the embedding (D,) of each picture's central face; None where none was found.

        Raises:
            DatasetError: a picture cannot be read. What was embedded until then is remembered.
        """
        with _pool(threads) as pool:
            digests = dict(zip(pictures, pool.map(_digest_of, pictures), strict=True))
            found = self._known(digests.values())
            self._cache.use(self._way, found)
            new = {digest: path for path, digest in digests.items() if digest not in found}
            if new:
                found |= self._embed(pool, new, progress)
        return {path: found[digest] for path, digest in digests.items()}

    def _known(self, digests: Iterable[str]) -> dict[str, Floats | None]:
        found = {}
        for digest in digests:
            with suppress(Missing):
                found[digest] = self._cache.get(self._way, digest)
        return found

    def _embed(
        self, pool: ThreadPoolExecutor, new: Mapping[str, Path], progress: Progress
    ) -> dict[str, Floats | None]:
        recogniser = self._load()
        faces = pool.map(lambda known: self._analyse(recogniser, *known), new.items())
        found = {}
        with Task(progress, "embedding pictures", len(new)) as task:
            for digest, face in zip(new, faces, strict=True):
                self._cache.put(self._way, digest, face)
                found[digest] = face
                task.update(1)
        return found

    def _analyse(self, recogniser: Recogniser, digest: str, path: Path) -> Floats | None:
        data = _read(path)
        if _digest(data) != digest:
            raise DatasetError(f"{path}: it was changed while the dataset was read")
        try:
            return central.central_face(recogniser, images.decode_image(data, self._max_pixels))
        except images.ImageError as error:
            raise DatasetError(f"{path}: {error}") from None


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
