"""The catalogue is read strictly, and says what it lacks."""

import re
from pathlib import Path

import numpy as np
import pytest

from app.models.detection import ARCHITECTURES
from app.models.feed import blob
from app.settings import ROOT, Settings
from app.weights.catalogue import Catalogue, CatalogueError, DetectorEntry, EmbedderEntry, load_catalogue

ENTRY = """
[net]
kind = "embedder"
title = "A net"
source = "user"
homepage = "https://example.org"
licence = "MIT"
files = [{ name = "net.onnx", member = "net.onnx", bytes = 3, sha256 = "%s" }]
input = { colour = "BGR", mean = 127.0, scale = 0.0078125 }
size = 112
dimension = 512
threshold = 0.49
""" % ("0" * 64)


def read(folder: Path, text: str) -> Catalogue:
    (folder / "catalogue.toml").write_text(text, encoding="utf-8")
    return load_catalogue(folder)


def test_the_shipped_catalogue_serves_the_default_settings(catalogue: Catalogue) -> None:
    defaults = Settings.model_fields
    assert catalogue.detector(defaults["detector"].default).input.colour == "RGB"
    embedder = catalogue.embedder(defaults["embedder"].default)
    assert (embedder.dimension, embedder.threshold, embedder.input.colour) == (512, 0.49, "BGR")


def test_every_shipped_entry_is_whole(catalogue: Catalogue) -> None:
    names = [file.name for entry in catalogue for file in entry.files]
    assert len(names) == len(set(names))
    for entry in catalogue:
        assert entry.files
        assert entry.licence
        packed = entry.source.startswith(("pypi:", "npm:")) or entry.source.endswith(".zip")
        assert (entry.package is not None) == packed
        assert entry.homepage.startswith("https://")
        if isinstance(entry, DetectorEntry):
            assert entry.architecture in ARCHITECTURES


def test_shipped_entries_that_share_a_package_agree_on_it(catalogue: Catalogue) -> None:
    packages = {entry.package for entry in catalogue if entry.package}
    assert len({package.name for package in packages}) == len(packages)
    digests = [file.sha256 for entry in catalogue for file in entry.files]
    assert len(digests) == len(set(digests))


def test_what_may_not_be_used_for_everything_is_marked(catalogue: Catalogue) -> None:
    marked = {entry.name for entry in catalogue if entry.restricted}
    assert marked == {entry.name for entry in catalogue if "insightface" in entry.source}
    assert marked == {entry.name for entry in catalogue if "non-commercial" in entry.licence}


@pytest.mark.parametrize(
    ("name", "colour", "black", "white", "dimension"),
    [("sface", "RGB", 0, 255, 128), ("arcface-r50", "RGB", -1, 1, 512), ("arcface-mbf", "RGB", -1, 1, 512)],
)
def test_embedders_are_fed_as_their_publishers_feed_them(
    catalogue: Catalogue, name: str, colour: str, black: float, white: float, dimension: int
) -> None:
    entry = catalogue.embedder(name)
    images = [np.full((112, 112, 3), value, np.uint8) for value in (0, 255)]
    fed = blob(images, entry.input)
    assert (entry.input.colour, entry.dimension) == (colour, dimension)
    np.testing.assert_allclose([fed[0].max(), fed[1].min()], [black, white], atol=1e-6)
    # A threshold for pairs would name strangers of a gallery: nobody has measured one for galleries.
    with pytest.raises(CatalogueError, match="onlooker calibrate"):
        entry.threshold_or(None)


def test_a_folder_without_a_catalogue_has_the_shipped_one(tmp_path: Path) -> None:
    assert [entry.name for entry in load_catalogue(tmp_path)] == [
        entry.name for entry in load_catalogue(ROOT / "weights")
    ]


def test_an_entry_is_typed(tmp_path: Path) -> None:
    entry = read(tmp_path, ENTRY).get("net")
    assert isinstance(entry, EmbedderEntry)
    assert (entry.kind, entry.bytes, entry.files[0].published) == ("embedder", 3, "net.onnx")


def test_an_unknown_name_lists_the_known_ones(catalogue: Catalogue) -> None:
    with pytest.raises(CatalogueError, match=r"'nope'.*centerface, yunet, faceplugin-512"):
        catalogue.get("nope")


