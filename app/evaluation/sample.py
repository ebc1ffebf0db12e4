"""A dataset with its faces: what every measurement is made on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.evaluation.cache import open_cache
from app.evaluation.dataset import Dataset
from app.evaluation.embeddings import Embeddings
from app.evaluation.errors import EvaluationError
from app.evaluation.face import Face
from app.evaluation.fingerprint import code_digest, fingerprint
from app.models import Chosen, Floats, chosen_nets, load_recogniser
from app.progress import SILENT, Progress
from app.settings import Settings, private_folder

__all__ = ["Faces", "Sample", "take_sample"]

#: The embeddings of each person's pictures, in the pictures' order; None for a picture without a face.
Faces = Mapping[str, Sequence[Floats | None]]

CACHE = "embeddings.sqlite"


@dataclass(frozen=True, slots=True)
class Sample:
    """The pictures of a dataset, and what nets made of them."""

    dataset: Dataset
    nets: Chosen
    faces: Mapping[Path, Face | None]

    @property
    def embeddings(self) -> dict[Path, Floats | None]:
        """The embedding of each picture's face, (D,); None for a picture without a face."""
        return {path: None if face is None else face.embedding for path, face in self.faces.items()}

    @property
    def people(self) -> Faces:
        """Everybody's embeddings."""
        return {
            name: [None if face is None else face.embedding for face in theirs]
            for name, theirs in self.faces_of_people.items()
        }

    @property
    def faces_of_people(self) -> dict[str, list[Face | None]]:
        """Everybody's faces."""
        return {
            name: [self.faces[picture] for picture in theirs] for name, theirs in self.dataset.people.items()
        }

    @property
    def without_face(self) -> int:
        """In how many pictures no face was found that passes the gate."""
        return sum(face is None for face in self.faces.values())


def take_sample(
    settings: Settings,
    dataset: Dataset,
    threads: int,
    progress: Progress = SILENT,
    *,
    remember: bool = True,
) -> Sample:
    """Embed every picture of `dataset` with the nets that `settings` name, `threads` at once.

    Args:
        remember: take what the data folder's cache knows, and put there what is new. What was of no use for
            as long as faces are kept (`memory_days`), or was made by other code, is deleted from it.

    Raises:
        OnlookerError: a net cannot be had, a picture cannot be read, or none has a face.
    """
    nets = chosen_nets(settings)
    load = partial(load_recogniser, settings, progress)
    with open_cache(private_folder(settings) / CACHE if remember else None) as cache:
        cache.forget(settings.memory_days, code_digest())
        embeddings = Embeddings(cache, fingerprint(settings, nets), load, settings.max_photo_pixels)
        found = embeddings.of(dataset.pictures, threads, progress)
    if all(face is None for face in found.values()):
        raise EvaluationError(
            f"{dataset.name}: none of the {len(found)} pictures has a face that can be used"
        )
    return Sample(dataset, nets, found)
