"""The weights: what there is, where it is published, under which licence, and its files on this machine."""

from app.weights.catalogue import (
    Calibration,
    Catalogue,
    CatalogueError,
    Curves,
    DetectorEntry,
    EmbedderEntry,
    Entry,
    Evidence,
    File,
    Input,
    IntegrityError,
    Origin,
    load_catalogue,
    read_entry,
)
from app.weights.fetch import State, ensure, is_here, pull_all, state_of, workspace
from app.weights.local import change_local, put_local

__all__ = [
    "Calibration",
    "Catalogue",
    "CatalogueError",
    "Curves",
    "DetectorEntry",
    "EmbedderEntry",
    "Entry",
    "Evidence",
    "File",
    "Input",
    "IntegrityError",
    "Origin",
    "State",
    "change_local",
    "ensure",
    "is_here",
    "load_catalogue",
    "pull_all",
    "put_local",
    "read_entry",
    "state_of",
    "workspace",
]
