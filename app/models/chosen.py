"""The nets that the settings name, and what is to be there before they are used."""

from dataclasses import dataclass
from pathlib import Path

from app.models.detection import finds_landmarks
from app.models.runtime.device import choose_device
from app.progress import SILENT, Progress
from app.settings import Settings
from app.weights import CatalogueError, DetectorEntry, EmbedderEntry, Entry, load_catalogue, pull_all

__all__ = ["Chosen", "chosen_nets", "prepare_nets"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The entries of the nets that are used together.

    landmarker: finds the landmarks in the faces of `detector`; None where that does so itself.
    """

    detector: DetectorEntry
    landmarker: DetectorEntry | None
    embedder: EmbedderEntry

    @property
    def by_role(self) -> dict[str, Entry | None]:
        """What each is used as; None where nothing is."""
        return {"detector": self.detector, "landmarker": self.landmarker, "embedder": self.embedder}

    @property
    def entries(self) -> list[Entry]:
        """All of them, to be pulled."""
        return [entry for entry in self.by_role.values() if entry]

    @property
    def found_by(self) -> str:
        """What messages call that which found the faces, and their landmarks."""
        return "+".join(entry.identity for entry in (self.detector, self.landmarker) if entry)

    @property
    def embedded_by(self) -> str:
        """What messages call that which embedded them."""
        return self.embedder.identity


def chosen_nets(settings: Settings) -> Chosen:
    """Return the entries that `settings` name.

    Raises:
        CatalogueError: a name is unknown, or of another kind.
    """
    catalogue = load_catalogue(settings.weights_dir)
    landmarker = None if settings.landmarker is None else catalogue.detector(settings.landmarker)
    return Chosen(catalogue.detector(settings.detector), landmarker, catalogue.embedder(settings.embedder))


def prepare_nets(settings: Settings, progress: Progress = SILENT) -> list[str]:
    """Pull the nets that are missing, and return what a person should know of them, a line each.

    That is the device and why it was chosen, and a threshold that was measured with another detector.

    Raises:
        OnlookerError: a name is unknown, a file cannot be had, nothing would find landmarks, or the device
            cannot be used.
    """
    choice = choose_device(settings.device)
    chosen, folder = chosen_nets(settings), settings.weights_dir
    pull_all(chosen.entries, folder, settings.weights_mirror, progress)
    _check_landmarks(chosen.landmarker or chosen.detector, folder)
    return [str(choice), *_doubts(chosen, settings)]


def _doubts(chosen: Chosen, settings: Settings) -> list[str]:
    """Tell of a threshold whose figures are those of other faces than this detector's."""
    measured = chosen.embedder.calibration
    if measured is None or settings.threshold is not None or measured.detector == chosen.found_by:
        return []
    return [
        f"the threshold of {chosen.embedder.name} was measured with {measured.detector}, not with"
        f" {chosen.found_by}: `onlooker calibrate` measures it again"
    ]


def _check_landmarks(entry: DetectorEntry, folder: Path) -> None:
    """Refuse what finds no landmarks: its faces would all be found and none be named."""
    if not finds_landmarks(entry, folder):
        raise CatalogueError(
            f"{entry.name} finds no landmarks, so that faces can be neither aligned nor embedded:"
            " set ONLOOKER_LANDMARKER=centerface, or another detector that finds them"
        )
