"""The catalogue of nets and demonstration media: what there is, where it is published, what it must be."""

import hashlib
import math
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from app.errors import OnlookerError
from app.settings import ROOT

__all__ = [
    "LOCAL",
    "Calibration",
    "Catalogue",
    "CatalogueError",
    "Curves",
    "DetectorEntry",
    "DownloadError",
    "EmbedderEntry",
    "Entry",
    "Evidence",
    "File",
    "Input",
    "IntegrityError",
    "MediaEntry",
    "Origin",
    "Package",
    "catalogue_path",
    "load_catalogue",
    "read_entry",
    "read_tables",
]

#: What was imported or calibrated on this machine; lies over what the catalogue says.
LOCAL = "local.toml"

Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Landing = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")]
SourceText = Annotated[str, msgspec.Meta(pattern=r"^(pypi:.+==.+|npm:.+@.+|https://.+|mxnet:.+@\d+|user)$")]


class DownloadError(OnlookerError):
    """Something could not be downloaded; the text says what and why."""


class IntegrityError(OnlookerError):
    """A file is not the one that the catalogue pins."""


class CatalogueError(OnlookerError):
    """The catalogue cannot be read, or has no such entry."""


class _ValueError(CatalogueError, ValueError):
    """A number that is no use; as ValueError, msgspec says where in the catalogue it stands."""


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file: `name` below the weights folder, `member` inside what is published."""

    name: Landing
    member: str
    bytes: int
    sha256: Digest

    @property
    def published(self) -> str:
        """The name that the file has where it is published."""
        return self.member.rsplit("/", 1)[-1]


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that an imported net was made from."""

    name: str
    bytes: int
    sha256: Digest


class Package(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The archive that holds the files: a package of a registry, or one that a URL names."""

    name: str
    bytes: int
    sha256: Digest


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a net is fed: (x - mean) * scale of pixels 0-255 in this colour order."""

    colour: Literal["RGB", "BGR"]
    mean: float
    scale: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.scale) and self.scale):
            raise _ValueError(f"pixels cannot be fed as (x - {self.mean:g}) * {self.scale:g}")


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every entry says.

    Files of a `restricted` entry are only brought here for somebody who has accepted its licence.
    """

    name: str
    title: str
    source: SourceText
    homepage: str
    licence: str
    restricted: bool = False
    files: tuple[File, ...]
    made_from: tuple[Origin, ...] = ()
    note: str = ""
    package: Package | None = None
    figures: dict[str, float] = {}

    @property
    def kind(self) -> str:
        """`detector`, `embedder` or `media`."""
        return str(type(self).__struct_config__.tag)

    @property
    def identity(self) -> str:
        """What messages call a net: its name, and digits that stand for its files and how it is fed.

        Templates of one identity can be compared with each other, and with no others.
        """
        return f"{self.name}@{hashlib.sha256(msgspec.json.encode(self._made_of)).hexdigest()[:12]}"

    @property
    def _made_of(self) -> list[Any]:
        """All that decides what comes out of a net."""
        return [file.sha256 for file in self.files]

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(file.bytes for file in self.files)


class DetectorEntry(Entry, frozen=True, kw_only=True, tag="detector"):
    """A net that finds faces; `architecture` says how its output is read."""

    architecture: str
    input: Input

    @property
    def _made_of(self) -> list[Any]:
        return [*super()._made_of, self.architecture, self.input]


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a threshold rests on: impostor comparisons, and how many of them reach it.

    `identified` is the share of enrolled people who were named when it was tried out.
    """

    comparisons: int
    false_matches: int
    identified: float | None = None


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a threshold that was measured here rests on.

    `fpir` is the share of strangers that may be named in a gallery of so many photographs, `identified` the
    share of enrolled people who were named when it was tried out; the nets are identities. `pooled` is of the
    threshold for several faces in one template; None where that could not be measured.
    """

    fpir: float
    gallery: int
    comparisons: int
    false_matches: int
    identified: float | None = None
    pooled: Evidence | None = None
    detector: str
    embedder: str
    dataset: str
    date: str


class Curves(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How likely a name is right: what is added, and what similarity and lead weigh.

    Of a probe that is one face, and of one that is several in one template (`app/search/confidence.py`).
    """

    single: tuple[float, float, float] | None = None
    pooled: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        for curve in (self.single, self.pooled):
            if curve is not None and not all(math.isfinite(number) for number in curve):
                raise _ValueError(f"expected three finite numbers, found {curve}")


