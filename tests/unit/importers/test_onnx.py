"""An ONNX file that somebody brings gets a place and an entry once it has been tried, or leaves no trace."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media.stills import GROUP
from onnx import TensorProto, helper, numpy_helper
from onnx_files import DIMENSION, detector_of, embedder
from scrfd_files import write_scrfd
from weights_folder import everything

from app.errors import OnlookerError
from app.importers import installation
from app.importers.onnx import OnnxImportOptions, import_onnx, tell_architecture
from app.models.detection import load_detector
from app.models.embedding import load_embedder
from app.models.images import Image
from app.models.pipeline import Recogniser
from app.models.runtime.session import Runtime
from app.settings import Settings
from app.weights.catalogue import CatalogueError, DetectorEntry, EmbedderEntry, load_catalogue
from app.weights.fetch import State, ensure, state_of


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    onnx.save(model, folder / "brought.onnx")
    return folder / "brought.onnx"


def test_an_embedder_is_taken_as_it_is_and_can_be_loaded(tmp_path: Path) -> None:
    path, weights = saved(embedder(), tmp_path), tmp_path / "weights"
    options = OnnxImportOptions(name="mine", licence="CC0", threshold=0.4)
    entry = import_onnx(path, weights, options)
    assert isinstance(entry, EmbedderEntry)
    assert (entry.name, entry.dimension, entry.size, entry.threshold) == ("mine", DIMENSION, 112, 0.4)
    assert (entry.source, entry.licence) == ("user", "CC0")
    data = path.read_bytes()
    assert everything(weights).keys() == {"mine.onnx", "local.toml"}
    assert (weights / "mine.onnx").read_bytes() == data
    (origin,) = entry.made_from
    digest = hashlib.sha256(data).hexdigest()
    assert (origin.name, origin.bytes, origin.sha256) == ("brought.onnx", len(data), digest)
    assert state_of(entry.files[0], weights) is State.PRESENT
    net = load_embedder(entry, weights, Runtime())
    assert net.embed(np.zeros((1, 112, 112, 3), np.uint8)).shape == (1, DIMENSION)


@pytest.mark.parametrize(
    ("centres", "options", "fed"),
    [
        (False, {}, ("RGB", 127.5, 1 / 127.5)),
        (True, {}, ("RGB", 0.0, 1.0)),
        (True, {"colour": "BGR", "mean": 3.0, "scale": 0.5}, ("BGR", 3.0, 0.5)),
    ],
)
def test_what_a_net_is_fed_is_told_from_the_graph_unless_it_is_said(
    tmp_path: Path, centres: bool, options: dict[str, str | float], fed: tuple[str, float, float]
) -> None:
    entry = import_onnx(
        saved(embedder(centres=centres), tmp_path), tmp_path / "weights", OnnxImportOptions(**options)
    )
    assert isinstance(entry, EmbedderEntry)
    assert entry.name == "brought"
    assert (entry.input.colour, entry.input.mean, entry.input.scale) == fed
    assert entry.threshold is None


@pytest.mark.parametrize("tail", ["reshape", "constant", "map", "length", "mixing"])
def test_embedders_of_every_make_are_told_from_detectors(tmp_path: Path, tail: str) -> None:
    entry = import_onnx(saved(embedder(tail), tmp_path), tmp_path / "weights", OnnxImportOptions())
    assert isinstance(entry, EmbedderEntry)
    assert entry.dimension == DIMENSION


@pytest.mark.parametrize(("name", "colour"), [("centerface", "RGB"), ("yunet", "BGR")])
def test_a_real_detector_is_told_by_its_outputs_and_finds_faces(
    weights: Path, shared_data: Path, still: Callable[[str], Image], tmp_path: Path, name: str, colour: str
) -> None:
    published = {
        "centerface": weights / "centerface.onnx",
        "yunet": shared_data / "models" / "yunet_s_640_640.onnx",
    }
    entry = import_onnx(published[name], tmp_path, OnnxImportOptions(name="mine"))
    assert isinstance(entry, DetectorEntry)
    assert (entry.architecture, entry.input.colour) == (name, colour)
    detector = load_detector(entry, tmp_path, Runtime(), side=640, score=0.5)
    assert len(detector.detect(still(GROUP))) == 6


@pytest.mark.parametrize("landmarks", [True, False])
@pytest.mark.parametrize("batch", [True, False])
def test_a_scrfd_is_told_by_its_outputs_whatever_they_are_called(
    tmp_path: Path, landmarks: bool, batch: bool
) -> None:
    write_scrfd(tmp_path / "brought.onnx", landmarks=landmarks, batch=batch)
    entry = import_onnx(tmp_path / "brought.onnx", tmp_path / "weights", OnnxImportOptions())
    assert isinstance(entry, DetectorEntry)
    assert entry.architecture == "scrfd"
    assert (entry.input.colour, entry.input.mean, entry.input.scale) == ("RGB", 127.5, 1 / 128)


def test_the_default_embedder_brought_again_gives_the_same_embeddings(
    weights: Path, recogniser: Recogniser, still: Callable[[str], Image], tmp_path: Path
) -> None:
    options = OnnxImportOptions(name="again", colour="BGR", mean=127.0, scale=0.0078125)
    entry = import_onnx(weights / "faceplugin-512.onnx", tmp_path, options)
    assert isinstance(entry, EmbedderEntry)
    found = recogniser.analyse(still(GROUP))
    net = load_embedder(entry, tmp_path, Runtime())
    np.testing.assert_allclose(net.embed(found.aligned), found.embeddings, atol=1e-5)


CELLS = {"8": 100, "16": 25, "32": 9}


@pytest.mark.parametrize(
    ("shapes", "architecture"),
    [
        ({f"{n}{s}": (c * 2, n) for n in (1, 4, 10) for s, c in CELLS.items()}, "scrfd"),
        ({f"{n}{s}": (c * 2, n) for n in (1, 4) for s, c in CELLS.items()}, "scrfd"),
        ({f"{n}{s}": (1, c * 2, n) for s, c in CELLS.items() for n in (1, 4, 10)}, "scrfd"),
        ({f"{n}_{s}": (1, c, 1) for n in ("cls", "obj", "bbox", "kps") for s, c in CELLS.items()}, "yunet"),
        ({str(n): (1, c, 64, 80) for n, c in enumerate((1, 2, 2, 10))}, "centerface"),
        ({f"face_rpn_{n}_stride32": (1, 4, 8, 10) for n in ("cls_prob", "bbox_pred")}, "retinaface"),
        ({str(n): (1, c, 64, 80) for n, c in enumerate((1, 2, 2, 8))}, None),
        ({"boxes": (100, 4), "scores": (100, 1), "number": ()}, None),
    ],
)
def test_architectures_are_told_by_outputs(
    shapes: dict[str, tuple[int, ...]], architecture: str | None
) -> None:
    assert tell_architecture(shapes) == architecture


def test_an_import_can_be_repeated(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    import_onnx(saved(embedder(), tmp_path), weights, OnnxImportOptions(name="mine"))
    entry = import_onnx(saved(embedder(dimension=96), tmp_path), weights, OnnxImportOptions(name="mine"))
    assert isinstance(entry, EmbedderEntry)
    assert entry.dimension == 96
    assert everything(weights).keys() == {"mine.onnx", "local.toml"}


def test_what_lies_in_the_weights_folder_can_be_brought_from_there(tmp_path: Path) -> None:
    path = saved(embedder(), tmp_path)
    data = path.read_bytes()
    entry = import_onnx(path, tmp_path, OnnxImportOptions())
    assert state_of(entry.files[0], tmp_path) is State.PRESENT
    assert path.read_bytes() == data


def test_what_is_lost_must_be_brought_again(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    import_onnx(saved(embedder(), tmp_path), weights, OnnxImportOptions(name="mine"))
    (weights / "mine.onnx").unlink()
    with pytest.raises(OnlookerError, match=r"mine: get mine\.onnx and name its folder.* import-onnx"):
        ensure("mine", Settings(weights_dir=weights))
    ensure("mine", Settings(weights_dir=weights, weights_mirror=tmp_path))


def outside(folder: Path) -> Path:
    onnx.save(
        embedder(), folder / "brought.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
    )
    return folder / "brought.onnx"


def outside_in_a_node(folder: Path) -> Path:
    """The target of a reshape is kept in a file of this machine that nobody meant to give away."""
    model = embedder("constant")
    constant = next(node for node in model.graph.node if node.op_type == "Constant")
    tensor = constant.attribute[0].t
    tensor.ClearField("raw_data")
    tensor.name = "hidden"
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return saved(model, folder)


def two_inputs(folder: Path) -> Path:
    model = embedder()
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    return saved(model, folder)


def undefined(folder: Path) -> Path:
    model = embedder()
    model.graph.node[0].input[1] = "nobody"
    return saved(model, folder)


def impossible(folder: Path) -> Path:
    model = embedder()
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == "matrix")
    weights.CopyFrom(numpy_helper.from_array(np.ones((7, 7), np.float32), "matrix"))
    return saved(model, folder)


def cut(folder: Path) -> Path:
    path = saved(embedder(), folder)
    path.write_bytes(path.read_bytes()[:50_000])
    return path


def written(content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "brought.onnx").write_bytes(content)
        return folder / "brought.onnx"

    return write


def net(*arguments: object, **more: object) -> Callable[[Path], Path]:
    return lambda folder: saved(embedder(*arguments, **more), folder)  # type: ignore[arg-type]


def swapping(*more: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return nodes that make colours of the batch; their reshape begins with 1, as one of a batch does."""
    return [
        helper.make_node("Transpose", ["maps"], ["swapped"], perm=[1, 0, 2, 3]),
        helper.make_node(
            "Constant", [], ["target"], value=numpy_helper.from_array(np.array([1, -1, 0, 0], np.int64))
        ),
        helper.make_node("Reshape", ["swapped", "target"], ["back"]),
        *more,
    ]


