"""An import puts a checked net into the catalogue, ready to be named by a setting, or leaves no trace."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from mxnet_files import Net, embedder_net, params_bytes, single_stage_net, two_stage_net, write_cascade
from weights_folder import everything

from app.errors import OnlookerError
from app.importers import installation
from app.importers.installation import InstallationError
from app.importers.mxnet import ImportOptions, import_checkpoint
from app.models.detection import load_detector
from app.models.embedding import load_embedder
from app.models.images import Image
from app.models.pipeline import Recogniser
from app.models.runtime.session import Runtime
from app.settings import Settings
from app.weights.catalogue import CatalogueError, DetectorEntry, EmbedderEntry, load_catalogue
from app.weights.fetch import State, ensure, state_of


def shorten(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def endless(folder: Path) -> None:
    net = embedder_net()
    net.params["arg:fc_weight"][0, 0] = np.nan
    (folder / "model-0000.params").write_bytes(params_bytes(net.params))


def unknown(folder: Path) -> None:
    net = embedder_net()
    net.op("Odd", "odd", [len(net.nodes) - 1])
    net.write(folder / "model")


def test_a_real_embedder_is_imported_and_knows_people(
    checkpoint: Callable, tmp_path: Path, recogniser: Recogniser, still: Callable[[str], Image]
) -> None:
    found = checkpoint("mobilefacenet-y1")
    entry = import_checkpoint(found.prefix, 0, tmp_path, ImportOptions())
    assert isinstance(entry, EmbedderEntry)
    assert (entry.name, entry.dimension, entry.size, entry.threshold) == ("mobilefacenet-y1", 128, 112, None)
    assert (entry.input.colour, entry.input.mean, entry.input.scale) == ("RGB", 0.0, 1.0)
    assert state_of(entry.files[0], tmp_path) is State.PRESENT
    net = load_embedder(entry, tmp_path, Runtime())
    names = ("obama", "obama2", "biden")
    faces = [recogniser.analyse(still(f"demo-portraits/{name}.jpg")).aligned[0] for name in names]
    first, same, other = net.embed(np.stack(faces))
    assert first @ same > 0.5
    assert first @ other < 0.3


def test_the_digests_of_what_it_was_made_from_are_kept(checkpoint: Callable, tmp_path: Path) -> None:
    found = checkpoint("mtcnn-det1")
    entry = import_checkpoint(found.prefix, 1, tmp_path, ImportOptions(name="p"))
    for origin, ending in zip(entry.made_from, ("-symbol.json", "-0001.params"), strict=True):
        data = Path(f"{found.prefix}{ending}").read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        assert (origin.name, origin.bytes, origin.sha256) == (f"det1{ending}", len(data), digest)


@pytest.mark.parametrize(
    ("name", "epoch", "architecture", "files"),
    [
        ("retinaface-mobile", 0, "retinaface", ["x.onnx"]),
        ("mtcnn-det1", 1, "unknown", ["x.onnx"]),
        ("fr50", 0, "fr50", ["x-rpn.onnx", "x-head.onnx"]),
    ],
)
def test_detectors_are_told_from_the_graph(
    checkpoint: Callable, tmp_path: Path, name: str, epoch: int, architecture: str, files: list[str]
) -> None:
    entry = import_checkpoint(checkpoint(name).prefix, epoch, tmp_path, ImportOptions(name="x"))
    assert isinstance(entry, DetectorEntry)
    assert entry.architecture == architecture
    assert [file.name for file in entry.files] == files
    assert sorted(everything(tmp_path)) == sorted([*files, "local.toml"])
    if architecture == "fr50":
        about = {item.key: item.value for item in onnx.load(tmp_path / files[0]).metadata_props}
        assert about == {
            "proposal.stride": "16",
            "proposal.scales": "4,8,16,32",
            "proposal.ratios": "0.5,1,2",
        }
    if architecture == "unknown":
        with pytest.raises(CatalogueError, match="unknown architecture 'unknown'"):
            load_detector(entry, tmp_path, Runtime(), side=640, score=0.5)


def small(make: Callable[[], Net]) -> Callable[[Path], Path]:
    return lambda prefix: make().write(prefix)


@pytest.mark.parametrize(
    ("write", "architecture", "files", "fed"),
    [
        (write_cascade, "mtcnn", ["x-1.onnx", "x-2.onnx", "x-3.onnx"], ("BGR", 127.5, 0.0078125)),
        (small(single_stage_net), "retinaface", ["x.onnx"], ("RGB", 0.0, 1.0)),
        (small(two_stage_net), "fr50", ["x-rpn.onnx", "x-head.onnx"], ("RGB", 0.0, 1.0)),
    ],
    ids=["mtcnn", "retinaface", "fr50"],
)
def test_small_detectors_are_imported_and_look_at_pictures(
    tmp_path: Path,
    write: Callable[[Path], Path],
    architecture: str,
    files: list[str],
    fed: tuple[str, float, float],
    still: Callable[[str], Image],
) -> None:
    """Weights drawn from a seed find nothing that is there; that they run, and what is kept, is the same."""
    weights = tmp_path / "weights"
    entry = import_checkpoint(write(tmp_path / "model"), 0, weights, ImportOptions(name="x"))
    assert isinstance(entry, DetectorEntry)
    assert (entry.architecture, [file.name for file in entry.files]) == (architecture, files)
    assert (entry.input.colour, entry.input.mean, entry.input.scale) == fed
    assert sorted(everything(weights)) == sorted([*files, "local.toml"])
    for origin in entry.made_from:
        data = (tmp_path / origin.name).read_bytes()
        assert (origin.bytes, origin.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    detector = load_detector(entry, weights, Runtime(), side=320, score=0.5)
    picture = still("demo-portraits/obama.jpg")
    first, again = detector.detect_all([picture, picture])
    assert np.isfinite(first.boxes).all()
    np.testing.assert_array_equal(first.boxes, again.boxes)


def test_the_nets_of_a_cascade_are_one_entry(shared_data: Path, tmp_path: Path) -> None:
    entry = import_checkpoint(shared_data / "mxnet" / "mtcnn" / "det", 1, tmp_path, ImportOptions())
    assert isinstance(entry, DetectorEntry)
    assert (entry.name, entry.architecture) == ("mtcnn", "mtcnn")
    assert (entry.input.colour, entry.input.mean, entry.input.scale) == ("BGR", 127.5, 0.0078125)
    assert [file.name for file in entry.files] == ["mtcnn-1.onnx", "mtcnn-2.onnx", "mtcnn-3.onnx"]
    assert len(entry.made_from) == 6


def test_wishes_come_before_what_the_graph_tells(tmp_path: Path) -> None:
    net = embedder_net()
    prefix = net.write(tmp_path / "model")
    options = ImportOptions(name="mine", kind="detection", colour="BGR", mean=3.0, scale=0.5, licence="MIT")
    entry = import_checkpoint(prefix, 0, tmp_path / "weights", options)
    assert isinstance(entry, DetectorEntry)
    assert (entry.licence, entry.architecture) == ("MIT", "unknown")
    assert (entry.input.colour, entry.input.mean, entry.input.scale) == ("BGR", 3.0, 0.5)


def test_a_net_that_does_not_centre_its_pixels_is_fed_them_centred(tmp_path: Path) -> None:
    net = embedder_net()
    net.nodes[3]["inputs"] = []  # the weight keeps its place; the convolution looks at the pixels
    net.nodes[4]["inputs"][0] = [0, 0, 0]
    entry = import_checkpoint(
        net.write(tmp_path / "model"), 0, tmp_path / "weights", ImportOptions(name="mine")
    )
    assert (entry.input.mean, entry.input.scale) == (127.5, 0.0078125)


def test_an_import_can_be_repeated(tmp_path: Path) -> None:
    prefix = embedder_net(dimension=64).write(tmp_path / "model")
    weights = tmp_path / "weights"
    import_checkpoint(prefix, 0, weights, ImportOptions(name="mine"))
    embedder_net(dimension=96).write(tmp_path / "model")
    entry = import_checkpoint(prefix, 0, weights, ImportOptions(name="mine"))
    assert entry.dimension == 96
    assert sorted(everything(weights)) == ["local.toml", "mine.onnx"]


def test_what_is_lost_must_be_imported_again(tmp_path: Path) -> None:
    prefix = embedder_net().write(tmp_path / "model")
    weights = tmp_path / "weights"
    import_checkpoint(prefix, 0, weights, ImportOptions(name="mine"))
    (weights / "mine.onnx").unlink()
    with pytest.raises(
        OnlookerError, match=rf"mine: import it again: .* import-mxnet {prefix} 0 --name mine"
    ):
        ensure("mine", Settings(weights_dir=weights))


@pytest.mark.parametrize(
    ("spoil", "options", "says"),
    [
        (lambda p: (p / "model-0000.params").unlink(), {}, r"cannot read .*model-0000\.params: No such file"),
        (lambda p: (p / "model-symbol.json").unlink(), {}, r"cannot read .*model-symbol\.json"),
        (lambda p: shorten(p / "model-0000.params"), {}, r"^model-0000\.params: truncated at byte \d+"),
        (lambda p: shorten(p / "model-symbol.json"), {}, r"^model-symbol\.json: no MXNet graph: .*byte \d+"),
        (lambda p: None, {"name": "yunet"}, "the catalogue has another 'yunet' already"),
        (lambda p: None, {"name": "../mine"}, "cannot be a name"),
        (lambda p: embedder_net(size=128).write(p / "model"), {}, "takes 128x128 pixels; expected 112x112"),
        (endless, {}, "self-check: fc_output is not finite"),
        (unknown, {}, r"^model-symbol\.json: node 'odd' \(Odd\): this operator is not known"),
    ],
)
def test_a_failed_import_leaves_nothing_behind(
    tmp_path: Path, spoil: Callable[[Path], object], options: dict[str, str], says: str
) -> None:
    prefix = embedder_net().write(tmp_path / "model")
    weights = tmp_path / "weights"
    import_checkpoint(prefix, 0, weights, ImportOptions(name="mine"))
    before = everything(weights)
    spoil(tmp_path)
    with pytest.raises(OnlookerError, match=says) as caught:
        import_checkpoint(prefix, 0, weights, ImportOptions(**{"name": "mine", **options}))
    assert "\n" not in str(caught.value)
    assert everything(weights) == before
    assert [entry.name for entry in load_catalogue(weights)].count("mine") == 1


def test_an_entry_that_cannot_be_written_takes_its_files_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = embedder_net().write(tmp_path / "model")
    weights = tmp_path / "weights"
    (weights / "local.new").mkdir(parents=True)
    with pytest.raises(CatalogueError, match="cannot write the local catalogue"):
        import_checkpoint(prefix, 0, weights, ImportOptions(name="mine"))
    assert everything(weights) == {}
    (weights / "local.new").rmdir()
    import_checkpoint(prefix, 0, weights, ImportOptions(name="mine"))
    before = everything(weights)
    embedder_net(dimension=96).write(tmp_path / "model")

    def refuse(*_: object) -> None:
        raise CatalogueError("not today")

    monkeypatch.setattr(installation, "put_local", refuse)
    with pytest.raises(CatalogueError, match="not today"):
        import_checkpoint(prefix, 0, weights, ImportOptions(name="mine"))
    assert everything(weights) == before


def test_files_of_another_entry_are_not_overwritten(tmp_path: Path) -> None:
    prefix = embedder_net().write(tmp_path / "model")
    weights = tmp_path / "weights"
    import_checkpoint(prefix, 0, weights, ImportOptions(name="mine"))
    text = (weights / "local.toml").read_text(encoding="utf-8")
    (weights / "local.toml").write_text(
        text.replace("[mine", "[other").replace("[[mine", "[[other"), encoding="utf-8"
    )
    with pytest.raises(InstallationError, match=r"mine\.onnx belongs to 'other' already"):
        import_checkpoint(prefix, 0, weights, ImportOptions(name="mine"))
