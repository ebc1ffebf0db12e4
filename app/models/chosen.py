"""The nets that the settings name, and what is to be there before they are used."""

from dataclasses import dataclass

from app.models.catalogue import DetectorEntry, EmbedderEntry, Entry, load_catalogue
from app.models.device import Choice, choose_device
from app.models.fetch import pull_all
from app.models.report import Report
from app.settings import Settings

__all__ = ["Chosen", "chosen_nets", "prepare_nets"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The entries of the nets that are used together."""

    detector: DetectorEntry
    embedder: EmbedderEntry

    @property
    def entries(self) -> list[Entry]:
        """All of them, to be pulled."""
        return [self.detector, self.embedder]

    @property
    def found_by(self) -> str:
        """What messages call that which found the faces."""
        return self.detector.identity

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
    return Chosen(catalogue.detector(settings.detector), catalogue.embedder(settings.embedder))


def prepare_nets(settings: Settings, report: Report | None = None) -> Choice:
    """Pull the nets that are missing, and return the device that they will run on.

    Raises:
        OnlookerError: a name is unknown, a file cannot be had, or the device cannot be used.
    """
    choice = choose_device(settings.device)
    pull_all(chosen_nets(settings).entries, settings.weights_dir, settings.weights_mirror, report)
    return choice