def other_numbers(folder: Path) -> Path:
    """Freed in its batch, this embedder runs and puts out a vector of the same length: another one."""
    model = embedder("grid")
    model.graph.node.pop()
    ending = [
        helper.make_node("ReduceMax", ["back"], ["most"], axes=[0], keepdims=1),
        helper.make_node("ReduceMean", ["most"], ["middle"], axes=[1], keepdims=1),
        helper.make_node("Flatten", ["middle"], ["vector"]),
    ]
    model.graph.node.extend(swapping(*ending))
    return saved(model, folder)


def other_shape(folder: Path) -> Path:
    """A detector of one size, which freed in its batch puts out maps of other shapes."""
    random = np.random.default_rng(6)
    channels = {"heat": 1, "maps": 2, "offsets": 2, "points": 10}
    kernels = [
        numpy_helper.from_array(random.normal(0, 0.01, (count, 3, 4, 4)).astype(np.float32), f"{name}_w")
        for name, count in channels.items()
    ]
    convolutions = [
        helper.make_node("Conv", ["pixels", f"{name}_w"], [name], strides=[4, 4]) for name in channels
    ]
    outputs = ["heat", "back", "offsets", "points"]
    graph = helper.make_graph(
        [*convolutions, *swapping()],
        "net",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, 64, 96])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in outputs],
        kernels,
    )
    return saved(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder)