def test_the_wrong_kind_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(CatalogueError, match="'centerface' cannot serve as embedder: its kind is detector"):
        catalogue.embedder("centerface")
    with pytest.raises(CatalogueError, match="of that kind: centerface, yunet"):
        catalogue.detector("faceplugin-512")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('kind = "embedder"', 'kind = "oracle"', "oracle"),
        ("dimension = 512", 'dimension = "many"', "dimension"),
        ("dimension = 512", "", "dimension"),
        ("dimension = 512", "dimension = 512\ntypo = 1", "typo"),
        ("0" * 64, "0" * 63, "sha256"),
        ('name = "net.onnx"', 'name = "../net.onnx"', "name"),
        ('name = "net.onnx"', 'name = "/net.onnx"', "name"),
        ('source = "user"', 'source = "ftp://example.org"', "source"),
        ("threshold = 0.49", "threshold = nan", "threshold"),
        ("threshold = 0.49", "threshold = 1.01", "threshold"),
        ("threshold = 0.49", "visit_threshold = -1.01", "threshold"),
        ("threshold = 0.49", "pooled_threshold = 1.01", "threshold"),
        ("threshold = 0.49", "pooled_threshold = nan", "threshold"),
        ("threshold = 0.49", "confidence = { single = [1.0, 2.0] }", "single"),
        ("threshold = 0.49", "confidence = { pooled = [1.0, 2.0, nan] }", "finite"),
        ("threshold = 0.49", "confidence = { double = [1.0, 2.0, 3.0] }", "double"),
        ("mean = 127.0", "mean = nan", "pixels"),
        ("scale = 0.0078125", "scale = inf", "pixels"),
        ("scale = 0.0078125", "scale = 0.0", "pixels"),
    ],
)
def test_what_is_misspelt_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(CatalogueError, match=rf"'net'.*{says}") as caught:
        read(tmp_path, ENTRY.replace(old, new))
    assert "\n" not in str(caught.value)


def test_an_identity_stands_for_the_files_and_how_the_net_is_fed(tmp_path: Path) -> None:
    """Templates of one identity are compared with each other: they must come from the same numbers."""
    changes = [("", ""), ("0" * 64, "1" * 64), ('"BGR"', '"RGB"'), ("mean = 127.0", "mean = 127.5")]
    identities = {read(tmp_path, ENTRY.replace(*change)).get("net").identity for change in changes}
    assert len(identities) == len(changes)
    told = ENTRY.replace("threshold = 0.49", "threshold = 0.3\nnote = 'a remark'")
    assert read(tmp_path, told).get("net").identity in identities
    assert all(re.fullmatch("net@[0-9a-f]{12}", identity) for identity in identities)


#: As a program wrote it that measured single faces alone.
CALIBRATION = """
[net.calibration]
fpir = 0.01
gallery = 100
comparisons = 9
false_matches = 3
detector = "x@0"
embedder = "%s"
dataset = "team"
date = "2026-01-02"
"""


def test_several_faces_have_a_threshold_of_their_own(tmp_path: Path) -> None:
    entry = read(tmp_path, ENTRY + "pooled_threshold = 0.45").embedder("net")
    assert (entry.threshold_or(None), entry.pooled_threshold_or(None)) == (0.49, 0.45)
    assert entry.pooled_threshold_or(0.3) == 0.3


def test_where_several_faces_have_none_that_of_one_counts(tmp_path: Path) -> None:
    assert read(tmp_path, ENTRY).embedder("net").pooled_threshold_or(None) == 0.49
    with pytest.raises(CatalogueError, match="no threshold is known"):
        read(tmp_path, ENTRY.replace("threshold = 0.49", "")).embedder("net").pooled_threshold_or(None)


def test_where_single_faces_alone_were_calibrated_the_threshold_of_another_gallery_does_not_count(
    tmp_path: Path,
) -> None:
    identity = read(tmp_path, ENTRY).get("net").identity
    text = ENTRY + "pooled_threshold = 0.45" + CALIBRATION % identity
    assert read(tmp_path, text).embedder("net").pooled_threshold_or(None) == 0.49
    both = text + "pooled = { comparisons = 9, false_matches = 3 }"
    assert read(tmp_path, both).embedder("net").pooled_threshold_or(None) == 0.45
    with pytest.raises(CatalogueError, match="was measured with"):
        read(tmp_path, both.replace(identity, "net@0")).embedder("net").pooled_threshold_or(None)


@pytest.mark.parametrize("text", ["[net", "net = 3"])
def test_what_is_no_catalogue_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(CatalogueError):
        read(tmp_path, text)


def test_every_net_is_in_the_documentation(catalogue: Catalogue) -> None:
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    for entry in catalogue:
        assert entry.kind == "media" or f"| `{entry.name}`" in text


def test_what_the_documentation_writes_by_hand_is_understood(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    blocks = [part.split("```")[0] for part in text.split("```toml\n")[1:]]
    (tmp_path / "local.toml").write_text(
        "\n".join(blocks).replace('"..."', f'"{"0" * 64}"'), encoding="utf-8"
    )
    read = load_catalogue(tmp_path)
    assert read.embedder("mine").threshold == 0.42
    assert read.embedder("sface").threshold == 0.4
