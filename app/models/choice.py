"""The nets that the settings name, and whether they go together."""

from dataclasses import dataclass

from app.models.catalogue import CatalogueError, DetectorEntry, EmbedderEntry, load_catalogue
from app.models.detection import finds_landmarks
from app.models.fetch import pull_all
from app.models.report import Report
from app.settings import Settings

__all__ = ["Choice", "chosen_nets", "pull_chosen"]


@dataclass(frozen=True, slots=True)
class Choice:
    """What finds faces, what finds the landmarks in them where that is another net, and what embeds them."""

    detector: DetectorEntry
    landmarker: DetectorEntry | None
    embedder: EmbedderEntry

    @property
    def finder(self) -> str:
        """What messages call that which finds faces and landmarks."""
        return "+".join(entry.identity for entry in (self.detector, self.landmarker) if entry)

    @property
    def entries(self) -> list[DetectorEntry | EmbedderEntry]:
        """All of them."""
        return [entry for entry in (self.detector, self.landmarker, self.embedder) if entry]


def chosen_nets(settings: Settings) -> Choice:
    """Look up the nets that `settings` name.

    Raises:
        CatalogueError: there is none of that name, or it is of another kind.
    """
    catalogue = load_catalogue(settings.weights_dir)
    landmarker = None if settings.landmarker is None else catalogue.detector(settings.landmarker)
    return Choice(catalogue.detector(settings.detector), landmarker, catalogue.embedder(settings.embedder))


def pull_chosen(settings: Settings, report: Report | None = None) -> Choice:
    """Pull what is missing of the nets that `settings` name, and check that they go together.

    Raises:
        CatalogueError: nothing would find landmarks, without which no face can be embedded.
        OnlookerError: a name is unknown, or a file cannot be had.
    """
    choice = chosen_nets(settings)
    folder = settings.weights_dir
    pull_all(choice.entries, folder, settings.weights_mirror, report)
    last = choice.landmarker or choice.detector
    if not finds_landmarks(last, folder):
        raise CatalogueError(
            f"{last.name} finds no landmarks, so that its faces cannot be aligned and embedded:"
            " set ONLOOKER_LANDMARKER=centerface, or another detector that finds them"
        )
    return choice