def huge(folder: Path) -> Path:
    model = detector_of({str(number): (1, count, 64, 80) for number, count in enumerate((1, 2, 2, 10))})
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 100_000
    return saved(model, folder)


def yunet_by_name() -> Callable[[Path], Path]:
    """A detector whose outputs are called as those of a YuNet are, and are something else."""
    shapes = {f"{head}_{stride}": (1, 3) for head in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)}
    return lambda folder: saved(detector_of(shapes), folder)


def other() -> Callable[[Path], Path]:
    """A detector that nothing here reads."""
    shapes = {"boxes": (100, 4), "scores": (100, 1), "classes": (100, 1)}
    return lambda folder: saved(detector_of(shapes), folder)


NOT_ONNX = r"^brought\.onnx: not an ONNX file"


@pytest.mark.parametrize(
    ("bring", "options", "says"),
    [
        (lambda folder: folder / "absent.onnx", {}, r"cannot read .*absent\.onnx: No such file"),
        (lambda folder: folder, {"name": "x"}, "cannot read .*: Is a directory"),
        (written(b""), {}, NOT_ONNX),
        (written(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"), {}, NOT_ONNX),
        (written(b"<html>not found</html>"), {}, NOT_ONNX),
        (cut, {}, NOT_ONNX),
        (undefined, {}, r"^brought\.onnx: not a valid net: .*nobody"),
        (impossible, {}, r"^brought\.onnx: (onnxruntime does not take it|it does not run)"),
        (outside, {}, "the weight '.*' is kept in another file; save the net as one file first"),
        (outside_in_a_node, {}, "the weight 'hidden' is kept in another file"),
        (two_inputs, {}, "expected one input, found 2"),
        (net(kind=TensorProto.FLOAT16), {}, "takes float16 numbers; expected float, of 32 bits"),
        (net(kind=122), {}, "takes unknown numbers; expected float, of 32 bits"),
        (net(pixels=(1, 1, 112, 112)), {}, "takes 1x1x112x112; expected batch x 3 x height x width"),
        (net(pixels=(1, 112, 112, 3)), {}, "takes 1x112x112x3"),
        (net(pixels=(1, 3, 128, 128)), {}, "takes 128x128 pixels; expected 112x112"),
        (
            other_numbers,
            {},
            r"^brought\.onnx: its output 'vector' becomes another one when batch, height and width are made"
            r" free: expected the same numbers, found some \d",
        ),
        (
            other_shape,
            {"architecture": "centerface"},
            r"^brought.*'back' becomes .*: expected \(1, 2, 16, 24\), found \(2, 1, 16, 24\)",
        ),
        (huge, {}, r"takes 1 x 100000x100000 pixels; expected at most 16,777,216"),
        (net("grid"), {}, r"expected one vector for each image, found \(1, 4, 14, 14\)"),
        (net("scalar"), {}, "expected one vector for each image"),
        (net("endless"), {}, "for a random image is not finite"),
        (net(), {"name": "yunet"}, "the catalogue has another 'yunet' already; say --name"),
        (net(), {"name": "arcface-r50"}, "the catalogue has another 'arcface-r50' already"),
        (net(), {"name": "../mine"}, r"'\.\./mine' cannot be a name"),
        (net(), {"kind": "detection"}, r"^brought\.onnx: it does not run on 320x256 pixels: "),
        (
            other(),
            {},
            "cannot tell from its outputs how the detector is read; say --architecture: ",
        ),
        (other(), {"architecture": "oracle"}, "unknown architecture 'oracle'; known: .*yunet"),
        (other(), {"architecture": "yunet"}, r"^brought: no YuNet: it puts out boxes, scores, classes$"),
        (yunet_by_name(), {}, r"^brought\.onnx: cannot be read as yunet: "),
        (other(), {"architecture": "centerface"}, r"^brought: no CenterFace: expected outputs of .*, found "),
        (net(), {"kind": "embedding", "architecture": "yunet"}, "--architecture says how a detector is read"),
        (other(), {"threshold": 0.5}, "--threshold is for embedders"),
    ],
)
def test_a_net_that_is_refused_leaves_nothing_behind(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    bring: Callable[[Path], Path],
    options: dict[str, str],
    says: str,
) -> None:
    weights = tmp_path / "weights"
    import_onnx(saved(embedder(), tmp_path), weights, OnnxImportOptions())
    before = everything(weights)
    path = bring(tmp_path)
    with pytest.raises(OnlookerError, match=says) as caught:
        import_onnx(path, weights, OnnxImportOptions(**options))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert everything(weights) == before
    assert [entry.name for entry in load_catalogue(weights)].count("brought") == 1


@given(places=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=3))
@settings(max_examples=100)
def test_a_damaged_file_is_refused_in_one_line_or_is_a_net_all_the_same(
    places: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    model = embedder("constant", dimension=2)
    data = bytearray(model.SerializeToString())
    # What is damaged is the graph: other weights are another net.
    kept = np.zeros(len(data), bool)
    for tensor in model.graph.initializer:
        start = data.find(tensor.raw_data)
        kept[start : start + len(tensor.raw_data)] = True
    graph = np.flatnonzero(~kept)
    for place, value in places:
        data[graph[place % len(graph)]] = value
    (folder / "brought.onnx").write_bytes(data)
    try:
        entry = import_onnx(folder / "brought.onnx", folder / "weights", OnnxImportOptions())
    except OnlookerError as error:
        assert "\n" not in str(error)
        assert everything(folder / "weights") == {}
    else:
        assert isinstance(entry, EmbedderEntry)


def test_an_entry_that_cannot_be_written_takes_its_file_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "weights"
    import_onnx(saved(embedder(), tmp_path), weights, OnnxImportOptions())
    before = everything(weights)

    def refuse(*_: object) -> None:
        raise CatalogueError("not today")

    monkeypatch.setattr(installation, "put_local", refuse)
    for name in ("brought", "new"):
        with pytest.raises(CatalogueError, match="not today"):
            import_onnx(saved(embedder(dimension=96), tmp_path), weights, OnnxImportOptions(name=name))
        assert everything(weights) == before


def test_a_name_of_a_checkpoint_is_not_taken(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    import_onnx(saved(embedder(), tmp_path), weights, OnnxImportOptions(name="mine"))
    local = weights / "local.toml"
    text = local.read_text(encoding="utf-8")
    local.write_text(text.replace('source = "user"', 'source = "mxnet:/nets/model@0"'), encoding="utf-8")
    with pytest.raises(OnlookerError, match="the catalogue has another 'mine' already"):
        import_onnx(tmp_path / "brought.onnx", weights, OnnxImportOptions(name="mine"))
    local.write_text(text.replace("[mine", "[other").replace("[[mine", "[[other"), encoding="utf-8")
    with pytest.raises(OnlookerError, match=r"mine\.onnx belongs to 'other' already"):
        import_onnx(tmp_path / "brought.onnx", weights, OnnxImportOptions(name="mine"))