class EmbedderEntry(Entry, frozen=True, kw_only=True, tag="embedder"):
    """A net that turns an aligned face of `size` pixels into `dimension` numbers.

    `threshold` is the least cosine similarity at which a face of a gallery may be named; a net that was
    imported has none until one has been measured. `pooled_threshold` is the same of several faces in one
    template. `lengths` are those of the vectors that it puts out for faces that are no use and for good ones:
    they tell how good a face is. From the similarity `visit_threshold` on two visits are one person's;
    `confidence` says how likely a name is right.
    """

    input: Input
    size: int
    dimension: int
    threshold: float | None = None
    calibration: Calibration | None = None
    lengths: tuple[float, float] | None = None
    pooled_threshold: float | None = None
    visit_threshold: float | None = None
    confidence: Curves | None = None

    def __post_init__(self) -> None:
        for threshold in (self.threshold, self.pooled_threshold, self.visit_threshold):
            if threshold is not None and not -1 <= threshold <= 1:
                raise _ValueError(f"expected a threshold from -1 to 1, found {threshold:g}")
        if self.lengths is not None and not 0 <= self.lengths[0] < self.lengths[1] < math.inf:
            raise _ValueError(f"expected lengths from a smaller to a larger one, found {self.lengths}")

    @property
    def _made_of(self) -> list[Any]:
        return [*super()._made_of, self.input]

    def threshold_or(self, given: float | None) -> float:
        """Return the threshold `given`, or else the entry's own.

        Raises:
            CatalogueError: there is none, or it was measured with another net that had this name.
        """
        threshold = self.threshold if given is None else given
        if given is None and self.calibration and self.calibration.embedder != self.identity:
            raise CatalogueError(
                f"the threshold of {self.name!r} was measured with {self.calibration.embedder}, not with"
                f" {self.identity}: run `onlooker calibrate` again, or set ONLOOKER_THRESHOLD"
            )
        if threshold is None:
            raise CatalogueError(
                f"no threshold is known for the embedder {self.name!r}: run `onlooker calibrate`,"
                " or set ONLOOKER_THRESHOLD"
            )
        return threshold

    def pooled_threshold_or(self, given: float | None) -> float:
        """Return the threshold of several faces in one template: `given`, its own, or that of one face.

        Where single faces have been calibrated here, for a gallery of its own size, and templates could not
        be, what the shipped catalogue says of these is for another gallery, and does not count.

        Raises:
            CatalogueError: as `threshold_or`.
        """
        threshold = self.threshold_or(given)
        overtaken = self.calibration is not None and self.calibration.pooled is None
        if given is not None or overtaken or self.pooled_threshold is None:
            return threshold
        return self.pooled_threshold


class MediaEntry(Entry, frozen=True, kw_only=True, tag="media"):
    """Photographs for the demonstration camera; its files share one folder."""


class Catalogue:
    """Every entry, by name."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self._entries = entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def get(self, name: str) -> Entry:
        """Return the entry called `name`.

        Raises:
            CatalogueError: there is none; the text lists those that there are.
        """
        if name not in self._entries:
            raise CatalogueError(f"unknown entry {name!r}; the catalogue has: {', '.join(self._entries)}")
        return self._entries[name]

    def detector(self, name: str) -> DetectorEntry:
        """Return the detector called `name`, or raise CatalogueError."""
        entry = self.get(name)
        if not isinstance(entry, DetectorEntry):
            raise self._wrong_kind(entry, "detector")
        return entry

    def embedder(self, name: str) -> EmbedderEntry:
        """Return the embedder called `name`, or raise CatalogueError."""
        entry = self.get(name)
        if not isinstance(entry, EmbedderEntry):
            raise self._wrong_kind(entry, "embedder")
        return entry

    def _wrong_kind(self, entry: Entry, kind: str) -> CatalogueError:
        known = ", ".join(other.name for other in self if other.kind == kind)
        return CatalogueError(
            f"{entry.name!r} cannot serve as {kind}: its kind is {entry.kind}; of that kind: {known}"
        )


def load_catalogue(folder: Path) -> Catalogue:
    """Read `folder`/catalogue.toml; the one that comes with Onlooker where the folder has none.

    What `folder`/local.toml says lies over it, key by key.

    Raises:
        CatalogueError: it is missing, not TOML, or an entry lacks or misspells something.
    """
    tables = read_tables(catalogue_path(folder))
    if (folder / LOCAL).is_file():
        for name, table in read_tables(folder / LOCAL).items():
            tables[name] = _over(tables.get(name), table)
    return Catalogue({name: read_entry(name, table) for name, table in tables.items()})


def catalogue_path(folder: Path) -> Path:
    """Return the file of `folder`'s catalogue, or of the one that comes with Onlooker."""
    own = folder / "catalogue.toml"
    return own if own.is_file() else ROOT / "weights" / "catalogue.toml"


def _over(known: Any, table: Any) -> Any:
    return {**known, **table} if isinstance(known, dict) and isinstance(table, dict) else table


def read_tables(path: Path) -> dict[str, Any]:
    """Return what the TOML file `path` says, or raise CatalogueError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CatalogueError(f"cannot read the catalogue {path}: {error}") from None


def read_entry(name: str, table: Any) -> Entry:
    """Return the entry that `table` describes, or raise CatalogueError."""
    if not isinstance(table, dict):
        raise CatalogueError(f"catalogue entry {name!r}: expected a table, found {type(table).__name__}")
    try:
        return msgspec.convert({**table, "name": name}, DetectorEntry | EmbedderEntry | MediaEntry)
    except msgspec.ValidationError as error:
        raise CatalogueError(f"catalogue entry {name!r}: {error}") from None
